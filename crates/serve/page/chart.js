// Curves with bands over epochs or steps, in SVG.

import { format, h, onWidth, s } from "./dom.js";
import { extent, scale } from "./scale.js";

const EDGE = { left: 52, right: 12, top: 8, bottom: 34 };

/** A path of points that breaks where one is missing. */
function path(xs, ys, x, y, log) {
  let text = "";
  let pen = "M";
  for (let i = 0; i < xs.length; i += 1) {
    if (ys[i] === null || (log && ys[i] <= 0)) { pen = "M"; continue; }
    text += `${pen}${x(xs[i]).toFixed(1)} ${y(ys[i]).toFixed(1)}`;
    pen = "L";
  }
  return text;
}

function area(xs, low, high, x, y, log) {
  if (log && low.some((v) => v === null || v <= 0)) low = low.map((v, i) => (v > 0 ? v : high[i]));
  const at = (ys) => (i) => `${x(xs[i]).toFixed(1)} ${y(ys[i]).toFixed(1)}`;
  const kept = xs.map((_, i) => i).filter((i) => high[i] !== null && low[i] !== null && (!log || low[i] > 0));
  if (kept.length < 2) return "";
  return `M${kept.map(at(high)).join("L")}L${kept.reverse().map(at(low)).join("L")}Z`;
}

/** The class of the n-th curve: its colour, and from the eighth on a dashed line. */
export function look(n) {
  return `series-${(n % 7) + 1}${n >= 7 ? " dashed" : ""}`;
}

/** A panel of curves: `series` are `{ label, x, mean, low, high }`, drawn in the looks of `n`. */
export class Chart {
  constructor(title, doc) {
    this.plot = h("div", { class: "plot", tabindex: "0", role: "img", "aria-label": title });
    this.readout = h("div", { class: "readout", "aria-live": "polite" });
    this.element = h("figure", { class: "chart" },
      h("figcaption", { title: doc }, title), this.plot, this.readout);
    this.title = title;
    this.series = [];
    this.at = null;
    this.stop = onWidth(this.plot, () => this.draw());
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerdown", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", () => this.read(null));
    this.plot.addEventListener("blur", () => this.read(null));
    this.plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || !this.x) return;
      event.preventDefault();
      const all = this.all();
      const now = this.at === null ? (step > 0 ? -1 : all.length) : this.near(all, this.at);
      this.read(all[Math.min(Math.max(now + step, 0), all.length - 1)] ?? null);
    });
  }

  /** New curves, or another scale. */
  set(series, { xLabel, log }) {
    this.series = series;
    this.xLabel = xLabel;
    this.log = log;
    this.draw();
  }

  all() {
    return [...new Set(this.series.flatMap((one) => one.x))].sort((a, b) => a - b);
  }

  near(sorted, x) {
    let best = 0;
    for (let i = 1; i < sorted.length; i += 1) {
      if (Math.abs(sorted[i] - x) < Math.abs(sorted[best] - x)) best = i;
    }
    return best;
  }

  draw() {
    const width = Math.max(this.plot.clientWidth, 180);
    const height = 220;
    const xs = extent(this.series.map((one) => one.x));
    const ys = extent(this.series.flatMap((one) => [one.mean, one.low, one.high]), this.log);
    if (!xs || !ys) {
      this.x = null;
      this.plot.replaceChildren(h("p", { class: "note" }, "nothing measured yet"));
      return;
    }
    const count = Math.max(2, Math.floor(width / 90));
    const pad = this.log ? 0 : (ys[1] - ys[0]) * 0.04;
    const x = scale(xs, [EDGE.left, width - EDGE.right], { count });
    const y = scale([ys[0] - pad, ys[1] + pad], [height - EDGE.bottom, EDGE.top], { log: this.log });
    this.x = x;
    this.size = [width, height];
    const svg = s("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    for (const t of y.ticks) {
      svg.append(s("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(t), y2: y(t) }),
        s("text", { class: "tick", x: EDGE.left - 6, y: y(t) + 4, "text-anchor": "end" }, y.label(t)));
    }
    for (const t of x.ticks) {
      // One at the edge would be cut off.
      const anchor = x(t) > width - 24 ? "end" : "middle";
      const at = anchor === "end" ? width - 2 : x(t);
      svg.append(s("text", { class: "tick", x: at, y: height - EDGE.bottom + 15, "text-anchor": anchor }, x.label(t)));
    }
    svg.append(
      s("line", { class: "axis", x1: EDGE.left, x2: width - EDGE.right, y1: height - EDGE.bottom, y2: height - EDGE.bottom }),
      s("text", { class: "axis-label", x: (EDGE.left + width - EDGE.right) / 2, y: height - 4, "text-anchor": "middle" }, this.xLabel));
    for (const one of this.series) {
      if (one.low.some((low, i) => low !== one.high[i])) {
        svg.append(s("path", { class: `band ${look(one.n)}`, d: area(one.x, one.low, one.high, x, y, this.log) }));
      }
    }
    for (const one of this.series) {
      const shape = one.x.length === 1
        ? s("circle", { class: `dot ${look(one.n)}`, cx: x(one.x[0]), cy: y(one.mean[0]), r: 3 })
        : s("path", { class: `curve ${look(one.n)}`, d: path(one.x, one.mean, x, y, this.log) });
      svg.append(shape);
    }
    this.cursor = s("line", { class: "cursor", y1: EDGE.top, y2: height - EDGE.bottom, visibility: "hidden" });
    svg.append(this.cursor);
    this.plot.replaceChildren(svg);
    this.read(this.at);
  }

  point(event) {
    if (!this.x) return;
    const left = this.plot.getBoundingClientRect().left;
    const all = this.all();
    this.read(all[this.near(all, this.x.invert(event.clientX - left))] ?? null);
  }

  /** Shows the values at `at`, or none. */
  read(at) {
    this.at = at;
    if (!this.cursor || !this.x) return;
    this.cursor.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at === null) { this.readout.replaceChildren(); return; }
    this.cursor.setAttribute("x1", this.x(at));
    this.cursor.setAttribute("x2", this.x(at));
    const values = this.series.map((one) => {
      const i = one.x.length ? this.near(one.x, at) : -1;
      if (i < 0 || one.mean[i] === null || Math.abs(this.x(one.x[i]) - this.x(at)) > 12) return null;
      const spread = (one.high[i] - one.low[i]) / 2;
      const text = format(one.mean[i]) + (spread > 0 ? ` ± ${format(Number(spread.toPrecision(2)))}` : "");
      return h("span", null, h("i", { class: `key ${look(one.n)}`, "aria-hidden": "true" }), text);
    });
    this.readout.replaceChildren(h("b", null, `${this.xLabel} ${format(at)}`), ...values.filter(Boolean));
  }
}

/** Panels that belong together. */
export const PANELS = {
  loss: ["Loss", ["train_nll", "held_out_nll"]],
  ranks: ["Ranks", ["rank_held_out", "rank_type", "rank_vocabulary"]],
  asymmetry: ["Asymmetry", ["asymmetry", "asymmetry_in_context", "intransitivity"]],
  answers: ["Answers", ["held_out_top1", "top1_among_held_out", "top1_among_type"]],
};

/** A grid of charts, one a measure, made once and updated after that. */
export class Panels {
  constructor() {
    this.element = h("div", { class: "panels" });
    this.charts = new Map();
  }

  /** Draws the answer of the server for these measures. */
  set(measures, groups, { steps = false, log = false, hideEmpty = true }) {
    const shown = [];
    for (const measure of measures) {
      const series = groups.map((group, n) => {
        const curve = group.curves[measure.id] ?? { x: [], mean: [], low: [], high: [] };
        const factor = steps ? group.steps_per_epoch ?? 1 : 1;
        return { ...curve, x: curve.x.map((x) => x * factor), n };
      });
      if (hideEmpty && series.every((one) => one.x.length === 0)) continue;
      let chart = this.charts.get(measure.id);
      if (!chart) {
        chart = new Chart(measure.label, measure.doc);
        this.charts.set(measure.id, chart);
      }
      shown.push([chart, series]);
    }
    // Charts that stay keep the keyboard.
    const elements = shown.map(([chart]) => chart.element);
    const now = [...this.element.children];
    if (now.length !== elements.length || now.some((child, i) => child !== elements[i])) {
      this.element.replaceChildren(...elements);
    }
    for (const [chart, series] of shown) chart.set(series, { xLabel: steps ? "step" : "epoch", log });
    if (shown.length === 0) {
      this.element.replaceChildren(h("p", { class: "note" }, "None of these measures in these runs, or no epoch has ended yet."));
    }
    return shown.length;
  }
}
