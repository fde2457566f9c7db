// Who did what. The page says what it can tell of the record being whole, and what only the host's own check can.

import { problem } from "./ask.js";
import { h, put, say, table } from "./dom.js";
import { count, moment } from "./words.js";

const PAGE = 200;
const MAX_SHOWN = 5_000;
const NAMES = ["#", "when", "who", "what", "result", "on", "why"];
const HEAD = "fastprobe.audit-head";

export function open({ api, store }) {
  const verdict = h("p", { role: "status" });
  const head = h("p", { class: "quiet" });
  const list = h("div", { class: "wide" });
  const failure = h("p", { class: "failure", role: "alert" });
  const older = h("button", { onclick: () => load(next) }, "Older");
  const element = h(
    "div",
    {},
    h("h1", {}, "Audit"),
    h("section", { class: "panel" }, h("h2", {}, "Is it whole?"), verdict, head),
    h(
      "section",
      { class: "panel" },
      list,
      failure,
      h("div", { class: "buttons start" }, older),
    ),
  );
  let records = new Map();
  let next = null;
  let reading = false;

  async function load(token = null) {
    if (reading) return;
    reading = true;
    try {
      const answer = await api.get(`/audit?page_size=${PAGE}${token ? `&page_token=${encodeURIComponent(token)}` : ""}`);
      for (const item of answer.items) records.set(item.seq, item);
      if (token !== null || next === null) next = answer.nextPageToken ?? null;
      put(failure);
    } catch (error) {
      put(failure, problem(error));
    }
    reading = false;
    show();
  }

  function show() {
    const sorted = [...records.values()].sort((one, other) => other.seq - one.seq).slice(0, MAX_SHOWN);
    put(list, sorted.length ? table(NAMES, sorted.map(row)) : h("p", { class: "quiet" }, "Nothing was done, and nobody refused, yet."));
    older.hidden = next === null || sorted.length >= MAX_SHOWN;
    const broken = gaps(sorted);
    const remembered = remember(api, store, sorted[0]?.seq ?? 0);
    const bad = broken.length > 0 || remembered.cut;
    verdict.className = bad ? "failure" : "";
    say(
      verdict,
      remembered.cut
        ? `✖ Cut: this browser was told of record ${count(remembered.seq)}, and the newest is ${count(sorted[0]?.seq ?? 0)}.`
        : broken.length
          ? `✖ Records are missing after ${broken.slice(0, 5).map(count).join(", ")}.`
          : sorted.length
            ? `● The ${count(sorted.length)} newest records follow each other without a gap.`
            : "● No record yet.",
    );
    const known = store.head ? ` --head ${store.head.seq}:${store.head.mac}` : "";
    put(
      head,
      "Whether one was altered only the chain's key can tell, on the host: ",
      h("code", { class: "long" }, `fastprobe audit verify${known}`),
    );
  }

  load();
  return { element, update: (topics) => topics.has("audit") && load() };
}

/** Sequence numbers after which the next is missing; of records newest first. */
function gaps(sorted) {
  return sorted.slice(1).filter((record, index) => sorted[index].seq !== record.seq + 1).map((record) => record.seq);
}

/** The newest record that this browser has ever been told of on this host. An audit that ends before it was cut. */
function remember(api, store, newest) {
  const key = `${HEAD}.${store.host}`;
  const before = JSON.parse(localStorage.getItem(key) ?? "null") ?? { seq: 0 };
  if (newest === 0) return { cut: false };
  if (newest >= before.seq) localStorage.setItem(key, JSON.stringify({ seq: newest }));
  return { cut: newest < before.seq, seq: before.seq };
}

function row(record) {
  const denied = record.result === "denied";
  return [
    h("td", { class: "number" }, count(record.seq)),
    [moment(record.at), record.late ? " (written late)" : ""],
    record.actor,
    h("code", {}, record.action),
    h("td", { class: denied ? "state unhealthy" : "" }, denied ? "✖ denied" : record.result),
    record.scope ?? "",
    [record.reason, record.detail, record.ticket].filter(Boolean).join(" · "),
  ];
}
