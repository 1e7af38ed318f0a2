// Elements of the page.

const $ = (id) => document.getElementById(id);

/** A new element; `null` among its children is left out. */
function h(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) element.setAttribute(key, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}
