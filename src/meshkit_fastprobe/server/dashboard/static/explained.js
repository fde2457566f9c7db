// How one run went: its phases as bars on one scale, both ends of the connection, what came back.

import { h } from "./dom.js";
import { MARKS, latency, moment } from "./words.js";

const PHASES = { connectSeconds: "connected", tlsSeconds: "TLS agreed", firstByteSeconds: "first byte", totalSeconds: "done" };

export function explained(run) {
  const state = { ok: "healthy", degraded: "degraded" }[run.result] ?? "unhealthy";
  const reached = Object.entries(PHASES).filter(([name]) => run.phases[name] !== undefined);
  const longest = Math.max(1e-9, ...reached.map(([name]) => run.phases[name]));
  return [
    h("h2", {}, "This run"),
    h(
      "p",
      { role: "status" },
      h("span", { class: `state badge ${state}` }, `${MARKS[state]} ${run.result}`),
      ` at ${moment(run.at)}, ${latency(run.latencySeconds)} `,
      run.reason ? h("code", {}, run.reason) : null,
      ` ${run.message ?? ""}`,
    ),
    h(
      "ul",
      { class: "phases" },
      reached.map(([name, says]) =>
        h("li", {}, h("span", {}, says), h("meter", { min: 0, max: longest, value: run.phases[name] }), latency(run.phases[name])),
      ),
    ),
    h("dl", { class: "facts" }, facts(run).map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])),
    run.headers?.length
      ? h("details", {}, h("summary", {}, "Headers of the answer"), h("pre", {}, run.headers.map((pair) => pair.join(": ")).join("\n")))
      : null,
  ];
}

function facts(run) {
  const found = [
    ["resolved", run.addresses?.join(", ")],
    ["resolved in", run.phases.resolveSeconds === undefined ? undefined : latency(run.phases.resolveSeconds)],
    ["from", run.local],
    ["to", run.peer],
    ["connection", run.connection],
    ["round trip", run.roundTripSeconds === undefined ? undefined : latency(run.roundTripSeconds)],
    ["sent again", run.retransmissions],
    ["HTTP status", run.status],
    ["body", run.bodyBytes === undefined ? undefined : `${run.bodyBytes} bytes read`],
    ["begun late by", run.lagSeconds === undefined ? undefined : latency(run.lagSeconds)],
    ...(run.facts ?? []),
  ];
  return found.filter(([, value]) => value !== undefined && value !== "").map(([term, value]) => [term, String(value)]);
}
