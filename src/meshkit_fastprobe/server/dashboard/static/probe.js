// One probe: what it is, how it got here, how long it takes, why it fails; and a run made now, told in full.

import { ask, problem } from "./ask.js";
import { drawLatency, drawStrip } from "./charts.js";
import { h, put, say, table } from "./dom.js";
import { explained } from "./explained.js";
import { past } from "./past.js";
import { link } from "./route.js";
import { FLAGS, MARKS, age, count, latency, moment, quantile, share } from "./words.js";

const LOOK_EVERY_MS = 2_000;
const KEPT = 600; // points of a probe
const SHOWN = 60; // of its results, in words
const PROBES_KEPT = 32; // whose points are kept while others are looked at
const SPAN_MS = 30 * 60_000;
const SAME_RUN_MS = 30; // a run's time is told to 10 ms among the recent results, and more closely among the failures

/** What this page saw of probes, by name: results by time, and percentiles as they were. */
const seen = new Map();

function notebook(name) {
  const found = seen.get(name) ?? { results: [], lines: { p50: [], p90: [], p99: [] }, since: Date.now() };
  seen.delete(name);
  seen.set(name, found);
  if (seen.size > PROBES_KEPT) seen.delete(seen.keys().next().value);
  return found;
}

export function open({ api, store, route }) {
  const name = route.name;
  const path = `/probes/${encodeURIComponent(name)}`;
  const book = notebook(name);
  const title = h("h1", {}, name);
  const state = h("p", { class: "headline" });
  const facts = h("dl", { class: "facts" });
  const strip = h("canvas", { role: "img", "aria-label": "history of states" });
  const chart = h("canvas", { role: "img", "aria-label": "latencies of runs" });
  const log = h("div", { class: "wide" });
  const before = past(api, path);
  const answer = h("section", { class: "panel", hidden: true });
  const failure = h("p", { class: "failure", role: "alert" });
  const run = h("button", { class: "main", onclick: () => explain() }, "Run now and explain");
  const pause = h("button", { onclick: () => switchPause() }, "Pause");
  const element = h(
    "div",
    {},
    h("p", {}, h("a", { href: link("probes") }, "← all probes")),
    title,
    state,
    failure,
    h("div", { class: "buttons start" }, run, pause),
    answer,
    h("section", { class: "panel" }, h("h2", {}, "States"), h("div", {}, strip), h("p", { class: "quiet" }, "In the last half hour, as this page saw it.")),
    h("section", { class: "panel" }, h("h2", {}, "Latency"), h("div", {}, chart), h("p", { class: "quiet" }, LEGEND)),
    before.element,
    h("section", { class: "panel" }, h("h2", {}, "Results"), log),
    h("section", { class: "panel" }, h("h2", {}, "Facts"), facts),
  );
  let item = null;
  let timer = null;
  let closed = false;

  async function look() {
    clearTimeout(timer);
    try {
      if (!document.hidden) take((await api.get(path)).item);
      put(failure);
    } catch (error) {
      put(failure, problem(error));
      if (error.status === 404) element.classList.add("gone");
    }
    if (!closed) timer = setTimeout(look, LOOK_EVERY_MS);
  }

  function take(found) {
    item = found;
    book.results = merged(book.results, [...(item.failures ?? []), ...(item.recent ?? [])]).slice(-KEPT);
    for (const [quantileName, line] of Object.entries(book.lines)) {
      const value = item[`${quantileName}Seconds`];
      if (value !== undefined) line.push({ at: api.now(), value });
      if (line.length > KEPT) line.shift();
    }
    show();
  }

  function show() {
    const flags = FLAGS.filter((flag) => item[flag]);
    put(
      state,
      h("span", { class: `state badge ${item.state}` }, `${MARKS[item.state]} ${item.state}`),
      h("span", {}, ` for ${age(api.now() - Date.parse(item.since))}, since ${moment(item.since)}`),
      flags.map((flag) => h("span", { class: "flag" }, flag)),
      item.reason ? [h("br"), h("code", {}, item.reason), ` ${item.message ?? ""}`] : null,
    );
    say(pause, item.state === "paused" ? "Resume" : "Pause");
    put(facts, factsOf(item).map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
    put(log, table(["when", "result", "latency", "reason", "message"], book.results.slice(-SHOWN).reverse().map(logRow)));
    drawNow();
  }

  function draw() {
    before.draw();
    drawNow();
  }

  function drawNow() {
    if (item === null || !element.isConnected) return;
    drawStrip(strip, spans(item, store.feed, book.since, api.now()));
    const points = book.results.map((one) => ({
      at: one.time,
      latency: one.latencySeconds,
      result: one.result,
    }));
    const start = Math.max(api.now() - SPAN_MS, Math.min(...points.map((point) => point.at)));
    drawLatency(chart, points.filter((point) => point.at >= start), book.lines);
    const median = quantile(item, "p50");
    chart.setAttribute("aria-label", `latencies of ${points.length} runs; p50 ${median}, p99 ${quantile(item, "p99")}`);
  }

  async function explain() {
    run.disabled = true;
    answer.hidden = false;
    put(answer, h("p", { role: "status" }, "Running …"));
    try {
      const { explanation, item: after } = await api.post(`${path}:run?explain=true`);
      put(answer, explained(explanation));
      take({ ...item, ...after });
    } catch (error) {
      put(answer, h("p", { class: "failure", role: "alert" }, problem(error)));
    }
    run.disabled = false;
    if (document.activeElement === document.body) run.focus({ preventScroll: true }); // switched off, it had lost it
  }

  async function switchPause() {
    const verb = item?.state === "paused" ? "resume" : "pause";
    const says = verb === "pause" ? "It is not run, and tells nothing, until it is resumed." : "It is scheduled again.";
    const title = `${verb === "pause" ? "Pause" : "Resume"} ${name}?`;
    await ask({ title, content: h("p", {}, says), yes: verb === "pause" ? "Pause" : "Resume", act: () => api.post(`${path}:${verb}`) });
    look();
  }

  const resized = new ResizeObserver(draw);
  resized.observe(element);
  look();
  return {
    element,
    update: (topics) => topics.has("feed") && store.feed.at(-1)?.name === name && look(),
    tick: drawNow,
    close: () => {
      closed = true;
      clearTimeout(timer);
      resized.disconnect();
      before.close();
    },
  };
}

const LEGEND =
  "Each run that was seen (● passed, ■ did not), and p50, p90, p99 since registration as they moved while this page was open.";

/** Results by time, those told before and those told now; of one run, what was told last. */
export function merged(before, now) {
  const all = [...before, ...now].map((one) => ({ ...one, time: Date.parse(one.at) })).sort((one, other) => one.time - other.time);
  return all.filter((one, index) => index === all.length - 1 || all[index + 1].time - one.time > SAME_RUN_MS);
}

/** What the state was when, as far as is known: from the transitions that were told, and since when it is what it is. */
export function spans(item, feed, opened, now) {
  const moves = feed.filter((change) => change.name === item.name);
  const since = Date.parse(item.since);
  const known = moves.length ? Date.parse(moves[0].at) : since;
  const from = Math.max(now - SPAN_MS, Math.min(opened, known));
  const found = [];
  let state = moves.length ? moves[0].before : since <= from ? item.state : "unknown";
  let at = from;
  for (const move of moves) {
    const moved = Date.parse(move.at);
    if (moved > at) found.push({ from: at, to: moved, state });
    at = Math.max(from, moved);
    state = move.after;
  }
  if (since > at) {
    found.push({ from: at, to: since, state });
    at = since;
  }
  found.push({ from: at, to: Math.max(at + 1, now), state: item.state });
  return found;
}

function factsOf(item) {
  const runs = Object.entries(item.runs).map(([result, number]) => `${count(number)} ${result}`);
  return [
    ["target", h("code", {}, item.target)],
    ["kind", `${item.kind}, ${item.lane} lane`],
    ["cluster / namespace", `${item.cluster} / ${item.namespace}`],
    ["interval, timeout", `${latency(item.intervalSeconds)}, ${latency(item.timeoutSeconds)}`],
    ["last run", item.lastRun ? moment(item.lastRun) : "none yet"],
    ["passed", `${share(item.successRatio)} since registration`],
    ["p50, p90, p99", ["p50", "p90", "p99"].map((name) => quantile(item, name)).join(", ")],
    ["runs", runs.join(", ") || "none yet"],
    ["skipped, transitions", `${count(item.skipped)}, ${count(item.transitions)}`],
    ...(item.maintenanceReason ? [["maintenance", item.maintenanceReason]] : []),
    ...(item.switchedOff ? [["switched off", "its kind is, on this host: see Toggles"]] : []),
    ...Object.entries(item.labels).map(([key, value]) => [`label ${key}`, value]),
  ];
}

function logRow(result) {
  const state = { ok: "healthy", degraded: "degraded" }[result.result] ?? "unhealthy";
  return [
    moment(result.at),
    h("td", { class: `state ${state}` }, `${MARKS[state]} ${result.result}`),
    h("td", { class: "number" }, latency(result.latencySeconds)),
    result.reason ? h("code", {}, result.reason) : "",
    result.message ?? "",
  ];
}
