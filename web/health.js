// Is it healthy? The answer in a sentence, the figures, and what went wrong.

import { add, find, resize, say, setAttribute, setText } from "./dom.js";
import { count, fromTo, many, millis, percent, rate, since, time } from "./format.js";

/** From this share of failures on, the answer is no, and the number of errors is red. */
const MANY_FAILURES = 0.01;

/** States of a backend that are no good news, and what they are called. */
const TROUBLE = {
  failing: "fails",
  degraded: "fails in part",
  ejected: "is ejected",
  down: "is down",
  probing: "is being probed",
};

/** States that only recorded choices tell, and that are no trouble. */
const RECORDED = new Set(["drained", "full", "backup"]);

/** After so long without an error, it is healthy again. */
const OVER_MS = 10_000;

/** How many troubled backends the answer names. */
const NAMED = 3;

/**
 * What a backend is now: its last stretch of time, unless that says less than its newest request; since
 * when; and whether it was so before that, too (`is_older`).
 */
export function stateNow(backend, { series, window, since: all, source }) {
  const states = series.backends.find(({ name }) => name === backend.name)?.states ?? [];
  const last = states.at(-1);
  const isTold = window.name === "range" || last?.state in TROUBLE || RECORDED.has(last?.state);
  const { state_since_ms: own, state_is_older: is_older } = backend;
  if (last !== undefined && isTold) {
    const from = last.from_ms;
    if (from > series.start_ms) return { state: last.state, since_ms: from, is_older: false };
    // It began before what is shown, which the newest requests may tell.
    const isKnown = window.name !== "range" && own !== null && own < from;
    if (isKnown) return { state: last.state, since_ms: own, is_older };
    const isBegin = source.skipped_bytes === 0 && all.from_ms >= series.start_ms;
    return { state: last.state, since_ms: from, is_older: !isBegin };
  }
  const state = { answers: "up", fails: "failing", quiet: "quiet", unused: "unused" }[backend.state];
  return { state, since_ms: own, is_older };
}

/** Shows the answer, the tiles and the errors; `name` is the window in words. */
export function showHealth(figures, name) {
  showVerdict(figures, name);
  showTiles(figures, name);
  showIncidents(figures);
}

function showVerdict(figures, name) {
  const { window, backends } = figures;
  const states = backends.map((backend) => ({ ...stateNow(backend, figures), label: backend.label }));
  const troubled = states.filter(({ state }) => state in TROUBLE);
  const failures = figures.incidents.filter(({ by_client }) => !by_client);
  const ends = failures.map(({ to_ms: to }) => Math.min(to, window.to_ms));
  // Of errors long ago only the number is known.
  const last = ends.length === 0 ? null : Math.max(...ends);
  const isOver = troubled.length === 0 && last !== null && window.to_ms - last > OVER_MS;
  const isBad = window.failure_share >= MANY_FAILURES || troubled.length === backends.length;
  const isPast = window.end !== "now";
  const [tone, word] = window.requests === 0 ? ["none", "No requests"]
    : window.failures === 0 && troubled.length === 0 ? ["good", isPast ? "It was" : "Yes"]
    : isOver ? ["warn", isPast ? "Mostly" : "Yes, again"]
    : isBad ? ["bad", isPast ? "It was not" : "No"] : ["warn", "Mostly"];
  setAttribute(find("verdict"), "data-tone", tone);
  say("verdict-word", word);
  say("verdict-text", tone === "none"
    ? `There were none over the ${name}.`
    : [errorsText(figures, last), troubleText(troubled, states, isPast)].join(" "));
}

function errorsText(figures, last) {
  const { window } = figures;
  const { requests, errors, failures } = window;
  const clients = errors - failures;
  // Without a backend there is no latency.
  const fast = window.p95_ms === null ? null : `95 % took ${millis(window.p95_ms)} ms or less`;
  if (errors === 0) return `No request failed${fast === null ? "" : `, and ${fast}`}.`;
  const told = ["No request failed because of the proxy or its backends"];
  if (failures > 0) {
    const cause = causeOf(figures, false, failures);
    const when = last === null ? "" : `, the last at ${time(last)} UTC`;
    told[0] = `${percent(window.failure_share)} of requests failed${cause}${when}`;
  }
  if (clients > 0) {
    const which = many(clients, failures > 0 ? "other" : "request");
    const cause = causeOf(figures, true, clients);
    told.push(`${which} (${percent(clients / requests)}) ended in client errors${cause}`);
  }
  return `${[...told, fast].filter((it) => it !== null).join(". ")}.`;
}

/** What most errors of clients, or most others, were. */
function causeOf({ incidents, window }, isByClient, all) {
  const of = incidents.filter(({ by_client }) => by_client === isByClient);
  // Of a group that began before the window it is not known how many are in it.
  const isWithin = ({ from_ms: from }) => from >= window.from_ms;
  const order = (one, other) => isWithin(other) - isWithin(one) || other.requests - one.requests;
  const [worst] = of.sort(order);
  if (worst === undefined) return "";
  const isMost = isWithin(worst) && worst.requests > all / 2;
  return `, ${isMost ? "most of them" : isWithin(worst) ? "most often" : "among them"} ${kindOf(worst)}`;
}

function troubleText(troubled, states, isPast) {
  if (troubled.length === 0) {
    const [all, up] = [states.length, states.filter(({ state }) => state === "up").length];
    const answer = isPast ? "answered" : `answer${up === 1 ? "s" : ""}`;
    if (up < all) return `${up} of ${all} backends ${answer}; the rest had no requests lately.`;
    if (all === 1) return `The backend ${answer}.`;
    return all === 2 ? `Both backends ${answer}.` : `All ${all} backends ${answer}.`;
  }
  const named = troubled.slice(0, NAMED).map(({ label, state }) => `${label} ${TROUBLE[state]}`);
  const more = troubled.length - named.length;
  return `${named.join(", ")}${more > 0 ? `, and ${more} more have trouble` : ""}.`;
}

function kindOf({ status, fault }) {
  return `${status ?? "no status"}${fault === "" ? "" : ` ${fault}`}`;
}

function showTiles(figures, name) {
  const { window, recent } = figures;
  const isPast = window.name === "range";
  say("rate", rate(isPast ? window.requests_per_s : figures.requests_per_s));
  say("rate-note", `${isPast ? "" : `${rate(window.requests_per_s)} `}over the ${name}`);
  say("mean", millis(window.mean_ms));
  say("mean-note", `${millis(recent.mean_ms)} over the last ${many(recent.requests, "request")}`);
  for (const quantile of ["p50", "p95", "p99"]) say(quantile, millis(window[`${quantile}_ms`]));
  say("errors", percent(window.error_share));
  const clients = window.errors - window.failures;
  say("errors-note", `${count(window.errors)} of ${count(window.requests)}` +
    (clients > 0 ? `, ${clients === window.errors ? "all" : count(clients)} by clients` : ""));
  const level = window.failure_share >= MANY_FAILURES ? "many" : window.errors > 0 ? "some" : "none";
  setAttribute(find("error-tile"), "data-errors", level);
  find("errors-open").hidden = window.errors === 0;
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

let shown = [];
let open = () => {};

/** `onOpen` gets the errors of which someone wants to see the requests. */
export function listenToIncidents(onOpen) {
  open = onOpen;
  find("errors-open").addEventListener("click", () => {
    showList(find("incidents").hidden);
    if (!find("incidents").hidden) find("incidents-list").querySelector("button")?.focus();
  });
}

function showList(isShown) {
  find("incidents").hidden = !isShown;
  setAttribute(find("errors-open"), "aria-expanded", String(isShown));
}

function showIncidents({ incidents, backends, window }) {
  if (incidents.length === 0) showList(false);
  shown = [...incidents].sort((one, other) => other.requests - one.requests);
  const labels = new Map(backends.map(({ name, label }) => [name, label]));
  const list = find("incidents-list");
  resize(list, incidents.length, (at) => {
    const item = document.createElement("li");
    const button = add(item, "button");
    button.type = "button";
    for (const kind of ["what", "times", "where", "when"]) add(button, "span", kind);
    button.addEventListener("click", () => open(shown[at]));
    return item;
  });
  shown.forEach((incident, at) => {
    const [what, times, where, when] = list.children[at].firstElementChild.children;
    const { backend, requests, from_ms: from, to_ms: to } = incident;
    setText(what, kindOf(incident));
    setText(times, ` × ${count(requests)} `);
    setText(where, backend === null ? "no backend" : labels.get(backend) ?? backend);
    setText(when, ` ${since(from) === since(to) ? since(from) : fromTo(from, to)}`);
  });
  say("incidents-note", `${many(window.errors, "error")} in ${many(incidents.length, "group")}, the ` +
    "largest first. A group is told whole, even if it began before. Each opens its time and its requests.");
}
