// Measures over epochs, a curve a setting or a run.

import { get } from "./api.js";
import { choice, format, h, renew, throttle, tick } from "./dom.js";
import { look, Panels, PANELS } from "./chart.js";

/** The label of a curve: the keys in which it differs from the others. */
export function label(group) {
  const keys = Object.entries(group.keys).map(([path, value]) => `${path.split(".").at(-1)} ${format(value)}`);
  const name = keys.length > 0 ? keys.join(" · ") : group.experiment;
  const seeds = group.seeds.length === 1 ? `seed ${group.seeds[0]}` : `${group.seeds.length} seeds`;
  return `${name} · ${seeds}`;
}

export function curves(context) {
  let params = new URLSearchParams();
  let measures = [];
  let answer = null;
  const panels = new Panels();
  const legend = h("ul", { class: "legend" });
  const note = h("p", { class: "note", role: "status" });
  const controls = h("div", { class: "controls" });
  const element = h("div", { class: "curves-view" }, controls, legend, panels.element, note);
  const set = (name) => (value) => context.set({ [name]: value });

  function ids() {
    const show = params.get("show") ?? "loss";
    return PANELS[show]?.[1] ?? [show];
  }

  function control() {
    const others = measures.filter((m) => m.of_epochs).map((m) => [m.id, m.label]);
    const groups = Object.entries(PANELS).map(([id, [name]]) => [id, name]);
    renew(controls, [
      choice("Show", [...groups, ...others], params.get("show") ?? "loss", set("show")),
      choice("A curve is", [["setting", "a setting: mean of its seeds ± 1 s.d."], ["run", "a run"]], params.get("by") ?? "setting", set("by")),
      choice("Over", [["epoch", "epochs"], ["step", "steps"]], params.get("over") ?? "epoch", set("over")),
      choice("At most", [["7", "7 curves"], ["14", "14 curves"]], params.get("most") ?? "7", set("most")),
      tick("logarithmic", params.get("log") === "1", (on) => context.set({ log: on ? "1" : null })),
      params.getAll("run").length > 0
        ? h("button", { type: "button", onclick: () => context.set({ run: null }) }, "All runs of the filter")
        : null,
    ]);
  }

  async function load() {
    const mine = ++load.count;
    try {
      const query = {
        measure: ids(), where: params.get("where"), run: params.getAll("run"), by: params.get("by"),
        most: params.get("most") ?? 7, points: Math.min(1200, Math.max(300, Math.round(element.clientWidth))),
      };
      const [now, columns] = await Promise.all([
        get("/api/curves", query), measures.length ? null : get("/api/columns"),
      ]);
      if (mine !== load.count) return;
      answer = now;
      if (columns?.measures.length) { measures = columns.measures; control(); }
      context.problem(null);
      draw();
    } catch (error) {
      if (mine === load.count) context.problem(error);
    }
  }
  load.count = 0;

  function draw() {
    if (!answer) return;
    const described = ids().map((id) => measures.find((m) => m.id === id) ?? { id, label: id, doc: "" });
    panels.set(described, answer.groups, { steps: params.get("over") === "step", log: params.get("log") === "1" });
    legend.replaceChildren(...answer.groups.map((group, n) => h("li", null,
      h("i", { class: `key ${look(n)}`, "aria-hidden": "true" }),
      h("a", { href: `#run?${new URLSearchParams({ run: `${group.experiment}/${group.hash}/${group.seeds[0]}` })}` }, label(group)),
      group.running > 0 ? h("span", { class: "running", title: `${group.running} running` }, " ▶") : null)));
    const what = (params.get("by") ?? "setting") === "run" ? "runs" : "settings";
    const more = answer.total > answer.groups.length
      ? `${answer.groups.length} of ${answer.total.toLocaleString("en")} ${what} are drawn: filter to choose them. ` : "";
    note.textContent = more + answer.warnings.join("; ");
  }

  function show(next) {
    params = next;
    control();
    load();
  }

  return { element, show, draw, update: throttle(load, 1200) };
}
