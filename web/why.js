// Why one request went where it went, and where its time went, from what its row and the slot of its
// time record.

import { count, many, millis, percent, time } from "./format.js";
import { REASONS } from "./words.js";

/** So many other backends are compared with the chosen one. */
const COMPARED = 4;

/** What is known of a request, as sentences. */
export function whyRequest(request, figures) {
  const labels = new Map(figures.backends.map(({ name, label }) => [name, label]));
  const label = (name) => labels.get(name) ?? name;
  return [
    ...choice(request, label),
    ...beside(request, figures, label),
    ...second(request, label),
    ...end(request),
  ];
}

/** What a request is called. */
export function nameOf({ method, path, time_ms }) {
  return `${`${method} ${path}`.trim() || "The request"} at ${time(time_ms, true)}`;
}

function choice(request, label) {
  const { backend, reason, in_flight } = request;
  if (backend === null) return ["No backend was asked."];
  const said = [];
  if (reason === null) {
    said.push(`It went to ${label(backend)}. The log does not say why.`);
  } else {
    const because = REASONS[reason] ?? `The log says “${reason}”.`;
    said.push(`It went to ${label(backend)} (${reason}). ${because}`);
  }
  if (in_flight !== null) {
    said.push(in_flight === 1
      ? "Nothing else was in flight there."
      : `It had ${many(in_flight, "request")} in flight there, this one included.`);
  }
  return said;
}

/** The backends in the slot in which it was sent: that is what the policy had seen. */
function beside({ backend, time_ms, started_ms }, { series }, label) {
  const slot = Math.floor(((started_ms ?? time_ms) - series.start_ms) / series.step_ms);
  const total = series.requests[slot] ?? 0;
  const measured = series.backends
    .map(({ name, first_byte_ms: first, mean_ms: mean, requests }) =>
      ({ name, ms: first[slot] ?? mean[slot] ?? null, share: (requests[slot] ?? 0) / total }))
    .filter(({ ms }) => ms !== null)
    .sort((one, other) => one.ms - other.ms);
  if (backend === null || measured.length < 2) return [];
  const own = measured.find(({ name }) => name === backend);
  const others = measured.filter(({ name }) => name !== backend).slice(0, COMPARED);
  const told = ({ name, ms, share }, at) =>
    `${label(name)}${at === 0 ? " answered" : ""} in ${millis(ms)} ms${at === 0 ? " on average" : ""} ` +
    `(${percent(share)} of requests)`;
  const span = series.step_ms === 1000 ? "that second" : `those ${series.step_ms / 1000} s`;
  const list = [own, ...others].filter((it) => it !== undefined).map(told).join(", ");
  return [`In ${span}, ${list}.`];
}

function second({ hedge, hedge_backend, attempts, reason }, label) {
  const said = [];
  // The reason says the first already.
  if (hedge === "won" && reason !== "hedge") said.push(`A second attempt, with ${label(hedge_backend)}, answered first.`);
  if (hedge === "lost") said.push(`A second attempt, with ${label(hedge_backend)}, was not faster.`);
  if (hedge === null && attempts > 1) {
    const others = reason === "retry" ? "; the log names the last" : "";
    said.push(`It took ${count(attempts)} attempts${others}.`);
  }
  return said;
}

function end(request) {
  const { status, fault, latency_ms: all, queue_ms, connect_ms, first_byte_ms: first } = request;
  const said = [];
  if (queue_ms !== null) said.push(`It waited ${millis(queue_ms)} ms, because all backends were full.`);
  const what = status === null ? "There was no status" : `The status was ${status}`;
  const cause = fault === "" ? "" : `, because of ${fault}`;
  const after = all === null ? "" : `, after ${millis(all)} ms`;
  const parts = [];
  if (first !== null && all !== null) {
    if (connect_ms > 0) parts.push(`${millis(connect_ms)} to connect`);
    parts.push(`${millis(first - (connect_ms ?? 0))} until the first byte`);
    const rest = request.attempts > 1 ? "for the rest, other attempts among it" : "for the rest";
    parts.push(`${millis(Math.max(all - first, 0))} ${rest}`);
  }
  said.push(`${what}${cause}${after}${parts.length > 0 ? `: ${parts.join(", ")}` : ""}.`);
  return said;
}
