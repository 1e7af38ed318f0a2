// Pictures on canvases: curves and matrices, in the colours of the style sheet.

const COLOURS = ["#00224e", "#2a3f6d", "#575d6d", "#7d7c78", "#a69d75", "#d3c164", "#fee838"];

function ink(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** The context of a canvas as large as it is shown, in CSS pixels, with its width and height. */
function surface(canvas) {
  const { width, height } = canvas.getBoundingClientRect();
  const scale = devicePixelRatio || 1;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  const size = parseFloat(getComputedStyle(canvas).fontSize);
  context.font = `${size}px ${getComputedStyle(canvas).fontFamily}`;
  return { context, width, height, size };
}

/** A round number of about a quarter of a range. */
function stride(range) {
  const rough = range / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].find((step) => step * power >= rough) * power;
}

/** The curves of both directions over epochs; `guess` is the NLL of a blind guess. */
function drawCurve(canvas, curve, epochs, guess) {
  const { context, width, height, size } = surface(canvas);
  const left = 2.6 * size;
  const [top, bottom] = [1.9 * size, height - 2.9 * size];
  const right = width - size;
  const most = 1.08 * Math.max(guess, ...curve.map(({ taught, reversed }) => Math.max(taught, reversed)));
  const x = (epoch) => left + ((right - left) * epoch) / epochs;
  const y = (nll) => bottom - ((bottom - top) * nll) / most;
  const line = (points, colour, dashes, thick) => {
    context.beginPath();
    points.forEach(([a, b]) => context.lineTo(a, b));
    Object.assign(context, { strokeStyle: ink(colour), lineWidth: thick, lineJoin: "round" });
    context.setLineDash(dashes);
    context.stroke();
    context.setLineDash([]);
  };
  context.fillStyle = ink("soft");
  context.textAlign = "right";
  for (let at = 0; at <= most; at += stride(most)) {
    line([[left, y(at)], [right, y(at)]], "grid", [], 1);
    context.fillText(String(Number(at.toFixed(2))), left - 0.4 * size, y(at) + 0.35 * size);
  }
  context.textAlign = "center";
  for (let at = 0; at <= epochs; at += epochs / 4) {
    context.textAlign = at === epochs ? "right" : "center";
    context.fillText(String(at), x(at), bottom + 1.2 * size);
  }
  context.textAlign = "center";
  context.fillText("epoch: once through all sentences", (left + right) / 2, height - 0.5 * size);
  context.textAlign = "left";
  context.fillText("NLL: surprise at the right answer, in nats", 0, size);
  line([[left, y(guess)], [right, y(guess)]], "soft", [2, 4], 1.5);
  const path = (of) => curve.map((point) => [x(point.epoch), y(point[of])]);
  line(path("reversed"), "reversed", [9, 5], 3.5);
  line(path("taught"), "taught", [], 3.5);
  // Labels lie to the left of the last points, clear of the last quarter of their lines.
  const last = curve[curve.length - 1];
  const label = (text, colour, height) => {
    Object.assign(context, { fillStyle: ink(colour), strokeStyle: ink("paper"), lineWidth: 5, textAlign: "right" });
    const at = [text, Math.max(x(last.epoch), left + context.measureText(text).width),
      Math.min(bottom - 0.3 * size, Math.max(top + size, height))];
    context.strokeText(...at);
    context.fillText(...at);
  };
  const near = curve.filter(({ epoch }) => epoch > last.epoch - epochs / 4).map(({ reversed }) => reversed);
  label("blind guess", "soft", y(guess) - 0.4 * size);
  if (last.epoch === 0) return;
  const high = last.reversed > guess;
  label("turned round", "reversed", high ? y(Math.min(...near)) + 1.3 * size : y(Math.max(...near)) - 0.6 * size);
  if (high || last.reversed > 0.3 * guess) label("as taught", "taught", y(last.taught) - 0.7 * size);
}

/**
 * Weights of a frame above their rivals': each less the mean of its row over the names of the same
 * kind, children or mothers, on the same side.
 */
function aboveRivals({ weights }, names) {
  const n = names.oneWay.length;
  // The second names of pairs whose first is a child are mothers.
  const kind = (at) => Number(names.oneWay[at % n].asksMother) + 2 * Number(at >= n);
  const kinds = Array.from({ length: 2 * n }, (_, at) => kind(at));
  const values = Float32Array.from(weights);
  for (let row = 0; row < 2 * n; row += 1) {
    const sums = new Map();
    kinds.forEach((of, column) => {
      const [sum, count] = sums.get(of) ?? [0, 0];
      sums.set(of, [sum + weights[row * 2 * n + column], count + 1]);
    });
    kinds.forEach((of, column) => {
      const [sum, count] = sums.get(of);
      // The mean of the rivals alone: without the weight itself.
      const own = weights[row * 2 * n + column];
      values[row * 2 * n + column] = count > 1 ? own - (sum - own) / (count - 1) : 0;
    });
  }
  return values;
}

/** The largest weight above rivals between first and second names in a run. */
function largest({ frames, model: { names } }) {
  const n = names.oneWay.length;
  const { weights } = frames[frames.length - 1];
  const values = aboveRivals({ weights }, names);
  return values.reduce((most, value, at) => (
    ((at % (2 * n)) < n) === (at < 2 * n * n) ? most : Math.max(most, value)), 1);
}

function shade(part) {
  const at = Math.min(0.999, Math.max(0, part)) * (COLOURS.length - 1);
  const [low, high] = [COLOURS[Math.floor(at)], COLOURS[Math.floor(at) + 1]];
  const channel = (colour, i) => parseInt(colour.slice(1 + 2 * i, 3 + 2 * i), 16);
  return [0, 1, 2].map((i) => channel(low, i) + (at % 1) * (channel(high, i) - channel(low, i)));
}

/** A matrix with its two marked quarters, and a bar of colours; it is drawn again for each frame. */
class Matrix {
  constructor(box) {
    this.canvas = h("canvas", { role: "img" });
    this.bar = h("p", { class: "bar note" }, h("canvas", { width: 64, height: 1, "aria-hidden": "true" }), h("span"));
    box.replaceChildren(
      h("span", { class: "up" }, "name read"), this.canvas,
      h("span", { class: "along" }, "name answered"), this.bar,
      h("p", { class: "key" }, h("span", { class: "taught" }, "first → second: as taught"),
        h("span", { class: "reversed" }, "second → first: turned round")),
    );
    const strip = this.bar.querySelector("canvas").getContext("2d");
    for (let i = 0; i < 64; i += 1) {
      strip.fillStyle = `rgb(${shade(i / 63).map(Math.round).join()})`;
      strip.fillRect(i, 0, 1, 1);
    }
  }

  draw(frame, names, most) {
    const n = names.oneWay.length;
    const image = new ImageData(2 * n, 2 * n);
    aboveRivals(frame, names).forEach((value, at) => {
      image.data.set([...shade(value / most), 255], 4 * at);
    });
    const small = h("canvas", { width: 2 * n, height: 2 * n });
    small.getContext("2d").putImageData(image, 0, 0);
    const { context, width, size } = surface(this.canvas);
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, width, width);
    const frameOf = (x, y, colour, dashes) => {
      Object.assign(context, { strokeStyle: ink(colour), lineWidth: 5 });
      context.setLineDash(dashes);
      context.strokeRect(x + 2.5, y + 2.5, width / 2 - 5, width / 2 - 5);
      context.setLineDash([]);
    };
    frameOf(width / 2, 0, "on-dark-taught", []);
    frameOf(0, width / 2, "on-dark-reversed", [12, 7]);
    if (n <= 6) {
      Object.assign(context, { fillStyle: "#fff", textAlign: "left" });
      const cell = width / (2 * n);
      for (let at = 0; at < 2 * n; at += 1) {
        const { source, answer } = names.oneWay[at % n];
        const name = names.name(at < n ? source : answer);
        context.fillText(name, 9, (at + 0.5) * cell + 0.35 * size);
      }
    }
    this.canvas.setAttribute("aria-label", `Effective weights between ${2 * n} names after epoch ${frame.epoch}. ${weightsWords(frame)}`);
    this.bar.querySelector("span").textContent = `0 to ${most.toFixed(0)} above rival names`;
  }
}
