// The page: writes each new set of figures into its elements.

import { COLOURS, drawDistribution, drawLatency, load, repaint } from "./charts.js";
import { DASH, bytes, count, millis, percent, rate, since, time } from "./format.js";
import { Poll } from "./poll.js";
import { number, setAttribute, setRows, setText } from "./tables.js";

const LATEST_SHOWN = 30;
const TABLE_SLOTS = 30;

/** From this share on, the number of errors is red. */
const MANY_ERRORS = 0.01;

const WORDS = {
  waiting: "Waiting",
  empty: "No rows yet",
  reading: "Reading",
  live: "Live",
  idle: "Idle",
  ended: "Ended",
  silent: "Silent",
  deleted: "Deleted",
  unreadable: "Unreadable",
  lost: "Connection lost",
  paused: "Paused",
  connecting: "Connecting",
};

const BEGINNINGS = {
  cut: " (cut and read anew)",
  replaced: " (replaced and read anew)",
  newer: " (a newer run)",
};

const WINDOWS = {
  now: { "1m": "last minute", "5m": "last 5 minutes", all: "whole time" },
  last_row: { "1m": "minute up to", "5m": "5 minutes up to", all: "time up to" },
};

const POLICIES = {
  adaptive: () => "prefers the least response time to expect, by its last ones and what is in flight",
  "least-conn": () => "prefers the fewest requests and tunnels",
  "round-robin": () => "takes the backends in turn",
  adaptive_sma: ({ window }) => `prefers the lowest mean of the last ${window} response times`,
  adaptive_ewma: ({ alpha }) =>
    `prefers the lowest average of the response times, with weight ${alpha} for the newest`,
};

const REASONS = {
  best: "It was expected to answer first.",
  tie: "It was the next in turn of several that were expected to answer equally fast.",
  turn: "It was the next in turn.",
  first: "It had not been measured yet.",
  trial: "It was to be measured anew, after failures or a long time without requests.",
  only: "No other backend could be chosen.",
  hedge: "An attempt with another backend was silent, and this one answered first.",
  retry: "An attempt with another backend had failed.",
  cooling: "All backends had failed lately, and it was the one to be tried first.",
};

const NO_BACKEND = { text: "no backend", kind: "backend none", title: "Answered without a backend" };

const find = (id) => document.getElementById(id);
const say = (id, text) => setText(find(id), text);

let figures = null;
let reachable = true;
let paused = false;
let held = false;
let charts = false;

/** The names of the backends whose lines are hidden. */
const hidden = new Set();

/** The colour of each backend by its name. It does not change when backends come and go. */
const colours = new Map();

const poll = new Poll({
  onFigures(next) {
    if (figures === null) loadCharts(next.charts);
    figures = next;
    if (!paused) show();
  },
  onLink(isUp) {
    if (reachable === isUp) return;
    reachable = isUp;
    if (figures === null && !isUp) say("welcome-message", "The dashboard cannot be reached.");
    showStatus();
  },
});

function show() {
  const view = figures.since.requests === 0 ? "empty" : "figures";
  setAttribute(find("figures"), "data-view", view);
  for (const { name } of figures.backends) {
    if (!colours.has(name)) colours.set(name, colours.size % COLOURS);
  }
  showStatus();
  showMode();
  if (view === "empty") {
    say("welcome-message", `${sentence(figures.source.message)}.`);
    return;
  }
  showTiles();
  showBackends();
  showLatest();
  showLatencyTable();
  showCharts();
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The window in words: up to now, or up to the last row if that is long past. */
function windowName({ name, end, to_ms }) {
  const words = WINDOWS[end][name];
  return end === "now" || to_ms === null ? words : `${words} ${since(to_ms)}`;
}

function showStatus() {
  const state = !reachable ? "lost" : paused ? "paused" : (figures?.source.state ?? "connecting");
  const bar = find("status");
  if (bar.dataset.state !== state) {
    bar.dataset.state = state;
    // For screen readers: changes of the state, not each second that passes.
    say("announcer", `${WORDS[state]}. ${state === "lost" ? "" : (figures?.source.message ?? "")}`);
  }
  say("state", WORDS[state]);
  say("message", message(state));
  if (figures === null) return;
  const { source, since: all, outlier_rows, broken_rows, last_broken_row } = figures;
  const facts = [];
  if (all.requests > 0) facts.push(`${count(all.requests)} rows since ${since(all.from_ms)}`);
  if (source.skipped_bytes > 0) facts.push(`${bytes(source.skipped_bytes)} before it left out`);
  if (outlier_rows > 0) facts.push(`${count(outlier_rows)} more than a day off, not shown`);
  if (broken_rows > 0) facts.push(`${count(broken_rows)} broken`);
  say("facts", facts.join(" · "));
  const title = last_broken_row ? `The last broken row: ${last_broken_row}` : null;
  setAttribute(find("facts"), "title", title);
}

function message(state) {
  if (state === "lost") return "The dashboard does not answer. Trying again.";
  if (figures === null) return "";
  const { source } = figures;
  if (state === "paused") return "The figures do not change until you resume.";
  const note = BEGINNINGS[source.beginning] ?? "";
  const isQuiet = state === "silent" || state === "idle" || state === "ended";
  const where = isQuiet && source.path ? ` · ${source.path}` : "";
  return `${sentence(source.message)}${where}${note}`;
}

function showMode() {
  say("mode", figures.mode ?? "");
  find("mode-chip").hidden = figures.mode === null;
  say("connection", figures.connection ?? "");
  find("connection-chip").hidden = figures.connection === null;
}

function showTiles() {
  const { window, recent } = figures;
  const name = windowName(window);
  say("rate", rate(figures.requests_per_s));
  say("rate-note", `${rate(window.requests_per_s)} over the ${name}`);
  say("mean", millis(window.mean_ms));
  say("mean-note", `${millis(recent.mean_ms)} over the last ${recent.requests}`);
  for (const quantile of ["p50", "p95", "p99"]) say(quantile, millis(window[`${quantile}_ms`]));
  say("errors", percent(window.error_share));
  say("errors-note", `${count(window.errors)} of ${count(window.requests)}`);
  const level = window.errors === 0 ? "none" : window.error_share < MANY_ERRORS ? "some" : "many";
  setAttribute(find("error-tile"), "data-errors", level);
  document.title = `${rate(figures.requests_per_s)}/s · tidegate`;
  showSpark(figures.series.requests.slice(0, -1));
}

/** A line of the request rate, without an axis. The newest slot is not over, so it is left out. */
function showSpark(requests) {
  const highest = Math.max(...requests, 1);
  const step = 120 / Math.max(requests.length - 1, 1);
  const height = (value) => 30 - (value / highest) * 28;
  const points = requests.map((value, index) => `${index * step},${height(value)}`).join(" ");
  setAttribute(find("spark").firstElementChild, "points", points);
}

function showBackends() {
  const { backends, not_dispatched: none, estimates } = figures;
  // Only logs of our proxy say why a backend was chosen; the tables show averages for others.
  setAttribute(find("figures"), "data-choices", estimates === null ? "told" : "unknown");
  const rows = backends.map((backend) => [
    { ...backendCell(backend), heads: true },
    number(count(backend.requests)),
    number(percent(backend.share)),
    number(percent(backend.share_since)),
    number(count(backend.errors), backend.errors > 0 ? "bad" : ""),
    number(millis(backend.mean_ms)),
    number(millis(backend.p50_ms)),
    number(millis(backend.p95_ms)),
    number(millis(backend.sma_ms), "estimate"),
    number(millis(backend.ewma_ms), "estimate"),
    reasonsCell(backend.reasons),
  ]);
  if (none.requests_since > 0) {
    const empty = Array.from({ length: 8 }, () => number(""));
    const cells = [number(count(none.requests)), ...empty, { text: "", kind: "why" }];
    rows.push([{ ...NO_BACKEND, heads: true }, ...cells]);
  }
  setRows(find("backends-table").tBodies[0], rows);
  const window = sentence(windowName(figures.window));
  if (estimates === null) {
    say("estimates-note", window);
    say("latest-note", "");
  } else {
    const { sma_window, ewma_alpha, label } = estimates;
    say("estimates-note", `${window}. SMA of ${sma_window} and EWMA of ${ewma_alpha}: ${label}`);
    say("latest-note", "SMA and EWMA: of the request's backend, with this request");
    setAttribute(find("sma-head"), "title", `Mean of the last ${sma_window} latencies`);
    const weight = `Exponential average of the latencies, weight ${ewma_alpha} for the newest`;
    setAttribute(find("ewma-head"), "title", weight);
  }
  say("policy", policy());
}

/** How often the backend was chosen for which reason, the most frequent reason first. */
function reasonsCell(reasons) {
  const counts = Object.entries(reasons).sort(([, one], [, other]) => other - one);
  const text = counts.map(([reason, times]) => `${reason} ${count(times)}`).join(" · ");
  const lines = counts.map(([reason]) => `${reason}: ${REASONS[reason] ?? "?"}`);
  return { text, kind: "why", title: lines.join("\n") || null };
}

/** What is known of the policy. */
function policy() {
  const { description, estimates, mode } = figures;
  if (estimates !== null) return `${mode ?? DASH}. The log does not tell why a backend was chosen.`;
  if (description === null) {
    return `${mode ?? DASH}. Its parameters are not known, because no .meta.json is beside the log.`;
  }
  const { policy: name, parameters, failure_sample_ms } = description;
  const says = POLICIES[name];
  const failure = failure_sample_ms === null || name === "round-robin"
    ? ""
    : `; a failure counts as ${count(failure_sample_ms / 1000)} s`;
  return says ? `${name} ${says(parameters)}${failure}.` : `${name}.`;
}

/** The cell of a backend's name. */
function backendCell({ name, label }) {
  return { text: label, kind: "backend", title: name, colour: colours.get(name) };
}

function showLatest() {
  const backends = new Map(figures.backends.map((backend) => [backend.name, backend]));
  const rows = figures.latest.slice(0, LATEST_SHOWN).map((request) => [
    { text: time(request.time_ms, true), kind: "time" },
    request.backend === null ? NO_BACKEND : backendCell(backends.get(request.backend)),
    number(String(request.status ?? DASH), request.error ? "bad" : ""),
    number(millis(request.latency_ms)),
    reasonCell(request),
    number(millis(request.sma_ms), "estimate"),
    number(millis(request.ewma_ms), "estimate"),
    { text: `${request.method} ${request.path}`.trim(), kind: "path", title: request.path || null },
    { text: request.fault, kind: "bad" },
  ]);
  setRows(find("latest-table").tBodies[0], rows);
}

/** Why a request's backend was chosen; empty if the log does not say. */
function reasonCell({ reason, in_flight, hedge, hedge_backend }) {
  const sentences = [];
  if (reason !== null) sentences.push(REASONS[reason] ?? "");
  if (in_flight !== null) sentences.push(`In flight there, this one included: ${count(in_flight)}.`);
  if (hedge === "lost") sentences.push(`Another attempt, with ${hedge_backend}, was not faster.`);
  return { text: reason ?? "", kind: "why", title: sentences.join(" ").trim() || null };
}

/** The newest values of the chart, as a table; only while that is open. */
function showLatencyTable() {
  if (!find("latency-details").open) return;
  const { series } = figures;
  const head = charted().flatMap(({ label }) => [number(`${label} p50`), number(`${label} p95`)]);
  setRows(find("latency-table").tHead, [["Time (UTC)", ...head]]);
  const slots = series.requests.map((_, index) => index).reverse().slice(0, TABLE_SLOTS);
  const values = (slot) => series.backends.flatMap((line) => [line.p50_ms[slot], line.p95_ms[slot]]);
  const rows = slots.map((slot) => [
    { text: time(series.start_ms + slot * series.step_ms), kind: "time", heads: true },
    ...values(slot).map((ms) => number(millis(ms))),
  ]);
  setRows(find("latency-table").tBodies[0], rows);
}

/** The backends that have lines: all, or those with the most requests. */
function charted() {
  const lines = new Set(figures.series.backends.map(({ name }) => name));
  return figures.backends.filter(({ name }) => lines.has(name));
}

function showCharts() {
  const { window, since: all, series } = figures;
  const step = series.step_ms / 1000;
  say("latency-step", step === 1 ? "per second" : `per ${step} seconds`);
  const [lines, backends] = [charted().length, figures.backends.length];
  say("latency-choice", lines < backends ? `the busiest ${lines} of ${backends}, ` : "");
  say("distribution-window", windowName(window));
  say("distribution-since", `since ${since(all.from_ms)}`);
  if (!charts) return;
  // The same figures as in the table of backends.
  drawDistribution(find("distribution-chart"), charted(), colours);
  // Lines stand still while the pointer is over them.
  if (held) return;
  showLegend();
  drawLatency(find("latency-chart"), figures, charted(), colours, hidden);
}

/** A button for each backend, which shows or hides its lines. */
function showLegend() {
  const legend = find("legend");
  const backends = charted();
  while (legend.children.length > backends.length) legend.lastElementChild.remove();
  backends.forEach(({ name, label }, index) => {
    let button = legend.children[index];
    if (!button) {
      button = document.createElement("button");
      button.type = "button";
      button.className = "backend";
      button.addEventListener("click", () => {
        if (!hidden.delete(button.title)) hidden.add(button.title);
        redraw();
      });
      legend.append(button);
    }
    setText(button, label);
    setAttribute(button, "title", name);
    setAttribute(button, "data-colour", String(colours.get(name)));
    setAttribute(button, "aria-pressed", String(!hidden.has(name)));
  });
}

function redraw() {
  if (figures !== null && figures.since.requests > 0) showCharts();
}

function changeColours() {
  repaint();
  redraw();
}

/** Loads the charts; without them, the table is shown instead. */
async function loadCharts(areThere) {
  charts = areThere && (await load());
  document.body.dataset.charts = charts ? "yes" : "no";
  if (!charts) {
    find("latency-details").open = true;
    return;
  }
  redraw();
  const chart = find("latency-chart");
  const hold = (isHeld) => {
    held = isHeld;
    find("held").hidden = !isHeld;
    if (!isHeld && !paused) redraw();
  };
  chart.addEventListener("pointerenter", () => hold(true));
  chart.addEventListener("pointerleave", () => hold(false));
}

find("windows").addEventListener("change", (event) => poll.follow(event.target.value));

find("latency-details").addEventListener("toggle", () => {
  if (figures !== null) showLatencyTable();
});

find("pause").addEventListener("click", () => {
  paused = !paused;
  setAttribute(find("pause"), "aria-pressed", String(paused));
  say("pause", paused ? "Resume" : "Pause");
  if (figures === null) return;
  if (paused) showStatus();
  else show();
});

function showTheme(theme) {
  const name = { light: "light", dark: "dark" }[theme] ?? "auto";
  say("theme-name", name);
}

find("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const next = { auto: "light", light: "dark", dark: null }[root.dataset.theme ?? "auto"];
  if (next) root.dataset.theme = next;
  else delete root.dataset.theme;
  try {
    if (next) localStorage.setItem("tidegate-theme", next);
    else localStorage.removeItem("tidegate-theme");
  } catch {
    // Without storage the choice is kept until the page is closed.
  }
  showTheme(next);
  changeColours();
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changeColours);

showTheme(document.documentElement.dataset.theme);
poll.follow(document.querySelector("input[name=window]:checked").value);
