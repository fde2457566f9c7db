// This host, as this page sees it; and the addresses of others, each of which has a page of its own.

import { h, put, say } from "./dom.js";
import { age, count, plural } from "./words.js";

const KEY = "fastprobe.hosts";
const MAX = 100;

export function open({ api, store, stream }) {
  const facts = h("dl", { class: "facts" });
  const list = h("ul", { class: "hosts" });
  const failure = h("p", { class: "failure", role: "alert" });
  const address = h("input", { type: "url", placeholder: "https://cp-2:9464", "aria-label": "address of a host", required: true });
  const form = h("form", { class: "filters" }, address, h("button", { type: "submit" }, "Add"));
  const element = h(
    "div",
    {},
    h("h1", {}, "Hosts"),
    h("section", { class: "panel" }, h("h2", {}, "This host"), facts),
    h(
      "section",
      { class: "panel" },
      h("h2", {}, "Others"),
      h("p", { class: "quiet" }, "Links, kept in this browser. A page asks its own host alone, so their state is seen on their pages."),
      list,
      form,
      failure,
    ),
  );
  let ready = "asking …";

  async function look() {
    const answer = await fetch("/readyz", { cache: "no-store" }).catch(() => null);
    ready = answer === null ? "no answer" : answer.ok ? "● ready" : "▲ not ready: probes are not being run";
    show();
  }

  function show() {
    const totals = store.totals();
    const told = [
      ["name", store.host],
      ["readiness", ready],
      ["address", location.host],
      ["probes", ["healthy", "degraded", "unhealthy", "unknown", "paused"].map((state) => `${count(totals[state])} ${state}`).join(", ")],
      ["asked", api.roundTrip === null ? "–" : `the last answer took ${api.roundTrip.toFixed(0)} ms`],
      ["clock", `${Math.abs(api.skew) < 1500 ? "agrees with this browser's" : `${age(Math.abs(api.skew))} away from this browser's`}`],
      ["events", `${stream.status.live ? "followed" : stream.status.why}, ${plural(stream.received, "event")}, ${count(store.missed)} missed`],
    ];
    put(facts, told.map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
  }

  function links() {
    const known = read();
    const forget = (one) => () => keep(known.filter((other) => other !== one));
    put(
      list,
      known.map((one) =>
        h(
          "li",
          {},
          h("a", { href: one, rel: "noreferrer" }, one),
          h("button", { onclick: forget(one), "aria-label": `forget ${one}` }, "Forget"),
        ),
      ),
    );
  }

  function keep(addresses) {
    localStorage.setItem(KEY, JSON.stringify(addresses.slice(0, MAX)));
    links();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const found = URL.parse?.(address.value) ?? null;
    const fits = found !== null && ["http:", "https:"].includes(found.protocol);
    say(failure, fits ? "" : "An address begins with https:// or, on this machine, http://");
    if (fits) keep([...new Set([...read(), `${found.origin}/`])]);
    if (fits) form.reset();
  });
  links();
  show();
  look();
  return { element, update: show, tick: () => {} };
}

function read() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((one) => /^https?:\/\//.test(one)) : [];
  } catch {
    return [];
  }
}
