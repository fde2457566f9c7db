// How each group fared in the last hours, small: the share of runs that passed, and the p99. One question for all groups.

import { colour, sized } from "./dom.js";
import { latency, share } from "./words.js";

export const HOURS = 6;
export const TREND_HEIGHT = 30;
const FIRST_AFTER_MS = 1_500; // the page is of use before; what was can wait
const LOOK_EVERY_MS = 60_000;
const MANY_GROUPS = 100; // beyond these an item stands for an hour: an answer has some 6,000 items at most
const BAND = 12;

/** Asks from time to time; shown(of) gets a function of tags: {words, steps}. Words alone where nothing can be drawn. */
export function trends(api, groups, key, shown) {
  let timer = setTimeout(look, FIRST_AFTER_MS);
  let closed = false;

  async function look() {
    const stepMs = (groups() > MANY_GROUPS ? 60 : 15) * 60_000;
    try {
      if (!document.hidden) {
        const path = `/history/groups?by=cluster,namespace&last=${HOURS}h&step=${stepMs > 900_000 ? "1h" : "15m"}`;
        const { items } = await api.get(path);
        const found = byGroup(items, stepMs, key);
        if (!closed) shown((tags) => found.get(key(tags)) ?? { words: "no history yet", steps: [] });
      }
    } catch (error) {
      const words = error.code === "history_unavailable" ? "no history is kept" : `no history: ${error.message}`;
      if (!closed) shown(() => ({ words, steps: [] }));
    }
    if (!closed) timer = setTimeout(look, LOOK_EVERY_MS);
  }

  return () => {
    closed = true;
    clearTimeout(timer);
  };
}

/** Steps of each group, oldest first; null where one is absent, for then nobody watched. One step alone is no trend. */
export function byGroup(items, stepMs, key) {
  const found = new Map();
  const starts = items.map((item) => Date.parse(item.start));
  const first = Math.min(...starts);
  const length = items.length ? Math.round((Math.max(...starts) - first) / stepMs) + 1 : 0;
  items.forEach((item, index) => {
    const name = key(item.tags);
    if (!found.has(name)) found.set(name, { words: "", steps: Array(length).fill(null) });
    found.get(name).steps[Math.round((starts[index] - first) / stepMs)] = item;
  });
  for (const trend of found.values()) {
    const ran = trend.steps.filter((step) => step?.runs);
    if (ran.length < 2) Object.assign(trend, { words: "history too young", steps: [] });
    else trend.words = wordsOf(ran);
  }
  return found;
}

function wordsOf(ran) {
  const ratios = ran.map((step) => step.successRatio);
  const levels = ran.map((step) => step.p99Seconds).filter((level) => level !== undefined);
  const beyond = ran.some((step) => (step.beyondRange ?? []).includes("p99"));
  // Of runs that were not measured, errors and reports without a latency, there is no level.
  const slowest = beyond ? "timeout" : latency(levels.length ? Math.max(...levels) : undefined);
  return `last ${HOURS} h: at worst ${share(Math.min(...ratios))} pass, p99 ${slowest}`;
}

/** Passed above, p99 (dashed, logarithmic) below; a line ends where nobody watched. */
export function drawTrend(canvas, { steps }, width) {
  const context = sized(canvas, width, steps.length ? TREND_HEIGHT : 0);
  if (!steps.length) return;
  const ratios = steps.map((step) => step?.successRatio ?? NaN);
  const lowest = Math.min(0.9, ...ratios.filter(Number.isFinite));
  const levels = steps.map((step) => Math.log10(step?.p99Seconds ?? NaN));
  const finite = levels.filter(Number.isFinite);
  context.lineWidth = 1.5;
  context.strokeStyle = context.fillStyle = colour("accent");
  line(context, ratios, lowest, 1, width, 2);
  context.strokeStyle = context.fillStyle = colour("quiet");
  context.setLineDash([3, 2]);
  if (finite.length) line(context, levels, Math.min(...finite), Math.max(Math.min(...finite) + 0.5, ...finite), width, 4 + BAND);
  context.setLineDash([]);
}

function line(context, values, low, high, width, top) {
  const x = (index) => 2 + (index / Math.max(1, values.length - 1)) * (width - 4);
  const y = (value) => top + (1 - (value - low) / (high - low)) * (BAND - 2);
  let pen = false;
  context.beginPath();
  values.forEach((value, index) => {
    const goes = Number.isFinite(value);
    if (goes && pen) context.lineTo(x(index), y(value));
    else if (goes) {
      context.moveTo(x(index), y(value));
      context.fillRect(x(index) - 1, y(value) - 1, 2, 2); // one that stands alone is seen too
    }
    pen = goes;
  });
  context.stroke();
}
