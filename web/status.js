// The bar that tells whether the figures are alive, and what they are of.

import { find, say, setAttribute } from "./dom.js";
import { bytes, count, many, since } from "./format.js";
import { sentence, whatFailed } from "./words.js";

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
  refused: "No figures",
  paused: "Paused",
  connecting: "Connecting",
};

const BEGINNINGS = {
  cut: " (cut and read anew)",
  replaced: " (replaced and read anew)",
  newer: " (a newer run)",
};

/** Shows the state of the source; figures are null before there are any, and so is a `problem`. */
export function showStatus(figures, problem, isPaused) {
  const own = figures?.source.state ?? "connecting";
  const failed = problem?.status === null ? "lost" : "refused";
  const state = problem !== null ? failed : isPaused ? "paused" : own;
  const text = problem !== null ? whatFailed(problem) : message(state, figures);
  const bar = find("status");
  if (bar.dataset.state !== state) {
    bar.dataset.state = state;
    // For screen readers: changes of the state, not each second that passes.
    say("announcer", `${WORDS[state]}. ${text}`);
  }
  say("state", WORDS[state]);
  say("message", text);
  if (figures === null) return;
  const { source, since: all, outlier_rows, broken_rows, last_broken_row } = figures;
  const facts = [];
  if (all.requests > 0) facts.push(`${many(all.requests, "row")} since ${since(all.from_ms)} UTC`);
  if (source.skipped_bytes > 0) facts.push(`${bytes(source.skipped_bytes)} before it left out`);
  if (outlier_rows > 0) facts.push(`${count(outlier_rows)} more than a day off, not shown`);
  if (broken_rows > 0) facts.push(`${count(broken_rows)} broken`);
  say("facts", facts.join(" · "));
  const title = last_broken_row ? `The last broken row: ${last_broken_row}` : null;
  setAttribute(find("facts"), "title", title);
}

function message(state, figures) {
  if (figures === null) return "";
  const { source } = figures;
  if (state === "paused") return "The figures do not change until you resume.";
  const note = BEGINNINGS[source.beginning] ?? "";
  const isQuiet = state === "silent" || state === "idle" || state === "ended";
  const where = isQuiet && source.path ? ` · ${source.path}` : "";
  return `${sentence(source.message)}${where}${note}`;
}
