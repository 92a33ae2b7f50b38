// Tables that change without flicker: rows are kept, and only text that differs is set. Everything from
// the log is inserted as text and never as markup.

/** Sets an element's text if it differs. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute if it differs; null removes it. */
export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/**
 * Makes a table body show these rows. A row is a list of cells, and a cell its text or an object
 * of `text`, `kind` (its class), `colour` (the number of a backend's colour), `title` and `heads`
 * (whether it heads its row).
 */
export function setRows(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  while (body.rows.length < rows.length) body.insertRow();
  rows.forEach((cells, index) => setRow(body.rows[index], cells));
}

function setRow(row, cells) {
  while (row.cells.length > cells.length) row.deleteCell(-1);
  cells.forEach((cell, index) => {
    const { text, kind = "", colour = null, title = null, heads = false } =
      typeof cell === "string" ? { text: cell } : cell;
    let element = row.cells[index];
    if (!element) {
      element = document.createElement(heads ? "th" : "td");
      if (heads) element.scope = "row";
      row.append(element);
    }
    setText(element, text);
    setAttribute(element, "class", kind);
    setAttribute(element, "title", title);
    setAttribute(element, "data-colour", colour === null ? null : String(colour));
  });
}

/** The cell of a number. */
export function number(text, kind = "") {
  return { text, kind: `number ${kind}`.trim() };
}
