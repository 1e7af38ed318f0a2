// One run: its state, log and spec, its curves, its effective weights.

import { get } from "./api.js";
import { badge, choice, duration, format, h, throttle, tick } from "./dom.js";
import { Panels, PANELS } from "./chart.js";
import { Heatmap } from "./heatmap.js";

const ALL = Object.values(PANELS).flatMap(([, ids]) => ids);

/** What a manifest says, as pairs. */
export function facts(run) {
  const m = run.manifest ?? {};
  const machine = m.machine ?? {};
  return [
    ["epoch", `${format(run.epoch)} of ${format(run.epochs)}`],
    ["step", format(run.step)],
    ["started", m.start],
    ["ended", m.end],
    ["trained for", m.wall_seconds ? duration(m.wall_seconds) : null],
    ["a step takes", m.ms_per_step ? `${format(m.ms_per_step)} ms` : null],
    ["seeds", m.seeds ? `data ${m.seeds.data}, initial weights ${m.seeds.init}, order ${m.seeds.order}` : null],
    ["precision", m.precision],
    ["program", m.version ? `${m.version}${m.commit ? ` (${m.commit})` : ""}` : null],
    ["machine", machine.cpu ? `${machine.cpu}, ${machine.cores} cores, ${machine.isa}, ${machine.os}` : null],
    ["extends", m.continued_from],
    ["spec hash", run.hash],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
}

export function run(context) {
  let params = new URLSearchParams();
  let detail = null;
  let measures = null;
  let log = false;
  const title = h("div", { class: "title" });
  const list = h("dl", { class: "facts" });
  const message = h("p", { class: "message" });
  const panels = new Panels();
  const heat = new Heatmap([""]);
  const spec = h("pre", { class: "spec", tabindex: "0", "aria-label": "spec" });
  const manifest = h("pre", { class: "spec", tabindex: "0", "aria-label": "manifest" });
  const element = h("div", { class: "run-view" }, title, message,
    h("section", { class: "about" }, h("h2", null, "Log"), list, h("details", null, h("summary", null, "manifest.json"), manifest)),
    heat.element,
    h("section", { class: "wide" }, h("h2", null, "Over the epochs"),
      h("div", { class: "controls" }, tick("logarithmic", false, (on) => { log = on; load(); })), panels.element),
    h("section", { class: "wide" }, h("h2", null, "Spec"), spec));

  async function load() {
    const mine = ++load.count;
    const name = params.get("run");
    try {
      const [now, answer, columns] = await Promise.all([
        get("/api/run", { run: name }),
        get("/api/curves", { run: name, by: "run", measure: ALL, points: 500 }),
        measures ? null : get("/api/columns"),
      ]);
      if (mine !== load.count) return;
      detail = now;
      if (columns?.measures.length) measures = columns.measures;
      fill();
      const described = ALL.map((id) => measures?.find((m) => m.id === id) ?? { id, label: id, doc: "" });
      panels.set(described, answer.groups, { log });
      heat.set([detail.name], detail.probes);
    } catch (error) {
      if (mine === load.count) title.replaceChildren(h("p", { role: "alert", class: "message" }, error.message));
    }
  }
  load.count = 0;

  function fill() {
    const where = `experiment == '${detail.experiment}' and hash == '${detail.hash}'`;
    title.replaceChildren(
      h("h2", null, `${detail.experiment}, seed ${detail.seed}`), badge(detail.status),
      h("button", { type: "button", onclick: () => context.go("compare", [["a", detail.name]]) }, "Compare with…"),
      h("button", { type: "button", onclick: () => context.go("curves", [["where", where]]) }, "All seeds"),
      h("button", { type: "button", onclick: () => history.back() }, "Back"));
    message.textContent = detail.message ?? "";
    list.replaceChildren(...facts(detail).flatMap(([name, value]) => [h("dt", null, name), h("dd", null, value)]));
    spec.textContent = detail.spec ?? "no spec yet";
    manifest.textContent = detail.manifest ? JSON.stringify(detail.manifest, null, 2) : "no manifest yet";
  }

  function show(next) {
    params = next;
    load();
  }

  return { element, show, update: throttle(load, 1200), close: () => heat.rest() };
}
