// Numbers and times in the form that people read. What is unknown is a dash.

export const DASH = "–";

const digits = [0, 1, 2, 3].map(
  (count) =>
    new Intl.NumberFormat("en", { minimumFractionDigits: count, maximumFractionDigits: count }),
);

/** A whole number with thousands separators. */
export function count(number) {
  return number === null || number === undefined ? DASH : digits[0].format(number);
}

/** Milliseconds, with about three significant digits. */
export function millis(ms) {
  if (ms === null || ms === undefined) return DASH;
  if (ms < 1) return digits[3].format(ms);
  if (ms < 10) return digits[2].format(ms);
  return digits[ms < 1000 ? 1 : 0].format(ms);
}

/** A rate: whole, unless it is small. */
export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return DASH;
  if (perSecond > 0 && perSecond < 0.05) return "< 0.1";
  return digits[perSecond > 0 && perSecond < 10 ? 1 : 0].format(perSecond);
}

/** A share between 0 and 1, in percent. Only zero is shown as zero. */
export function percent(share) {
  if (share === null || share === undefined) return DASH;
  if (share > 0 && share < 0.001) return "< 0.1 %";
  return `${digits[share === 0 || share === 1 ? 0 : 1].format(share * 100)} %`;
}

/** A time of day in UTC, to the millisecond if asked for. */
export function time(ms, exact = false) {
  if (ms === null || ms === undefined) return DASH;
  return new Date(ms).toISOString().slice(11, exact ? 23 : 19);
}

/** A time of day, with its date unless that is today's. */
export function since(ms) {
  if (ms === null || ms === undefined) return DASH;
  const iso = new Date(ms).toISOString();
  const today = new Date().toISOString().slice(0, 10);
  return iso.startsWith(today) ? iso.slice(11, 19) : `${iso.slice(0, 10)} ${iso.slice(11, 19)}`;
}

/** Two times; the second with its date only if that is another one. */
export function fromTo(from, to) {
  const isOneDay = since(from).slice(0, -8) === since(to).slice(0, -8);
  return `${since(from)} – ${isOneDay ? time(to) : since(to)}`;
}

/** A number of bytes. */
export function bytes(size) {
  if (size < 1e6) return `${digits[0].format(Math.ceil(size / 1e3))} kB`;
  if (size < 1e9) return `${digits[1].format(size / 1e6)} MB`;
  return `${digits[2].format(size / 1e9)} GB`;
}

/** A time of a chart's axis or of a sentence, in the unit that suits it. */
export function span(ms) {
  if (ms === null || ms === undefined) return DASH;
  if (ms >= 60_000) return `${trimmed(ms / 60_000)} min`;
  return ms >= 1000 ? `${trimmed(ms / 1000)} s` : `${trimmed(ms)} ms`;
}

/** At most three significant digits, and no zeros behind the point. */
function trimmed(number) {
  return String(Number(number.toPrecision(3)));
}

/** A number with its noun: `1 request`, `2 requests`. */
export function many(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}
