// A list of any length: only the rows in sight are elements, and rows come from the server in blocks.

import { get } from "./api.js";
import { badge, format, h, onWidth } from "./dom.js";

const BLOCK = 100;

/** `columns` are `{ name, label, doc, width, left }`. */
export class List {
  constructor({ open, select, sort, isSelected, failed }) {
    Object.assign(this, { open, select, sortBy: sort, isSelected, failed });
    this.head = h("div", { class: "row head", role: "row" });
    this.space = h("div", { class: "space", role: "rowgroup" });
    this.element = h("div", { class: "list", role: "grid", tabindex: "0", "aria-label": "Runs", "aria-multiselectable": "true" },
      this.head, this.space);
    this.blocks = new Map();
    this.total = 0;
    this.cursor = 0;
    this.columns = [];
    this.token = 0;
    this.element.addEventListener("scroll", () => this.soon());
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.stop = onWidth(this.element, () => this.draw());
  }

  get height() {
    return matchMedia("(pointer: coarse)").matches ? 42 : 30;
  }

  /** Another query: the rows of the old one are dropped. */
  query(params, columns) {
    this.params = params;
    this.columns = columns;
    this.element.style.setProperty("--columns", `2.4rem ${columns.map((c) => `${c.width}ch`).join(" ")}`);
    this.heading();
    this.reload(true);
  }

  heading() {
    const [key, down] = this.params.sort?.startsWith("-") ? [this.params.sort.slice(1), true] : [this.params.sort, false];
    const cells = this.columns.map((column, i) => {
      const sorted = column.name === key;
      return h("div", {
        role: "columnheader", class: column.left ? "left" : "right", title: column.doc, "aria-colindex": i + 2,
        "aria-sort": sorted ? (down ? "descending" : "ascending") : "none",
      }, h("button", { type: "button", tabindex: "-1", onclick: () => this.sortBy(column.name, sorted ? (down ? null : true) : false) },
        column.label, sorted ? (down ? " ↓" : " ↑") : ""));
    });
    this.head.replaceChildren(h("div", { role: "columnheader", "aria-colindex": 1, "aria-label": "selected" }), ...cells);
  }

  /** Fetches again what is in sight: the store has changed. */
  async reload(fresh = false) {
    const token = ++this.token;
    if (fresh) this.blocks = new Map();
    this.old = this.blocks;
    this.blocks = new Map();
    await this.draw(token);
  }

  soon() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  range() {
    const rows = Math.ceil(this.element.clientHeight / this.height) + 1;
    const first = Math.max(0, Math.floor(this.element.scrollTop / this.height));
    return [first, first + rows];
  }

  async draw() {
    if (!this.params) return;
    const [first, end] = this.range();
    for (let block = Math.floor(first / BLOCK); block <= Math.floor(Math.max(first, Math.min(end, Math.max(this.total, 1)) - 1) / BLOCK); block += 1) {
      this.fetch(block);
    }
    this.paint();
  }

  async fetch(block) {
    if (this.blocks.has(block)) return;
    const token = this.token;
    const blocks = this.blocks;
    blocks.set(block, this.old?.get(block) ?? null);
    try {
      const answer = await get("/api/runs", {
        ...this.params, columns: this.columns.map((c) => c.name).join(), from: block * BLOCK, count: BLOCK,
      });
      if (token !== this.token) return;
      blocks.set(block, answer.rows);
      if (answer.total !== this.total) {
        this.total = answer.total;
        this.cursor = Math.min(this.cursor, Math.max(this.total - 1, 0));
      }
      this.failed(null, this.total);
      this.paint();
      // Far from the top the first answer may say that there is less.
      const [first, end] = this.range();
      if (Math.floor((Math.min(end, this.total) - 1) / BLOCK) > block && first / BLOCK <= block + 1) this.draw();
    } catch (error) {
      if (token === this.token) { blocks.delete(block); this.failed(error, this.total); }
    }
  }

  row(index) {
    return this.blocks.get(Math.floor(index / BLOCK))?.[index % BLOCK];
  }

  paint() {
    const height = this.height;
    this.space.style.height = `${this.total * height}px`;
    this.element.setAttribute("aria-rowcount", this.total + 1);
    const [first, end] = this.range();
    const rows = [];
    for (let i = first; i < Math.min(end, this.total); i += 1) {
      const row = this.row(i);
      const name = row && this.name(row);
      const selected = Boolean(name && this.isSelected(name));
      const cells = row
        ? this.columns.map((column, c) => h("div", { role: "gridcell", class: column.left ? "left" : "right", "aria-colindex": c + 2 },
          this.cell(column, row.cells[c])))
        : [h("div", { class: "wait" }, "…")];
      const box = h("input", { type: "checkbox", tabindex: "-1", "aria-label": "select", onclick: (event) => { event.stopPropagation(); this.choose(i); } });
      box.checked = selected;
      const element = h("div", {
        role: "row", class: `row${i === this.cursor ? " cursor" : ""}${i % 2 ? " odd" : ""}`, id: `row-${i}`,
        "aria-rowindex": i + 2, "aria-selected": selected, onclick: () => { this.cursor = i; if (row) this.open(this.name(row)); },
      }, h("div", { role: "gridcell", onclick: (event) => event.stopPropagation() }, box), ...cells);
      element.style.top = `${i * height}px`;
      element.style.height = `${height}px`;
      rows.push(element);
    }
    this.space.replaceChildren(...rows);
    this.element.setAttribute("aria-activedescendant", `row-${this.cursor}`);
  }

  /** experiment/hash/seed; these three columns are always there. */
  name(row) {
    const at = (name) => row.cells[this.columns.findIndex((column) => column.name === name)];
    return `${at("experiment")}/${at("hash")}/${at("seed")}`;
  }

  cell(column, value) {
    if (column.name === "status") return badge(value);
    if (column.name === "hash") return h("code", { title: value }, String(value).slice(0, 8));
    return format(value);
  }

  choose(index) {
    const row = this.row(index);
    if (!row) return;
    this.select(this.name(row));
    this.paint();
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 2);
    const to = {
      ArrowDown: this.cursor + 1, ArrowUp: this.cursor - 1, PageDown: this.cursor + page, PageUp: this.cursor - page,
      Home: 0, End: this.total - 1,
    }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      this.cursor = Math.min(Math.max(to, 0), Math.max(this.total - 1, 0));
      const top = this.cursor * this.height;
      const view = this.element.clientHeight - this.height;
      if (top < this.element.scrollTop) this.element.scrollTop = top;
      else if (top + this.height > this.element.scrollTop + view) this.element.scrollTop = top + this.height - view;
      this.draw();
    } else if (event.key === "Enter") {
      const row = this.row(this.cursor);
      if (row) this.open(this.name(row));
    } else if (event.key === " ") {
      event.preventDefault();
      this.choose(this.cursor);
    }
  }
}
