// From a plan to a fault in force: what would be hurt is shown, the host is named by hand, the token is good once and soon.

import { ask, field } from "./ask.js";
import { h, put } from "./dom.js";
import { lasting, share } from "./words.js";

/** Prepare, show, ask, activate. Refused when the host will not. */
export async function confirm(api, store, path) {
  const { item, host } = await api.post(`${path}:prepare`, {});
  const { token, expiresSeconds } = item.confirmation;
  const deadline = Date.now() + expiresSeconds * 1000;
  const typed = h("input", { name: "host", autocomplete: "off", spellcheck: "false", required: true });
  const reason = h("input", { name: "reason", maxlength: "500", autocomplete: "off" });
  const left = h("strong", { role: "timer" });
  const tick = () => {
    const seconds = Math.ceil((deadline - Date.now()) / 1000);
    put(left, seconds > 0 ? `${seconds} s` : "over: prepare again");
  };
  tick();
  const timer = setInterval(tick, 1000);
  try {
    return await ask({
      title: `Inject ${item.fault} for ${lasting(item.durationSeconds)}?`,
      content: [
        planOf(item),
        item.twoPerson ? h("p", {}, "Somebody else has to approve this plan first.") : null,
        h("p", {}, "The confirmation is good once, for this plan and for you: ", left),
        field(`To confirm, type the name of the host: ${host}`, typed),
        field("Reason (may be empty)", reason),
      ],
      yes: "Inject",
      harm: true,
      ready: () => typed.value === host && Date.now() < deadline,
      act: () => api.post(`${path}:activate`, { token, reason: reason.value }),
    });
  } finally {
    clearInterval(timer);
  }
}

/** What would be done, exactly: the plan whose digest is confirmed. */
export function planOf({ run, backings = [] }) {
  const { plan } = run;
  const remaining = Object.entries(run.remaining ?? {}).map(([group, ratio]) => `${group}: ${share(ratio)}`);
  const ways = (wanted) => backings.filter(wanted).map((one) => `${one.name}: ${one.why}`).join("; ");
  const isChosen = (one) => one.name === plan.backend;
  const facts = [
    ["targets", plan.targets.join(", ")],
    ["resources", plan.resources.join(", ")],
    ["by means of", ways(isChosen) || plan.backend],
    ["which could also be", ways((one) => one.usable && !isChosen(one))],
    ["and cannot be", ways((one) => !one.usable)],
    ["stays up at worst", remaining.join(", ")],
    ["steady state now", run.steadyBefore === undefined ? "" : share(run.steadyBefore)],
    ["undone by hand with", plan.manual],
    ["plan", plan.id],
  ];
  const told = facts.filter(([, value]) => value).map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]);
  return [
    h("dl", { class: "facts plan" }, told),
    h("details", {}, h("summary", {}, "The plan's bytes"), h("pre", {}, plan.canonical)),
  ];
}
