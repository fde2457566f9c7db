// Groups as cards, a cluster a line: each probe a mark, worst first. Size and shape tell states apart, colour comes third.

import { colour, h, put, say, sized } from "./dom.js";
import { link } from "./route.js";
import { drawTrend } from "./trends.js";
import { MARKS, STATES, count, quantile, share } from "./words.js";

const MAX_HEIGHT = 120;
const SMALLEST = 5;
const LARGEST = 11;
const GAP = 1;

/** Fewest probes a mark has to stand for, and how large it is, so that all fit. */
export function fit(total, width) {
  for (let per = 1; ; per++) {
    const marks = Math.ceil(total / per) + STATES.length; // a state with one probe has a mark too
    for (let size = LARGEST; size >= SMALLEST; size--) {
      const across = Math.floor(width / size);
      const lines = Math.ceil(marks / across);
      if (lines * size <= MAX_HEIGHT) return { per, size, across };
    }
  }
}

export class HeatMap {
  constructor() {
    this.cards = new Map();
    this.shape = "";
    this.trendOf = null;
    this.element = h("div", { class: "heat" });
    this.legend = h("p", { class: "legend" });
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.element);
  }

  close() {
    this.resized.disconnect();
  }

  /** groups: as of the wire, with states as they are now. */
  update(groups) {
    const shape = groups.map((group) => key(group.tags)).join("\n");
    if (shape !== this.shape) this.build(groups);
    this.shape = shape;
    for (const group of groups) this.cards.get(key(group.tags)).show(group);
    this.draw();
  }

  /** of: tags to what trends.js tells of them; kept for cards that are yet to come. */
  showTrends(of) {
    this.trendOf = of;
    for (const card of this.cards.values()) card.showTrend(of(card.tags));
  }

  build(groups) {
    const clusters = [...new Set(groups.map((group) => group.tags.cluster))];
    const namespaces = [...new Set(groups.map((group) => group.tags.namespace))];
    const aligned = namespaces.length <= 12 && clusters.length > 1; // then the same namespaces stand below each other
    this.cards = new Map(groups.map((group) => [key(group.tags), new Card(group.tags)]));
    const line = (cluster) => {
      const own = namespaces.filter((namespace) => this.cards.has(key({ cluster, namespace })));
      const alike = aligned && 2 * own.length >= namespaces.length; // a cluster of its own kind has no holes to show
      const cells = namespaces.map((namespace) => {
        const card = this.cards.get(key({ cluster, namespace }));
        return card?.element ?? (alike ? h("span", { class: "hole", "aria-hidden": "true" }) : null);
      });
      const list = h("div", { class: "cards" }, cells);
      return h("section", { "aria-label": `cluster ${cluster || "without a name"}` }, h("h3", {}, cluster || "(no cluster)"), list);
    };
    put(this.element, clusters.map(line), this.legend);
    if (this.trendOf) this.showTrends(this.trendOf);
  }

  draw() {
    const cards = [...this.cards.values()];
    const width = Math.floor(Math.min(...cards.map((card) => card.marks.parentElement?.clientWidth || Infinity)));
    if (!cards.length || !Number.isFinite(width) || width < 40) return;
    const most = Math.max(...cards.map((card) => card.group?.probes ?? 0));
    const scale = fit(most, width);
    const colours = Object.fromEntries([...STATES, "panel"].map((name) => [name, colour(name)]));
    for (const card of cards) card.draw(scale, width, colours);
    const each = scale.per === 1 ? "a mark is a probe" : `a mark is ${scale.per} probes`;
    const marks = STATES.map((state) => h("span", { class: `state ${state}` }, `${MARKS[state]} ${state}`));
    if (this.legend.dataset.each !== each) put(this.legend, `${each}: `, marks);
    this.legend.dataset.each = each;
  }
}

class Card {
  constructor(tags) {
    this.tags = tags;
    this.group = null;
    this.trend = null;
    this.drawn = "";
    this.name = h("strong", {}, tags.namespace || "(no namespace)");
    this.up = h("span", { class: "up" });
    this.counts = h("span", { class: "counts" });
    this.numbers = h("small");
    this.marks = h("canvas", { class: "marks", "aria-hidden": "true" });
    this.line = h("canvas", { "aria-hidden": "true" });
    this.past = h("small", { class: "past" }, "…");
    this.element = h(
      "a",
      { class: "card", href: link("probes", "", tags) },
      h("span", { class: "row" }, this.name, this.up),
      h("span", { class: "marks" }, this.marks),
      this.counts,
      this.numbers,
      h("span", { class: "trend" }, this.line, this.past),
    );
  }

  showTrend(trend) {
    this.trend = trend;
    say(this.past, trend.words);
    this.drawn = "";
    const width = this.line.parentElement.clientWidth;
    if (width) drawTrend(this.line, trend, width);
  }

  show(group) {
    this.group = group;
    const states = group.states;
    const bad = (states.unhealthy ?? 0) / Math.max(1, group.probes);
    const worst = STATES.find((state) => states[state] && state !== "paused") ?? "healthy";
    this.element.dataset.worst = worst;
    this.element.dataset.heat = bad === 0 ? 0 : bad < 0.05 ? 1 : bad < 0.25 ? 2 : 3;
    const told = STATES.filter((state) => states[state]);
    const text = [...told.map((state) => `${state}${states[state]}`), group.stale].join();
    if (this.counts.dataset.told !== text) {
      put(
        this.counts,
        told.map((state) => h("span", { class: `state ${state}`, title: state }, `${MARKS[state]} ${count(states[state])}`)),
        group.stale ? h("span", { class: "state unknown" }, `${count(group.stale)} stale`) : null,
      );
    }
    this.counts.dataset.told = text;
    say(this.up, share((group.probes - (states.unhealthy ?? 0)) / Math.max(1, group.probes)));
    this.up.title = "share that is not unhealthy";
    say(this.numbers, `p99 ${quantile(group, "p99")} · ${share(group.successRatio)} of runs pass, 5 min`);
    const words = told.map((state) => `${count(states[state])} ${state}`).join(", ");
    this.element.setAttribute("aria-label", `${this.name.textContent}: ${words || "no probes"}`);
  }

  draw({ per, size, across }, width, colours) {
    const { states, probes } = this.group;
    const key = JSON.stringify([per, size, width, states, colours.panel, window.devicePixelRatio]);
    if (key === this.drawn) return;
    this.drawn = key;
    if (this.trend) drawTrend(this.line, this.trend, width);
    const numbers = STATES.map((state) => [state, Math.ceil((states[state] ?? 0) / per)]);
    const total = numbers.reduce((sum, [, number]) => sum + number, 0);
    const context = sized(this.marks, width, Math.max(size, Math.ceil(total / across) * size) * (probes ? 1 : 0));
    let at = 0;
    for (const [state, number] of numbers) {
      context.fillStyle = context.strokeStyle = colours[state];
      for (const end = at + number; at < end; at++) {
        mark(context, state, (at % across) * size, Math.floor(at / across) * size, size - GAP);
      }
    }
  }
}

function mark(context, state, x, y, size) {
  switch (state) {
    case "unhealthy":
      context.fillRect(x, y, size, size);
      break;
    case "degraded":
      context.beginPath();
      context.moveTo(x + size / 2, y);
      context.lineTo(x + size, y + size);
      context.lineTo(x, y + size);
      context.fill();
      break;
    case "unknown":
      context.lineWidth = 1;
      context.strokeRect(x + 0.5, y + 0.5, size - 1, size - 1);
      break;
    case "paused":
      context.fillRect(x, y, size / 3, size);
      context.fillRect(x + (size * 2) / 3, y, size / 3, size);
      break;
    default: {
      const inset = size * 0.25;
      context.fillRect(x + inset, y + inset, size - 2 * inset, size - 2 * inset);
    }
  }
}

export function key(tags) {
  return `${tags.cluster}\u0000${tags.namespace}`;
}
