// A training run: as many epochs in each frame as keep the pace, so that a fast device shows the
// curve grow, and a slow one still answers.

/** Milliseconds of a whole run on a device that is fast enough. */
const PACE = 6000;
/** The longest that the page does not answer, in milliseconds. */
const SLICE = 30;
/** Epochs between two matrices of the film. */
const EVERY = 8;

let running = null;

/** Waits for the next frame, or for a moment where a browser draws few, as in a window behind others. */
function pause() {
  return new Promise((resume) => {
    requestAnimationFrame(resume);
    setTimeout(resume, 50);
  });
}

/** Trains a model to its end and returns the run; null if another run replaces it. */
async function train(settings, progress) {
  const token = {};
  running = token;
  const model = await Model.begin(settings);
  const run = { settings, model, curve: [], frames: [], seconds: 0 };
  const record = (epoch) => {
    run.last = model.measures();
    run.curve.push({ epoch, taught: run.last.taught.nll, reversed: run.last.reversed.nll });
    if (epoch % EVERY === 0 || epoch === model.epochs) {
      run.frames.push({ epoch, weights: model.weights(), ...run.last });
    }
  };
  record(0);
  const begun = performance.now();
  let epoch = 0;
  while (epoch < model.epochs) {
    await pause();
    if (running !== token) return null;
    const now = performance.now();
    do {
      model.train();
      epoch += 1;
      record(epoch);
    } while (epoch < model.epochs && epoch / model.epochs < (now - begun) / PACE
      && performance.now() - now < SLICE);
    progress(run, epoch);
  }
  run.seconds = (performance.now() - begun) / 1000;
  running = null;
  return run;
}
