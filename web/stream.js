// Keeps the figures coming: as a stream of events, or by asking again and again where no stream is
// to be had. A page that nobody looks at gets nothing.

const POLL_MS = 1000;
const STREAM_AGAIN_MS = 30_000;
const SILENCE_MS = 5000;

/**
 * Follows the figures of one window at a time. `onFigures` gets each new set of figures, and
 * `onLink` whether the dashboard can be reached.
 */
export class Stream {
  #window = "1m";
  #events = null;
  #poll = null;
  #heardAt = 0;
  #onFigures;
  #onLink;

  constructor({ onFigures, onLink }) {
    this.#onFigures = onFigures;
    this.#onLink = onLink;
    document.addEventListener("visibilitychange", () => this.#open());
    setInterval(() => this.#checkSilence(), 1000);
  }

  /** Goes over to another window. */
  follow(window) {
    this.#window = window;
    this.#open();
  }

  #open() {
    this.#close();
    if (document.hidden) return;
    this.#heardAt = Date.now();
    const events = new EventSource(`/events?window=${this.#window}`);
    this.#events = events;
    events.onmessage = (event) => this.#take(JSON.parse(event.data));
    events.onerror = () => {
      // The browser connects again by itself, except where the dashboard refused.
      if (events.readyState === EventSource.CLOSED) this.#pollInstead();
      else this.#onLink(false);
    };
  }

  #close() {
    this.#events?.close();
    this.#events = null;
    clearTimeout(this.#poll);
    this.#poll = null;
  }

  #pollInstead() {
    this.#close();
    const begun = Date.now();
    const ask = async () => {
      const asked = this.#poll;
      try {
        const answer = await fetch(`/data?window=${this.#window}`);
        if (!answer.ok) throw new Error(`status ${answer.status}`);
        const figures = await answer.json();
        if (this.#poll === asked) this.#take(figures);
      } catch {
        if (this.#poll === asked) this.#onLink(false);
      }
      // Whoever closed this meanwhile has begun something else.
      if (this.#poll !== asked) return;
      if (Date.now() - begun > STREAM_AGAIN_MS) this.#open();
      else this.#poll = setTimeout(ask, POLL_MS);
    };
    this.#poll = setTimeout(ask, 0);
  }

  #take(figures) {
    this.#heardAt = Date.now();
    // What was still under way when the window was changed is of no use.
    if (figures.window.name !== this.#window) return;
    this.#onLink(true);
    this.#onFigures(figures);
  }

  #checkSilence() {
    const listening = this.#events !== null || this.#poll !== null;
    if (listening && Date.now() - this.#heardAt > SILENCE_MS) this.#onLink(false);
  }
}
