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

/** Put these in the place of all that is there. */
export function put(element, ...children) {
  element.replaceChildren(...flat(children));
  return element;
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
