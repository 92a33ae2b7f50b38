// The charts. They show the same figures as the tables, so the page is complete without them.

import { millis, percent, count } from "./format.js";

/** Further backends begin again with the first colour. */
export const COLOURS = 8;

/** Without a pointer that hovers, the buttons would always cover the chart. */
const CONFIG = {
  displaylogo: false,
  displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false,
  modeBarButtonsToRemove: ["select2d", "lasso2d"],
  responsive: true,
};

/** Narrower charts have fewer marks on their axes. */
const NARROW_PX = 520;

let loading = null;

/** Loads the charts' script once. Resolves to false if it is not available. */
export function load() {
  loading ??= new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = "plotly.js";
    script.onload = () => resolve(true);
    script.onerror = () => resolve(false);
    document.head.append(script);
  });
  return loading;
}

let colours = null;

/** Reads the colours again for the next drawing, because the theme may have changed. */
export function repaint() {
  colours = null;
}

/** The colours of the page in its present theme. */
function palette() {
  const probe = document.createElement("i");
  document.body.append(probe);
  const of = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const backends = Array.from({ length: COLOURS }, (_, index) => of(`backend-${index}`));
  const [text, quiet, line, card] = ["text", "quiet", "line", "card"].map(of);
  probe.remove();
  return { backends, text, quiet, line, card };
}

function layout(more) {
  const axis = { gridcolor: colours.line, linecolor: colours.line, zerolinecolor: colours.line };
  const font = { family: "system-ui, sans-serif", size: 12, color: colours.quiet };
  const { xaxis, yaxis, ...rest } = more;
  return {
    font,
    paper_bgcolor: colours.card,
    plot_bgcolor: colours.card,
    hoverlabel: {
      bgcolor: colours.card,
      bordercolor: colours.line,
      font: { ...font, color: colours.text },
    },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colours.quiet, activecolor: colours.text },
    xaxis: { ...axis, fixedrange: false, ...xaxis },
    yaxis: { ...axis, ...yaxis },
    ...rest,
  };
}

/**
 * Draws the latency of these backends except the hidden ones; `numbers` has their colours. A zoom is
 * kept as long as the window is the same.
 */
export function drawLatency(element, figures, backends, numbers, hidden) {
  colours ??= palette();
  const { series, window } = figures;
  const times = series.requests.map((_, index) => series.start_ms + index * series.step_ms);
  const labels = new Map(backends.map((backend) => [backend.name, backend.label]));
  const traces = series.backends.flatMap((backend) => {
    const color = colours.backends[numbers.get(backend.name)];
    const label = asText(labels.get(backend.name) ?? backend.name);
    const line = (values, name, dash, width) => ({
      type: "scatter",
      mode: "lines+markers",
      x: times,
      y: values,
      visible: !hidden.has(backend.name),
      opacity: dash === "solid" ? 1 : 0.8,
      line: { color, dash, width },
      marker: { color, size: values.map((_, at) => (isAlone(values, at) ? 5 : 0)) },
      text: values.map((ms) => millis(ms)),
      hovertemplate: `${label} ${name}: <b>%{text} ms</b><extra></extra>`,
    });
    return [
      line(backend.p50_ms, "p50", "solid", 2),
      line(backend.p95_ms, "p95", "dot", 1.5),
    ];
  });
  const isNarrow = element.clientWidth < NARROW_PX;
  const end = times.at(-1) ?? 0;
  const length = { "1m": 59_000, "5m": 299_000 }[window.name] ?? end - series.start_ms;
  // Beyond some hours the date matters, too; the default format shows it.
  const tickformat = length < 4 * 3_600_000 ? "%H:%M:%S" : undefined;
  const shape = layout({
    height: 320,
    margin: { t: 8, r: 16, b: 28, l: 56 },
    hovermode: "x unified",
    showlegend: false,
    uirevision: window.name,
    xaxis: {
      type: "date",
      range: [end - length - series.step_ms / 2, end + series.step_ms / 2],
      autorange: false,
      hoverformat: "%H:%M:%S",
      tickformat,
      tickangle: 0,
      nticks: isNarrow ? 3 : 8,
      showgrid: false,
      spikecolor: colours.quiet,
      spikethickness: 1,
    },
    yaxis: { rangemode: "tozero", ticksuffix: " ms", nticks: 6 },
  });
  return Plotly.react(element, traces, shape, CONFIG);
}

/** Draws the share of the requests of each of these backends. */
export function drawDistribution(element, charted, numbers) {
  colours ??= palette();
  const backends = [...charted].reverse();
  const paint = backends.map(({ name }) => colours.backends[numbers.get(name)]);
  const bars = (name, share, requests, opacity) => ({
    type: "bar",
    orientation: "h",
    y: backends.map((backend) => backend.name),
    x: backends.map((backend) => backend[share] * 100),
    text: backends.map((backend) => percent(backend[share])),
    customdata: backends.map((backend) => count(backend[requests])),
    textposition: "auto",
    textangle: 0,
    cliponaxis: false,
    insidetextfont: { color: opacity === 1 ? colours.card : colours.text },
    outsidetextfont: { color: colours.text },
    hovertemplate: `%{text} ${name}: <b>%{customdata}</b> requests<extra></extra>`,
    marker: { color: paint, opacity },
  });
  const shape = layout({
    height: Math.max(320, backends.length * 48 + 40),
    margin: { t: 8, r: 56, b: 36, l: 8 },
    barmode: "group",
    bargap: 0.35,
    bargroupgap: 0.08,
    showlegend: false,
    xaxis: { range: [0, 100], ticksuffix: " %", fixedrange: true, nticks: 5 },
    yaxis: {
      automargin: true,
      fixedrange: true,
      showgrid: false,
      tickmode: "array",
      tickvals: backends.map((backend) => backend.name),
      ticktext: backends.map((backend) => asText(backend.label)),
      tickfont: { color: colours.text },
    },
  });
  const traces = [
    bars("since reading began", "share_since", "requests_since", 0.4),
    bars("in the window", "share", "requests", 1),
  ];
  return Plotly.react(element, traces, shape, CONFIG);
}

/** A single value without neighbours makes no line, so it gets a marker. */
function isAlone(values, at) {
  const empty = (value) => value === null || value === undefined;
  return !empty(values[at]) && empty(values[at - 1]) && empty(values[at + 1]);
}

/** Text from the log as a label: the charts would interpret markup in it. */
function asText(text) {
  const short = text.length > 28 ? `${text.slice(0, 27)}…` : text;
  return short.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("%{", "% {");
}
