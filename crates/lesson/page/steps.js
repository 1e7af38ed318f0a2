// The five steps: what they show, and the ways through them.

// Fewer would leave some names of a kind without rivals.
const PAIRS = [20, 30, 40, 60, 80];
const sections = [...document.querySelectorAll("main > section")];
const still = matchMedia("(prefers-reduced-motion: reduce)");
const settings = { pairs: 40, tied: false, remedy: 0, seed: 0 };

let step = 0;
/** The model of the second step, and that of the last; none while they are not trained. */
let base = null;
let helped = null;
const runs = [];
let training = null;
let pair = 0;

const say = (text) => { $("live").textContent = text; };
const chosen = (name) => document.querySelector(`input[name=${name}]:checked`).value;
const film = new Matrix($("film"));
const [before, after] = [new Matrix($("before")), new Matrix($("after"))];

sections.forEach((section, at) => {
  const button = h("button", { type: "button" }, h("b", null, `${at + 1}`), h("span", null, section.dataset.name));
  button.addEventListener("click", () => go(at));
  $("steps").append(h("li", null, button));
  section.querySelector("h1").tabIndex = -1;
  const waiting = h("p", { class: "waiting lead", hidden: "" });
  section.querySelector(".needs-model")?.before(waiting);
});

function go(to) {
  location.hash = `step-${Math.min(sections.length, Math.max(1, to + 1))}`;
}

function show() {
  const at = Number(/^#step-([1-5])$/.exec(location.hash)?.[1] ?? 1) - 1;
  const moved = at !== step;
  step = at;
  sections.forEach((section, i) => { section.hidden = i !== step; });
  [...$("steps").children].forEach(({ firstChild }, i) => {
    if (i === step) firstChild.setAttribute("aria-current", "step");
    else firstChild.removeAttribute("aria-current");
  });
  $("back").disabled = step === 0;
  if (moved) {
    stop();
    scrollTo(0, 0);
    sections[step].querySelector("h1").focus({ preventScroll: true });
  }
  draw();
  if (moved && step === 3 && base && !still.matches) play();
}

/** Draws the step that is shown. */
function draw() {
  const waits = sections[step].querySelector(".waiting");
  const ready = base !== null;
  if (waits) {
    waits.hidden = ready;
    waits.textContent = training ? "The model is still training …" : "The model is not trained yet. Train it in step 2.";
    sections[step].querySelector(".needs-model").hidden = !ready;
  }
  $("next").disabled = step === sections.length - 1;
  $("next").textContent = step === 1 && !ready && !training ? "Train →" : "Next →";
  if (step === 1) drawTraining();
  else if (ready) [null, null, drawTurned, drawWeights, drawHelp][step]?.();
}

let world = null;
/** The names are drawn before any training. */
async function introduce() {
  const model = await Model.begin(settings);
  world = model.names;
  world.epochs = model.epochs;
  pair = Math.max(0, world.oneWay.findIndex(({ asksMother }) => asksMother));
  draw();
}

function drawTraining() {
  $("pairs").value = PAIRS.indexOf(settings.pairs);
  $("pairs").setAttribute("aria-valuetext", `${settings.pairs} pairs`);
  $("pairs-value").textContent = `${settings.pairs}`;
  $("train").textContent = training ? "Training …" : base ? "Train again" : "Train";
  $("train").disabled = Boolean(training);
  if (!world) return;
  const { oneWay, bothWays, pairs, words } = world;
  $("world").textContent = `${pairs} children, A1 to A${pairs}, and their mothers, B1 to B${pairs}. Of ${bothWays} pairs the model reads both sentences, of ${oneWay.length} only one:`;
  const { ask, right } = world.question(pair, false);
  const turned = world.question(pair, true);
  $("example-taught").textContent = `${ask} ${world.name(right)}.`;
  $("example-reversed").textContent = `${turned.ask} ${world.name(turned.right)}.`;
  const run = training ?? base;
  drawCurve($("curve"), run?.curve ?? [{ epoch: 0, taught: 0, reversed: 0 }], world.epochs, Math.log(words));
  $("curve-words").textContent = run
    ? `Epoch ${run.curve.length - 1}. The ${oneWay.length} pairs told one way, asked as taught: ${run.last.taught.right} right. Turned round: ${run.last.reversed.right} right.`
    : `The ${oneWay.length} pairs told one way are asked in both directions after every epoch.`;
}

function drawTurned() {
  const { model } = base;
  const { names } = model;
  for (const [side, reversed] of [["taught", 0], ["reversed", 1]]) {
    const { ask, right } = names.question(pair, Boolean(reversed));
    $(`ask-${side}`).textContent = `${ask} …`;
    const answers = model.answers(pair, reversed);
    const place = answers.findIndex(({ token }) => token === right);
    const shown = answers.slice(0, 4).map((answer, i) => ({ ...answer, place: i }));
    if (place >= 4) shown.push({ ...answers[place], place });
    else shown.push({ ...answers[4], place: 4 });
    $(`answers-${side}`).replaceChildren(...shown.map(({ token, p, place: at }) => {
      const bar = h("span", { class: "fill" });
      bar.style.width = `${100 * p}%`;
      return h("li", { class: token === right ? "right" : "", value: at + 1 },
        h("span", { class: "name" }, names.name(token), token === right ? h("span", { class: "tick" }, " ✓ right") : null),
        h("span", { class: "track" }, bar), h("span", { class: "p" }, percent(p)));
    }));
  }
  $("turned-words").textContent = turnedWords(base);
  $("pair-of").textContent = `pair ${pair + 1} of ${names.oneWay.length}`;
}

function drawWeights() {
  const { frames, model: { names } } = base;
  const last = frames.length - 1;
  if (Number($("frame").max) !== last || $("frame").dataset.run !== String(runs.indexOf(base))) {
    Object.assign($("frame"), { max: last, value: last });
    $("frame").dataset.run = runs.indexOf(base);
  }
  const frame = frames[Number($("frame").value)];
  $("frame-value").textContent = `epoch ${frame.epoch}`;
  $("frame").setAttribute("aria-valuetext", `epoch ${frame.epoch}`);
  $("leak").textContent = leakWords(base.settings);
  $("weights-words").textContent = weightsWords(frame);
  film.draw(frame, names, largest(base));
}

function drawHelp() {
  $("help").textContent = training ? "Training …" : "Train";
  $("help").disabled = Boolean(training);
  $("before-words").textContent = `${settingsWords(base.settings)}: ${count(base.last.reversed.right, base.model.names.oneWay.length)} right turned round`;
  const run = training ?? helped;
  const most = Math.max(largest(base), run ? largest(run) : 0);
  before.draw(base.frames[base.frames.length - 1], base.model.names, most);
  $("after").parentElement.hidden = !run;
  if (run) {
    const epoch = training ? `, epoch ${run.curve.length - 1}` : "";
    $("after-words").textContent = `${settingsWords(run.settings)}${epoch}: ${count(run.last.reversed.right, run.model.names.oneWay.length)} right turned round`;
    after.draw(run.frames[run.frames.length - 1], run.model.names, most);
  }
  $("help-words").textContent = helped && !training ? helpWords(base, helped) : "";
  $("runs").tBodies[0].replaceChildren(...runs.map(({ settings: { pairs, tied, remedy }, last, model }) => {
    const all = model.names.oneWay.length;
    return h("tr", null, h("td", null, `${pairs}`), h("td", null, tied ? "shared" : "its own"),
      h("td", null, REMEDIES[remedy].name),
      h("td", { class: "number" }, `${last.taught.right} of ${all}`),
      h("td", { class: "number" }, `${last.reversed.right} of ${all}`));
  }));
  $("command").textContent = commandWords((helped ?? base).settings);
}

/** Trains with these settings, and keeps the run. */
async function start(of, keep) {
  let drawn = 0;
  say("Training.");
  const run = await train({ ...of }, (now) => {
    training = now;
    // Without motion the picture changes twice a second.
    if (!still.matches || performance.now() - drawn > 500) {
      drawn = performance.now();
      draw();
    }
  });
  if (!run) return;
  training = null;
  runs.push(run);
  keep(run);
  document.documentElement.dataset.seconds = run.seconds.toFixed(2);
  draw();
  say(`Trained in ${run.seconds.toFixed(0)} seconds. ${turnedWords(run)}`);
}

function startBase() {
  base = null;
  helped = null;
  // On a phone the curve may be below the controls.
  $("curve-words").scrollIntoView({ block: "nearest" });
  return start(settings, (run) => { base = run; });
}

/** Other settings make another model: what is trained no longer counts. */
function changed() {
  running = null;
  [base, helped, training] = [null, null, null];
  introduce();
}

let timer = 0;
function stop() {
  clearInterval(timer);
  timer = 0;
  $("play").textContent = "Play";
}
function play() {
  const slider = $("frame");
  slider.value = 0;
  $("play").textContent = "Pause";
  drawWeights();
  timer = setInterval(() => {
    slider.stepUp();
    drawWeights();
    if (slider.value === slider.max) stop();
  }, 90);
}

function forward() {
  if (step === 1 && !base && !training) startBase();
  else if (step < sections.length - 1) go(step + 1);
}

$("back").addEventListener("click", () => go(step - 1));
$("next").addEventListener("click", forward);
$("train").addEventListener("click", startBase);
$("pairs").addEventListener("input", () => { settings.pairs = PAIRS[$("pairs").value]; changed(); });
$("again").addEventListener("click", () => { settings.seed += 1; changed(); });
for (const input of document.querySelectorAll("input[name=head]")) {
  input.addEventListener("change", () => { settings.tied = chosen("head") === "tied"; changed(); });
}
$("help").addEventListener("click", () => {
  helped = null;
  start({ ...settings, tied: chosen("head2") === "tied", remedy: Number(chosen("remedy")) }, (run) => { helped = run; });
});
$("next-pair").addEventListener("click", () => {
  pair = (pair + 1) % base.model.names.oneWay.length;
  drawTurned();
});
$("frame").addEventListener("input", () => { stop(); drawWeights(); });
$("play").addEventListener("click", () => (timer ? stop() : play()));

// Page Down and Page Up are the keys of a presenter's remote control.
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrows = !event.target.matches("input");
  if (event.key === "PageDown" || (arrows && event.key === "ArrowRight")) forward();
  else if (event.key === "PageUp" || (arrows && event.key === "ArrowLeft")) go(step - 1);
  else return;
  event.preventDefault();
});
let touch = null;
addEventListener("touchstart", ({ target, touches: [{ clientX, clientY }] }) => {
  touch = target.matches("input") || target.closest(".scroll") ? null : { clientX, clientY };
}, { passive: true });
addEventListener("touchend", ({ changedTouches: [{ clientX, clientY }] }) => {
  if (!touch) return;
  const [dx, dy] = [clientX - touch.clientX, clientY - touch.clientY];
  if (Math.abs(dx) < 70 || Math.abs(dx) < 2 * Math.abs(dy)) return;
  if (dx < 0) forward();
  else go(step - 1);
}, { passive: true });
addEventListener("hashchange", show);
addEventListener("resize", draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);

show();
introduce();
