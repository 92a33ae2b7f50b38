// The tables of backends: what each of them does, and why it was chosen how often.

import { backendCell, NO_BACKEND } from "./cells.js";
import { find, say, setAttribute } from "./dom.js";
import { count, millis, percent, rate, since } from "./format.js";
import { stateNow } from "./health.js";
import { number, setRows } from "./tables.js";
import { REASONS, inOrder, sentence } from "./words.js";

/** Columns between the number of requests and the end. */
const FURTHER = 14;

const STATES = { degraded: "fails in part", failing: "fails", quiet: "no requests", unused: "unused" };

/** `name` is the window in words. */
export function showBackends(figures, name) {
  const { backends, not_dispatched: none, estimates } = figures;
  const rows = backends.map((backend) => [
    { ...backendCell(backend), heads: true },
    stateCell(stateNow(backend, figures)),
    number(count(backend.requests)),
    number(rate(backend.requests_per_s)),
    { ...number(percent(backend.share), "share"), fill: backend.share },
    number(percent(backend.share_since)),
    errorsCell(backend),
    number(count(backend.retries)),
    number(backend.in_flight === null ? "–" : rate(backend.in_flight)),
    number(millis(backend.mean_ms)),
    number(millis(backend.p50_ms)),
    number(millis(backend.p95_ms)),
    number(millis(backend.p99_ms)),
    number(millis(backend.max_ms)),
    number(millis(backend.sma_ms), "estimate"),
    number(millis(backend.ewma_ms), "estimate"),
  ]);
  if (none.requests_since > 0) {
    const empty = Array.from({ length: FURTHER - 1 }, () => number(""));
    rows.push([{ ...NO_BACKEND, heads: true }, "", number(count(none.requests)), ...empty]);
  }
  setRows(find("backends-table").tBodies[0], rows);
  const window = sentence(name);
  if (estimates === null) {
    say("estimates-note", window);
  } else {
    const { sma_window, ewma_alpha, label } = estimates;
    say("estimates-note", `${window}. SMA of ${sma_window} and EWMA of ${ewma_alpha}: ${label}`);
    setAttribute(find("sma-head"), "title", `Mean of the last ${sma_window} latencies`);
    const weight = `Exponential average of the latencies, weight ${ewma_alpha} for the newest`;
    setAttribute(find("ewma-head"), "title", weight);
  }
}

function errorsCell({ errors, failures }) {
  const clients = errors - failures;
  const title = clients > 0 ? `${count(clients)} of them by clients: 4xx, or the client left` : null;
  return { ...number(count(errors), failures > 0 ? "bad" : ""), title };
}

function stateCell({ state, since_ms: from, is_older }) {
  const text = STATES[state] ?? state;
  return {
    text: from === null ? text : `${text} since ${is_older ? "before " : ""}${since(from)}`,
    kind: "state-cell",
    colour: state,
  };
}

/** How often each backend was chosen for which reason, since reading began. */
export function showReasons({ backends, since: all }) {
  const names = inOrder(new Set(backends.flatMap(({ reasons }) => Object.keys(reasons))), (it) => it);
  const heads = names.map((reason) => ({ ...number(reason), title: REASONS[reason] ?? null }));
  setRows(find("reasons-table").tHead, [["Backend", ...heads]]);
  const rows = backends.map((backend) => [
    { ...backendCell(backend), heads: true },
    ...names.map((reason) => number(count(backend.reasons[reason] ?? 0), reason === "retry" ? "bad" : "")),
  ]);
  setRows(find("reasons-table").tBodies[0], rows);
  say("reasons-since", `since ${since(all.from_ms)}`);
}
