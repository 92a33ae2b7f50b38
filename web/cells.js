// The cell and the colour of a backend, wherever it is named.

/** Further backends begin again with the first colour. */
const COLOURS = 8;

export const NO_BACKEND = {
  text: "no backend",
  kind: "backend none",
  title: "Answered without a backend",
};

/** The colour of each backend by its name. It does not change when backends come and go. */
const colours = new Map();

export function colourOf(name) {
  if (!colours.has(name)) colours.set(name, colours.size % COLOURS);
  return colours.get(name);
}

/** The cell of a backend's name. */
export function backendCell({ name, label }) {
  return { text: label, kind: "backend", title: name, colour: colourOf(name) };
}
