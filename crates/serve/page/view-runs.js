// The list of runs.

import { get } from "./api.js";
import { h, renew, throttle } from "./dom.js";
import { List } from "./list.js";

const FIRST = ["experiment", "hash", "seed", "status"];
const narrow = matchMedia("(max-width: 44rem)");
const NARROW = { experiment: 15, status: 13 };
const WIDTHS = { experiment: 22, hash: 10, seed: 6, status: 14, epoch: 8, step: 9, dir: 44 };

export function runs(context) {
  let params = new URLSearchParams();
  let known = { keys: [], measures: [] };
  const count = h("span", { class: "total", role: "status" });
  const bar = h("div", { class: "selection", role: "status" });
  const picker = h("details", { class: "picker" });
  const list = new List({
    open: (name) => context.go("run", [["run", name]]),
    select: (name) => {
      if (!context.selected.delete(name)) context.selected.set(name, true);
      selection();
    },
    isSelected: (name) => context.selected.has(name),
    sort: (name, down) => context.set({ sort: down === null ? null : `${down ? "-" : ""}${name}` }),
    failed: (error, total) => {
      context.problem(error);
      if (!error) count.textContent = `${total.toLocaleString("en")} runs`;
    },
  });
  const element = h("div", { class: "runs-view" }, h("div", { class: "controls" }, count, picker, bar), list.element);

  function selection() {
    const names = [...context.selected.keys()];
    if (names.length === 0) { bar.replaceChildren(); return; }
    const runs = names.map((name) => ["run", name]);
    bar.replaceChildren(`${names.length} selected `,
      h("button", { type: "button", onclick: () => context.go("curves", [...runs, ["by", "run"]]) }, "Curves"),
      h("button", { type: "button", disabled: names.length !== 2, title: "select two runs",
        onclick: () => context.go("compare", [["a", names[0]], ["b", names[1]]]) }, "Compare"),
      h("button", { type: "button", onclick: () => { context.selected.clear(); selection(); list.paint(); } }, "Clear"));
  }

  function describe(name) {
    const measure = known.measures.find((m) => m.id === name);
    const key = known.keys.find((k) => k.name === name);
    const label = measure ? measure.label : name;
    return {
      name, label, doc: measure?.doc ?? key?.doc ?? name,
      width: (narrow.matches ? NARROW[name] : null) ?? WIDTHS[name] ?? Math.min(Math.max(label.length + 3, 9), 30),
      left: ["experiment", "hash", "status", "dir"].includes(name),
    };
  }

  /** The columns of the address, or the keys that differ and the main measures. */
  function chosen() {
    const given = params.get("columns");
    if (given) return given.split(",");
    const main = known.measures.filter((m) => m.brief && m.of_epochs).map((m) => m.id);
    return [...known.keys.slice(0, 8).map((key) => key.name), "epoch", ...main];
  }

  function pick() {
    const now = chosen();
    const box = (name, label, doc) => {
      const input = h("input", { type: "checkbox", onchange: () => {
        const next = input.checked ? [...chosen(), name] : chosen().filter((other) => other !== name);
        context.set({ columns: next.join() });
      } });
      input.checked = now.includes(name);
      return h("label", { class: "tick", title: doc }, input, label);
    };
    const open = picker.open;
    renew(picker, [h("summary", null, "Columns"), h("div", { class: "menu" },
      h("button", { type: "button", onclick: () => context.set({ columns: null }) }, "Reset"),
      h("h3", null, "Keys that differ"), known.keys.map((key) => box(key.name, key.name, key.doc)),
      h("h3", null, "Measures"), known.measures.map((m) => box(m.id, m.label, m.doc)),
      h("h3", null, "Run"), ["epoch", "step", "dir"].map((name) => box(name, name, name)))]);
    picker.open = open;
  }

  async function names() {
    try {
      known = await get("/api/columns", { where: params.get("where") });
      context.problem(null);
      return true;
    } catch (error) {
      context.problem(error);
      return false;
    }
  }

  let shape = "";
  async function show(next) {
    params = next;
    if (!(await names())) return;
    refresh(true);
  }

  function refresh(always) {
    const columns = [...FIRST, ...chosen().filter((name) => !FIRST.includes(name))].map(describe);
    const query = { where: params.get("where"), sort: params.get("sort") };
    const now = JSON.stringify([columns, query]);
    if (now === shape && !always) { list.reload(); return; }
    if (now !== shape) pick();
    shape = now;
    list.query(query, columns);
    selection();
  }

  const narrower = () => refresh(false);
  narrow.addEventListener("change", narrower);

  const update = throttle(async () => { if (await names()) refresh(false); }, 1500);
  return { element, show, update, close: () => { narrow.removeEventListener("change", narrower); list.stop(); } };
}
