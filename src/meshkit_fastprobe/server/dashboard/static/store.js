// What the page knows of the host: probes and groups as last asked for, moved on by events. Everything is bounded.

import { FLAGS } from "./words.js";

export const MAX_ROWS = 50_000; // of probes in memory; a larger host is asked with filters
const FEED = 2_000; // transitions that are remembered
const FIRST_PAGE = 500;
const NEXT_PAGE = 5_000;
const GROUPS_EVERY_MS = 5_000;
const PROBES_EVERY_MS = 60_000;
const STREAM_WAIT_MS = 1_000; // without it, what there is is shown all the same
const INGEST_MS = 5_000; // a page may be made a moment after a run, and before its result was counted
const RETRY_MS = 5_000;
const PAINT_EVERY_MS = 200; // a thousand events a second are still five repaints

export class Store {
  constructor(api) {
    this.api = api;
    this.host = "";
    this.groups = null;
    this.groupsAt = null;
    this.rows = new Map();
    this.rowsAt = null;
    this.whole = false; // every probe of the host that we may see is in rows
    this.feed = []; // newest last
    this.early = new Map(); // by name: moves of probes that are in no page yet
    this.hears = false; // the stream stands: what is asked from now on lacks nothing that it does not tell
    this.missed = 0;
    this.runs = new Map(); // of experiments that live, by id
    this.head = null; // of the audit
    this.experiments = null;
    this.experimentsAt = null;
    this.chaosError = null;
    this.errors = new Map(); // by what was asked for, groups, rows or experiments: why the last time brought nothing
    this.stopped = false;
    this.version = 0; // of rows
    this.listeners = new Set();
    this.topics = new Set();
    this.painting = null;
    this.loading = null;
  }

  /** Call back with the set of what has changed, not more often than people can see. */
  listen(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  touch(topic) {
    this.topics.add(topic);
    this.painting ??= setTimeout(() => {
      const topics = this.topics;
      this.topics = new Set();
      this.painting = null;
      for (const listener of [...this.listeners]) listener(topics);
    }, PAINT_EVERY_MS);
  }

  start() {
    this.timers = [
      setInterval(() => document.hidden || this.loadGroups(), GROUPS_EVERY_MS),
      setInterval(() => document.hidden || this.loadRows(), PROBES_EVERY_MS),
    ];
    this.loadGroups();
    this.unheard = setTimeout(() => this.loadRows(), STREAM_WAIT_MS);
  }

  stop() {
    this.stopped = true;
    this.timers?.forEach(clearInterval);
    clearTimeout(this.retrying);
    clearTimeout(this.painting);
    clearTimeout(this.unheard);
    this.listeners.clear();
  }

  async loadGroups() {
    try {
      const answer = await this.api.get("/groups?window=5m");
      this.host = answer.host;
      this.groups = answer.items;
      this.groupsAt = Date.parse(answer.generatedAt);
      this.errors.delete("groups");
    } catch (error) {
      this.errors.set("groups", error);
    }
    this.touch("groups");
  }

  /** Ask once more in a while: not all pages in one instant, and not without a token when nobody is signed in any more. */
  retry(load) {
    clearTimeout(this.retrying);
    if (!this.stopped) this.retrying = setTimeout(load, RETRY_MS * (0.8 + Math.random() * 0.4));
  }

  /** All probes, page by page. What events tell meanwhile is newer than the page they come with. */
  loadRows() {
    this.loading ??= this.readPages().finally(() => {
      this.loading = null;
    });
    return this.loading;
  }

  async readPages() {
    const rows = new Map();
    let token = null;
    let size = this.rows.size ? NEXT_PAGE : FIRST_PAGE;
    try {
      do {
        const more = token === null ? "" : `&page_token=${encodeURIComponent(token)}`;
        const answer = await this.api.get(`/probes?page_size=${size}${more}`);
        const at = Date.parse(answer.generatedAt);
        for (const item of answer.items) rows.set(item.name, this.newer(compact(item), at));
        token = answer.nextPageToken ?? null;
        size = NEXT_PAGE;
        if (!this.rowsAt) this.show(rows, at, false); // the first time, what there is so far
        this.host = answer.host;
        this.lastPageAt = at;
      } while (token !== null && rows.size < MAX_ROWS);
      this.show(rows, this.lastPageAt, token === null);
      this.rowsAt = this.lastPageAt;
      this.errors.delete("rows");
    } catch (error) {
      this.errors.set("rows", error);
    }
    this.touch("rows");
  }

  newer(row, at) {
    const told = this.rows.get(row.name) ?? this.early.get(row.name);
    this.early.delete(row.name);
    if (told?.movedAt > at - INGEST_MS && told.state !== row.state) {
      const { state, since, movedAt, reason, message, flapping } = told;
      Object.assign(row, { state, since, movedAt, reason, message, flapping });
      row.text = textOf(row);
    }
    return row;
  }

  show(rows, at, whole) {
    this.rows = rows;
    this.whole = whole;
    this.version++;
    this.touch("rows");
  }

  /** One event of the stream. */
  take(type, data) {
    switch (type) {
      case "hello":
        this.host = data.host;
        if (!this.hears) this.hear();
        break;
      case "gap":
        this.missed += data.missed ?? 0;
        this.loadGroups();
        this.loadRows();
        this.touch("gap");
        break;
      case "transition":
        this.move(data);
        break;
      case "chaos":
      case "toggle":
        this.touch(type);
        break;
      case "audit":
        this.head = data;
        this.touch("audit");
        break;
    }
  }

  /** For the first time: a page that was asked for before may lack what happened in between. */
  hear() {
    this.hears = true;
    clearTimeout(this.unheard);
    if (this.loading) this.loading.then(() => this.loadRows());
    else this.loadRows();
  }

  move(change) {
    this.feed.push(change);
    if (this.feed.length > FEED * 1.2) this.feed.splice(0, this.feed.length - FEED);
    const at = Date.parse(change.at);
    const { reason = "", message = "", flapping = false } = change;
    const moved = { state: change.after, since: at, movedAt: at, reason, message, flapping };
    const row = this.rows.get(change.name);
    if (row !== undefined) {
      Object.assign(row, moved);
      row.text = textOf(row);
      this.version++;
    } else {
      this.early.set(change.name, moved);
      if (this.early.size > FEED) this.early.delete(this.early.keys().next().value);
    }
    this.touch("rows");
    this.touch("feed");
  }

  /** How many there are now by state: of the rows when we have all of them, which events move at once. */
  totals() {
    const totals = { healthy: 0, degraded: 0, unhealthy: 0, unknown: 0, paused: 0, stale: 0, probes: 0 };
    if (this.whole) {
      for (const row of this.rows.values()) {
        totals[row.state]++;
        totals.probes++;
        if (row.stale) totals.stale++;
      }
      return totals;
    }
    for (const group of this.groups ?? []) {
      for (const [state, number] of Object.entries(group.states)) totals[state] += number;
      totals.probes += group.probes;
      totals.stale += group.stale;
    }
    return totals;
  }
}

/** What lists need of an item of the wire. */
export function compact(item) {
  const row = {
    name: item.name,
    kind: item.kind,
    target: item.target,
    cluster: item.cluster,
    namespace: item.namespace,
    state: item.state,
    since: Date.parse(item.since),
    reason: item.reason ?? "",
    message: item.message ?? "",
    ratio: item.successRatio,
    p99: (item.beyondRange ?? []).includes("p99") ? Infinity : item.p99Seconds,
    latency: item.latencySeconds,
    movedAt: 0,
  };
  for (const flag of FLAGS) row[flag] = item[flag];
  row.text = textOf(row);
  return row;
}

function textOf(row) {
  return `${row.name}\n${row.target}\n${row.reason}\n${row.message}`.toLowerCase();
}
