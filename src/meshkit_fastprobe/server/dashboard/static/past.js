// What the host has kept of one probe: its states and its percentiles over a day, a week, a month.

import { problem } from "./ask.js";
import { drawLatency, drawStrip } from "./charts.js";
import { h, put, say } from "./dom.js";
import { age, count, share } from "./words.js";

const STRETCHES = { "24h": "a day", "7d": "a week", "30d": "a month" };
const STEP = "15m"; // the only one that has percentiles of a single probe
const LOOK_EVERY_MS = 60_000;

/** A panel about the probe at this path; draw and close as a view has them. */
export function past(api, path) {
  const strip = h("canvas", { role: "img", "aria-label": "states of the past" });
  const chart = h("canvas", { role: "img", "aria-label": "percentiles of the past" });
  const told = h("p", { class: "quiet", role: "status" });
  const failure = h("p", { class: "quiet" });
  const buttons = Object.entries(STRETCHES).map(([last, says]) =>
    h("button", { "aria-pressed": "false", onclick: () => choose(last) }, says),
  );
  const pictures = h("div", { hidden: true }, h("div", {}, strip), h("div", {}, chart), h("p", { class: "quiet" }, LEGEND));
  const head = h("div", { class: "head" }, h("h2", {}, "The past"), h("div", { class: "buttons start" }, buttons));
  const element = h("section", { class: "panel" }, head, told, failure, pictures);
  let last = "24h";
  let item = null;
  let timer = null;
  let closed = false;

  function choose(stretch) {
    last = stretch;
    look();
  }

  async function look() {
    clearTimeout(timer);
    const wanted = last;
    Object.keys(STRETCHES).forEach((stretch, index) => buttons[index].setAttribute("aria-pressed", stretch === last));
    try {
      const found = document.hidden ? null : (await api.get(`/history${path}?last=${wanted}&step=${STEP}`)).item;
      if (found && wanted === last) show(found);
      put(failure);
    } catch (error) {
      pictures.hidden = true;
      say(told, "");
      put(failure, error.code === "history_unavailable" ? "This host keeps no history." : problem(error));
    }
    if (!closed) timer = setTimeout(look, LOOK_EVERY_MS);
  }

  function show(found) {
    item = found;
    pictures.hidden = item.steps.length === 0;
    if (item.steps.length === 0) {
      say(told, "Nothing is kept of this stretch yet: a probe has its place in the past after a quarter of an hour.");
      return;
    }
    const runs = item.steps.reduce((sum, step) => sum + step.runs, 0);
    const passed = item.steps.reduce((sum, { results }) => sum + (results.ok ?? 0) + (results.degraded ?? 0), 0);
    const down = item.steps.reduce((sum, { stateSeconds }) => sum + (stateSeconds?.unhealthy ?? 0), 0);
    say(told, `${share(runs ? passed / runs : undefined)} of ${count(runs)} runs passed; unhealthy for ${age(down * 1000)}.`);
    draw();
  }

  function draw() {
    if (item === null || pictures.hidden || !element.isConnected) return;
    drawStrip(strip, pastSpans(item));
    const lines = pastLines(item);
    chart.parentElement.hidden = !lines.p50.some(({ value }) => Number.isFinite(value)); // of a quarter that has not ended there are none
    drawLatency(chart, [], lines, { from: Date.parse(item.start), to: Date.parse(item.end) });
  }

  look();
  return {
    element,
    draw,
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}

const LEGEND = "p50, p90 and p99 of each quarter of an hour. Where nothing stands nobody watched.";

/**
 * Spans of states, without gaps; "absent" where no step is, for then nobody watched. What is painted up to a change, or up to
 * the end of a step, is what is known of that moment: pauses and restarts are no changes, and of many only the newest are told.
 */
export function pastSpans({ start, end, stepSeconds, steps, changes }) {
  const from = Date.parse(start);
  const to = Date.parse(end);
  const moves = changes.map((change) => ({ at: Date.parse(change.at), before: change.before }));
  const spans = [];
  let next = 0; // of moves; they and steps come oldest first
  const add = (state, until) => {
    const last = spans.at(-1);
    const at = last?.to ?? from;
    if (until <= at) return;
    if (last?.state === state) last.to = until;
    else spans.push({ from: at, to: until, state });
  };
  for (const step of steps) {
    const opens = Date.parse(step.start);
    const closes = Math.min(to, opens + stepSeconds * 1000);
    add("absent", opens);
    for (; next < moves.length && moves[next].at < closes; next++) {
      if (moves[next].at >= opens) add(moves[next].before, moves[next].at);
    }
    add(step.state, closes);
  }
  add("absent", to);
  return spans;
}

/** A level for each step; a hole where one is absent. */
export function pastLines({ stepSeconds, steps }) {
  const lines = { p50: [], p90: [], p99: [] };
  for (const step of steps) {
    const at = Date.parse(step.start);
    for (const [name, line] of Object.entries(lines)) {
      const value = step[`${name}Seconds`] ?? NaN;
      if (line.length && line.at(-1).at < at) line.push({ at, value: NaN });
      line.push({ at, value }, { at: at + stepSeconds * 1000, value });
    }
  }
  return lines;
}
