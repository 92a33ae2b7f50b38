// The bar that tells whether the figures are alive, and what they are of.

import { find, say, setAttribute } from "./dom.js";
import { bytes, count, many, since } from "./format.js";
import { sentence } from "./words.js";

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

/** Shows the state of the source; figures are null before there are any. */
export function showStatus(figures, isReachable, isPaused) {
  const own = figures?.source.state ?? "connecting";
  const state = !isReachable ? "lost" : isPaused ? "paused" : own;
  const bar = find("status");
  if (bar.dataset.state !== state) {
    bar.dataset.state = state;
    // For screen readers: changes of the state, not each second that passes.
    say("announcer", `${WORDS[state]}. ${state === "lost" ? "" : (figures?.source.message ?? "")}`);
  }
  say("state", WORDS[state]);
  say("message", message(state, figures));
  if (figures === null) return;
  const { source, since: all, outlier_rows, broken_rows, last_broken_row } = figures;
  const facts = [];
  if (all.requests > 0) facts.push(`${many(all.requests, "row")} since ${since(all.from_ms)}`);
  if (source.skipped_bytes > 0) facts.push(`${bytes(source.skipped_bytes)} before it left out`);
  if (outlier_rows > 0) facts.push(`${count(outlier_rows)} more than a day off, not shown`);
  if (broken_rows > 0) facts.push(`${count(broken_rows)} broken`);
  say("facts", facts.join(" · "));
  const title = last_broken_row ? `The last broken row: ${last_broken_row}` : null;
  setAttribute(find("facts"), "title", title);
}

function message(state, figures) {
  if (state === "lost") return "The dashboard does not answer. Trying again.";
  if (figures === null) return "";
  const { source } = figures;
  if (state === "paused") return "The figures do not change until you resume.";
  const note = BEGINNINGS[source.beginning] ?? "";
  const isQuiet = state === "silent" || state === "idle" || state === "ended";
  const where = isQuiet && source.path ? ` · ${source.path}` : "";
  return `${sentence(source.message)}${where}${note}`;
}
