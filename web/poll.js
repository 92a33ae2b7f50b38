// Polls the figures. A stream would take a connection per window, and a browser opens only six to one
// host for all of its windows together. A hidden page does not poll.

const EVERY_MS = 1000;

/** The timeout of a request. */
const PATIENCE_MS = 5000;

/**
 * Follows the figures of one time window at a time, and the requests of one filter. `onFigures` gets
 * each new set of both, and `onLink` whether the dashboard can be reached.
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
    const json = async (target) => {
      const answer = await fetch(target, { signal });
      return answer.ok ? answer.json() : null;
    };
    let [figures, listed] = [null, null];
    try {
      const list = this.#list;
      [figures, listed] = await Promise.all([
        json(`data?${this.#time}`),
        list === null ? null : json(`requests?${list}`),
      ]);
    } catch {
      // Reported below, unless the request was aborted.
    }
    if (asked.signal.aborted) return;
    const spent = performance.now() - begun;
    this.#next = setTimeout(() => this.#ask(), Math.max(EVERY_MS - spent, 0));
    this.#onLink(figures !== null);
    if (figures !== null) this.#onFigures(figures, listed);
  }
}
