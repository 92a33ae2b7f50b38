// The chart of latencies: the mean of each backend as a line, its 95th percentile as a dotted one, and
// a marker for each slot that is the larger the more requests were in it.

import { linearAxis, logAxis } from "./axis.js";
import { Chart, slotName } from "./chart.js";
import { count, millis, span } from "./format.js";
import { above, dots, line } from "./shapes.js";

/** The width of a letter of a switch's name, at most. */
const LETTER = 7.2;

/** More backends than that have lines only. */
const WITH_ALL = 8;

/** `known` tells the lines that are shown, the switches of policies and the scale. */
export function latencyChart(element, stage, known) {
  const values = () => {
    const { lines } = known();
    const parts = lines.length > WITH_ALL ? ["mean_ms"] : ["mean_ms", "p95_ms"];
    return lines.flatMap((backend) => parts.flatMap((part) => backend[part]));
  };
  return new Chart(element, stage, {
    height: 300,
    top: 34,
    hasTimes: false,
    unit: span,
    axis: () => (known().scale === "log" ? logAxis : linearAxis)(values()),
    paint(pen, frame) {
      const { lines } = known();
      const most = Math.max(...lines.flatMap(({ requests }) => requests), 1);
      for (const backend of lines) {
        const put = (kind, d) => {
          pen.put("path", { class: kind, "data-colour": backend.colour, "data-name": backend.name, d });
        };
        if (lines.length <= WITH_ALL) put("p95", line(backend.p95_ms, stage, frame));
        put("mean", line(backend.mean_ms, stage, frame));
        if (lines.length > WITH_ALL) continue;
        put("dots", dots(backend.mean_ms, backend.requests, most, stage, frame));
      }
    },
    mark(pen, frame) {
      const { lines } = known();
      for (const backend of lines) {
        const d = above(backend.mean_ms, stage, frame) + above(backend.p95_ms, stage, frame);
        if (d !== "") pen.put("path", { class: "above", "data-colour": backend.colour, d });
      }
      const highest = Math.max(...values().filter((value) => value !== null), 0);
      if (highest > frame.axis.top) {
        const text = `▲ above the axis, up to ${span(highest)}`;
        const place = { class: "above-text", x: frame.right, y: 26, "text-anchor": "end" };
        pen.put("text", place, text);
      }
      switchLines(pen, frame, known().switches, true);
    },
    readout(slot) {
      const rows = known().lines.map((backend) => ({
        colour: backend.colour,
        cells: [
          backend.label,
          millis(backend.mean_ms[slot]),
          millis(backend.p50_ms[slot]),
          millis(backend.p95_ms[slot]),
          millis(backend.max_ms[slot]),
          count(backend.requests[slot]),
        ],
      }));
      const title = slotName(stage, slot);
      const told = rows.map(({ cells: [label, mean, , p95, , requests] }) =>
        `${label}: mean ${mean} ms, p95 ${p95} ms, ${requests} requests`);
      const heads = ["mean", "p50", "p95", "max", "requests"];
      return { title, heads, rows, words: `${title}. ${told.join("; ")}` };
    },
  });
}

/** A line at each time when the policy changed, with its name if there is space for that. */
export function switchLines(pen, frame, switches, isNamed) {
  let free = frame.left;
  for (const { at_ms: at, from, to } of switches) {
    const x = Math.round(frame.x(at)) + 0.5;
    if (x < frame.left || x > frame.right) continue;
    pen.put("line", { class: "switch", x1: x, x2: x, y1: frame.top - 4, y2: frame.bottom });
    if (!isNamed) continue;
    const text = `${from} → ${to}`;
    const width = text.length * LETTER;
    const begin = Math.max(Math.min(x + 6, frame.right - width), frame.left);
    if (begin < free) continue;
    free = begin + width + 12;
    pen.put("text", { class: "switch-text", x: begin, y: 12 }, text);
  }
}
