// Axes: which marks they have, and where a value lies on them.

/** Marks of a time axis are so many seconds apart. */
const STEPS_S = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400,
  172_800, 604_800, 2_592_000,
];

const DAY_MS = 86_400_000;

/** From this many times the usual highest value on, a value is an outlier. */
const OUTLIER = 3;

/** Values above this share of all of them don't count as usual. */
const USUAL = 0.95;

/** The marks of a time axis, about `count` of them: times and their texts. */
export function timeMarks(from, to, count) {
  const wanted = (to - from) / 1000 / Math.max(count, 1);
  const step = (STEPS_S.find((seconds) => seconds >= wanted) ?? STEPS_S.at(-1)) * 1000;
  const marks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    marks.push({ at, text: timeText(at, step, to - from) });
  }
  return marks;
}

function timeText(at, step, length) {
  const iso = new Date(at).toISOString();
  const time = iso.slice(11, step < 60_000 ? 19 : 16);
  if (length < DAY_MS) return time;
  return step < DAY_MS ? `${iso.slice(5, 10)} ${time}` : iso.slice(0, 10);
}

/**
 * The axis of a chart's values, from 0 to about the highest. Few values that are far above all others
 * don't stretch it: they are drawn at its top and named there. A low chart has space for fewer `steps`.
 */
export function linearAxis(values, steps = 5) {
  const sorted = values.filter((value) => value !== null).sort((one, other) => one - other);
  const highest = sorted.at(-1) ?? 0;
  const usual = sorted[Math.floor((sorted.length - 1) * USUAL)] ?? 0;
  const isStretched = usual > 0 && highest > usual * OUTLIER;
  return upTo(isStretched ? usual * 1.5 : highest, steps);
}

/** The same up to the highest value, however far above the others that is. */
export function wholeAxis(values, steps) {
  return upTo(Math.max(...values, 0), steps);
}

function upTo(highest, steps) {
  const { step, top } = rounded(highest, steps);
  const marks = [];
  for (let at = 0; at <= top + step / 2; at += step) marks.push(Number(at.toPrecision(12)));
  return { top, marks, share: (value) => Math.max(value, 0) / top };
}

/** At most so many steps of 1, 2 or 5 times a power of ten. */
function rounded(highest, steps) {
  const least = Math.max(highest, 1e-3) / steps;
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((times) => times * power).find((it) => it >= least * 0.999);
  return { step, top: Math.max(Math.ceil((highest / step) * 0.999), 1) * step };
}

/** An axis on which each power of ten has the same height. */
export function logAxis(values) {
  const positive = values.filter((value) => value !== null && value > 0);
  const least = positive.reduce((one, other) => Math.min(one, other), Infinity);
  const most = positive.reduce((one, other) => Math.max(one, other), 0);
  const bottom = 10 ** Math.floor(Math.log10(positive.length > 0 ? least : 1));
  const top = Math.max(10 ** Math.ceil(Math.log10(Math.max(most, 1e-3))), bottom * 10);
  const decades = Math.round(Math.log10(top / bottom));
  const marks = [];
  for (let power = 0; power <= decades; power += 1) {
    const at = bottom * 10 ** power;
    marks.push(at);
    if (decades <= 2 && power < decades) marks.push(at * 2, at * 5);
  }
  const share = (value) => {
    return Math.log10(Math.max(value, bottom) / bottom) / Math.log10(top / bottom);
  };
  return { top, marks: marks.map((at) => Number(at.toPrecision(12))), share };
}
