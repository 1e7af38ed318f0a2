// Two runs beside each other, their differences marked.

import { get } from "./api.js";
import { badge, h, throttle, tick } from "./dom.js";
import { look, Panels, PANELS } from "./chart.js";
import { Heatmap } from "./heatmap.js";
import { facts } from "./view-run.js";

const ALL = Object.values(PANELS).flatMap(([, ids]) => ids);

export function compare(context) {
  let params = new URLSearchParams();
  let measures = null;
  let pair = null;
  const fields = ["a", "b"].map((side) => h("input", {
    type: "text", "aria-label": `run ${side.toUpperCase()}`, list: "some-runs", spellcheck: "false", autocomplete: "off",
    placeholder: "experiment/hash/seed",
  }));
  const some = h("datalist", { id: "some-runs" });
  const form = h("form", { class: "pair" }, ["A", "B"].map((name, i) => h("label", null, name, fields[i])),
    h("button", { type: "submit" }, "Compare"),
    h("button", { type: "button", onclick: () => context.set({ a: params.get("b"), b: params.get("a") }) }, "Swap"), some);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    context.set({ a: fields[0].value.trim(), b: fields[1].value.trim() });
  });
  const note = h("p", { class: "message", role: "alert" });
  const only = tick("only differences", true, () => tables());
  const spec = h("div", { class: "scroll" });
  const panels = new Panels();
  const legend = h("ul", { class: "legend" });
  const heat = new Heatmap(["A", "B"]);
  const body = h("div", null,
    h("section", null, h("h2", null, "Spec and log"), h("div", { class: "controls" }, only), spec),
    h("section", null, h("h2", null, "Over the epochs"), legend, panels.element), heat.element);
  const element = h("div", { class: "compare-view" }, form, note, body);
  body.hidden = true;

  async function offer() {
    try {
      const answer = await get("/api/runs", { columns: "experiment,hash,seed", count: 200 });
      some.replaceChildren(...answer.rows.map((row) => h("option", { value: row.cells.join("/") })));
    } catch { /* the field takes any name */ }
  }

  async function load() {
    const mine = ++load.count;
    const names = [params.get("a"), params.get("b")];
    if (!names[0] || !names[1]) {
      body.hidden = true;
      note.textContent = "Name two runs, or select two in the list of runs (Space).";
      return;
    }
    try {
      const [a, b, answer, columns] = await Promise.all([
        ...names.map((run) => get("/api/run", { run })),
        get("/api/curves", { run: names, by: "run", measure: ALL, points: 500 }),
        measures ? null : get("/api/columns"),
      ]);
      if (mine !== load.count) return;
      if (columns?.measures.length) measures = columns.measures;
      pair = [a, b];
      note.textContent = "";
      body.hidden = false;
      tables();
      const described = ALL.map((id) => measures?.find((m) => m.id === id) ?? { id, label: id, doc: "" });
      panels.set(described, answer.groups, {});
      legend.replaceChildren(...["A", "B"].map((name, n) => h("li", null, h("i", { class: `key ${look(n)}`, "aria-hidden": "true" }), name)));
      const both = a.probes.filter((epoch) => b.probes.includes(epoch));
      heat.set([a.name, b.name], both);
    } catch (error) {
      if (mine === load.count) { body.hidden = true; note.textContent = error.message; }
    }
  }
  load.count = 0;

  /** The keys of both specs and the facts of both runs; a row that differs is marked. */
  function tables() {
    if (!pair) return;
    const hide = only.querySelector("input").checked;
    const specs = pair.map((run) => new Map(run.lines.map(([path, value]) => [path, value])));
    const paths = [...new Set(specs.flatMap((one) => [...one.keys()]))];
    const logs = pair.map((run) => new Map(facts(run)));
    const names = [...new Set(logs.flatMap((one) => [...one.keys()]))];
    const row = (name, values, code) => {
      const differs = values[0] !== values[1];
      if (hide && !differs) return null;
      const cell = (value) => h("td", null, value === undefined ? "–" : code ? h("code", null, value) : value);
      return h("tr", { class: differs ? "differs" : "" },
        h("th", { scope: "row" }, differs ? h("span", { class: "mark", title: "differs" }, "≠ ") : null, name), ...values.map(cell));
    };
    const keys = paths.map((path) => row(path, specs.map((one) => one.get(path)), true)).filter(Boolean);
    const log = names.map((name) => row(name, logs.map((one) => one.get(name)), false)).filter(Boolean);
    const status = h("tr", { class: pair[0].status === pair[1].status ? "" : "differs" }, h("th", { scope: "row" },
        pair[0].status === pair[1].status ? null : h("span", { class: "mark", title: "differs" }, "≠ "), "state"),
      ...pair.map((run) => h("td", null, badge(run.status))));
    const heading = (text) => h("tr", { class: "group" }, h("th", { scope: "colgroup", colspan: 3 }, text));
    const none = (text) => h("tr", null, h("td", { colspan: 3 }, text));
    spec.replaceChildren(h("table", null,
      h("thead", null, h("tr", null, h("th", null), ...pair.map((run, i) => h("th", { scope: "col" },
        h("i", { class: `key ${look(i)}`, "aria-hidden": "true" }), `${"AB"[i]}: `,
        h("a", { href: `#run?${new URLSearchParams({ run: run.name })}` }, `${run.experiment}, seed ${run.seed}`))))),
      h("tbody", null, heading("Spec"), ...(keys.length ? keys : [none("The specs are equal.")])),
      h("tbody", null, heading("Log"), status, ...log)));
  }

  function show(next) {
    params = next;
    fields[0].value = params.get("a") ?? "";
    fields[1].value = params.get("b") ?? "";
    offer();
    load();
  }

  const update = throttle(() => { if (pair?.some((run) => run.status === "running")) load(); }, 1500);
  return { element, show, update, close: () => heat.rest() };
}
