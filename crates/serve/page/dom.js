// Elements and numbers.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element; a property that begins with `on` is a listener. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** An SVG element. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

/** A number in four digits; a text as it is. */
export function format(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number") return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e7) return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) {
    return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  }
  return String(Number(value.toPrecision(4)));
}

/** A time as people say it. */
export function duration(seconds) {
  if (seconds < 1) return "a second";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

/** A state with the sign that stands beside its colour. */
export const SIGNS = {
  complete: "✓", running: "▶", diverged: "▲", failed: "✕", interrupted: "■", waiting: "…",
};

export function badge(status) {
  return h("span", { class: `badge ${status}` },
    h("span", { "aria-hidden": "true" }, SIGNS[status] ?? ""), ` ${status}`);
}

/** A labelled list of choices. */
export function choice(label, options, value, change) {
  const select = h("select", { "aria-label": label, onchange: () => change(select.value) },
    options.map(([id, text]) => h("option", { value: id }, text)));
  select.value = value;
  return h("label", { class: "choice" }, label, select);
}

/** A labelled box to tick. */
export function tick(label, value, change) {
  const box = h("input", { type: "checkbox", onchange: () => change(box.checked) });
  box.checked = value;
  return h("label", { class: "tick" }, box, label);
}

/** Makes the content of an element anew; the keyboard stays at the control of the same place. */
export function renew(element, children) {
  const controls = () => [...element.querySelectorAll("select, input, button, summary")];
  const at = controls().indexOf(document.activeElement);
  element.replaceChildren(...children.filter(Boolean));
  if (at >= 0) controls()[at]?.focus();
}

/** Calls `then` at most once in so many milliseconds, and once more after the last call. */
export function throttle(then, pause) {
  let timer = null;
  let again = false;
  const run = () => {
    timer = setTimeout(() => {
      timer = null;
      if (again) { again = false; run(); }
    }, pause);
    then();
  };
  return () => { if (timer === null) run(); else again = true; };
}

/** Calls `then` when the width of an element has changed. */
export function onWidth(element, then) {
  let width = element.clientWidth;
  const observer = new ResizeObserver(() => {
    if (element.clientWidth !== width) {
      width = element.clientWidth;
      then();
    }
  });
  observer.observe(element);
  return () => observer.disconnect();
}
