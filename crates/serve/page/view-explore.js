// Swept keys against a measure: a scatter and parallel coordinates.

import { get } from "./api.js";
import { choice, format, h, renew, throttle } from "./dom.js";
import { axisScale, Parallel, Scatter, shade } from "./points.js";

export function explore(context) {
  let params = new URLSearchParams();
  let known = null;
  const controls = h("div", { class: "controls" });
  const note = h("p", { class: "note", role: "status" });
  const ramp = h("div", { class: "colorbar" });
  const open = (run) => context.go("run", [["run", run]]);
  const scatter = new Scatter({ open });
  const parallel = new Parallel({ choose: narrow });
  const hint = h("p", { class: "note" }, "Drag along an axis to keep only the runs in that stretch.");
  const element = h("div", { class: "explore-view" }, controls, note, ramp, scatter.element, parallel.element, hint);

  /** Adds a stretch of an axis to the filter. */
  function narrow(axis, [low, high]) {
    let condition;
    if (axis.labels) {
      const chosen = axis.labels.filter((_, i) => i >= low && i <= high);
      if (chosen.length === 0) return;
      const literal = (text) => (/^(true|false)$/.test(text) ? text : text.includes("'") ? `"${text}"` : `'${text}'`);
      condition = chosen.map((text) => `${axis.name} == ${literal(text)}`).join(" or ");
      if (chosen.length > 1) condition = `(${condition})`;
    } else {
      const number = (x) => String(Number(x.toPrecision(4)));
      condition = `${axis.name} >= ${number(low)} and ${axis.name} <= ${number(high)}`;
    }
    const before = params.get("where");
    context.set({ where: before ? `(${before}) and ${condition}` : condition });
  }

  function label(name) {
    return known.measures.find((m) => m.id === name)?.label ?? name;
  }

  function axes() {
    const main = known.measures.find((m) => m.id === "held_out_nll") ?? known.measures[0];
    const y = params.get("y") ?? main?.id;
    const x = params.get("x") ?? known.keys[0]?.name ?? "seed";
    const tone = params.get("color") ?? known.keys[1]?.name ?? y;
    return { x, y, tone };
  }

  function control() {
    const keys = [...known.keys.map((key) => [key.name, key.name]), ["seed", "seed"]];
    const measures = known.measures.map((m) => [m.id, m.label]);
    const { x, y, tone } = axes();
    const set = (name) => (value) => context.set({ [name]: value });
    renew(controls, [
      choice("Measure", measures, y, set("y")),
      choice("Across", [...keys, ...measures], x, set("x")),
      choice("Colour", [...keys, ...measures], tone, set("color")),
    ]);
  }

  async function load() {
    const mine = ++load.count;
    try {
      const where = params.get("where");
      known = await get("/api/columns", { where });
      if (known.measures.length === 0) {
        note.textContent = "No run has measures yet.";
        return;
      }
      const { x, y, tone } = axes();
      const swept = known.keys.slice(0, 9).map((key) => key.name);
      const [points, lines] = await Promise.all([
        get("/api/points", { where, axis: [x, y, tone] }),
        get("/api/points", { where, axis: [...(swept.length ? swept : ["seed"]), y] }),
      ]);
      if (mine !== load.count) return;
      context.problem(null);
      control();
      scatter.set(points, [x, y, tone].map(label));
      parallel.set(lines, lines.axes.map((axis) => label(axis.name)));
      const drawn = points.runs.length < points.total ? `${points.runs.length.toLocaleString("en")} of ` : "";
      note.textContent = `${drawn}${points.total.toLocaleString("en")} runs`;
      legend(points.axes[2], label(tone));
    } catch (error) {
      if (mine === load.count) context.problem(error);
    }
  }
  load.count = 0;

  /** The colours of the scatter: a ramp, or a sample of each text. */
  function legend(axis, name) {
    const numbers = axis.values.filter((v) => v !== null);
    const few = axis.labels ?? [...new Set(numbers)].sort((a, b) => a - b);
    const items = few.length <= 8 ? few : [Math.min(...numbers), Math.max(...numbers)];
    const unit = axisScale(axis, [0, 1]);
    ramp.replaceChildren(h("span", null, `${name}:`), ...items.map((item, i) => {
      const sample = h("i", { class: "sample", "aria-hidden": "true" });
      sample.style.background = shade(unit(axis.labels ? i : item));
      return h("span", null, sample, format(item));
    }));
  }

  function draw() {
    if (scatter.data) legend(scatter.data.axes[2], scatter.labels[2]);
    scatter.draw();
    parallel.draw();
  }

  function show(next) {
    params = next;
    load();
  }

  return { element, show, draw, update: throttle(load, 2500), close: () => { scatter.stop(); parallel.stop(); } };
}
