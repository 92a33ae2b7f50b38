// What each backend was over time, as a strip: up, failing, ejected, probing, or without requests; and
// what recorded choices tell of it, if there are some.

import { Chart } from "./chart.js";
import { add, find, resize, say, setAttribute, setText } from "./dom.js";
import { count, fromTo, many, span } from "./format.js";

/** Unless all are asked for, those that had no trouble are counted and not drawn. */
const SHOWN = 6;

/** What is no trouble. */
const DULL = new Set(["up", "idle", "backup"]);

const NAMES = {
  up: "up",
  degraded: "some requests fail",
  failing: "failing",
  ejected: "ejected",
  probing: "probing",
  down: "down",
  drained: "drained",
  full: "full",
  backup: "backup",
  quiet: "no requests",
  idle: "no traffic",
};

/** The causes that choices record, in words. */
const RECORDED = {
  refused: ", because it could not be reached",
  failures: ", because it failed several times in a row",
  "check failed": ", because its check failed",
  admin: " by the admin",
  removed: ", because it was removed",
};

/** What it means to be what only choices record. */
const MEANS = {
  down: "",
  drained: "It got no new requests. ",
  full: "It had as many requests as it may have. ",
  backup: "It gets requests only while no other backend takes some. ",
};

/** Why a stretch is told to be what it is, from its counts. */
const CAUSES = {
  up: ({ requests }) =>
    requests > 0 ? `${many(requests, "request")} and no failure.` : "It could be chosen, and others were.",
  degraded: ({ failures, requests }) => `${count(failures)} of ${many(requests, "request")} failed.`,
  failing: ({ requests }) => `All of ${many(requests, "request")} failed.`,
  ejected: ({ others_retries: retries }, before) =>
    before?.failures > 0
      ? `It got no requests after ${many(before.failures, "failure")}.`
      : retries > 0
        ? `It got no requests, and ${many(retries, "request")} had to be sent again elsewhere.`
        : "It got no requests, and its last one before had failed.",
  probing: ({ trials, failures }) =>
    `${many(trials, "request")} to see whether it is back, of which ${count(failures)} failed.`,
  quiet: () =>
    "It got no requests while others did, and nothing failed: not wanted by the policy, down by its " +
    "checks, draining or removed. A log of requests does not tell these apart.",
  idle: () => "No backend got requests.",
};

export class Strips {
  #stage;
  #strips = new Map();
  #isWhole = false;
  #lines = [];
  #switches = [];

  constructor(stage) {
    this.#stage = stage;
    find("strips-more").addEventListener("click", () => {
      this.#isWhole = !this.#isWhole;
      this.show(this.#lines, this.#switches);
      this.#stage.draw();
    });
  }

  /** Shows these backends' states. */
  show(lines, switches) {
    this.#lines = lines;
    this.#switches = switches;
    const isDull = ({ states }) => states.every(({ state }) => DULL.has(state));
    const troubled = lines.filter((backend) => !isDull(backend));
    const isShort = lines.length <= SHOWN || this.#isWhole;
    const shown = isShort ? lines : troubled.slice(0, SHOWN);
    const more = find("strips-more");
    more.hidden = lines.length <= SHOWN;
    setText(more, this.#isWhole ? "Show fewer" : `Show all ${lines.length}`);
    setAttribute(more, "aria-expanded", String(this.#isWhole));
    say("strips-note", note(lines, troubled.length, shown.length));
    this.#forget(lines);
    const list = find("strips");
    const rows = shown.map((backend) => this.#strip(backend));
    if (rows.length !== list.children.length || rows.some((row, at) => row !== list.children[at])) {
      list.replaceChildren(...rows);
    }
    const used = new Set(lines.flatMap(({ states }) => states.map(({ state }) => state)));
    const keys = Object.keys(NAMES).filter((state) => used.has(state));
    const legend = find("strips-legend");
    resize(legend, keys.length, () => add(legend, "span", "state-key"));
    keys.forEach((state, at) => {
      setText(legend.children[at], NAMES[state]);
      setAttribute(legend.children[at], "data-colour", state);
    });
  }

  /** Drops the rows of backends that are gone. */
  #forget(lines) {
    const names = new Set(lines.map(({ name }) => name));
    for (const [name, row] of this.#strips) {
      if (names.has(name)) continue;
      row.chart.end();
      this.#strips.delete(name);
    }
  }

  /** The row of a backend, which is made once. */
  #strip(backend) {
    const known = this.#strips.get(backend.name);
    const row = known ?? this.#make(backend.name);
    row.backend = backend;
    setText(row.firstElementChild, backend.label);
    setAttribute(row.firstElementChild, "title", backend.name);
    setAttribute(row.firstElementChild, "data-colour", backend.colour);
    return row;
  }

  #make(name) {
    const row = document.createElement("div");
    row.className = "strip";
    add(row, "span", "backend");
    const frame = add(row, "div", "chart");
    for (const [key, value] of Object.entries({ role: "slider", tabindex: "0" })) {
      frame.setAttribute(key, value);
    }
    frame.setAttribute("aria-label", `Availability of ${name}`);
    frame.setAttribute("aria-valuemin", "0");
    this.#strips.set(name, row);
    this.#chart(row, frame);
    return row;
  }

  #chart(row, element) {
    const stage = this.#stage;
    const placeOf = (slot) => {
      const { states } = row.backend;
      return states.findIndex(({ to_ms: to }) => stage.time(slot) < to);
    };
    row.chart = new Chart(element, stage, {
      height: 18,
      top: 2,
      bottom: 2,
      hasTimes: false,
      paint(pen, frame) {
        for (const { state, from_ms: from, to_ms: to } of row.backend?.states ?? []) {
          const [x1, x2] = [from, to].map((at) => frame.x(at - stage.step / 2));
          const left = Math.max(x1, frame.left);
          const width = Math.max(Math.min(x2, frame.right) - left, 0);
          const rect = { x: left, y: frame.top, width, height: frame.height };
          pen.put("rect", { class: "state", "data-colour": state, ...rect });
          if (state === "ejected") pen.put("rect", { class: "hatch", ...rect });
        }
      },
      readout: (slot) => {
        const at = Math.max(placeOf(slot), 0);
        return told(row.backend, at);
      },
      // A key moves to the next stretch.
      next(slot, by) {
        const next = row.backend.states[placeOf(slot) + by];
        return next === undefined ? slot : stage.slotOf(Math.max(next.from_ms, stage.start)) ?? slot;
      },
    });
  }
}

function told(backend, at) {
  const stretch = backend.states[at];
  if (stretch === undefined) return { title: backend.label, rows: [], words: backend.label };
  const { state, cause: recorded, from_ms: from, to_ms: to } = stretch;
  const cause = causeOf(stretch, backend.states[at - 1]);
  const title = `${backend.label}: ${NAMES[state]}${RECORDED[recorded] ?? ""}`;
  const when = `${fromTo(from, to)} (${span(to - from)})`;
  const rows = [{ cells: [when], kind: "prose" }, { cells: [cause], kind: "prose" }];
  return { title, rows, words: `${title}, ${when}. ${cause}` };
}

function causeOf(stretch, before) {
  const { state, choices, trials } = stretch;
  // Of one that got requests, rows tell more.
  const isIdle = state === "ejected" || (state === "probing" && trials === 0);
  if (!(state in MEANS) && !(isIdle && choices > 0)) return CAUSES[state](stretch, before);
  const told = choices === 0 ? "An earlier choice" : many(choices, "recorded choice");
  return `${MEANS[state] ?? ""}${told} found it so.`;
}

function note(lines, troubled, shown) {
  if (lines.length === 0) return "";
  if (troubled === 0) return lines.length === 1 ? "It had no trouble" : "None had trouble";
  if (shown === lines.length) return "";
  if (shown < troubled) return `${shown} of ${troubled} that had trouble are shown`;
  const others = lines.length - troubled;
  return `${others} of ${lines.length} had no trouble`;
}
