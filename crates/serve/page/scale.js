// Scales of axes: linear or logarithmic, or places among labels.

import { format } from "./dom.js";

/** Round values that divide a range into about `count` parts. */
function round(low, high, count) {
  const raw = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) {
    ticks.push(Number((at * step).toPrecision(12)));
  }
  return ticks;
}

function powers(low, high, count) {
  const ticks = [];
  const decades = Math.log10(high / low);
  const within = decades > 2 ? [1] : decades > 1 ? [1, 3] : [1, 2, 3, 5, 7];
  const skip = Math.max(1, Math.ceil((decades * within.length) / Math.max(count, 2)));
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e += 1) {
    if (within.length === 1 && e % skip !== 0) continue;
    for (const m of within) ticks.push(Number(`${m}e${e}`));
  }
  const shown = ticks.filter((t) => t >= low * 0.999 && t <= high * 1.001);
  return shown.length >= 2 ? shown : [low, high];
}

/** A map of `[low, high]` to pixels `from..to`. */
export function scale([low, high], [from, to], { log = false, labels = null, count = 5 } = {}) {
  if (labels) {
    low = -0.5;
    high = labels.length - 0.5;
  } else if (!(high > low)) {
    const pad = Math.abs(low) * 0.1 || 0.5;
    [low, high] = log ? [low / 1.5, high * 1.5] : [low - pad, high + pad];
  }
  const f = log ? Math.log : (x) => x;
  const inverse = log ? Math.exp : (x) => x;
  const [a, b] = [f(low), f(high)];
  const map = (x) => from + ((f(x) - a) / (b - a)) * (to - from);
  map.invert = (p) => inverse(a + ((p - from) / (to - from)) * (b - a));
  map.ticks = labels
    ? labels.map((_, i) => i)
    : log ? powers(low, high, count) : round(low, high, count);
  map.label = labels ? (i) => labels[Math.round(i)] ?? "" : format;
  map.domain = [low, high];
  return map;
}

/** The least and largest finite number of some arrays. */
export function extent(arrays, positive = false) {
  let [low, high] = [Infinity, -Infinity];
  for (const array of arrays) {
    for (const x of array) {
      if (x === null || !Number.isFinite(x) || (positive && x <= 0)) continue;
      if (x < low) low = x;
      if (x > high) high = x;
    }
  }
  return low > high ? null : [low, high];
}

/** Whether values are better drawn on a logarithmic scale: positive, over a decade or more. */
export function spreads(values) {
  const range = extent([values]);
  return range !== null && range[0] > 0 && range[1] / range[0] >= 10;
}
