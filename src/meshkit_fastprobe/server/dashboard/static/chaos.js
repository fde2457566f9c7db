// Experiments: what there is, what would be hurt, the confirmation, and what runs now.

import { ask, field, problem } from "./ask.js";
import { confirm, planOf } from "./confirm.js";
import { h, put, table } from "./dom.js";
import { link } from "./route.js";
import { age, lasting, latency, moment, share } from "./words.js";

/** Phases in which something is, or is about to be, hurt. */
export const LIVE = new Set(["armed", "injecting", "active", "reverting", "recovering", "revert_failed"]);
const HISTORY = 30;

let asked = 0; // questions for experiments are numbered: an answer that was overtaken is not taken
let answered = 0;

/** Experiments and faults as the host tells them, into the store; why not, where it does not. */
export async function loadChaos(api, store) {
  const number = ++asked;
  try {
    const answer = await api.get("/chaos/experiments");
    if (number < answered) return;
    store.experiments = answer.items;
    store.experimentsAt = Date.parse(answer.generatedAt);
    store.host ||= answer.host;
    store.chaosError = null;
    store.errors.delete("experiments");
  } catch (error) {
    if (number < answered) return;
    store.chaosError = error;
    if (isFinal(error)) {
      store.experiments = [];
      store.errors.delete("experiments");
    } else {
      // What was in force is most likely still: who did not answer has not said that it is over.
      store.errors.set("experiments", error);
      store.retry(() => loadChaos(api, store));
    }
  }
  answered = number;
  store.touch("experiments");
}

/** Whether it says that there is nothing to see for this reader; everything else passes. */
function isFinal(error) {
  return error.status === 403 || error.status === 404;
}

/** What runs now, on every page, with the time that its lease has left. */
export function banner(api, store) {
  const element = h("div", { class: "banner", role: "status", hidden: true });
  const update = () => {
    const live = (store.experiments ?? []).filter((one) => LIVE.has(one.phase));
    element.hidden = live.length === 0;
    put(
      element,
      live.map((one) =>
        h(
          "p",
          {},
          h("strong", {}, "⚠ Chaos: "),
          h("a", { href: link("chaos") }, `${one.id} (${one.fault})`),
          ` ${one.phase} `,
          countdown(one),
          h("button", { "aria-label": `Stop it: ${one.id}`, onclick: () => stop(api, store, one.id) }, "Stop it"),
        ),
      ),
    );
    tick(element, api);
  };
  return { element, update, tick: () => tick(element, api) };
}

function countdown(experiment) {
  return experiment.run?.endsAt ? h("span", { class: "countdown", "data-ends": experiment.run.endsAt, role: "timer" }) : null;
}

/** Write what is left of each lease. */
function tick(element, api) {
  for (const one of element.querySelectorAll("[data-ends]")) {
    const left = Date.parse(one.dataset.ends) - api.now();
    put(one, left > 0 ? `ends in ${age(left + 999)}` : "its time is over");
  }
}

async function stop(api, store, id) {
  const title = `Stop ${id}?`;
  const content = h("p", {}, "Its fault is undone now.");
  await ask({ title, content, yes: "Stop", harm: true, act: () => api.post(`/chaos/experiments/${encodeURIComponent(id)}:stop`) });
  await loadChaos(api, store);
}

export function open({ api, store }) {
  const experiments = h("section", { class: "panel" });
  const faults = h("section", { class: "panel" });
  const history = h("section", { class: "panel" });
  const resume = h("button", { onclick: () => resumeAll(api) }, "Resume after a halt …");
  // What can be pressed stands over what is fetched: nothing that comes late moves it away from under a finger or a focus.
  const element = h("div", {}, h("h1", {}, "Chaos"), experiments, h("div", { class: "buttons start" }, resume), faults, history);
  let isWhole = true; // or what stands below the experiments is yet to be asked for: the host did not answer

  async function load() {
    await loadChaos(api, store);
    await loadRest();
  }

  async function loadRest() {
    isWhole = !store.chaosError;
    if (!isWhole) return;
    const [catalogue, runs] = await Promise.allSettled([api.get("/chaos/faults"), api.get(`/chaos/runs?page_size=${HISTORY}`)]);
    showFaults(faults, catalogue);
    showHistory(history, runs);
  }

  function show() {
    const error = store.chaosError;
    const final = error !== null && isFinal(error);
    faults.hidden = history.hidden = resume.hidden = final;
    if (final) {
      const none = error.status === 404;
      put(
        experiments,
        h("h2", {}, none ? "Not available on this host" : "Not to be seen"),
        h("p", { class: none ? "" : "failure" }, problem(error)),
      );
      return;
    }
    const known = [...(store.experiments ?? [])].sort((one, other) => LIVE.has(other.phase) - LIVE.has(one.phase));
    const none = store.experiments === null ? "…" : "None: they stand as [[chaos.experiment]] in the configuration.";
    put(
      experiments,
      h("h2", {}, "Experiments"),
      known.length ? null : h("p", { class: "quiet" }, none),
      known.map((one) => experimentCard(api, store, one, load)),
    );
    tick(experiments, api);
  }

  show();
  load();
  return {
    element,
    update: (topics) => {
      if (topics.has("experiments")) show();
      if (topics.has("chaos")) load();
      else if (topics.has("experiments") && !isWhole) loadRest(); // the host answers again
    },
    tick: () => tick(experiments, api),
  };
}

function experimentCard(api, store, one, load) {
  const live = LIVE.has(one.phase);
  const path = `/chaos/experiments/${encodeURIComponent(one.id)}`;
  const failure = h("p", { class: "failure", role: "alert" });
  const act = async (action) => {
    put(failure);
    try {
      await action();
    } catch (error) {
      put(failure, problem(error));
      return;
    }
    load();
  };
  const prepare = h("button", { class: "main", "aria-label": `Prepare ${one.id}`, onclick: () => act(() => confirm(api, store, path)) }, "Prepare …");
  const approve = h("button", { "aria-label": `Approve ${one.id}`, onclick: () => act(() => approvePlan(api, path, one)) }, "Approve …");
  const end = h("button", { class: "harm", "aria-label": `Stop ${one.id}`, onclick: () => stop(api, store, one.id).then(load) }, "Stop");
  return h(
    "article",
    { class: `experiment ${live ? "running" : ""}` },
    h("h3", {}, one.id, h("span", { class: `phase ${one.phase}` }, one.phase.replaceAll("_", " ")), live ? countdown(one) : null),
    one.says ? h("p", {}, one.says) : null,
    h("p", { class: "quiet" }, `${one.fault} for ${lasting(one.durationSeconds)}`, where(one), one.twoPerson ? ", by two persons" : ""),
    h("code", {}, Object.entries(one.parameters).map(([key, value]) => `${key} = ${JSON.stringify(value)}`).join(", ")),
    one.run?.why ? h("p", {}, one.run.why) : null,
    live || one.run?.effect ? effect(one.run) : null,
    failure,
    h(
      "div",
      { class: "buttons start" },
      live ? end : prepare,
      one.phase === "awaiting_approval" ? approve : null,
    ),
  );
}

function where(one) {
  const place = [one.cluster, one.namespace].filter(Boolean).join("/");
  return place ? ` in ${place}` : "";
}

function effect(run) {
  if (!run.effect) return null;
  const touched = run.effect.touched === undefined ? "" : `, touched ${run.effect.touched}`;
  return h("p", {}, `${run.effect.inForce ? "In force" : "Not in force"}: ${run.effect.told}${touched}`);
}

function approvePlan(api, path, one) {
  const act = () => api.post(`${path}:approve`, { planId: one.run.plan.id });
  return ask({ title: `Approve ${one.id}?`, content: planOf(one), yes: "Approve this plan", harm: true, act });
}

async function resumeAll(api) {
  const reason = h("input", { name: "reason", maxlength: "500", required: true });
  await ask({
    title: "May experiments start again?",
    content: [h("p", {}, "After a halt nothing starts until somebody says why it may."), field("Reason", reason)],
    yes: "Resume",
    ready: () => reason.value.trim() !== "",
    act: () => api.post("/chaos:resume", { reason: reason.value.trim() }),
  });
}

function showFaults(element, { value, reason }) {
  const rows = (value?.items ?? []).map((one) => [
    h("code", {}, one.kind),
    one.enabled ? "● on" : "○ off",
    one.says,
    (one.ways ?? []).map(way),
    one.keys.map((key) => [h("code", {}, one.needs.includes(key) ? `${key} *` : key), " "]),
  ]);
  put(
    element,
    h("h2", {}, "Catalogue"),
    reason ? h("p", { class: "failure" }, problem(reason)) : null,
    h("div", { class: "wide" }, table(["fault", "switch", "what it does", "ways here", "keys"], rows)),
    h("p", { class: "quiet" }, "* has to be given. Switched on and off under ", h("a", { href: link("toggles") }, "Toggles"), "."),
  );
}

function way({ name, available, reason }) {
  const told = `${available ? "●" : "○"} ${name}: ${reason}`;
  return h("div", {}, available ? told : h("small", {}, told));
}

function showHistory(element, { value, reason }) {
  const measured = (run, name) => run.measures?.map((one) => one[name]).filter((one) => one !== undefined) ?? [];
  const most = (values) => (values.length ? latency(Math.max(...values)) : "–");
  const rows = (value?.items ?? []).map((run) => [
    run.injectedAt ? moment(run.injectedAt) : "–",
    run.experiment,
    h("span", { class: `phase ${run.phase}` }, run.phase.replaceAll("_", " ")),
    run.activatedBy ?? run.requestedBy,
    h("td", { class: "number" }, most(measured(run, "detectionSeconds"))),
    h("td", { class: "number" }, most(measured(run, "recoverySeconds"))),
    [run.why ?? "", run.steadyAfter === undefined ? "" : ` ${share(run.steadyAfter)} up after`],
  ]);
  const names = ["injected", "experiment", "ended as", "by", "detected in", "recovered in", "why"];
  put(
    element,
    h("h2", {}, "Runs"),
    reason ? h("p", { class: "failure" }, problem(reason)) : null,
    rows.length
      ? h("div", { class: "wide" }, table(names, rows))
      : h("p", { class: "quiet" }, "None yet."),
  );
}
