// The address of the page tells what it shows, so that a link shows the same to others: a time
// window or a range, and which requests are listed.

/** The windows that end now. */
const WINDOWS = ["1m", "5m", "all"];

/** Those parts of an address that choose requests, as the list of requests knows them. */
const FILTERS = ["errors", "slower", "backend", "status", "fault", "reason"];

/** What the dashboard takes: a time until the year 9999, milliseconds, and a status. */
const LAST_MS = 253_402_300_799_999;
const MOST = { slower: 2 ** 32 - 1, status: 2 ** 16 - 1 };

/**
 * What the page shows: `window`, or `from` and `to` in milliseconds since 1970; `filters`; and
 * `scale`, the axis of latencies. What an address has wrong is left out.
 */
export function read(search = location.search) {
  const fields = new URLSearchParams(search);
  const view = { window: "1m", from: null, to: null, filters: {}, scale: "linear" };
  if (WINDOWS.includes(fields.get("window"))) view.window = fields.get("window");
  const [from, to] = ["from", "to"].map((name) => whole(fields.get(name), LAST_MS));
  if (from !== null && to !== null && from <= to) Object.assign(view, { window: null, from, to });
  for (const name of FILTERS) {
    const value = fields.get(name);
    const isRight = name in MOST ? whole(value, MOST[name]) !== null : value;
    if (isRight) view.filters[name] = value;
  }
  if (fields.get("scale") === "log") view.scale = "log";
  return view;
}

/** A whole number up to `most`, or null. */
function whole(text, most) {
  return /^\d{1,15}$/.test(text ?? "") && Number(text) <= most ? Number(text) : null;
}

/** The part of the query for figures that chooses the time. */
export function timeQuery({ window, from, to }) {
  return window === null ? `from=${from}&to=${to}` : `window=${window}`;
}

/** The query for a list of requests, or null if all of the latest are wanted. */
export function listQuery({ window, from, to, filters }) {
  const fields = Object.entries(filters);
  if (window === null) fields.push(["from", from], ["to", to]);
  return fields.length === 0 ? null : fields.map(field).join("&");
}

function field([name, value]) {
  return `${name}=${encodeURIComponent(value)}`;
}

function addressOf(view) {
  const fields = view.window === "1m" ? [] : [timeQuery(view)];
  fields.push(...Object.entries(view.filters).map(field));
  if (view.scale === "log") fields.push("scale=log");
  return fields.length === 0 ? location.pathname : `?${fields.join("&")}`;
}

/** Writes it into the address. Another time is a new entry in the browser's history. */
export function write(view, isAnotherTime) {
  const address = addressOf(view);
  if (isAnotherTime) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}
