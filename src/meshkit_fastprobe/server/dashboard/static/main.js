// The frame around every view: who is signed in, what is live, where to go, and the way out of chaos.

import { Api } from "./api.js";
import { open as audit } from "./audit.js";
import { banner, loadChaos, open as chaos } from "./chaos.js";
import { h, put, say } from "./dom.js";
import { haltButton } from "./halt.js";
import { open as hosts } from "./hosts.js";
import { open as list } from "./list.js";
import { open as overview } from "./overview.js";
import { open as probe } from "./probe.js";
import { link, read, takeToken } from "./route.js";
import { signIn } from "./signin.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";
import { open as toggles } from "./toggles.js";
import { age, moment } from "./words.js";

const VIEWS = { overview, probes: list, probe, chaos, audit, toggles, hosts };
const NAMES = { overview: "Overview", probes: "Probes", chaos: "Chaos", audit: "Audit", toggles: "Toggles", hosts: "Hosts" };
const ASKED = { groups: "Groups", rows: "Probes", experiments: "Experiments" };
const LATE_MS = 2_000; // a reconnect within this is nobody's concern

async function begin() {
  const api = new Api();
  const token = takeToken();
  if (token !== null) api.keep(token);
  let why = null;
  for (;;) {
    // Over plain HTTP nothing but a token proves anything: do not ask without one, each such try is on record.
    if (why !== null || (api.token === null && location.protocol !== "https:")) await signIn(api, why);
    why = await new Promise((signedOut) => {
      show(api, signedOut);
    });
    api.keep(null);
  }
}

/** The page of somebody who is signed in, until they are not. */
function show(api, signedOut) {
  const store = new Store(api);
  const stream = new Stream(api, { event: (type, data) => store.take(type, data), status: () => status() });
  const frame = build(api, store, hurry, () => end(null));
  let view = null;
  let lostAt = Date.now();
  let wasLive = false;
  let ended = false;

  function end(why) {
    if (ended) return;
    ended = true;
    clearInterval(ticking);
    stream.stop();
    store.stop();
    view?.close?.();
    removeEventListener("hashchange", go);
    document.body.classList.remove("late");
    signedOut(why ?? new Error("You are signed out."));
  }

  function go() {
    const route = read();
    const name = route.view in VIEWS ? route.view : "overview";
    const within = frame.main.contains(document.activeElement);
    view?.close?.();
    view = VIEWS[name]({ api, store, stream, route });
    frame.main.replaceChildren(view.element);
    if (within) frame.main.focus({ preventScroll: true }); // where it was is gone: the next Tab begins where reading begins
    for (const [key, anchor] of Object.entries(frame.links)) {
      if (key === name || (key === "probes" && name === "probe")) anchor.setAttribute("aria-current", "page");
      else anchor.removeAttribute("aria-current");
    }
    document.title = `${name === "probe" ? route.name : NAMES[name]} – ${store.host || "fastprobe"}`;
    scrollTo(0, 0);
    view.update?.(new Set(["rows", "groups", "feed"]));
  }

  /** How old is what you see? Said whenever it is not live. */
  function status() {
    const { live, why, heardAt, retryAt } = stream.status;
    const now = Date.now();
    if (live && !wasLive) store.touch("chaos"); // what began or ended meanwhile may be told by no event
    wasLive = live;
    if (live) lostAt = null;
    else lostAt ??= now;
    const late = lostAt !== null && now - lostAt > LATE_MS;
    document.body.classList.toggle("late", late);
    frame.live.dataset.live = live;
    say(frame.live, live ? "● live" : late ? "✖ not live" : "○ connecting");
    frame.notice.hidden = !late && store.errors.size === 0;
    if (frame.notice.hidden) return;
    if (!late) {
      say(frame.noticeText, overdue());
      return;
    }
    const shown = heardAt === null ? "Nothing was heard yet" : `Shown as of ${moment(heardAt)}, ${age(now - heardAt)} ago`;
    const next = retryAt === null ? "Trying now." : `Next try in ${age(Math.max(0, retryAt - now) + 999)}.`;
    say(frame.noticeText, `${shown}: ${why}. ${next}`);
  }

  /** What was asked for and did not come: it is older than all that events tell. */
  function overdue() {
    const at = { groups: store.groupsAt, rows: store.rowsAt, experiments: store.experimentsAt };
    const told = [...store.errors].map(([what, error]) => {
      const seen = at[what] === null ? "are not known" : `as of ${moment(at[what])}, ${age(api.now() - at[what])} ago`;
      return `${ASKED[what]} ${seen}: ${error.message}.`;
    });
    return `${told.join(" ")} The host is asked again.`;
  }

  /** Try again now: the stream, and whatever did not come. */
  function hurry() {
    stream.hurry();
    const load = { groups: () => store.loadGroups(), rows: () => store.loadRows(), experiments: () => loadChaos(api, store) };
    for (const what of store.errors.keys()) load[what]();
  }

  function tick() {
    status();
    frame.banner.tick();
    if (!document.body.classList.contains("late")) view?.tick?.();
  }

  api.onSignedOut = (problem) => end(problem);
  store.listen((topics) => {
    say(frame.host, store.host);
    if (topics.has("chaos")) loadChaos(api, store);
    if (topics.has("experiments")) frame.banner.update();
    if (topics.has("gap")) loadChaos(api, store);
    status();
    view?.update?.(topics);
  });
  addEventListener("hashchange", go);
  const ticking = setInterval(tick, 1000);
  put(document.body, frame.elements);
  go();
  store.start();
  stream.run();
  loadChaos(api, store);
  document.onkeydown = (event) => shortcut(event, () => view);
}

function shortcut(event, view) {
  const typing = event.target.closest("input, select, textarea, dialog");
  if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  if (view()?.search) {
    view().search.focus(); // now: the next key belongs to it
    return;
  }
  location.hash = link("probes");
  setTimeout(() => view()?.search?.focus());
}

function build(api, store, hurry, leave) {
  const links = Object.fromEntries(Object.entries(NAMES).map(([view, name]) => [view, h("a", { href: link(view) }, name)]));
  const main = h("main", { id: "main", tabindex: "-1" });
  const host = h("span", { class: "host" });
  const live = h("span", { class: "live" }, "○ connecting");
  const noticeText = h("span");
  const notice = h(
    "div",
    { class: "notice", role: "status", hidden: true },
    noticeText,
    h("button", { onclick: hurry }, "Try now"),
  );
  const experiments = banner(api, store);
  const skip = (event) => {
    event.preventDefault();
    main.focus();
  };
  const header = h(
    "header",
    {},
    h("a", { class: "skip", href: "#main", onclick: skip }, "To the content"),
    h("a", { class: "brand", href: link("overview") }, "fastprobe"),
    host,
    live,
    h("nav", { "aria-label": "views" }, Object.values(links)),
    h("span", { class: "grow" }),
    haltButton(api, store),
    h("button", { class: "plain", onclick: leave }, "Sign out"),
  );
  return { links, main, host, live, notice, noticeText, banner: experiments, elements: [header, experiments.element, notice, main] };
}

begin();
