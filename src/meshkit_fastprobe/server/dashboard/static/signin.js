// Before anything is asked for: who are you? A token, or over TLS the certificate that the browser has shown already.

import { h, put } from "./dom.js";
import { problem } from "./ask.js";

/** why: what ended the sign-in before, if anything. Resolves once the host takes the token. */
export function signIn(api, why = null) {
  return new Promise((done) => {
    const token = h("input", { type: "password", name: "token", autocomplete: "off", required: true, spellcheck: "false" });
    const failure = h("p", { class: "failure", role: "alert" });
    const go = h("button", { class: "main", type: "submit" }, "Sign in");
    if (why) put(failure, problem(why));
    const form = h(
      "form",
      { class: "panel signin" },
      h("h1", {}, "fastprobe"),
      h("label", { class: "field" }, h("span", {}, "Bearer token"), token),
      failure,
      h("div", { class: "buttons" }, go),
      h(
        "p",
        { class: "quiet" },
        "On the host itself: the local token, in ",
        h("code", {}, "<state_dir>/local-token"),
        ". It is new at each start. Elsewhere: a token of your issuer, or a client certificate. The token is kept in this tab alone.",
      ),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      api.keep(token.value.trim());
      try {
        await api.get("/groups");
        done();
      } catch (error) {
        if (error.status === 403) done(); // known, and may see little
        else {
          api.keep(null);
          put(failure, problem(error));
          go.disabled = false;
          token.focus();
          token.select();
        }
      }
    });
    put(document.body, h("main", { class: "door" }, form));
    token.focus();
  });
}
