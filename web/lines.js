// Small charts with a line per backend: what it had in flight, and how fast its first bytes came. What
// was chosen for an unusual reason has a marker.

import { linearAxis } from "./axis.js";
import { Chart, slotName } from "./chart.js";
import { millis, rate, span } from "./format.js";
import { above, dots, line } from "./shapes.js";
import { switchLines } from "./latency.js";

/**
 * `part` names the values of a backend's line. `known` tells the lines and the switches of policies.
 */
export function lineChart(element, stage, { part, unit, hasTimes }, known) {
  const isTime = unit === "ms";
  const text = (value) => (isTime ? millis(value) : value === null ? "–" : rate(value));
  return new Chart(element, stage, {
    height: hasTimes ? 122 : 104,
    hasTimes,
    unit: isTime ? span : (at) => String(at),
    axis: () => linearAxis(known().lines.flatMap((backend) => backend[part]), 3),
    paint(pen, frame) {
      for (const backend of known().lines) {
        const d = line(backend[part], stage, frame);
        pen.put("path", { class: "mean", "data-colour": backend.colour, d });
      }
    },
    mark(pen, frame) {
      for (const backend of known().lines) {
        const trials = backend[part].map((value, slot) => (backend.trials[slot] > 0 ? value : null));
        const most = Math.max(...backend.trials, 1);
        const d = dots(trials, backend.trials, most, stage, frame);
        if (d !== "") pen.put("path", { class: "trial", "data-colour": backend.colour, d });
        const outside = above(backend[part], stage, frame);
        if (outside !== "") pen.put("path", { class: "above", "data-colour": backend.colour, d: outside });
      }
      switchLines(pen, frame, known().switches, false);
    },
    readout(slot) {
      const rows = known().lines.map((backend) => ({
        colour: backend.colour,
        cells: [backend.label, isTime ? `${text(backend[part][slot])} ms` : text(backend[part][slot])],
      }));
      const title = slotName(stage, slot);
      const told = rows.map(({ cells }) => cells.join(" ")).join(", ");
      return { title, rows, words: `${title}. ${told}` };
    },
  });
}
