// What is broken, why and since when, in one look: counts, groups as a heat map, reasons, the newest news.

import { h, put, say } from "./dom.js";
import { HeatMap, key } from "./heatmap.js";
import { link } from "./route.js";
import { trends } from "./trends.js";
import { MARKS, STATES, count, moment, plural } from "./words.js";

const WORST = 8;
const NEWS = 12;

export function open({ api, store }) {
  const heat = new HeatMap();
  const tiles = Object.fromEntries(STATES.map((state) => [state, tile(state)]));
  const broken = h("section", { class: "panel" });
  const news = h("section", { class: "panel" });
  const element = h(
    "div",
    {},
    h("h1", { class: "hidden" }, "Overview"),
    h("nav", { class: "tiles", "aria-label": "probes by state" }, STATES.map((state) => tiles[state].element)),
    h("div", { class: "sides" }, h("section", { class: "panel" }, h("h2", {}, "Groups"), heat.element), h("div", {}, broken, news)),
  );

  function update(topics) {
    if (topics.has("rows") || topics.has("groups")) {
      const totals = store.groups || store.rowsAt ? store.totals() : null; // before anything is known, none is not the number
      if (totals) for (const state of STATES) say(tiles[state].number, count(totals[state]));
      if (store.groups) heat.update(store.groups.map((group) => ({ ...group, ...current(group) })));
      showBroken();
    }
    if (topics.has("feed")) showNews();
  }

  /** What a group's counts are now: of events, where we have all of its probes. */
  let byGroup = new Map();
  let counted = -1;
  function current(group) {
    if (!store.whole) return {};
    if (counted !== store.version) byGroup = statesByGroup(store.rows);
    counted = store.version;
    return byGroup.get(key(group.tags)) ?? {};
  }

  function showBroken() {
    const bad = [...store.rows.values()].filter((row) => row.state === "unhealthy" && !row.suppressed);
    const reasons = new Map();
    for (const row of bad) reasons.set(row.reason, (reasons.get(row.reason) ?? 0) + 1);
    const sorted = [...reasons].sort((one, other) => other[1] - one[1]);
    bad.sort((one, other) => other.since - one.since);
    put(
      broken,
      h("h2", {}, "Broken now"),
      bad.length === 0 ? h("p", { class: "quiet" }, store.whole ? "Nothing is unhealthy." : "…") : null,
      h(
        "ul",
        { class: "reasons" },
        sorted.slice(0, WORST).map(([reason, number]) =>
          h(
            "li",
            {},
            h("a", { href: link("probes", "", { state: "unhealthy", q: reason }) }, h("code", {}, reason || "no reason")),
            h("meter", { min: 0, max: bad.length, value: number, "aria-label": `share of ${reason}` }),
            h("span", {}, count(number)),
          ),
        ),
      ),
      h("ul", { class: "news" }, bad.slice(0, WORST).map((row) => newsItem(row.state, row.since, row.name, row.message))),
      bad.length > WORST
        ? h("a", { href: link("probes", "", { state: "unhealthy" }) }, `all ${plural(bad.length, "unhealthy probe")}`)
        : null,
    );
  }

  function showNews() {
    const latest = store.feed.slice(-NEWS).reverse();
    put(
      news,
      h("h2", {}, "Latest changes"),
      latest.length
        ? h(
            "ul",
            { class: "news" },
            latest.map((change) => newsItem(change.after, change.at, change.name, change.message ?? "")),
          )
        : h("p", { class: "quiet" }, "None since this page was opened."),
    );
  }

  update(new Set(["rows", "groups", "feed"]));
  const leaveTrends = trends(api, () => store.groups?.length ?? 0, key, (of) => heat.showTrends(of));
  const close = () => {
    heat.close();
    leaveTrends();
  };
  return { element, update, close };
}

function tile(state) {
  const number = h("strong", {}, "–");
  const element = h(
    "a",
    { class: `tile state ${state}`, href: link("probes", "", { state }) },
    h("span", { "aria-hidden": "true" }, MARKS[state]),
    number,
    h("span", {}, state),
  );
  return { element, number };
}

function newsItem(state, at, name, message) {
  return h(
    "li",
    {},
    h("span", { class: `state ${state}`, title: state }, MARKS[state]),
    h("time", {}, moment(at)),
    h("a", { href: link("probe", name) }, name),
    h("small", {}, message),
  );
}

export function statesByGroup(rows) {
  const groups = new Map();
  for (const row of rows.values()) {
    const name = key(row);
    let group = groups.get(name);
    if (group === undefined) groups.set(name, (group = { probes: 0, stale: 0, states: {} }));
    group.probes++;
    group.states[row.state] = (group.states[row.state] ?? 0) + 1;
    if (row.stale) group.stale++;
  }
  return groups;
}
