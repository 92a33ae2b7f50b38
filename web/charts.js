// All charts over time, on one axis, with one legend.

import { colourOf } from "./cells.js";
import { add, find, resize, say, setAttribute, setText } from "./dom.js";
import { millis, percent, time } from "./format.js";
import { EXPECTED, expected, expectedChart } from "./expected.js";
import { latencyChart } from "./latency.js";
import { lineChart } from "./lines.js";
import { stackChart } from "./stacks.js";
import { Stage } from "./stage.js";
import { Strips } from "./strips.js";
import { number, setRows } from "./tables.js";
import { inOrder, reasonColour } from "./words.js";

const TABLE_SLOTS = 30;

/** The names of the backends whose lines are hidden. */
const hidden = new Set();

/** What is drawn: the newest figures that were not held back. */
const drawn = { requests: [], lines: [], layers: [], reasons: [], hedges: [], queue: [], switches: [], scale: "linear" };

let figures = null;
let stage = null;
let strips = null;

/** Makes the charts. `onRange` gets the two ends of a range that someone selected. */
export function makeCharts(onRange) {
  stage = new Stage({ onRange, onHeld: showHeld });
  strips = new Strips(stage);
  const shown = () => drawn;
  const layers = (name) => () => ({ layers: drawn[name], switches: drawn.switches });
  latencyChart(find("latency-chart"), stage, shown);
  // Shares are of all requests, those of hidden backends included.
  const shares = () => ({ ...layers("layers")(), whole: drawn.requests });
  stackChart(find("share-chart"), stage, { height: 112, isShare: true }, shares);
  stackChart(find("queue-chart"), stage, { height: 96 }, layers("queue"));
  stackChart(find("hedges-chart"), stage, { height: 96 }, layers("hedges"));
  stackChart(find("reasons-chart"), stage, { height: 128, hasTimes: false }, layers("reasons"));
  expectedChart(find("expected-chart"), stage, shown);
  const bytes = { part: "first_byte_ms", unit: "ms", hasTimes: false };
  lineChart(find("first-byte-chart"), stage, bytes, shown);
  const inFlight = { part: "in_flight", unit: "requests", hasTimes: true };
  lineChart(find("in-flight-chart"), stage, inFlight, shown);
  for (const id of ["latency-details", "expected-details"]) {
    find(id).addEventListener("toggle", () => {
      if (figures !== null) showTables();
    });
  }
}

function showHeld(isHeld) {
  find("held").hidden = !isHeld;
  if (!isHeld && figures !== null) showCharts(figures, drawn.scale);
}

/** Shows new figures, unless someone looks at a chart and did not ask for others: it stands still. */
export function showCharts(next, scale, isAsked = false) {
  figures = next;
  showLegend();
  const step = figures.series.step_ms / 1000;
  say("latency-step", step === 1 ? "per second" : `per ${step} seconds`);
  const [lines, backends] = [charted().length, figures.backends.length];
  say("latency-choice", lines < backends ? `the busiest ${lines} of ${backends}, ` : "");
  showTables();
  if (stage.isHeld && scale === drawn.scale && !isAsked) return;
  const { series } = figures;
  const all = charted();
  drawn.requests = series.requests;
  drawn.lines = all.filter(({ name }) => !hidden.has(name));
  drawn.layers = drawn.lines.map(({ label, colour, requests }) => ({ label, colour, values: requests }));
  drawn.reasons = inOrder(series.reasons, ({ reason }) => reason).map(({ reason, requests }) =>
    ({ label: reason, colour: reasonColour(reason), values: finished(requests) }));
  drawn.hedges = layersOf(series.hedges, [["won", "won"], ["lost", "lost"]]);
  drawn.queue = layersOf(series.queue, [["requests", "queue"]]);
  drawn.switches = figures.switches;
  drawn.scale = scale;
  stage.take(figures);
  strips.show(all, figures.switches);
  showReasonLegend(series.reasons);
  const has = (part) => all.some((backend) => backend[part].some((value) => value !== null));
  find("choices").hidden = series.reasons.length === 0 && !has("in_flight");
  // With a decision log, the chart of what was expected has the time to the first byte, too.
  const isExpected = expected(all).some(({ known }) => known.estimate_ms.some((value) => value !== null));
  find("expected").hidden = !isExpected;
  find("first-byte").hidden = isExpected || !has("first_byte_ms");
  find("in-flight").hidden = !has("in_flight");
  stage.draw();
}

function layersOf(parts, names) {
  if (parts === null) return [];
  const labels = { won: "answered first", lost: "did not", requests: "waited" };
  return names.map(([part, colour]) =>
    ({ label: labels[part], colour, values: finished(parts[part]) }));
}

/** Counts without those of the newest slot, if that is not over. */
function finished(counts) {
  return figures.window.end === "now" && counts.length > 1 ? [...counts.slice(0, -1), 0] : counts;
}

/** The backends that have lines: all, or those with the most requests. */
function charted() {
  const known = new Map(figures.backends.map((backend) => [backend.name, backend]));
  return figures.series.backends.map((line) => {
    const { label, share } = known.get(line.name);
    return { ...line, label, share, colour: colourOf(line.name) };
  });
}

/** A button for each backend, which shows or hides its lines, with its share of the window. */
function showLegend() {
  const legend = find("legend");
  const backends = charted();
  resize(legend, backends.length, () => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "backend";
    add(button, "span");
    add(button, "small");
    button.addEventListener("click", () => {
      if (!hidden.delete(button.title)) hidden.add(button.title);
      showCharts(figures, drawn.scale, true);
    });
    return button;
  });
  backends.forEach(({ name, label, share, colour }, at) => {
    const button = legend.children[at];
    setText(button.children[0], label);
    setText(button.children[1], percent(share));
    setAttribute(button, "title", name);
    setAttribute(button, "data-colour", String(colour));
    setAttribute(button, "aria-pressed", String(!hidden.has(name)));
  });
}

function showReasonLegend(reasons) {
  const legend = find("reasons-legend");
  const all = inOrder(reasons, ({ reason }) => reason);
  const total = all.flatMap(({ requests }) => requests).reduce((sum, count) => sum + count, 0);
  resize(legend, all.length, () => {
    const item = document.createElement("span");
    add(item, "span", "state-key");
    add(item, "small");
    return item;
  });
  all.forEach(({ reason, requests }, at) => {
    const [name, share] = legend.children[at].children;
    setText(name, reason);
    setAttribute(name, "data-colour", reasonColour(reason));
    setText(share, percent(requests.reduce((sum, count) => sum + count, 0) / total));
  });
}

/** The newest values of charts, as tables; only while these are open. */
function showTables() {
  const { series } = figures;
  const share = (line, slot) =>
    percent(series.requests[slot] === 0 ? null : line.requests[slot] / series.requests[slot]);
  const parts = [["mean", "mean_ms"], ["p50", "p50_ms"], ["p95", "p95_ms"]].map(([name, part]) =>
    [name, (line, slot) => millis(line[part][slot])]);
  showTable("latency", charted(), [...parts, ["share", share]]);
  showTable("expected", expected(charted()), EXPECTED);
}

/** `columns` are what each backend has: a name, and the text for a slot. */
function showTable(name, backends, columns) {
  if (!find(`${name}-details`).open) return;
  const { series } = figures;
  const table = find(`${name}-table`);
  const head = backends.flatMap(({ label }) => columns.map(([column]) => number(`${label} ${column}`)));
  setRows(table.tHead, [["Time (UTC)", ...head]]);
  const slots = series.requests.map((_, index) => index).reverse().slice(0, TABLE_SLOTS);
  const rows = slots.map((slot) => [
    { text: time(series.start_ms + slot * series.step_ms), kind: "time", heads: true },
    ...backends.flatMap((line) => columns.map(([, of]) => number(of(line, slot)))),
  ]);
  setRows(table.tBodies[0], rows);
}
