// Charts of stacked bars: whose share the requests were, why they went there, what became of second
// attempts, and how many waited.

import { wholeAxis } from "./axis.js";
import { Chart, slotName } from "./chart.js";
import { DASH, count, percent, rate } from "./format.js";
import { switchLines } from "./latency.js";
import { bars } from "./shapes.js";

/** An axis of shares. */
const WHOLE = { top: 1, marks: [0, 0.5, 1], share: (value) => value };

/**
 * `known` tells the layers, the lowest first: a `label`, a `colour`, and `values`, one per slot; and the
 * `switches` of policies. With `isShare`, heights are shares of the `whole`.
 */
export function stackChart(element, stage, { height, isShare = false, hasTimes = true }, known) {
  const perSecond = () => 1000 / stage.step;
  const totals = () => {
    const { layers } = known();
    return Array.from({ length: stage.count }, (_, slot) =>
      layers.reduce((sum, { values }) => sum + (values[slot] ?? 0), 0));
  };
  return new Chart(element, stage, {
    height,
    hasTimes,
    unit: isShare ? (at) => `${at * 100} %` : (at) => `${rateText(at)}/s`,
    axis: () => (isShare ? WHOLE : wholeAxis(totals().map((total) => total * perSecond()), 3)),
    paint(pen, frame) {
      const whole = known().whole ?? totals();
      const scale = (value, slot) => {
        if (!isShare) return value * perSecond();
        return value === 0 ? 0 : value / whole[slot];
      };
      let bottoms = Array.from({ length: stage.count }, () => 0);
      for (const { values, colour } of known().layers) {
        const tops = bottoms.map((bottom, slot) => bottom + scale(values[slot] ?? 0, slot));
        pen.put("path", { class: "stack", "data-colour": colour, d: bars(bottoms, tops, stage, frame) });
        bottoms = tops;
      }
    },
    mark(pen, frame) {
      switchLines(pen, frame, known().switches, false);
    },
    readout(slot) {
      const whole = (known().whole ?? totals())[slot];
      const there = known().layers.filter(({ values }) => values[slot] > 0).reverse();
      const rows = there.map(({ label, colour, values }) => ({
        colour,
        cells: [label, percent(values[slot] / whole), count(values[slot])],
      }));
      const title = slotName(stage, slot);
      const told = rows.map(({ cells }) => `${cells[0]} ${cells[1]}`).join(", ") || DASH;
      return { title, rows, words: `${title}. ${told}` };
    },
  });
}

function rateText(perSecond) {
  return perSecond < 10 ? String(Number(perSecond.toPrecision(2))) : rate(perSecond);
}
