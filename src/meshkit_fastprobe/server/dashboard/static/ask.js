// Questions and answers in a dialog of the browser's own: it keeps the focus, and Escape leaves it.

import { h, put, standing } from "./dom.js";

/**
 * Ask once. content: what is about to happen. act: async, called on yes; what it throws is shown, and the question stays.
 * ready: whether yes may be said, asked on each input. Resolves to what act returned, or null.
 */
export function ask({ title, content = [], yes, harm = false, act, ready = () => true }) {
  return new Promise((done) => {
    const failure = h("p", { class: "failure", role: "alert" });
    const go = h("button", { class: harm ? "harm" : "main", type: "submit" }, yes);
    const no = h("button", { type: "button", onclick: () => dialog.close() }, "Cancel");
    const form = h("form", { method: "dialog" }, h("h2", { id: "ask-title" }, title), content, failure);
    form.append(h("div", { class: "buttons" }, no, go));
    const dialog = h("dialog", { "aria-labelledby": "ask-title" }, form);
    const back = standing(document.body);
    let result = null;
    const check = () => {
      go.disabled = !ready();
    };
    form.addEventListener("input", check);
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      put(failure, "");
      try {
        result = (await act()) ?? true;
        dialog.close();
      } catch (error) {
        put(failure, problem(error));
        check();
        if (!dialog.contains(document.activeElement)) go.focus(); // a button that was switched off has lost it
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      back?.(); // what was asked from may have been written anew meanwhile
      done(result);
    });
    document.body.append(dialog);
    check();
    dialog.showModal();
    (form.querySelector("input") ?? (harm ? no : go)).focus();
  });
}

/** What went wrong, and what to do. */
export function problem(error) {
  return [h("strong", {}, error.message), error.hint ? ` ${error.hint}` : ""];
}

export function field(label, input, hint = "") {
  return h("label", { class: "field" }, h("span", {}, label), input, hint ? h("small", {}, hint) : null);
}
