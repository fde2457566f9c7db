// Drawings of one probe: the strip of its states, and its latencies.

import { colour, sized } from "./dom.js";
import { MARKS, latency, moment } from "./words.js";

const STRIP_HEIGHT = 44;
const CHART_HEIGHT = 180;
const LEFT = 58;
const BOTTOM = 20;

/** spans: {from, to, state}, oldest first and without gaps. */
export function drawStrip(canvas, spans) {
  const width = canvas.parentElement.clientWidth;
  const context = sized(canvas, width, STRIP_HEIGHT);
  const from = spans[0].from;
  const scale = width / Math.max(1, spans.at(-1).to - from);
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  for (const span of spans.filter(({ state }) => state !== "absent")) {
    const x = (span.from - from) * scale;
    const wide = Math.max(1, (span.to - span.from) * scale);
    context.fillStyle = colour(span.state);
    // Height as well as colour: what is worse stands taller.
    const high = { unhealthy: 1, degraded: 0.7, healthy: 0.4 }[span.state] ?? 0.25;
    context.fillRect(x, (STRIP_HEIGHT - 16) * (1 - high), wide, (STRIP_HEIGHT - 16) * high);
    if (wide > 24) {
      context.fillStyle = colour("text");
      context.fillText(MARKS[span.state], x + 4, STRIP_HEIGHT - 7);
    }
  }
  context.fillStyle = colour("quiet");
  context.textAlign = "right";
  context.fillText("now", width, STRIP_HEIGHT - 7);
}

/** points: {at, latency, result}; lines: {name: [{at, value}]}, in seconds. The scale is logarithmic: 100 µs and 1 s fit both. range: of time, where not what is drawn decides. */
export function drawLatency(canvas, points, lines, range = null) {
  const width = canvas.parentElement.clientWidth;
  const context = sized(canvas, width, CHART_HEIGHT);
  const values = [...points.map((point) => point.latency), ...Object.values(lines).flatMap((line) => line.map((one) => one.value))];
  const finite = values.filter((value) => value > 0 && Number.isFinite(value));
  if (finite.length === 0) return;
  const low = 10 ** Math.floor(Math.log10(Math.min(...finite)));
  const high = Math.max(low * 10, 10 ** Math.ceil(Math.log10(Math.max(...finite))));
  const times = [...points, ...Object.values(lines).flat()].map((one) => one.at);
  const from = range?.from ?? Math.min(...times);
  const to = range?.to ?? Math.max(from + 1000, ...times);
  const x = (at) => LEFT + ((at - from) / (to - from)) * (width - LEFT - 8);
  const y = (value) =>
    8 + (1 - Math.log10(Math.max(low, Math.min(high, value)) / low) / Math.log10(high / low)) * (CHART_HEIGHT - BOTTOM - 16);
  axes(context, { low, high, y, width, from, to });
  Object.entries(lines).forEach(([name, line], index) => drawLine(context, name, line, index, x, y));
  for (const point of points) dot(context, point, x(point.at), y(point.latency));
}

function axes(context, { low, high, y, width, from, to }) {
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.textAlign = "right";
  context.strokeStyle = colour("line");
  context.fillStyle = colour("quiet");
  context.lineWidth = 1;
  for (let value = low; value <= high * 1.001; value *= 10) {
    context.beginPath();
    context.moveTo(LEFT, Math.round(y(value)) + 0.5);
    context.lineTo(width, Math.round(y(value)) + 0.5);
    context.stroke();
    context.fillText(latency(value).replace(/\.0+ /, " "), LEFT - 6, y(value));
  }
  context.fillText(moment(to), width, CHART_HEIGHT - 8);
  context.textAlign = "left";
  context.fillText(moment(from), LEFT, CHART_HEIGHT - 8);
}

function drawLine(context, name, line, index, x, y) {
  const drawn = line.filter((one) => Number.isFinite(one.value));
  if (drawn.length === 0) return;
  let pen = false; // up after a hole
  context.strokeStyle = context.fillStyle = colour("accent");
  context.setLineDash([[], [6, 3], [2, 3]][index % 3]);
  context.lineWidth = 1.5;
  context.beginPath();
  for (const { at, value } of line) {
    const goes = Number.isFinite(value);
    if (goes && pen) context.lineTo(x(at), y(value));
    else if (goes) context.moveTo(x(at), y(value));
    pen = goes;
  }
  context.stroke();
  context.setLineDash([]);
  context.textAlign = "left";
  context.fillText(name, LEFT + 4 + index * 32, y(drawn[0].value) - 8);
}

function dot(context, point, x, y) {
  const bad = point.result !== "ok";
  context.fillStyle = colour({ ok: "healthy", degraded: "degraded" }[point.result] ?? "unhealthy");
  if (bad) context.fillRect(x - 3, y - 3, 6, 6);
  else {
    context.beginPath();
    context.arc(x, y, 2.2, 0, 2 * Math.PI);
    context.fill();
  }
}
