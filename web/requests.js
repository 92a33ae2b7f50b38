// The table of requests: the latest, or those that are asked for, and why each went where it went.

import { NO_BACKEND, backendCell } from "./cells.js";
import { add, find, resize, say, setAttribute, setText } from "./dom.js";
import { DASH, count, many, millis, time } from "./format.js";
import { number, setRows } from "./tables.js";
import { showChoices } from "./choices.js";
import { nameOf, whyRequest } from "./why.js";
import { REASONS, inOrder, whatFailed } from "./words.js";

const LATEST_SHOWN = 30;
const LISTED_SHOWN = 100;

const NONE = "No request that is remembered matches: the last 5,000 are, and the last 1,000 failed ones " +
  "before those.";

/** What `slower` may be. */
const SLOWER_MS = [10, 25, 50, 100, 250, 500, 1000, 5000];

let shown = [];
let figures = null;
let chosen = null;
let isHeld = false;
let filters = {};

/** `change` gets the filters that are wanted. */
export function listenToRequests(change) {
  // The next change may come before the next figures.
  const want = (next) => {
    filters = next;
    change(next);
  };
  const set = (name, value) => {
    const { [name]: _, ...others } = filters;
    want(value ? { ...others, [name]: value } : others);
  };
  find("filter-errors").addEventListener("change", ({ target }) => set("errors", target.checked ? "1" : ""));
  for (const name of ["slower", "backend", "reason"]) {
    find(`filter-${name}`).addEventListener("change", ({ target }) => set(name, target.value));
  }
  find("filter-kind").addEventListener("click", () => {
    const { status: _, fault: __, ...others } = filters;
    want(others);
  });
  find("filter-none").addEventListener("click", () => want({}));
  const body = find("latest-table").tBodies[0];
  body.addEventListener("click", ({ target }) => {
    const row = target.closest("tr");
    if (row && getSelection().isCollapsed) choose(shown[row.sectionRowIndex]);
  });
  find("why-close").addEventListener("click", () => {
    const at = shown.findIndex((request) => isSame(chosen, request));
    choose(null);
    // The focus was on what is hidden now.
    body.rows[at]?.querySelector("button")?.focus();
  });
  const area = find("latest-area");
  const hold = (held) => {
    isHeld = held;
    find("latest-held").hidden = !held;
    if (!held && figures !== null) showRequests(figures, listed, filters);
  };
  area.addEventListener("pointerenter", () => hold(true));
  area.addEventListener("pointerleave", () => hold(area.querySelector(":focus-visible") !== null));
  area.addEventListener("focusin", () => hold(area.querySelector(":focus-visible") !== null || isHeld));
  area.addEventListener("focusout", ({ relatedTarget }) => {
    if (!area.contains(relatedTarget)) hold(area.matches(":hover"));
  });
}

let listed = null;

/**
 * Shows the latest requests, or those that `asked` lists, unless it has the `problem` why there is no
 * list; others than before with `isChanged`.
 */
export function showRequests(next, asked, wanted, isChanged = false) {
  [figures, listed, filters] = [next, asked, wanted];
  showFilters();
  // Rows stand still while someone reads them.
  if (isHeld && !isChanged) return;
  const backends = new Map(figures.backends.map((backend) => [backend.name, backend]));
  const of = (name) => backends.get(name) ?? { name, label: name };
  const all = asked === null ? figures.latest : asked.requests ?? [];
  shown = all.slice(0, asked ? LISTED_SHOWN : LATEST_SHOWN);
  setRows(find("latest-table").tBodies[0], shown.map((request) => rowOf(request, of)));
  markChosen();
  say("latest-note", note(asked, shown.length));
  find("latest-none").hidden = shown.length > 0;
  say("latest-none", asked?.problem ? whatFailed(asked.problem, "Clear the filters.") : NONE);
  say("latest-title", asked ? "Requests" : "Latest requests");
}

function rowOf(request, of) {
  const { backend, status, error, latency_ms, reason, sma_ms, ewma_ms, method, path, fault } = request;
  return [
    {
      text: time(request.time_ms, true),
      kind: "time",
      heads: true,
      press: `Why ${nameOf(request)} went there`,
    },
    backend === null ? NO_BACKEND : backendCell(of(backend)),
    number(String(status ?? DASH), error ? "bad" : ""),
    number(millis(latency_ms)),
    { text: reason ?? "", kind: "why", title: reason === null ? null : whyTitle(request) },
    number(millis(sma_ms), "estimate"),
    number(millis(ewma_ms), "estimate"),
    { text: `${method} ${path}`.trim(), kind: "path", title: path || null },
    { text: fault, kind: "bad fault" },
  ];
}

/** The short form of what a click tells. */
function whyTitle({ reason, in_flight, hedge, hedge_backend }) {
  const sentences = [REASONS[reason] ?? ""];
  if (in_flight !== null) sentences.push(`In flight there, this one included: ${count(in_flight)}.`);
  if (hedge === "lost") sentences.push(`Another attempt, with ${hedge_backend}, was not faster.`);
  return sentences.join(" ").trim() || null;
}

function note(asked, rows) {
  if (asked === null) return `${many(rows, "request")}, the newest first`;
  if (asked.problem) return "not listed";
  const { matching, remembered } = asked;
  return `${count(rows)} of ${count(matching)} that match, of ${count(remembered)} remembered`;
}

function choose(request) {
  chosen = request ?? null;
  find("why").hidden = chosen === null;
  markChosen();
  if (chosen === null) return;
  say("why-title", nameOf(chosen));
  const list = find("why-text");
  const sentences = whyRequest(chosen, figures);
  resize(list, sentences.length, () => document.createElement("li"));
  sentences.forEach((sentence, at) => setText(list.children[at], sentence));
  showChoices(chosen, figures);
}

const isSame = (one, other) =>
  one !== null && one.time_ms === other.time_ms && one.name === other.name && one.path === other.path;

function markChosen() {
  const rows = find("latest-table").tBodies[0].rows;
  shown.forEach((request, at) => {
    const button = rows[at].querySelector("button");
    setAttribute(button, "aria-expanded", String(isSame(chosen, request)));
    setAttribute(button, "aria-controls", "why");
  });
}

function showFilters() {
  find("filter-errors").checked = "errors" in filters;
  const slower = new Set(SLOWER_MS.map(String));
  if (filters.slower) slower.add(filters.slower);
  const times = [...slower].sort((one, other) => one - other);
  options("slower", times.map((ms) => [ms, `${count(Number(ms))} ms`]));
  options("backend", figures.backends.map(({ name, label }) => [name, label]));
  const reasons = new Set(figures.series.reasons.map(({ reason }) => reason));
  if (filters.reason) reasons.add(filters.reason);
  options("reason", inOrder(reasons, (it) => it).map((reason) => [reason, reason]));
  find("filter-reason").parentElement.hidden = reasons.size === 0;
  const kind = [filters.status, filters.fault].filter(Boolean).join(" ");
  find("filter-kind").hidden = kind === "";
  say("filter-kind-text", kind);
  find("filter-none").hidden = Object.keys(filters).length === 0;
}

/** Fills a list of choices, of which the first is any. */
function options(name, all) {
  const list = find(`filter-${name}`);
  resize(list, all.length + 1, () => add(list, "option"));
  all.forEach(([value, text], at) => {
    const option = list.options[at + 1];
    setAttribute(option, "value", value);
    setText(option, text);
  });
  const wanted = filters[name] ?? "";
  if (list.value !== wanted) list.value = wanted;
}
