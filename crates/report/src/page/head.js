"use strict";
// The page shows when its fonts are there: a second layout in other fonts would move it.
const { classList } = document.documentElement;
classList.add("js", "loading");
Promise.all(["400 1rem Inter", "600 1rem Inter"].map((font) => document.fonts.load(font)))
  .finally(() => { classList.remove("loading"); });
