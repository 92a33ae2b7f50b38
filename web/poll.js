// Polls the figures. A stream would take a connection per window, and a browser opens only six to one
// host for all of its windows together. A hidden page does not poll.

const EVERY_MS = 1000;

/** The timeout of a request. */
const PATIENCE_MS = 5000;

/** An explanation is shown up to this length. */
const TOLD_CHARS = 300;

/**
 * What a request brought: its JSON, or the `problem`, which is the status, if there was an answer, and
 * what that `told`.
 */
async function ask(target, signal) {
  let status = null;
  try {
    const answer = await fetch(target, { signal });
    if (answer.ok) {
      // What cannot be read after that is no JSON.
      const text = await answer.text();
      ({ status } = answer);
      return JSON.parse(text);
    }
    const isText = answer.headers.get("Content-Type")?.startsWith("text/plain");
    const told = isText ? (await answer.text()).trim().slice(0, TOLD_CHARS) : "";
    return { problem: { status: answer.status, told } };
  } catch {
    return { problem: { status, told: "" } };
  }
}

/**
 * Follows the figures of one time window at a time, and the requests of one filter. `onFigures` gets
 * each new set of both, and `onLink` the problem, or null, each time.
 */
export class Poll {
  #time = "";
  #list = null;
  #asked = new AbortController();
  #next = null;
  #onFigures;
  #onLink;

  constructor({ onFigures, onLink }) {
    this.#onFigures = onFigures;
    this.#onLink = onLink;
    document.addEventListener("visibilitychange", () => this.#begin());
  }

  /** Changes to another query for figures, and for requests, which is null if none is wanted. */
  follow(time, list) {
    this.#time = time;
    this.#list = list;
    this.#begin();
  }

  /** Aborts the request under way and sends another. */
  #begin() {
    this.#asked.abort();
    clearTimeout(this.#next);
    if (!document.hidden) this.#ask();
  }

  async #ask() {
    const asked = new AbortController();
    this.#asked = asked;
    const begun = performance.now();
    const signal = AbortSignal.any([asked.signal, AbortSignal.timeout(PATIENCE_MS)]);
    const list = this.#list;
    const [figures, listed] = await Promise.all([
      ask(`data?${this.#time}`, signal),
      list === null ? null : ask(`requests?${list}`, signal),
    ]);
    if (asked.signal.aborted) return;
    const spent = performance.now() - begun;
    this.#next = setTimeout(() => this.#ask(), Math.max(EVERY_MS - spent, 0));
    this.#onLink(figures.problem ?? null);
    if (!figures.problem) this.#onFigures(figures, listed);
  }
}
