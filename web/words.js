// What is known of policies, reasons and states, in words.

import { DASH, count } from "./format.js";

const POLICIES = {
  adaptive: () => "prefers the lowest expected response time, from recent ones and the requests in flight",
  "least-conn": () => "prefers the fewest requests and tunnels",
  "round-robin": () => "takes the backends in turn",
  adaptive_sma: ({ window }) => `prefers the lowest mean of the last ${window} response times`,
  adaptive_ewma: ({ alpha }) =>
    `prefers the lowest average of the response times, with weight ${alpha} for the newest`,
};

export const REASONS = {
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

/** The order in which reasons are drawn: what is usual is at the bottom. */
const ORDER = Object.keys(REASONS);

/** Reasons in this order, the unknown ones last. */
export function inOrder(reasons, nameOf) {
  const place = (it) => (ORDER.indexOf(nameOf(it)) + ORDER.length + 1) % (ORDER.length + 1);
  return [...reasons].sort((one, other) => place(one) - place(other));
}

/** The colour of a reason. */
export function reasonColour(reason) {
  return reason in REASONS ? reason : "other";
}

/** What is known of the policy. */
export function policy({ description, other_policy: other, estimates, mode }) {
  if (estimates !== null) return `${mode ?? DASH}. The log does not tell why a backend was chosen.`;
  if (other !== null) {
    return `${mode ?? DASH}. Its parameters are not known, because the .meta.json beside the log is of ` +
      `${other}, of which the newest request is not.`;
  }
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

/** Why the dashboard did not give what it was asked for, and what to do. */
export function whatFailed({ status, told }, ifRefused = "Choose another time.") {
  if (status === null) return "The dashboard does not answer. Trying again.";
  if (status === 200) {
    return "What answers is not the dashboard. Trying again; if that does not help, reload the page.";
  }
  const says = told === "" ? "." : `: ${told.replace(/\.$/, "")}.`;
  const advice = status === 400 ? ifRefused
    : status === 421 ? "Or open the page as localhost."
    : "Trying again.";
  return `The dashboard’s answer is ${status}${says} ${advice}`;
}

/** The first letter of a text in upper case. */
export function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
