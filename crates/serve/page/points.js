// Runs as points of a scatter, and as lines over parallel axes.

import { format, h, onWidth } from "./dom.js";
import { colors } from "./palette.js";
import { extent, scale, spreads } from "./scale.js";

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The colour of a value between 0 and 1; the end that the ground hides is left out. */
export function shade(unit) {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark";
  const [from, to] = dark ? [0.15, 1] : [0, 0.86];
  const at = 3 * Math.round((from + (to - from) * Math.min(1, Math.max(0, unit))) * 254);
  return `rgb(${colors[at]} ${colors[at + 1]} ${colors[at + 2]})`;
}

/** The scale of an axis of the server's answer; `true` for `log` only where all values are positive. */
export function axisScale(axis, pixels, log = spreads(axis.values), count = 5) {
  if (axis.labels) return scale([0, 1], pixels, { labels: axis.labels });
  const range = extent([axis.values], log) ?? [0, 1];
  const whole = axis.values.every((v) => v === null || Number.isInteger(v));
  const different = whole ? [...new Set(axis.values.filter((v) => v !== null))].sort((a, b) => a - b) : [];
  const map = scale(range, pixels, { log, count });
  if (different.length > 0 && different.length <= 8) map.ticks = different;
  return map;
}

class Canvas {
  constructor(label) {
    this.canvas = h("canvas", { tabindex: "0", role: "img", "aria-label": label });
    this.readout = h("div", { class: "readout", "aria-live": "polite" });
    this.holder = h("div", { class: "canvas" }, this.canvas);
    this.element = h("figure", { class: "points" }, h("figcaption", null, label), this.holder, this.readout);
    this.stop = onWidth(this.holder, () => this.draw());
  }

  /** Prepares the canvas in CSS pixels and clears it. */
  begin(width, height) {
    const ratio = devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    pen.clearRect(0, 0, width, height);
    pen.font = "12px system-ui, sans-serif";
    return pen;
  }
}

/** Two columns as axes, a third as colour. */
export class Scatter extends Canvas {
  constructor({ open }) {
    super("Scatter");
    this.open = open;
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => this.mark(null));
    this.canvas.addEventListener("click", (event) => { this.hover(event); if (this.at !== null) this.open(this.data.runs[this.at]); });
    this.canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step && this.order?.length) {
        event.preventDefault();
        const now = this.at === null ? -1 : this.order.indexOf(this.at);
        this.mark(this.order[(now + step + this.order.length) % this.order.length]);
      } else if (event.key === "Enter" && this.at !== null) this.open(this.data.runs[this.at]);
    });
    this.at = null;
  }

  set(data, labels) {
    this.data = data;
    this.labels = labels;
    this.at = null;
    this.draw();
  }

  draw() {
    if (!this.data) return;
    const [xs, ys, tones] = this.data.axes;
    const width = Math.max(this.holder.clientWidth, 240);
    const height = Math.min(420, Math.max(280, width * 0.5));
    const pen = this.begin(width, height);
    // Points stand clear of the axes.
    const x = axisScale(xs, [84, width - 30], undefined, Math.floor(width / 90));
    const y = axisScale(ys, [height - 54, 32]);
    const tone = tones && axisScale(tones, [0, 1]);
    pen.fillStyle = css("--soft");
    pen.strokeStyle = css("--grid");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const t of y.ticks) {
      pen.beginPath();
      pen.moveTo(64, y(t));
      pen.lineTo(width - 16, y(t));
      pen.stroke();
      pen.fillText(y.label(t), 58, y(t));
    }
    pen.textAlign = "center";
    pen.textBaseline = "top";
    for (const t of x.ticks) pen.fillText(x.label(t), x(t), height - 38);
    pen.fillStyle = css("--ink");
    pen.fillText(this.labels[0], (64 + width - 16) / 2, height - 18);
    pen.textAlign = "left";
    pen.fillText(this.labels[1], 8, 4);
    // Runs at one value are spread a little, else they hide each other.
    const few = new Set(xs.values).size <= 16;
    this.places = xs.values.map((value, i) => {
      if (value === null || ys.values[i] === null) return null;
      const spread = few ? ((this.data.runs[i] * 0.618034) % 1 - 0.5) * 14 : 0;
      return [x(value) + spread, y(ys.values[i])];
    });
    pen.globalAlpha = 0.75;
    this.places.forEach((place, i) => {
      if (!place || !Number.isFinite(place[0]) || !Number.isFinite(place[1])) return;
      pen.fillStyle = tone ? (tones.values[i] === null ? css("--soft") : shade(tone(tones.values[i]))) : css("--train");
      pen.beginPath();
      pen.arc(place[0], place[1], 3.5, 0, 7);
      pen.fill();
    });
    pen.globalAlpha = 1;
    this.order = this.places.map((_, i) => i).filter((i) => this.places[i]).sort((a, b) => this.places[a][0] - this.places[b][0]);
    if (this.at !== null && this.places[this.at]) {
      pen.strokeStyle = css("--ink");
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(...this.places[this.at], 6, 0, 7);
      pen.stroke();
    }
  }

  hover(event) {
    if (!this.places) return;
    const box = this.canvas.getBoundingClientRect();
    const [px, py] = [event.clientX - box.left, event.clientY - box.top];
    let [best, near] = [null, 16 ** 2];
    this.places.forEach((place, i) => {
      const far = place ? (place[0] - px) ** 2 + (place[1] - py) ** 2 : Infinity;
      if (far < near) [best, near] = [i, far];
    });
    this.mark(best);
  }

  mark(at) {
    if (at === this.at) return;
    this.at = at;
    this.draw();
    if (at === null) { this.readout.replaceChildren(); return; }
    const text = this.data.axes.map((axis, i) => {
      const value = axis.values[at];
      return h("span", null, `${this.labels[i]}: ${axis.labels ? axis.labels[value] ?? "–" : format(value)}`);
    });
    this.readout.replaceChildren(...text);
  }
}

/** Columns as parallel axes, the last one as colour; a stretch of an axis can be chosen. */
export class Parallel extends Canvas {
  constructor({ choose }) {
    super("Parallel coordinates");
    this.choose = choose;
    this.canvas.classList.add("brush");
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.drag(event));
    this.canvas.addEventListener("pointerup", () => this.release());
  }

  set(data, labels) {
    this.data = data;
    this.labels = labels;
    this.draw();
  }

  draw() {
    if (!this.data) return;
    const axes = this.data.axes;
    const room = this.holder.clientWidth;
    const width = Math.max(room, axes.length * 96);
    const height = 320;
    const pen = this.begin(width, height);
    const [top, bottom] = [44, height - 20];
    const at = (i) => (axes.length === 1 ? width / 2 : 60 + (i * (width - 130)) / (axes.length - 1));
    const scales = axes.map((axis) => axisScale(axis, [bottom, top]));
    this.scales = scales;
    this.at = at;
    const last = axes.at(-1);
    const tone = axisScale(last, [0, 1]);
    pen.globalAlpha = Math.max(0.08, Math.min(0.7, 60 / this.data.runs.length));
    pen.lineWidth = 1.25;
    this.data.runs.forEach((_, run) => {
      const value = last.values[run];
      pen.strokeStyle = value === null ? css("--soft") : shade(tone(value));
      pen.beginPath();
      let open = false;
      axes.forEach((axis, i) => {
        const y = axis.values[run] === null ? NaN : scales[i](axis.values[run]);
        if (!Number.isFinite(y)) { open = false; return; }
        if (open) pen.lineTo(at(i), y); else pen.moveTo(at(i), y);
        open = true;
      });
      pen.stroke();
    });
    pen.globalAlpha = 1;
    axes.forEach((axis, i) => {
      pen.strokeStyle = css("--soft");
      pen.lineWidth = 1;
      pen.beginPath();
      pen.moveTo(at(i), top);
      pen.lineTo(at(i), bottom);
      pen.stroke();
      pen.textBaseline = "alphabetic";
      pen.textAlign = i === 0 ? "left" : i === axes.length - 1 ? "right" : "center";
      pen.fillStyle = css("--ink");
      const x = i === 0 ? at(i) - 52 : i === axes.length - 1 ? at(i) + 62 : at(i);
      const name = this.labels[i];
      // Every other name stands higher, so that long ones have room.
      pen.fillText(name.length > 26 ? `${name.slice(0, 25)}…` : name, x, i % 2 ? 30 : 14);
      pen.textAlign = "left";
      pen.textBaseline = "middle";
      for (const t of scales[i].ticks) {
        const text = scales[i].label(t);
        const y = scales[i](t);
        const wide = pen.measureText(text).width;
        pen.globalAlpha = 0.8;
        pen.fillStyle = css("--paper");
        pen.fillRect(at(i) + 3, y - 7, wide + 4, 14);
        pen.globalAlpha = 1;
        pen.fillStyle = css("--soft");
        pen.fillText(text, at(i) + 5, y);
      }
    });
    if (this.brush) {
      const { axis, from, to } = this.brush;
      pen.fillStyle = css("--train");
      pen.globalAlpha = 0.35;
      pen.fillRect(at(axis) - 7, Math.min(from, to), 14, Math.abs(to - from));
      pen.globalAlpha = 1;
    }
  }

  press(event) {
    if (!this.data) return;
    const box = this.canvas.getBoundingClientRect();
    const x = event.clientX - box.left;
    const axis = this.data.axes.findIndex((_, i) => Math.abs(this.at(i) - x) < 16);
    if (axis < 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    const y = event.clientY - box.top;
    this.brush = { axis, from: y, to: y };
  }

  drag(event) {
    if (!this.brush) return;
    this.brush.to = event.clientY - this.canvas.getBoundingClientRect().top;
    this.draw();
  }

  release() {
    const brush = this.brush;
    if (!brush) return;
    this.brush = null;
    this.draw();
    if (Math.abs(brush.to - brush.from) < 4) return;
    const axis = this.data.axes[brush.axis];
    const ends = [brush.from, brush.to].map((p) => this.scales[brush.axis].invert(p)).sort((a, b) => a - b);
    this.choose(axis, ends);
  }
}
