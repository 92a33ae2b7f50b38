// The page: takes the figures as they come and puts each where it belongs.

import { COLOURS, drawDistribution, drawLatency, load, repaint } from "./charts.js";
import { DASH, bytes, count, millis, percent, rate, since, time } from "./format.js";
import { Poll } from "./poll.js";
import { number, setAttribute, setRows, setText } from "./tables.js";

const LATEST_SHOWN = 30;
const TABLE_SLOTS = 30;

/** From this share on errors are no accident. */
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
  "round-robin": () => "round-robin takes the backends in turn",
  adaptive_sma: ({ window }) =>
    `adaptive_sma prefers the lowest mean of the last ${window} response times`,
  adaptive_ewma: ({ alpha }) =>
    `adaptive_ewma prefers the lowest average with weight ${alpha} for the newest response time`,
};

const find = (id) => document.getElementById(id);
const say = (id, text) => setText(find(id), text);

let figures = null;
let reachable = true;
let paused = false;
let held = false;
let charts = false;

/** The names of the backends that are not wanted in the chart. */
const hidden = new Set();

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

/** The window in words: up to now, or up to the last row where that is long past. */
function windowName({ name, end, to_ms }) {
  const words = WINDOWS[end][name];
  return end === "now" || to_ms === null ? words : `${words} ${since(to_ms)}`;
}

function showStatus() {
  const state = !reachable ? "lost" : paused ? "paused" : (figures?.source.state ?? "connecting");
  const bar = find("status");
  if (bar.dataset.state !== state) {
    bar.dataset.state = state;
    // Said once for each change; the seconds that pass are not.
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
  if (state === "paused") return "The figures stand still until you resume.";
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

/** The shape of the traffic, without an axis: the newest slot is not over and left out. */
function showSpark(requests) {
  const highest = Math.max(...requests, 1);
  const step = 120 / Math.max(requests.length - 1, 1);
  const height = (value) => 30 - (value / highest) * 28;
  const points = requests.map((value, index) => `${index * step},${height(value)}`).join(" ");
  setAttribute(find("spark").firstElementChild, "points", points);
}

function showBackends() {
  const { backends, not_dispatched: none, estimates } = figures;
  const rows = backends.map((backend, index) => [
    { ...backendCell(backend.label, index % COLOURS), title: backend.name, heads: true },
    number(count(backend.requests)),
    number(percent(backend.share)),
    number(percent(backend.share_since)),
    number(count(backend.errors), backend.errors > 0 ? "bad" : ""),
    number(millis(backend.mean_ms)),
    number(millis(backend.p50_ms)),
    number(millis(backend.p95_ms)),
    number(millis(backend.sma_ms), "estimate"),
    number(millis(backend.ewma_ms), "estimate"),
  ]);
  if (none.requests_since > 0) {
    const empty = Array.from({ length: 8 }, () => number(""));
    rows.push([{ ...backendCell(null), heads: true }, number(count(none.requests)), ...empty]);
  }
  setRows(find("backends-table").tBodies[0], rows);
  const { sma_window, ewma_alpha, failure_sample_ms, label } = estimates;
  const averages = `SMA of ${sma_window} and EWMA of ${ewma_alpha}: ${label}`;
  say("estimates-note", `${sentence(windowName(figures.window))}. ${averages}`);
  const failure = `a failure counts as ${count(failure_sample_ms / 1000)} s`;
  const means = `Mean of the last ${sma_window} response times; ${failure}`;
  const weighs = `Exponential average of the response times, weight ${ewma_alpha}; ${failure}`;
  setAttribute(find("sma-head"), "title", means);
  setAttribute(find("ewma-head"), "title", weighs);
  say("policy", policy(failure));
}

/** What is known of the policy. Why a request went where it did is in no row. */
function policy(failure) {
  const { description, estimates } = figures;
  const { sma_window, ewma_alpha } = estimates;
  if (description === null) {
    return `The proxy's parameters are not known, for no .meta.json stands beside the log: the \
averages are those of its defaults, ${sma_window} and ${ewma_alpha}, and ${failure}.`;
  }
  const known = POLICIES[description.policy];
  const says = known ? known({ window: sma_window, alpha: ewma_alpha }) : description.policy;
  return `${says}; ${failure}. Attempts after which a request was sent to another backend are in \
no row, nor is why a request went where it did.`;
}

/** The cell of a backend's name; null is for requests that no backend got. */
function backendCell(label, colour = null) {
  if (label !== null) return { text: label, kind: "backend", colour };
  return { text: "no backend", kind: "backend none", title: "Answered without a backend" };
}

function showLatest() {
  const places = figures.backends.map(({ label }, index) => [label, index % COLOURS]);
  const colours = new Map(places);
  const rows = figures.latest.slice(0, LATEST_SHOWN).map((request) => [
    { text: time(request.time_ms, true), kind: "time" },
    backendCell(request.backend, colours.get(request.backend)),
    number(String(request.status ?? DASH), request.error ? "bad" : ""),
    number(millis(request.latency_ms)),
    number(millis(request.sma_ms), "estimate"),
    number(millis(request.ewma_ms), "estimate"),
    { text: `${request.method} ${request.path}`.trim(), kind: "path", title: request.path || null },
    { text: request.fault, kind: "bad" },
  ]);
  setRows(find("latest-table").tBodies[0], rows);
}

/** The newest values of the chart; made only while someone has the table open. */
function showLatencyTable() {
  if (!find("latency-details").open) return;
  const { series, backends } = figures;
  const head = backends.flatMap(({ label }) => [number(`${label} p50`), number(`${label} p95`)]);
  setRows(find("latency-table").tHead, [["Time (UTC)", ...head]]);
  const slots = series.requests.map((_, index) => index).reverse().slice(0, TABLE_SLOTS);
  const values = (slot) => series.backends.flatMap((line) => [line.p50_ms[slot], line.p95_ms[slot]]);
  const rows = slots.map((slot) => [
    { text: time(series.start_ms + slot * series.step_ms), kind: "time", heads: true },
    ...values(slot).map((ms) => number(millis(ms))),
  ]);
  setRows(find("latency-table").tBodies[0], rows);
}

function showCharts() {
  const { window, since: all, series } = figures;
  const step = series.step_ms / 1000;
  say("latency-step", step === 1 ? "per second" : `per ${step} seconds`);
  say("distribution-window", windowName(window));
  say("distribution-since", `since ${since(all.from_ms)}`);
  if (!charts) return;
  // Always of the same figures as the table of backends.
  drawDistribution(find("distribution-chart"), figures);
  // Values must not move under whoever reads them.
  if (held) return;
  showLegend();
  drawLatency(find("latency-chart"), figures, hidden);
}

/** A button for each backend, which has its lines shown or not. */
function showLegend() {
  const legend = find("legend");
  while (legend.children.length > figures.backends.length) legend.lastElementChild.remove();
  figures.backends.forEach(({ name, label }, index) => {
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
    setAttribute(button, "data-colour", String(index % COLOURS));
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

/** Without charts the table behind them takes their place. */
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
    // It holds until the page is left.
  }
  showTheme(next);
  changeColours();
});

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changeColours);

showTheme(document.documentElement.dataset.theme);
poll.follow(document.querySelector("input[name=window]:checked").value);
