// Shapes in a chart's frame, each as one path, whatever the number of its values.

/** Slots without a value that are no gap. */
const BRIDGED = 3;

/** The radius of markers, in pixels. */
const DOT_MIN = 1.2;
const DOT_MAX = 5;

const near = (number) => Math.round(number * 10) / 10;

/** The middle of a slot. Charts mark a slot at its begin, as the axis does. */
const at = (stage, frame, slot) => near(frame.x(stage.time(slot)));

/** A line through the values that there are. It goes on over so many slots without one. */
export function line(values, stage, frame, bridged = BRIDGED) {
  let path = "";
  let last = -Infinity;
  values.forEach((value, slot) => {
    if (value === null) return;
    const place = `${at(stage, frame, slot)},${near(frame.y(value))}`;
    // A line begins with a dot, which is all of it if no other value is near.
    path += slot - last > bridged ? `M${place}h.1` : `L${place}`;
    last = slot;
  });
  return path;
}

/** A circle for each value, with an area that grows with its count; `most` is the highest count. */
export function dots(values, counts, most, stage, frame) {
  const widest = Math.max(Math.min(DOT_MAX, frame.slot * 0.75), DOT_MIN);
  let path = "";
  values.forEach((value, slot) => {
    if (value === null || value > frame.axis.top) return;
    const radius = near(Math.max(widest * Math.sqrt(counts[slot] / most), DOT_MIN));
    const [x, y] = [at(stage, frame, slot), near(frame.y(value))];
    path += `M${near(x - radius)},${y}a${radius},${radius} 0 1,0 ${2 * radius},0`;
    path += `a${radius},${radius} 0 1,0 ${-2 * radius},0`;
  });
  return path;
}

/** A triangle at the top of the frame for each value that lies above it. */
export function above(values, stage, frame) {
  let path = "";
  values.forEach((value, slot) => {
    if (value === null || value <= frame.axis.top) return;
    path += `M${near(at(stage, frame, slot) - 4)},${frame.top + 3}l4,-7l4,7z`;
  });
  return path;
}

/** Bars from one height to another, as wide as their slots; those that touch are one. */
export function bars(bottoms, tops, stage, frame) {
  let path = "";
  tops.forEach((top, slot) => {
    if (top <= bottoms[slot]) return;
    // Neighbours share an edge, so that no gap is seen between them.
    const edge = (slots) => Math.round(frame.x(stage.time(slots) - stage.step / 2));
    const [x1, x2] = [edge(slot), edge(slot + 1)];
    const [y1, y2] = [near(frame.y(bottoms[slot])), near(frame.y(top))];
    path += `M${x1},${y1}V${y2}H${x2}V${y1}z`;
  });
  return path;
}
