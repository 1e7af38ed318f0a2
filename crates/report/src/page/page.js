"use strict";
// Without this script the page is complete: films show their last frame, specs can be selected.

// Films: a window on a strip of frames is moved down by whole frames.
for (const scrub of document.querySelectorAll(".scrub")) {
  const figure = scrub.closest("figure");
  const epochs = scrub.dataset.epochs.split(" ");
  const slider = scrub.querySelector("input");
  const output = scrub.querySelector("output");
  const button = scrub.querySelector("button");
  const windows = [...figure.querySelectorAll("[data-window]")];
  const texts = [...figure.querySelectorAll("[data-forms]")];
  const forms = texts.map((text) => text.dataset.forms.split("|"));
  const show = () => {
    const frame = Number(slider.value);
    for (const view of windows) {
      const [, , width, height] = view.getAttribute("viewBox").split(/[ ,]+/);
      view.setAttribute("viewBox", `0 ${frame * Number(view.dataset.window)} ${width} ${height}`);
    }
    texts.forEach((text, i) => { text.textContent = forms[i][frame] ?? ""; });
    output.textContent = epochs[frame];
    slider.setAttribute("aria-valuetext", `epoch ${epochs[frame]}`);
  };
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  };
  slider.addEventListener("input", () => { stop(); show(); });
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = "0";
    show();
    button.textContent = "Pause";
    timer = setInterval(() => {
      slider.stepUp();
      show();
      if (slider.value === slider.max) stop();
    }, 350);
  });
  // A browser may bring back the position of an earlier visit.
  show();
  addEventListener("pageshow", show);
  // Paper shows the end of training.
  addEventListener("beforeprint", () => { stop(); slider.value = slider.max; show(); });
}

// Specs: copied by the clipboard where it is allowed, else by the selection.
for (const button of document.querySelectorAll(".copy")) {
  const pre = button.parentElement.querySelector("pre");
  const label = button.textContent;
  const select = () => {
    const range = document.createRange();
    range.selectNodeContents(pre);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  };
  button.addEventListener("click", async () => {
    let copied = true;
    try {
      await navigator.clipboard.writeText(pre.textContent);
    } catch {
      copied = select();
    }
    button.textContent = copied ? "Copied" : "Selected: press Ctrl+C";
    setTimeout(() => { button.textContent = label; }, 1600);
  });
}

// Downloads: the page carries its files, so that it can be sent alone.
const packed = new Map(
  [...document.querySelectorAll("script[data-file]")].map((script) => [script.dataset.file, script]),
);
const unpack = (path) => {
  const bytes = Uint8Array.from(atob(packed.get(path).textContent), (c) => c.charCodeAt(0));
  const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(plain).blob();
};
// A PNG is drawn from the SVG, in the fonts of the page.
const drawn = async (path) => {
  const text = await (await unpack(path)).text();
  const fonts = [...document.styleSheets[0].cssRules].filter((rule) => rule.type === 5);
  const style = `<style>${fonts.map((rule) => rule.cssText).join("")}</style>`;
  const whole = text.replace(/(<svg[^>]*>)/, `$1${style}`);
  const picture = new Image();
  const url = new FileReader();
  await new Promise((done) => {
    url.addEventListener("load", done);
    url.readAsDataURL(new Blob([whole], { type: "image/svg+xml" }));
  });
  picture.src = url.result;
  await picture.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [2 * picture.width, 2 * picture.height];
  canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => { canvas.toBlob(done, "image/png"); });
};
for (const link of document.querySelectorAll("a[download]")) {
  const path = link.getAttribute("href");
  const svg = path.replace(/png$/, "svg");
  const make = packed.has(path) ? () => unpack(path) : packed.has(svg) ? () => drawn(svg) : null;
  if (!make) {
    link.title = "in the folder of this page";
    continue;
  }
  link.addEventListener("click", async (event) => {
    if (link.href.startsWith("blob:")) return;
    event.preventDefault();
    link.href = URL.createObjectURL(await make());
    link.download = path.split("/").pop();
    link.click();
  });
}
