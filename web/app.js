// The page: asks for what its address tells, and passes each new set of figures to its parts.

import { listQuery, read, timeQuery, write } from "./address.js";
import { showBackends, showReasons } from "./backends.js";
import { makeCharts, showCharts } from "./charts.js";
import { find, say, setAttribute } from "./dom.js";
import { fromTo, percent, rate, since } from "./format.js";
import { listenToIncidents, showHealth } from "./health.js";
import { Poll } from "./poll.js";
import { listenToRequests, showRequests } from "./requests.js";
import { showStatus } from "./status.js";
import { showTime } from "./time.js";
import { REASONS, policy, sentence, whatFailed } from "./words.js";

const WINDOWS = {
  now: { "1m": "last minute", "5m": "last 5 minutes", all: "whole time" },
  last_row: { "1m": "minute up to", "5m": "5 minutes up to", all: "time up to" },
};

/** What is shown before and after errors that someone opens. */
const AROUND_MS = 10_000;

let view = read();
let figures = null;
let listed = null;

/** The figures that are on the page: not the newest ones while it is paused. */
let shown = null;

/** Why there are no new figures, or null. */
let problem = null;
let isPaused = false;

/** Whether something else was asked for than what is shown. */
let isChanged = true;

const poll = new Poll({
  onFigures(next, requests) {
    [figures, listed] = [next, requests];
    if (!isPaused || isChanged) show();
    isChanged = false;
  },
  onLink(next) {
    if (problem === null && next === null) return;
    problem = next;
    if (figures === null && problem !== null) say("welcome-message", whatFailed(problem));
    showStatus(figures, problem, isPaused);
  },
});

function show() {
  shown = figures;
  const isEmpty = figures.since.requests === 0;
  setAttribute(find("figures"), "data-view", isEmpty ? "empty" : "figures");
  // Only logs of our proxy say why a backend was chosen; the tables show averages for others.
  const choices = figures.estimates === null ? "told" : "unknown";
  setAttribute(find("figures"), "data-choices", choices);
  showStatus(figures, problem, isPaused);
  showMode();
  if (isEmpty) {
    say("welcome-message", `${sentence(figures.source.message)}.`);
    return;
  }
  const name = windowName(figures.window);
  document.title = `${rate(figures.requests_per_s)}/s · tidegate`;
  showRange();
  showHealth(figures, name);
  showTime(figures);
  showBackends(figures, name);
  showReasons(figures);
  say("policy", policy(figures));
  say("why-there-text", whyText());
  showCharts(figures, view.scale, isChanged);
  showRequests(figures, listed, view.filters, isChanged);
}

/** The window in words: up to now, or up to the last row if that is long past. */
function windowName({ name, end, from_ms, to_ms }) {
  if (name === "range") return `range ${fromTo(from_ms, to_ms)}`;
  const words = WINDOWS[end][name];
  return end === "now" || to_ms === null ? words : `${words} ${since(to_ms)}`;
}

function showMode() {
  say("mode", figures.mode ?? "");
  find("mode-chip").hidden = figures.mode === null;
  say("connection", figures.connection ?? "");
  find("connection-chip").hidden = figures.connection === null;
}

/** The most frequent reason, in a sentence. */
function whyText() {
  if (figures.estimates !== null) return "";
  const sum = (values) => values.reduce((one, other) => one + other, 0);
  const reasons = figures.series.reasons.map(({ reason, requests }) => [reason, sum(requests)]);
  const all = sum(reasons.map(([, count]) => count));
  if (all === 0) return "No request of this time has a reason.";
  const [[most, count]] = reasons.sort(([, one], [, other]) => other - one);
  const says = (REASONS[most] ?? "").replace(/^It was /, "it was ").replace(/\.$/, "");
  return `${percent(count / all)} of choices were “${most}”${says === "" ? "" : `: ${says}`}.`;
}

/** Shows which window or range is chosen. */
function showRange() {
  for (const input of document.querySelectorAll("input[name=window]")) {
    input.checked = input.value === view.window;
  }
  for (const input of document.querySelectorAll("input[name=scale]")) {
    input.checked = input.value === view.scale;
  }
  find("range").hidden = view.window !== null;
  if (view.window === null) say("range-text", fromTo(view.from, view.to));
  const isNothing = figures !== null && figures.window.requests === 0 && view.window === null;
  find("nothing").hidden = !isNothing;
}

/** Changes what is shown, and the address with it. */
function go(changes) {
  const isAnotherTime = "window" in changes;
  view = { ...view, ...changes };
  write(view, isAnotherTime);
  follow();
}

function follow() {
  if (figures !== null) showRange();
  listed = null;
  isChanged = true;
  poll.follow(timeQuery(view), listQuery(view));
}

function goToRange(from, to, filters = view.filters) {
  go({ window: null, from: Math.max(Math.floor(from), 0), to: Math.ceil(to), filters });
}

function live() {
  go({ window: "1m", from: null, to: null });
}

makeCharts((from, to) => goToRange(from, to));

listenToIncidents(({ status, fault, backend, from_ms: from, to_ms: to }) => {
  const filters = { errors: "1" };
  if (status !== null) filters.status = String(status);
  if (fault !== "") filters.fault = fault;
  if (backend !== null) filters.backend = backend;
  goToRange(from - AROUND_MS, to + AROUND_MS, filters);
  find("requests").scrollIntoView();
  find("requests").focus({ preventScroll: true });
});

listenToRequests((filters) => go({ filters }));

find("windows").addEventListener("change", ({ target }) => {
  go({ window: target.value, from: null, to: null });
});

find("scales").addEventListener("change", ({ target }) => {
  go({ scale: target.value });
  if (figures !== null) showCharts(figures, view.scale);
});

for (const id of ["live", "nothing-live"]) find(id).addEventListener("click", live);

find("wider").addEventListener("click", () => {
  const half = Math.max((view.to - view.from) / 2, 1000);
  goToRange(view.from - half, view.to + half);
});

find("link").addEventListener("click", async () => {
  const { from_ms: from, to_ms: to } = shown?.window ?? {};
  if (view.window !== null && from !== undefined && from !== null) goToRange(from, to);
  try {
    await navigator.clipboard.writeText(location.href);
    say("announcer", "The link to this range is copied.");
    say("link", "Copied");
    setTimeout(() => say("link", "Link"), 2000);
  } catch {
    // Without the clipboard the address has the link.
    say("announcer", "The address of the page is now a link to this range.");
  }
});

find("pause").addEventListener("click", () => {
  isPaused = !isPaused;
  setAttribute(find("pause"), "aria-pressed", String(isPaused));
  say("pause", isPaused ? "Resume" : "Pause");
  if (figures === null) return;
  if (isPaused) showStatus(figures, problem, isPaused);
  else show();
});

addEventListener("popstate", () => {
  view = read();
  follow();
});

function showTheme(theme) {
  say("theme-name", { light: "light", dark: "dark" }[theme] ?? "auto");
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
});

showTheme(document.documentElement.dataset.theme);
showRange();
follow();
