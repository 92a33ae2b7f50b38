// Elements: found by their ids, and changed only where something differs, so that nothing flickers.
// Everything from the log is inserted as text and never as markup.

const SVG = "http://www.w3.org/2000/svg";

export const find = (id) => document.getElementById(id);

/** Sets the text of the element with this id. */
export const say = (id, text) => setText(find(id), text);

/** Sets an element's text if it differs. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute if it differs; null removes it. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Sets these attributes and removes all others. */
function setAttributes(element, attributes) {
  for (const name of element.getAttributeNames()) {
    if (!(name in attributes)) element.removeAttribute(name);
  }
  for (const [name, value] of Object.entries(attributes)) {
    setAttribute(element, name, String(value));
  }
}

/**
 * Draws into a group of an SVG image: the elements that are put between `begin` and `end` take the
 * place of those that were put before.
 */
export class Pen {
  #group;
  #at = 0;

  constructor(group) {
    this.#group = group;
  }

  begin() {
    this.#at = 0;
  }

  put(tag, attributes, text = null) {
    let element = this.#group.children[this.#at];
    if (element?.tagName !== tag) {
      const made = document.createElementNS(SVG, tag);
      if (element) element.replaceWith(made);
      else this.#group.append(made);
      element = made;
    }
    setAttributes(element, attributes);
    if (text !== null) setText(element, text);
    this.#at += 1;
    return element;
  }

  end() {
    while (this.#group.children.length > this.#at) this.#group.lastElementChild.remove();
  }
}

/** An element of SVG inside another. */
export function svg(parent, tag, attributes = {}) {
  const element = document.createElementNS(SVG, tag);
  setAttributes(element, attributes);
  parent.append(element);
  return element;
}

/** An element of HTML inside another. */
export function add(parent, tag, kind = "", text = "") {
  const element = document.createElement(tag);
  if (kind !== "") element.className = kind;
  element.textContent = text;
  parent.append(element);
  return element;
}

/** Makes a list have so many children; `make` makes a further one. */
export function resize(list, count, make) {
  while (list.children.length > count) list.lastElementChild.remove();
  while (list.children.length < count) list.append(make(list.children.length));
}
