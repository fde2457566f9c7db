// All probes, filtered by what stands in the address. Only rows in sight are elements: ten thousand scroll like ten.

import { h, put, say } from "./dom.js";
import { link, rewrite } from "./route.js";
import { FLAGS, MARKS, SEVERITY, STATES, age, count, latency, share } from "./words.js";

const SPARE = 6; // rows beyond each edge, so that a fast thumb meets no gap
const FIELDS = ["q", "state", "cluster", "namespace", "kind", "flag", "sort"];
const SORTS = { worst: "worst first", newest: "newest change first", name: "by name", slowest: "slowest first (p99)" };
const BY = {
  worst: (one, other) => SEVERITY[one.state] - SEVERITY[other.state] || other.since - one.since,
  newest: (one, other) => other.since - one.since,
  slowest: (one, other) => (other.p99 ?? -1) - (one.p99 ?? -1),
};

export function open({ store, api, route }) {
  const asked = Object.fromEntries(FIELDS.map((name) => [name, route.query.get(name) ?? ""]));
  const search = h("input", { type: "search", placeholder: "name, target, reason …   /", "aria-label": "search", value: asked.q });
  const choices = {
    state: choice("state", STATES),
    cluster: choice("cluster", []),
    namespace: choice("namespace", []),
    kind: choice("kind", []),
    flag: choice("flag", FLAGS),
    sort: h("select", { "aria-label": "order" }, Object.entries(SORTS).map(([value, says]) => h("option", { value }, says))),
  };
  const told = h("p", { class: "quiet", role: "status" });
  const table = new VirtualTable(() => api.now());
  const element = h(
    "div",
    { class: "listing" },
    h("h1", { class: "hidden" }, "Probes"),
    h("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, search, Object.values(choices)),
    told,
    table.element,
  );
  let shown = -1;

  function choice(name, values) {
    const select = h("select", { "aria-label": name });
    offer(select, name, values);
    return select;
  }

  function offer(select, name, values) {
    const all = asked[name] && !values.includes(asked[name]) ? [...values, asked[name]] : values;
    const text = all.join("\n");
    if (select.dataset.offered === text) return;
    select.dataset.offered = text;
    put(select, h("option", { value: "" }, `any ${name}`), all.map((value) => h("option", { value }, value || "(none)")));
    select.value = asked[name];
  }

  function changed() {
    asked.q = search.value.trim();
    for (const [name, select] of Object.entries(choices)) asked[name] = select.value;
    if (asked.sort === "worst") asked.sort = "";
    rewrite("probes", "", asked);
    table.top();
    refresh();
  }

  function refresh() {
    const rows = select(store.rows.values(), asked);
    table.show(rows);
    const total = store.totals().probes;
    const rest = store.whole ? "" : ` Only ${count(store.rows.size)} are loaded.`;
    say(told, `${count(rows.length)} of ${count(total)} probes.${rest}`);
    shown = store.version;
  }

  function update(topics) {
    if (topics.has("rows")) {
      for (const name of ["cluster", "namespace", "kind"]) {
        offer(choices[name], name, [...new Set([...store.rows.values()].map((row) => row[name]))].sort());
      }
      if (shown !== store.version) refresh();
    }
  }

  element.addEventListener("input", changed);
  choices.sort.value = asked.sort || "worst";
  search.value = asked.q;
  update(new Set(["rows"]));
  refresh();
  return { element, update, tick: () => table.tick(), close: () => table.close(), search };
}

/** Rows that match, in the order that is asked for. */
export function select(rows, asked) {
  const words = asked.q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [];
  for (const row of rows) {
    if (asked.state && row.state !== asked.state) continue;
    if (asked.cluster && row.cluster !== asked.cluster) continue;
    if (asked.namespace && row.namespace !== asked.namespace) continue;
    if (asked.kind && row.kind !== asked.kind) continue;
    if (asked.flag && !row[asked.flag]) continue;
    if (words.length && !words.every((word) => row.text.includes(word))) continue;
    found.push(row);
  }
  const order = BY[asked.sort || "worst"];
  return order === undefined ? found : found.sort(order); // of names: as they come
}

/** A table of which only what is in sight exists. Arrows move, Enter opens. */
class VirtualTable {
  constructor(now) {
    this.now = now;
    this.rows = [];
    this.active = 0;
    this.pool = [];
    this.frame = null;
    this.space = h("div", { class: "space", role: "rowgroup" });
    this.element = h("div", {
      class: "table",
      role: "grid", // of which one row is active: arrows belong to it
      tabindex: "0",
      "aria-label": "probes",
      "aria-description": "arrow keys move, Enter opens",
      onscroll: () => this.soon(),
      onkeydown: (event) => this.key(event),
    });
    this.element.append(this.space);
    this.resized = new ResizeObserver(() => this.measure());
    this.resized.observe(this.element);
  }

  close() {
    this.resized.disconnect();
    cancelAnimationFrame(this.frame);
  }

  measure() {
    this.height = Number.parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 34;
    this.space.style.height = `${this.rows.length * this.height}px`;
    this.draw();
  }

  show(rows) {
    this.rows = rows;
    this.active = Math.min(this.active, Math.max(0, rows.length - 1));
    this.element.setAttribute("aria-rowcount", rows.length);
    this.measure();
  }

  top() {
    this.active = 0;
    this.element.scrollTop = 0;
  }

  soon() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  tick() {
    for (const line of this.pool) line.age(this.now());
  }

  draw() {
    const first = Math.max(0, Math.floor(this.element.scrollTop / this.height) - SPARE);
    const fits = Math.ceil(this.element.clientHeight / this.height) + 2 * SPARE;
    const last = Math.min(this.rows.length, first + fits);
    while (this.pool.length < last - first) {
      const line = new Line();
      this.pool.push(line);
      this.space.append(line.element);
    }
    // A row keeps its line while it is in sight: scrolling by one changes one.
    const size = this.pool.length;
    const used = new Set();
    for (let index = first; index < last; index++) {
      const line = this.pool[index % size];
      used.add(line);
      line.show(index, this.rows[index], this.height, this.now(), index === this.active);
    }
    for (const line of this.pool) if (!used.has(line)) line.hide();
    const active = used.size ? `row-${this.active}` : "";
    if (active) this.element.setAttribute("aria-activedescendant", active);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key === "Enter" && this.rows[this.active]) location.hash = link("probe", this.rows[this.active].name);
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.active = Math.max(0, Math.min(this.rows.length - 1, this.active + steps[event.key]));
    const at = this.active * this.height;
    const { scrollTop, clientHeight } = this.element;
    if (at < scrollTop) this.element.scrollTop = at;
    else if (at + this.height > scrollTop + clientHeight) this.element.scrollTop = at + this.height - clientHeight;
    this.draw();
  }
}

class Line {
  constructor() {
    this.state = h("span", { role: "gridcell" });
    this.name = h("a", { tabindex: "-1" });
    this.place = h("span", { role: "gridcell", class: "place" });
    this.kind = h("span", { role: "gridcell", class: "kind" });
    this.since = h("span", { role: "gridcell", class: "since" });
    this.why = h("span", { role: "gridcell", class: "why" });
    this.p99 = h("span", { role: "gridcell", class: "number p99" });
    this.ratio = h("span", { role: "gridcell", class: "number ratio" });
    this.element = h(
      "div",
      { role: "row", class: "line" },
      this.state,
      h("span", { role: "gridcell", class: "name" }, this.name),
      this.place,
      this.kind,
      this.since,
      this.why,
      this.p99,
      this.ratio,
    );
  }

  hide() {
    this.element.hidden = true;
    this.row = null;
  }

  show(index, row, height, now, active) {
    const { element } = this;
    element.hidden = false;
    element.style.transform = `translateY(${index * height}px)`;
    element.id = `row-${index}`;
    element.setAttribute("aria-rowindex", index + 1);
    element.classList.toggle("active", active);
    if (this.row !== row) this.name.href = link("probe", row.name);
    this.row = row;
    this.state.className = `state ${row.state}`;
    say(this.state, `${MARKS[row.state]} ${row.state}`);
    say(this.name, row.name);
    say(this.place, `${row.cluster}/${row.namespace}`);
    say(this.kind, row.kind);
    const flags = FLAGS.filter((flag) => row[flag]).join(", ");
    say(this.why, [flags && `[${flags}]`, row.reason, row.message].filter(Boolean).join(" · "));
    say(this.p99, row.p99 === Infinity ? "timeout" : latency(row.p99));
    say(this.ratio, share(row.ratio));
    this.age(now);
  }

  age(now) {
    if (this.row) say(this.since, age(now - this.row.since));
  }
}
