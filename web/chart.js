// A chart over time: the frame that all of them have, with axes, a cursor and its values, by pointer
// and by keyboard. What is in the frame is drawn by what makes the chart.

import { Pen, add, resize, setAttribute, setText, svg } from "./dom.js";
import { timeMarks } from "./axis.js";
import { since, time } from "./format.js";

/** The space for the marks of values on the left, where wide charts have names as well. */
const LEFT = 58;
const LEFT_WIDE = 160;
const WIDE = 860;

/** The space for the last mark of time. */
const RIGHT = 14;

/** The space for the marks of time. */
const FOOT = 22;

/** A mark of time takes so much of the width. */
const MARK_WIDTH = 96;

/** Half the width of a digit in a mark. */
const HALF_DIGIT = 3.5;

const PAGE = 10;

let made = 0;

export class Chart {
  #stage;
  #options;
  #element;
  #image;
  #pens;
  #overlay;
  #tip;
  #clip;
  #observer;
  #isDragging = false;

  /**
   * `paint` draws with a pen into a frame of `width`, `height`, `x` and `y`; `readout` tells of a slot
   * its title, its rows and the same in words; `axis` gives the axis of values, if there is one; and
   * `next` the slot to which a key moves the cursor, if that is not the next one.
   */
  constructor(element, stage, options) {
    this.#stage = stage;
    this.#options = { top: 8, bottom: 8, hasTimes: true, ...options };
    this.#element = element;
    made += 1;
    this.#clip = `clip-${made}`;
    this.#image = svg(element, "svg", { "aria-hidden": "true" });
    const rect = svg(svg(svg(this.#image, "defs"), "clipPath", { id: this.#clip }), "rect");
    const groups = ["grid", "plot", "marks", "cursor"].map((name) => {
      const isClipped = name === "plot" ? { "clip-path": `url(#${this.#clip})` } : {};
      return svg(this.#image, "g", { class: name, ...isClipped });
    });
    this.#pens = Object.fromEntries(groups.map((group) => [group.getAttribute("class"), new Pen(group)]));
    this.#overlay = rect;
    this.#tip = add(element, "div", "tip");
    this.#tip.hidden = true;
    setAttribute(this.#tip, "aria-hidden", "true");
    this.#listen();
    stage.join(this);
    this.#observer = new ResizeObserver(() => this.draw());
    this.#observer.observe(element);
  }

  /** Ends it, for an element that is gone. */
  end() {
    this.#observer.disconnect();
    this.#stage.hold(this.#element, false);
    this.#stage.leave(this);
  }

  get #inner() {
    const { height, top, hasTimes, bottom } = this.#options;
    const all = this.#element.clientWidth;
    const left = all >= WIDE ? LEFT_WIDE : LEFT;
    const width = Math.max(all - left - RIGHT, 10);
    return { left, width, height: height - top - (hasTimes ? FOOT : bottom), top };
  }

  draw() {
    const stage = this.#stage;
    if (stage.count === 0 || this.#element.clientWidth === 0) return;
    const { left, width, height, top } = this.#inner;
    const axis = this.#options.axis?.() ?? null;
    const frame = {
      left,
      top,
      width,
      height,
      right: left + width,
      bottom: top + height,
      slot: (stage.step / (stage.to - stage.from)) * width,
      x: (at) => left + stage.share(at) * width,
      y: (value) => top + height - Math.min(axis.share(value), 1) * height,
      axis,
    };
    setAttribute(this.#image, "width", String(left + width + RIGHT));
    setAttribute(this.#image, "height", String(this.#options.height));
    const rect = { x: left, y: top - 4, width, height: height + 6 };
    for (const [name, value] of Object.entries(rect)) setAttribute(this.#overlay, name, String(value));
    this.#drawGrid(frame);
    for (const layer of ["plot", "marks"]) {
      const pen = this.#pens[layer];
      pen.begin();
      if (layer === "plot") this.#options.paint(pen, frame);
      else this.#options.mark?.(pen, frame);
      pen.end();
    }
    setAttribute(this.#element, "aria-valuemax", String(stage.count - 1));
    this.drawCursor();
  }

  #drawGrid(frame) {
    const pen = this.#pens.grid;
    const { axis, left, right, bottom } = frame;
    pen.begin();
    for (const at of axis?.marks ?? []) {
      const y = Math.round(frame.y(at)) + 0.5;
      pen.put("line", { x1: left, x2: right, y1: y, y2: y });
      pen.put("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, this.#options.unit(at));
    }
    if (this.#options.hasTimes) {
      const { from, to } = this.#stage;
      for (const { at, text } of timeMarks(from, to, frame.width / MARK_WIDTH)) {
        const x = Math.round(frame.x(at)) + 0.5;
        pen.put("line", { x1: x, x2: x, y1: bottom, y2: bottom + 4 });
        const half = text.length * HALF_DIGIT;
        if (x < left + half || x > right + RIGHT - half) continue;
        pen.put("text", { x, y: bottom + 17, "text-anchor": "middle" }, text);
      }
    }
    pen.end();
  }

  /** Draws the cursor, and in the chart that is looked at the values there. */
  drawCursor() {
    const pen = this.#pens.cursor;
    const { cursor, anchor, count } = this.#stage;
    pen.begin();
    const isShown = cursor !== null && cursor < count;
    // Without a cursor, a screen reader gets the newest values.
    if (count > 0 && !isShown) this.#tell(count - 1);
    if (isShown) {
      const { left: begin, width, height, top } = this.#inner;
      const middle = (slot) => begin + this.#stage.share(this.#stage.time(slot)) * width;
      if (anchor !== null && anchor !== cursor) {
        const [left, right] = [middle(anchor), middle(cursor)].sort((one, other) => one - other);
        pen.put("rect", { x: left, y: top, width: right - left, height });
      }
      const x = Math.round(middle(cursor)) + 0.5;
      pen.put("line", { x1: x, x2: x, y1: top - 4, y2: top + height });
      this.#showTip(cursor, x);
    }
    pen.end();
    if (!isShown || !this.#isLookedAt()) this.#tip.hidden = true;
  }

  #isLookedAt() {
    return this.#element.matches(":hover, :focus-visible");
  }

  /** Tells assistive technology the values of a slot, and returns them. */
  #tell(slot) {
    const values = this.#options.readout(slot);
    setAttribute(this.#element, "aria-valuenow", String(slot));
    setAttribute(this.#element, "aria-valuetext", values.words);
    return values;
  }

  #showTip(slot, x) {
    if (!this.#isLookedAt()) return;
    const { title, heads = [], rows } = this.#tell(slot);
    const tip = this.#tip;
    tip.hidden = false;
    if (!tip.firstElementChild) {
      add(tip, "strong");
      add(tip, "table").append(document.createElement("tbody"));
    }
    setText(tip.firstElementChild, title);
    const all = heads.length > 0 ? [{ cells: ["", ...heads], kind: "heads" }, ...rows] : rows;
    const body = tip.querySelector("tbody");
    resize(body, all.length, () => document.createElement("tr"));
    all.forEach(({ cells, colour = null, kind = "" }, at) => {
      const row = body.rows[at];
      setAttribute(row, "class", kind);
      resize(row, cells.length, () => document.createElement("td"));
      cells.forEach((text, cell) => setText(row.cells[cell], text));
      if (row.cells[0]) setAttribute(row.cells[0], "data-colour", colour);
    });
    const limit = this.#element.clientWidth - tip.offsetWidth - 4;
    const beside = x + 14 > limit ? x - tip.offsetWidth - 14 : x + 14;
    tip.style.left = `${Math.max(4, Math.min(beside, limit))}px`;
  }

  #listen() {
    const element = this.#element;
    const stage = this.#stage;
    const slotOf = (event) => {
      const { left, width } = this.#inner;
      const { left: edge } = this.#image.getBoundingClientRect();
      return stage.slotAt((event.clientX - edge - left) / width);
    };
    element.addEventListener("pointerenter", () => stage.hold(element, true));
    element.addEventListener("pointerleave", () => {
      if (!element.matches(":focus-visible")) stage.hold(element, false);
      if (!this.#isDragging) stage.point(null);
    });
    element.addEventListener("pointermove", (event) => stage.point(slotOf(event), this.#isDragging));
    element.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      stage.point(slotOf(event));
      this.#isDragging = true;
      element.setPointerCapture(event.pointerId);
    });
    element.addEventListener("pointerup", () => {
      if (!this.#isDragging) return;
      this.#isDragging = false;
      if (stage.anchor !== null) stage.choose();
    });
    element.addEventListener("pointercancel", () => {
      this.#isDragging = false;
      stage.point(null);
    });
    element.addEventListener("focus", () => {
      if (!element.matches(":focus-visible")) return;
      stage.hold(element, true);
      stage.point(stage.cursor ?? stage.count - 1);
    });
    element.addEventListener("blur", () => {
      stage.hold(element, false);
      stage.point(null);
    });
    element.addEventListener("keydown", (event) => this.#press(event));
  }

  #press(event) {
    const stage = this.#stage;
    const at = stage.cursor ?? stage.count - 1;
    const step = (by) => this.#options.next?.(at, by) ?? at + by;
    const moves = {
      ArrowLeft: () => step(-1),
      ArrowRight: () => step(1),
      ArrowDown: () => step(-1),
      ArrowUp: () => step(1),
      PageDown: () => at - PAGE,
      PageUp: () => at + PAGE,
      Home: () => 0,
      End: () => stage.count - 1,
    };
    if (event.key in moves) stage.point(moves[event.key](), event.shiftKey);
    else if (event.key === "Enter") stage.choose();
    else if (event.key === "Escape") stage.point(null);
    else return;
    event.preventDefault();
  }
}

/** When a slot was, with its date unless that is today's. */
export function slotName(stage, slot) {
  const begin = since(stage.time(slot));
  return stage.step > 1000 ? `${begin} – ${time(stage.time(slot + 1))}` : begin;
}
