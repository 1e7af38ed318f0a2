// The frame of the page: views by address, the filter, progress, colours, keys.

import { follow, get } from "./api.js";
import { duration, h, SIGNS } from "./dom.js";
import { runs } from "./view-runs.js";
import { curves } from "./view-curves.js";
import { explore } from "./view-explore.js";
import { run } from "./view-run.js";
import { compare } from "./view-compare.js";

const VIEWS = { runs, curves, explore, compare, run };
const TABS = [["runs", "Runs"], ["curves", "Curves"], ["explore", "Explore"], ["compare", "Compare"]];
const FILTERED = ["runs", "curves", "explore"];
const $ = (id) => document.getElementById(id);

let current = null;
let news = null;

/** What views share: the address, the runs that are selected, the newest overview. */
const context = {
  selected: new Map(),
  get news() { return news; },
  go(view, params) {
    const search = new URLSearchParams();
    for (const [name, value] of params ?? []) if (value !== null && value !== "") search.append(name, value);
    location.hash = `${view}?${search}`;
  },
  /** Changes parameters of this view in the address, without a new entry of the history. */
  set(values) {
    const { view, params } = read();
    for (const [name, value] of Object.entries(values)) {
      params.delete(name);
      for (const one of Array.isArray(value) ? value : [value]) {
        if (one !== null && one !== undefined && one !== "") params.append(name, one);
      }
    }
    history.replaceState(null, "", `#${view}?${params}`);
    show();
  },
  /** A problem with the filter, or null. */
  problem(error) {
    $("problem").textContent = error ? error.message : "";
    $("where").setAttribute("aria-invalid", Boolean(error));
  },
};

function read() {
  const [view, search] = location.hash.slice(1).split(/\?(.*)/s);
  return { view: VIEWS[view] ? view : "runs", params: new URLSearchParams(search ?? "") };
}

function show() {
  const { view, params } = read();
  const where = params.get("where") ?? "";
  if (FILTERED.includes(view)) {
    if (document.activeElement !== $("where")) $("where").value = where;
    sessionStorage.setItem("where", where);
  }
  $("filter").hidden = !FILTERED.includes(view);
  for (const tab of $("tabs").children) {
    if (tab.dataset.view === view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  document.title = `${view === "run" ? params.get("run") ?? "run" : TABS.find(([id]) => id === view)?.[1]} – retrodict`;
  if (current?.view === view) {
    current.instance.show(params);
    return;
  }
  current?.instance.close?.();
  context.problem(null);
  const instance = VIEWS[view](context);
  current = { view, instance };
  $("view").className = view;
  $("view").replaceChildren(instance.element);
  instance.show(params);
}

/** The address of a view with the filter that is set. */
function tab(view) {
  const where = sessionStorage.getItem("where") ?? "";
  if (view === "compare" || !where) return `#${view}`;
  return `#${view}?${new URLSearchParams({ where })}`;
}

for (const [view, label] of TABS) {
  const link = h("a", { href: `#${view}`, "data-view": view }, label);
  link.addEventListener("click", (event) => {
    event.preventDefault();
    location.hash = tab(view);
  });
  $("tabs").append(link);
}

$("filter").addEventListener("submit", (event) => {
  event.preventDefault();
  context.set({ where: $("where").value.trim(), run: null });
});

// Names complete the word that is being typed.
let names = [];
get("/api/columns").then((answer) => { names = answer.names; }, () => {});
$("where").addEventListener("input", () => {
  const text = $("where").value;
  const word = /[\w.]*$/.exec(text)[0];
  const fitting = word.length < 2 ? [] : names.filter((name) => name.includes(word) && name !== word).slice(0, 12);
  $("names").replaceChildren(...fitting.map((name) => h("option", { value: text.slice(0, text.length - word.length) + name })));
  if (!text) context.set({ where: null });
});

const ORDER = ["complete", "running", "interrupted", "diverged", "failed", "waiting"];

/** The bar and the words of a sweep, or of all runs. */
function bar(what, { total, counts, fraction, seconds_left: left, silent_for: silent }) {
  const parts = ORDER.filter((status) => counts[status] > 0);
  const strip = h("div", { class: "bar", role: "progressbar", "aria-label": `${what}: part done`,
    "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.floor(100 * fraction) },
    parts.map((status) => {
      const part = h("span", { class: status, title: `${counts[status]} ${status}` });
      part.style.flexGrow = counts[status];
      return part;
    }));
  const words = parts.map((status) => h("span", { class: `count ${status}` },
    h("i", { "aria-hidden": "true" }, SIGNS[status]), ` ${counts[status].toLocaleString("en")} ${status}`));
  let rest = "";
  if (silent) rest = `nothing was written for ${duration(silent)}: killed?`;
  else if (left !== null) {
    const end = new Date(Date.now() + 1000 * left).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    rest = `about ${duration(left)} left, until ${end}`;
  } else if (counts.running > 0) rest = "time left not known yet";
  return h("div", { class: "progress" }, h("p", null,
    h("b", null, `${what}: ${Math.floor(100 * fraction)} % of ${total.toLocaleString("en")} runs`), ...words,
    h("span", { class: "rest" }, rest)), strip);
}

function progress() {
  const open = $("progress").querySelector("details")?.open;
  const bars = news.sweeps.map((sweep) => {
    const time = new Date(sweep.created);
    const day = time.toDateString() === new Date().toDateString() ? "" : `${time.toLocaleDateString([], { day: "numeric", month: "short" })} `;
    const at = day + time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    const element = bar(`Sweep of ${at}`, sweep);
    element.title = `${sweep.command}\nover ${sweep.keys.join(", ") || "seeds"}, launcher ${sweep.launcher}`;
    return element;
  });
  // Where a sweep is all there is, the folder would say the same again.
  const all = news.progress;
  const same = news.sweeps.some((sweep) => sweep.total - (sweep.counts.waiting ?? 0) >= all.total);
  if (!same) bars.push(bar("Folder", all));
  const notes = h("div", { class: "notes" });
  if (news.unmeasured > 200) notes.append(h("span", { class: "note" }, `reading measures of ${news.unmeasured.toLocaleString("en")} runs…`));
  if (news.warning_count > 0) {
    notes.append(h("details", { class: "note" }, h("summary", null, `${news.warning_count} cannot be read`),
      h("ul", null, news.warnings.map(([name, text]) => h("li", null, h("b", null, name), ` ${text}`)))));
  }
  $("progress").replaceChildren(...bars, notes);
  if (open) $("progress").querySelector("details")?.setAttribute("open", "");
}

const THEMES = ["auto", "light", "dark"];
function theme(next) {
  const now = next ?? localStorage.getItem("theme") ?? "auto";
  localStorage.setItem("theme", now);
  if (now === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = now;
  $("theme").textContent = { auto: "Auto", light: "Light", dark: "Dark" }[now];
  $("theme").title = "colours: as the system, light or dark";
  current?.instance.draw?.();
}
$("theme").addEventListener("click", () => {
  const now = localStorage.getItem("theme") ?? "auto";
  theme(THEMES[(THEMES.indexOf(now) + 1) % 3]);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => current?.instance.draw?.());

$("keys").addEventListener("click", () => $("help").showModal());

addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=range]):not([type=checkbox]), select, textarea") || $("help").open;
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") { event.preventDefault(); $("where").focus(); $("where").select(); }
  else if (event.key === "?") $("help").showModal();
  else if (event.key === "t") $("theme").click();
  else if (TABS[Number(event.key) - 1]) location.hash = tab(TABS[Number(event.key) - 1][0]);
});

addEventListener("hashchange", show);
theme();
show();
follow((now) => {
  if (now.generation === undefined) return;
  const changed = news?.generation !== now.generation;
  news = now;
  $("dir").textContent = now.dir;
  progress();
  if (changed) current.instance.update?.();
}, (there) => {
  $("live").textContent = there ? "live" : "no server";
  $("live").className = there ? "on" : "off";
});
