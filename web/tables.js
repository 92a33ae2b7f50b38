// Tables that change without flicker: rows are kept, and only text that differs is set.

import { setAttribute, setText } from "./dom.js";

/**
 * Makes the head or a body of a table show these rows; the cells of a head are those of columns. A row is
 * a list of cells, and a cell its text or an object of `text`, `kind` (its class), `colour` (the number of
 * a backend's colour), `title`, `heads` (whether it heads its row), `fill` (a share that is shown as a bar)
 * and `press` (what a button in it says to assistive technology; the button has the text).
 */
export function setRows(body, rows) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  while (body.rows.length < rows.length) body.insertRow();
  rows.forEach((cells, index) => setRow(body.rows[index], cells));
}

function setRow(row, cells) {
  while (row.cells.length > cells.length) row.deleteCell(-1);
  cells.forEach((cell, index) => {
    const { text, kind = "", colour = null, title = null, heads = false, fill = null, press } =
      typeof cell === "string" ? { text: cell } : cell;
    const scope = row.parentElement.tagName === "THEAD" ? "col" : heads ? "row" : null;
    let element = row.cells[index];
    if (!element) {
      element = document.createElement(scope === null ? "td" : "th");
      row.append(element);
    }
    setAttribute(element, "scope", scope);
    setText(press === undefined ? element : buttonIn(element, press), text);
    setAttribute(element, "class", kind);
    setAttribute(element, "title", title);
    setAttribute(element, "data-colour", colour === null ? null : String(colour));
    if (fill !== null) element.style.setProperty("--fill", `${fill * 100}%`);
  });
}

function buttonIn(cell, label) {
  let button = cell.firstElementChild;
  if (!button) {
    button = document.createElement("button");
    button.type = "button";
    cell.replaceChildren(button);
  }
  setAttribute(button, "aria-label", label);
  return button;
}

/** The cell of a number. */
export function number(text, kind = "") {
  return { text, kind: `number ${kind}`.trim() };
}
