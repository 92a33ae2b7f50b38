// What the policy expected of each backend, from the decision log: the estimate as a line, the measured
// time to the first byte dotted, and a marker where recorded choices fell on it.

import { linearAxis } from "./axis.js";
import { Chart, slotName } from "./chart.js";
import { DASH, count, millis, rate, span } from "./format.js";
import { switchLines } from "./latency.js";
import { above, dots, line } from "./shapes.js";

/** More backends than that have lines only. */
const WITH_ALL = 8;

/** Choices are a sample, so a line goes on over more slots without a value. */
const BRIDGED = 15;

/** The columns of the values at the cursor and of the table. */
export const EXPECTED = [
  ["estimate", ({ known }, slot) => millis(known.estimate_ms[slot])],
  ["first byte", ({ first_byte_ms: ms }, slot) => millis(ms[slot])],
  ["score", ({ known }, slot) => figure(known.score[slot])],
  ["in flight", ({ known }, slot) => rate(known.in_flight[slot])],
  ["choices", ({ known }, slot) => count(known.chosen[slot])],
];

/** The backends of which recorded choices tell something. */
export const expected = (lines) => lines.filter(({ known }) => known !== null);

/** `known` tells the lines that are shown and the switches of policies. */
export function expectedChart(element, stage, known) {
  const all = () => expected(known().lines);
  const values = () => all().flatMap((backend) =>
    [...backend.known.estimate_ms, ...(all().length > WITH_ALL ? [] : backend.first_byte_ms)]);
  return new Chart(element, stage, {
    height: 168,
    hasTimes: false,
    unit: span,
    axis: () => linearAxis(values(), 4),
    paint(pen, frame) {
      const lines = all();
      const shares = sharesOf(lines, stage.count);
      lines.forEach(({ colour, known: of, first_byte_ms: measured }, at) => {
        const put = (kind, d) => pen.put("path", { class: kind, "data-colour": colour, d });
        if (lines.length <= WITH_ALL) put("measured", line(measured, stage, frame));
        put("mean", line(of.estimate_ms, stage, frame, BRIDGED));
        if (lines.length > WITH_ALL) return;
        const chosen = of.estimate_ms.map((ms, slot) => (of.chosen[slot] > 0 ? ms : null));
        put("dots", dots(chosen, shares[at], 1, stage, frame));
      });
    },
    mark(pen, frame) {
      for (const { colour, known: of, first_byte_ms: measured } of all()) {
        const d = above(of.estimate_ms, stage, frame) +
          (all().length > WITH_ALL ? "" : above(measured, stage, frame));
        if (d !== "") pen.put("path", { class: "above", "data-colour": colour, d });
      }
      switchLines(pen, frame, known().switches, false);
    },
    readout(slot) {
      const rows = all().map((backend) => ({
        colour: backend.colour,
        cells: [backend.label, ...EXPECTED.map(([, of]) => of(backend, slot))],
      }));
      const title = slotName(stage, slot);
      const told = rows.map(({ cells: [label, estimate, first, , , choices] }) =>
        `${label}: expected ${estimate} ms, first byte ${first} ms, ${choices} choices`);
      const heads = EXPECTED.map(([head]) => head);
      return { title, heads, rows, words: `${title}. ${told.join("; ")}` };
    },
  });
}

/**
 * Which share of a slot's recorded choices fell on each backend. Their number tells less: while one is
 * ejected, each choice may be recorded, and otherwise a sample.
 */
function sharesOf(lines, slots) {
  const totals = Array.from({ length: slots }, (_, slot) =>
    lines.reduce((sum, { known }) => sum + known.chosen[slot], 0));
  return lines.map(({ known }) => known.chosen.map((chosen, slot) => chosen / Math.max(totals[slot], 1)));
}

/** A score, with about three significant digits. */
function figure(score) {
  return score === null ? DASH : String(Number(score.toPrecision(3)));
}
