// Where does the time go? The parts of a mean request, what waited, and what second attempts won.

import { add, find, resize, say, setAttribute, setText } from "./dom.js";
import { count, many, millis, percent, span } from "./format.js";

/** The parts in their order, with what they are. */
const PARTS = [
  ["queue_ms", "queue", "in the queue, because all backends were full"],
  ["connect_ms", "connect", "connecting to the backend"],
  ["wait_ms", "wait", "waiting for the backend’s first byte"],
  ["rest_ms", "rest", "for the rest: earlier attempts, sending, and the answer’s body"],
];

const LABELS = { queue: "Queue", connect: "Connect", wait: "First byte", rest: "Rest" };

export function showTime(figures) {
  say("time-text", timeText(figures));
  showParts(figures.window.parts);
  const hedges = hedgesText(figures.series.hedges);
  const queue = queueText(figures.series.queue, figures.window.requests);
  say("hedges-text", hedges);
  say("queue-text", queue);
  find("hedges").hidden = figures.series.hedges === null;
  find("queue").hidden = figures.series.queue === null;
  const isQuiet = figures.series.hedges === null && figures.series.queue === null;
  find("no-extras").hidden = !isQuiet || figures.estimates !== null;
}

function timeText({ window, backends }) {
  if (window.mean_ms === null) return "No request of this time has a latency.";
  const said = [];
  const { parts } = window;
  if (parts === null) {
    said.push(`An answered request takes ${millis(window.mean_ms)} ms on average.`);
  } else {
    const all = PARTS.reduce((sum, [part]) => sum + parts[part], 0);
    const [part, , name] = PARTS.reduce((most, it) => (parts[it[0]] > parts[most[0]] ? it : most));
    const share = all === 0 ? 1 : parts[part] / all;
    said.push(`An answered request takes ${millis(all)} ms on average, ${percent(share)} of it ${name}.`);
  }
  const used = backends.filter(({ mean_ms: mean }) => mean !== null);
  const slowest = used.reduce((most, it) => (it.mean_ms > most.mean_ms ? it : most), used[0]);
  if (used.length > 1) {
    said.push(`The slowest backend is ${slowest.label}: ${millis(slowest.mean_ms)} ms on average ` +
      `for ${percent(slowest.share)} of requests.`);
  }
  return said.join(" ");
}

function showParts(parts) {
  find("parts").hidden = parts === null;
  if (parts === null) return;
  const all = PARTS.reduce((sum, [part]) => sum + parts[part], 0);
  const [bar, legend] = [find("parts-bar"), find("parts-legend")];
  resize(bar, PARTS.length, () => document.createElement("span"));
  resize(legend, PARTS.length, () => {
    const item = document.createElement("li");
    add(item, "span", "part-key");
    add(item, "b");
    return item;
  });
  PARTS.forEach(([part, name, says], at) => {
    bar.children[at].style.width = `${all === 0 ? 0 : (parts[part] / all) * 100}%`;
    setAttribute(bar.children[at], "data-colour", name);
    const item = legend.children[at];
    setAttribute(item, "title", `Time ${says}`);
    setText(item.firstElementChild, LABELS[name]);
    setAttribute(item.firstElementChild, "data-colour", name);
    setText(item.lastElementChild, span(parts[part]));
  });
}

const sum = (values) => values.reduce((one, other) => one + other, 0);

function hedgesText(hedges) {
  if (hedges === null) return "";
  const [won, lost] = [sum(hedges.won), sum(hedges.lost)];
  return `${many(won + lost, "request")} got a second attempt; it answered first for ${count(won)} ` +
    `(${percent(won / (won + lost))}).`;
}

function queueText(queue, requests) {
  if (queue === null) return "";
  const waited = sum(queue.requests);
  const total = queue.mean_ms.reduce((all, mean, slot) => all + (mean ?? 0) * queue.requests[slot], 0);
  const longest = Math.max(...queue.max_ms.filter((ms) => ms !== null));
  return `${many(waited, "request")} waited in the queue (${percent(waited / requests)}), ` +
    `${millis(total / waited)} ms on average and ${millis(longest)} ms at most.`;
}
