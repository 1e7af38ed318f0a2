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

function progress() {
  const { total, counts, fraction, seconds_left: left, waiting = 0 } = news.progress;
  const order = ["complete", "running", "interrupted", "diverged", "failed"];
  const parts = order.filter((status) => counts[status] > 0).map((status) => [status, counts[status]]);
  if (waiting > 0) parts.push(["waiting", waiting]);
  const bar = h("div", { class: "bar", role: "progressbar", "aria-label": "runs that have ended",
    "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": Math.floor(100 * fraction) },
    parts.map(([status, count]) => {
      const part = h("span", { class: status, title: `${count} ${status}` });
      part.style.flexGrow = count;
      return part;
    }));
  const words = parts.map(([status, count]) => h("span", { class: `count ${status}` },
    h("i", { "aria-hidden": "true" }, SIGNS[status]), ` ${count.toLocaleString("en")} ${status}`));
  const end = left === null ? "" : new Date(Date.now() + 1000 * left).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  const rest = left === null
    ? counts.running > 0 ? "time left not known yet" : ""
    : `about ${duration(left)} left, until ${end}`;
  const notes = [];
  if (news.unmeasured > 200) notes.push(`reading measures of ${news.unmeasured.toLocaleString("en")} runs…`);
  if (news.warning_count > 0) {
    notes.push(h("details", null, h("summary", null, `${news.warning_count} cannot be read`),
      h("ul", null, news.warnings.map(([name, text]) => h("li", null, h("b", null, name), ` ${text}`)))));
  }
  const open = $("progress").querySelector("details")?.open;
  $("progress").replaceChildren(bar, h("p", null,
    h("b", null, `${Math.floor(100 * fraction)} % of ${total.toLocaleString("en")} ${news.progress.of ?? "runs"}`), ...words,
    h("span", { class: "rest" }, rest), ...notes.map((note) => h("span", { class: "note" }, note))));
  if (open) $("progress").querySelector("details").open = true;
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
