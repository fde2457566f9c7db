// All hosts that this one knows, each as it tells itself to whoever is signed in; the worst first. And this one more closely.

import { problem } from "./ask.js";
import { h, put, say, table } from "./dom.js";
import { MARKS, STATES, age, count, plural } from "./words.js";

const LOOK_EVERY_MS = 5_000;

export function open({ api, store, stream }) {
  const told = h("p", { class: "quiet", role: "status" }, "Asking …");
  const list = h("div", { class: "wide" });
  const failure = h("p", { class: "failure", role: "alert" });
  const facts = h("dl", { class: "facts" });
  const element = h(
    "div",
    {},
    h("h1", {}, "Hosts"),
    h("section", { class: "panel" }, told, failure, list),
    h("section", { class: "panel" }, h("h2", {}, "This host"), facts),
  );
  let ready = "asking …";
  let timer = null;
  let closed = false;

  async function look() {
    clearTimeout(timer);
    try {
      if (!document.hidden) showHosts((await api.get("/fleet/hosts")).items);
      put(failure);
    } catch (error) {
      put(failure, problem(error));
    }
    const answer = await fetch("/readyz", { cache: "no-store" }).catch(() => null);
    ready = answer === null ? "no answer" : answer.ok ? "● ready" : "▲ not ready: probes are not being run";
    showFacts();
    if (!closed) timer = setTimeout(look, LOOK_EVERY_MS);
  }

  function showHosts(hosts) {
    const silent = hosts.filter((host) => host.problem).length;
    const alone = hosts.length === 1 ? " Others are told of here when [server] peers names them." : "";
    say(told, `${plural(hosts.length, "host")}, ${silent === 0 ? "all of which answer" : `${count(silent)} without an answer`}.${alone}`);
    put(list, table(["host", "probes", "", "chaos"], [...hosts].sort((one, other) => rank(other) - rank(one)).map(row)));
  }

  function showFacts() {
    const facing = [
      ["name", store.host],
      ["readiness", ready],
      ["address", location.host],
      ["asked", api.roundTrip === null ? "–" : `the last answer took ${api.roundTrip.toFixed(0)} ms`],
      ["clock", `${Math.abs(api.skew) < 1500 ? "agrees with this browser's" : `${age(Math.abs(api.skew))} away from this browser's`}`],
      ["events", `${stream.status.live ? "followed" : stream.status.why}, ${plural(stream.received, "event")}, ${count(store.missed)} missed`],
    ];
    put(facts, facing.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
  }

  showFacts();
  look();
  return {
    element,
    update: (topics) => topics.has("experiments") && look(),
    tick: showFacts,
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** Who does not answer comes before who has something unhealthy, who comes before the rest. */
function rank(host) {
  return host.problem ? 2 : (host.states?.unhealthy ?? 0) / Math.max(1, host.probes ?? 0);
}

function row(host) {
  const link = () => h("a", { href: `${host.url}/`, rel: "noreferrer" }, host.name);
  const name = host.here ? [h("strong", {}, host.name), h("span", { class: "quiet" }, " (this one)")] : link();
  if (host.problem) return [name, h("td", { colspan: 3 }, h("span", { class: "failure" }, `✖ ${host.problem}`))];
  const states = STATES.filter((state) => host.states?.[state]);
  const bar = h("span", { class: "bar", "aria-hidden": "true" }, states.map((state) => part(state, host.states[state])));
  const numbers = states.map((state) => h("span", { class: `state ${state}`, title: state }, `${MARKS[state]} ${count(host.states[state])} `));
  const stale = host.stale ? h("span", { class: "state unknown" }, `${count(host.stale)} stale`) : null;
  const chaos = (host.chaos ?? []).length ? h("strong", { class: "state unhealthy" }, `⚠ ${host.chaos.join(", ")}`) : "–";
  return [name, h("span", { class: "counts" }, numbers, stale), h("td", { class: "share" }, bar), chaos];
}

/** As wide as its share; the policy of the page allows a style that a script sets. */
function part(state, number) {
  const element = h("span", { class: `part ${state}` });
  element.style.flexGrow = number;
  return element;
}
