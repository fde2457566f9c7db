// The way out, on every page: end every experiment of this host. Asked once, needs no token of confirmation.

import { ask, field } from "./ask.js";
import { h, put } from "./dom.js";
import { plural } from "./words.js";

export function haltButton(api, store) {
  return h("button", { class: "harm", id: "halt", onclick: () => halt(api, store) }, "Halt chaos");
}

async function halt(api, store) {
  const reason = h("input", { name: "reason", maxlength: "500", autocomplete: "off" });
  const answer = await ask({
    title: `Halt all chaos on ${store.host || "this host"}?`,
    content: [
      h("p", {}, "Every experiment is ended and undone now. Nothing starts until somebody resumes."),
      field("Reason (may be empty)", reason),
    ],
    yes: "Halt everything",
    harm: true,
    act: () => api.post("/chaos:halt", { reason: reason.value }),
  });
  if (answer === null) return;
  store.halted = true;
  store.touch("chaos");
  toast(`All chaos is halted: ${plural(answer.item.runs.length, "run")} ended.`);
}

/** A word that goes by itself; read aloud too. */
export function toast(text) {
  const place = document.querySelector(".toast") ?? document.body.appendChild(h("div", { class: "toast", role: "status" }));
  put(place, h("p", {}, text));
  clearTimeout(place.timer);
  place.timer = setTimeout(() => put(place), 8000);
}
