"use strict";
// The page shows when its fonts and its opening are there: a second layout would move it.
const { classList } = document.documentElement;
classList.add("js", "loading");
const opening = new Promise((done) => {
  const look = () => {
    const there = document.readyState !== "loading" || document.querySelector("main > nav");
    if (there) done(); else requestAnimationFrame(look);
  };
  look();
});
const fonts = ["400 1rem Inter", "600 1rem Inter"].map((font) => document.fonts.load(font));
Promise.all([opening, ...fonts]).finally(() => { classList.remove("loading"); });
