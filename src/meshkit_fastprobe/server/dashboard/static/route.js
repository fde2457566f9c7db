// Where we are: everything behind the # of the address, which never leaves the browser. #/probes?state=unhealthy&q=orders

export function read(hash = location.hash) {
  const [path, query = ""] = hash.replace(/^#/, "").split("?", 2);
  const parts = path.split("/").filter((part) => part !== "").map(decode);
  return { view: parts[0] ?? "overview", name: parts.slice(1).join("/"), query: new URLSearchParams(query) };
}

export function link(view, name = "", query = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== undefined));
  const path = view === "overview" ? "#/" : `#/${view}${name === "" ? "" : `/${encodeURIComponent(name)}`}`;
  return asked.size ? `${path}?${asked}` : path;
}

/** Another address of the same view: typing in a search box makes no history. */
export function rewrite(view, name, query) {
  history.replaceState(null, "", link(view, name, query));
}

/** The token that a sign-in link carries, taken out of the address at once: it must not stay in the history. */
export function takeToken() {
  const found = /^#token=(.+)$/.exec(location.hash);
  if (found === null) return null;
  history.replaceState(null, "", "/");
  return decode(found[1]);
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
