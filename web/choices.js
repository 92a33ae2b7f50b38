// What the decision log recorded of the choices for a request, if one lies beside the log: the
// backends there were, with all that the policy knew of them.

import { backendCell } from "./cells.js";
import { find, say } from "./dom.js";
import { DASH, millis, span } from "./format.js";
import { number, setRows } from "./tables.js";

/** The request that was asked about last. */
let asked = null;

/** Shows what is recorded of a request, as soon as it is known. */
export async function showChoices(request, figures) {
  asked = request;
  const note = find("choices-note");
  find("choices-area").hidden = true;
  note.hidden = true;
  if (!figures.description?.has_decisions || request.name === null) return;
  let choices = null;
  try {
    const answer = await fetch(`explain?request=${encodeURIComponent(request.name)}`);
    if (answer.ok) ({ choices } = await answer.json());
  } catch {
    // Then nothing is known of it.
  }
  if (asked !== request) return;
  note.hidden = false;
  if (choices === null) {
    say("choices-note", "The dashboard did not answer what the decision log has of this request.");
    return;
  }
  if (choices.length === 0) {
    say("choices-note", "The last 16 MiB of the decision log have no choice of this request: it " +
      "records a sample, and what is unusual.");
    return;
  }
  say("choices-note", `As recorded: ${choices.map(({ told }) => told).join(" Then ")}`);
  const labels = new Map(figures.backends.map(({ name, label }) => [name, label]));
  const last = choices.at(-1);
  const rows = last.candidates.map((candidate) => rowOf(candidate, last, labels));
  setRows(find("choices-table").tBodies[0], rows);
  find("choices-area").hidden = false;
}

function rowOf(candidate, { chosen, runner_up: next }, labels) {
  const { url, state, cause } = candidate;
  const label = labels.get(url) ?? url;
  const role = url === chosen ? ", chosen" : url === next ? ", next" : "";
  const of = (value) => (value === null ? DASH : String(Number(value.toPrecision(3))));
  return [
    { ...backendCell({ name: url, label: `${label}${role}` }), heads: true },
    { text: cause === null ? state : `${state}: ${cause}`, kind: "state-cell", colour: state },
    number(of(candidate.score), url === chosen ? "best" : ""),
    number(candidate.estimate_ms === null ? DASH : `${millis(candidate.estimate_ms)} ms`),
    number(span(candidate.estimate_age_ms)),
    number(of(candidate.in_flight)),
    number(of(candidate.usual_in_flight)),
    number(of(candidate.weight)),
  ];
}
