// The time axis that all charts share: the same length, cursor, and selection for all of them.

/** How long a window is, from its first slot to its last; others are as long as their series. */
const LENGTHS_MS = { "1m": 59_000, "5m": 299_000 };

export class Stage {
  #charts = [];
  #onRange;
  #onHeld;
  #holders = new Set();
  start = 0;
  step = 1000;
  count = 0;
  from = 0;
  to = 0;
  /** The slot at the cursor, and the other end of what is selected; null without one. */
  cursor = null;
  anchor = null;

  /** `onRange` gets the two times that someone selected, and `onHeld` whether charts stand still. */
  constructor({ onRange, onHeld }) {
    this.#onRange = onRange;
    this.#onHeld = onHeld;
  }

  join(chart) {
    this.#charts.push(chart);
  }

  leave(chart) {
    this.#charts = this.#charts.filter((it) => it !== chart);
  }

  /** Takes the axis of new figures. */
  take({ series, window }) {
    this.start = series.start_ms;
    this.step = series.step_ms;
    this.count = series.requests.length;
    const end = this.time(this.count - 1);
    const length = LENGTHS_MS[window.name] ?? end - this.start;
    this.from = end - length - this.step / 2;
    this.to = end + this.step / 2;
  }

  /** When a slot begins. */
  time(slot) {
    return this.start + slot * this.step;
  }

  /** The slot in which this share of the axis lies, from 0 to 1. */
  slotAt(share) {
    const time = this.from + share * (this.to - this.from);
    return this.#clamped(Math.round((time - this.start) / this.step));
  }

  /** The slot of a time, or null if it is not on the axis. */
  slotOf(time) {
    const slot = Math.floor((time - this.start) / this.step);
    return slot >= 0 && slot < this.count ? slot : null;
  }

  /** Where a time lies on the axis, from 0 to 1. */
  share(time) {
    return (time - this.from) / (this.to - this.from);
  }

  #clamped(slot) {
    return Math.max(0, Math.min(slot, this.count - 1));
  }

  /** Moves the cursor to a slot, in all charts; null hides it. */
  point(slot, isSelecting = false) {
    if (isSelecting) this.anchor ??= this.cursor ?? slot;
    else this.anchor = null;
    this.cursor = slot === null || this.count === 0 ? null : this.#clamped(slot);
    for (const chart of this.#charts) chart.drawCursor();
  }

  /** Shows only what is selected, if anything. */
  choose() {
    const [one, other] = [this.anchor, this.cursor];
    this.point(null);
    if (one === null || other === null || one === other) return;
    const [first, last] = one < other ? [one, other] : [other, one];
    this.#onRange(this.time(first), this.time(last) + this.step - 1);
  }

  /** Whether a chart is looked at, so that all of them stand still. */
  get isHeld() {
    return this.#holders.size > 0;
  }

  hold(holder, isHeld) {
    const before = this.isHeld;
    if (isHeld) this.#holders.add(holder);
    else this.#holders.delete(holder);
    if (this.isHeld !== before) this.#onHeld(this.isHeld);
  }

  /** Draws all charts anew. */
  draw() {
    for (const chart of this.#charts) chart.draw();
  }
}
