// Switches of this host. A change says what it is based on, so that two people do not undo each other unawares.

import { ask, field, problem } from "./ask.js";
import { h, put, table } from "./dom.js";
import { moment } from "./words.js";

export function open({ api }) {
  const list = h("div", { class: "wide" });
  const failure = h("p", { class: "failure", role: "alert" });
  const element = h("div", {}, h("h1", {}, "Toggles"), h("section", { class: "panel" }, list, failure));

  async function load() {
    try {
      const { items } = await api.get("/toggles");
      put(list, table(["toggle", "is", "what it does", "last changed", ""], items.map(row)));
      put(failure);
    } catch (error) {
      put(failure, problem(error));
    }
  }

  function row(toggle) {
    const change = h("button", { onclick: () => set(toggle), "aria-label": `change ${toggle.name}` }, "Change …");
    const changed = toggle.changedAt ? `${moment(toggle.changedAt)} by ${toggle.changedBy}` : "never";
    return [
      h("code", {}, toggle.name),
      word(toggle.value),
      [toggle.does, toggle.ceiling === undefined ? "" : ` (the configuration allows ${word(toggle.ceiling)} at most)`],
      [changed, toggle.reason ? `: ${toggle.reason}` : ""],
      change,
    ];
  }

  async function set(toggle) {
    const reason = h("input", { name: "reason", maxlength: "500", autocomplete: "off" });
    const choices = toggle.choices?.length ? toggle.choices : null;
    const options = choices?.map((value) => h("option", { value, selected: value === toggle.value }, value));
    const choice = choices ? h("select", { name: "value" }, options) : null;
    const value = () => (choice ? choice.value : !toggle.value);
    await ask({
      title: choice ? `Change ${toggle.name}` : `Switch ${toggle.name} ${word(!toggle.value)}?`,
      content: [h("p", {}, toggle.does), choice ? field("Value", choice) : null, field("Reason (may be empty)", reason)],
      yes: choice ? "Change" : `Switch ${word(!toggle.value)}`,
      act: () => api.put(`/toggles/${encodeURIComponent(toggle.name)}`, { value: value(), reason: reason.value }, toggle.version),
    });
    load();
  }

  load();
  return { element, update: (topics) => topics.has("toggle") && load() };
}

function word(value) {
  return value === true ? "on" : value === false ? "off" : value;
}
