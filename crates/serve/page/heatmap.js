// Effective weights of one run, or of two beside each other, over the epochs of a run.

import { matrix } from "./api.js";
import { choice, format, h, tick } from "./dom.js";
import { colors } from "./palette.js";

const FRAMES = 48;

function color(value, low, high) {
  if (!Number.isFinite(value)) return 255;
  return Math.round(Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * 254);
}

/** One matrix with the names of its axes. */
class Panel {
  constructor(label) {
    this.canvas = h("canvas", { width: 1, height: 1, role: "img", "aria-label": `effective weights ${label}` });
    this.value = h("p", { class: "readout" });
    this.caption = h("figcaption", null, label);
    this.element = h("figure", { class: "heat" }, label ? this.caption : null,
      h("div", { class: "matrix" },
        h("span", { class: "side" }, "entity x alone in the context"), this.canvas,
        h("span", { class: "below" }, "candidate answer y")), this.value);
    this.canvas.addEventListener("pointermove", (event) => this.read(event));
    this.canvas.addEventListener("pointerdown", (event) => this.read(event));
    this.canvas.addEventListener("pointerleave", () => this.value.replaceChildren());
  }

  draw(frame, [low, high]) {
    this.frame = frame;
    const { rows, columns, cells } = frame;
    // Whole pixels a cell, so that no cell is wider than its neighbour.
    const zoom = Math.max(1, Math.floor(360 / Math.max(rows, columns)));
    const image = new ImageData(columns * zoom, rows * zoom);
    for (let y = 0; y < rows * zoom; y += 1) {
      const row = Math.floor(y / zoom) * columns;
      for (let x = 0; x < columns * zoom; x += 1) {
        const at = 3 * color(cells[row + Math.floor(x / zoom)], low, high);
        const to = 4 * (y * columns * zoom + x);
        image.data[to] = colors[at];
        image.data[to + 1] = colors[at + 1];
        image.data[to + 2] = colors[at + 2];
        image.data[to + 3] = 255;
      }
    }
    this.canvas.width = columns * zoom;
    this.canvas.height = rows * zoom;
    this.canvas.getContext("2d").putImageData(image, 0, 0);
    this.element.querySelector(".side").textContent =
      frame.tensor.endsWith(".in_context") ? "entity x with its relation" : "entity x alone in the context";
  }

  read(event) {
    if (!this.frame) return;
    const box = this.canvas.getBoundingClientRect();
    const { rows, columns, cells, size, row_ids, column_ids } = this.frame;
    const column = Math.min(columns - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * columns)));
    const row = Math.min(rows - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * rows)));
    const whole = rows === size[0] && columns === size[1];
    const name = (ids, i) => (whole && ids.length ? `token ${ids[i]}` : `${i + 1}`);
    this.value.textContent =
      `x ${name(row_ids, row)}, y ${name(column_ids, column)}: ${format(cells[row * columns + column])}` +
      (whole ? "" : " (mean of a block)");
  }
}

/** The panels with their slider. `labels` name the runs. */
export class Heatmap {
  constructor(labels) {
    this.panels = labels.map((label) => new Panel(label));
    this.epochs = [];
    this.at = -1;
    this.follow = true;
    this.tensor = null;
    this.frames = new Map();
    this.ranges = new Map();
    this.slider = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "epoch" });
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value), false));
    this.output = h("output");
    this.play = h("button", { type: "button", onclick: () => this.toggle() }, "Play");
    this.box = tick("follow", true, (on) => { this.follow = on; if (on) this.go(this.epochs.length - 1, true); });
    this.bar = h("div", { class: "colorbar" });
    this.names = h("span");
    this.note = h("p", { class: "note" });
    const heats = h("div", { class: "heats" }, this.panels.map((panel) => panel.element));
    this.body = h("div", { class: "heat-body" }, heats, this.bar,
      h("div", { class: "controls" }, this.play, h("label", { class: "slider" }, "epoch", this.slider, this.output), this.box, this.names));
    this.element = h("section", { class: "heatmap", "aria-label": "Effective weights" },
      h("h2", null, "Effective weights"), this.note, this.body);
    this.bar.append(h("span", { class: "least" }), this.ramp(), h("span", { class: "largest" }), h("span", null, "logit"));
    this.body.hidden = true;
    this.note.textContent = "not measured yet, or turned off in the spec (probe.every)";
  }

  ramp() {
    const canvas = h("canvas", { width: 255, height: 1, class: "ramp", "aria-hidden": "true" });
    const image = new ImageData(255, 1);
    for (let i = 0; i < 255; i += 1) {
      image.data.set([...colors.slice(3 * i, 3 * i + 3), 255], 4 * i);
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  }

  /** The runs, and the epochs that all of them have. */
  set(runs, epochs) {
    if (this.runs?.join() !== runs.join()) {
      [this.at, this.follow, this.tensor] = [-1, true, null];
      this.ranges.clear();
    }
    const grown = epochs.length !== this.epochs.length;
    const epoch = this.epochs[this.at];
    this.runs = runs;
    this.epochs = epochs;
    this.body.hidden = epochs.length === 0;
    this.note.hidden = epochs.length > 0;
    if (epochs.length === 0) return;
    this.slider.max = epochs.length - 1;
    if (this.at < 0 || (this.follow && grown)) this.go(epochs.length - 1, true);
    else if (grown) {
      this.at = Math.max(0, epochs.indexOf(epoch));
      this.slider.value = this.at;
    }
  }

  toggle() {
    if (this.timer) { this.rest(); return; }
    if (this.at >= this.epochs.length - 1) this.at = -1;
    this.play.textContent = "Pause";
    this.timer = setInterval(() => {
      if (this.at >= this.epochs.length - 1) this.rest();
      else if (!this.busy) this.go(this.at + 1, true);
    }, 120);
  }

  rest() {
    clearInterval(this.timer);
    this.timer = null;
    this.play.textContent = "Play";
  }

  /** Shows the matrices after the n-th epoch. */
  async go(at, byItself) {
    this.at = at;
    this.slider.value = at;
    this.output.textContent = String(this.epochs[at]);
    this.slider.setAttribute("aria-valuetext", `epoch ${this.epochs[at]}`);
    const last = at === this.epochs.length - 1;
    if (!byItself) {
      this.rest();
      this.follow = last;
    }
    this.box.querySelector("input").checked = this.follow;
    if (this.busy) { this.next = true; return; }
    this.busy = true;
    try {
      const frames = await Promise.all(this.runs.map((run) => this.frame(run, this.epochs[at])));
      this.draw(frames);
      this.note.hidden = true;
    } catch (error) {
      this.note.hidden = false;
      this.note.textContent = error.message;
    }
    this.busy = false;
    if (this.next) { this.next = false; this.go(this.at, true); }
  }

  async frame(run, epoch) {
    const key = `${run} ${epoch} ${this.tensor}`;
    if (!this.frames.has(key)) {
      const frame = await matrix({ run, epoch, tensor: this.tensor });
      this.frames.set(key, frame);
      if (this.frames.size > FRAMES) this.frames.delete(this.frames.keys().next().value);
    }
    return this.frames.get(key);
  }

  draw(frames) {
    const { tensor, tensors } = frames[0];
    if (this.listed !== tensors.join()) {
      this.listed = tensors.join();
      const options = tensors.map((name) => [name, name.replaceAll("_", " ").replace(".in context", ", in context")]);
      this.names.replaceChildren(choice("of", options, tensor, (name) => { this.tensor = name; this.go(this.at, true); }));
    }
    // One scale for all epochs seen, so that a colour keeps its meaning while the slider moves.
    const range = this.ranges.get(tensor) ?? [Infinity, -Infinity];
    for (const frame of frames) {
      range[0] = Math.min(range[0], frame.least ?? Infinity);
      range[1] = Math.max(range[1], frame.largest ?? -Infinity);
    }
    this.ranges.set(tensor, range);
    this.bar.querySelector(".least").textContent = format(range[0]);
    this.bar.querySelector(".largest").textContent = format(range[1]);
    frames.forEach((frame, i) => this.panels[i].draw(frame, range));
  }
}
