// Elements without markup in strings: the page's policy (trusted-types 'none') forbids the other way.

const SVG = "http://www.w3.org/2000/svg";

/** An element. on*: listeners; true and false: bare attributes; children: nodes and texts, nested as they come. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same, of a drawing. */
export function s(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...flat(children));
  return element;
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** A table; rows: lists of cells, td or what goes into one. On a narrow page each row is a list of its own, with these names. */
export function table(names, rows) {
  const cell = (content, index) => {
    const td = content instanceof HTMLTableCellElement ? content : h("td", {}, content);
    if (names[index]) td.dataset.label = names[index];
    return td;
  };
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map(cell)))),
  );
}

/** Put these in the place of all that is there. Who stood on one of them by keyboard stands on the same one, or on the next, after it. */
export function put(element, ...children) {
  const back = standing(element);
  element.replaceChildren(...flat(children));
  back?.();
  return element;
}

const STOPS = "a[href], button, input, select, textarea, summary, [tabindex='0']";

/** How to give the focus back within this element, whatever is written anew there; null when it is elsewhere. */
export function standing(element) {
  const active = document.activeElement;
  if (active === element || !element.contains(active)) return null;
  const places = []; // it is in, from the closest on, and as which of their stops
  for (let place = active; place !== element; ) {
    place = place.parentElement;
    places.push([place, Math.max(0, stopsOf(place).indexOf(active))]);
  }
  const name = nameOf(active);
  return () => {
    if (active.isConnected && document.activeElement === active) return;
    const same = active.isConnected ? active : stopsOf(element).find((one) => nameOf(one) === name);
    (same ?? next(places))?.focus({ preventScroll: true });
  };
}

/** What stands where the one was that is gone: within the closest place that is still there and has something to stand on. */
function next(places) {
  for (const [place, at] of places) {
    const stops = place.isConnected ? stopsOf(place) : [];
    if (stops.length) return stops[Math.min(at, stops.length - 1)];
  }
  return null;
}

function stopsOf(element) {
  return [...element.querySelectorAll(STOPS)].filter((one) => one.checkVisibility() && !one.disabled);
}

/** What tells one stop from another: where it leads, or what it is called. */
function nameOf(element) {
  return element.getAttribute("href") || element.getAttribute("aria-label") || element.name || element.textContent;
}

/** Write a text only when it is another: unchanged ones cost no layout. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** A canvas of this size in CSS pixels, sharp on dense screens; its 2D context. */
export function sized(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  const wide = Math.round(width * scale);
  const high = Math.round(height * scale);
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** What the style sheet says a colour is now: canvases are drawn in the colours of the page. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
