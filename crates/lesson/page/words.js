// Sentences about numbers, computed from the numbers that they speak of.

const REMEDIES = [
  { name: "nothing", recipe: null, adds: "With nothing added" },
  { name: "each sentence backward", recipe: "reverse-tokens", adds: "With each sentence also backward" },
  { name: "each name as its own answer", recipe: "identities-typed", adds: "With each name also as its own answer" },
];

/** The share of the taught margin that is missing when the question is turned round. */
function asymmetry({ taught, reversed }) {
  return taught.margin >= 1 ? 1 - reversed.margin / taught.margin : NaN;
}

function count(right, all) {
  if (right === all) return `all ${all}`;
  return right === 0 ? `none of ${all}` : `${right} of ${all}`;
}

function percent(p) {
  if (p >= 0.9995) return "> 99.9 %";
  if (p < 0.0005) return "< 0.1 %";
  return `${(100 * p).toFixed(p < 0.0995 ? 1 : 0)} %`;
}

/** Both directions in a sentence, and the curse by its name where it is there. */
function turnedWords(run) {
  const { taught, reversed } = run.last;
  const all = run.model.names.oneWay.length;
  const guess = Math.log(run.model.names.words);
  const facts = `Asked as taught, the model answers ${count(taught.right, all)} such questions; turned round, ${count(reversed.right, all)}.`;
  const beside = reversed.nll > guess ? "less" : "more";
  if (taught.right < all) return `${facts} It has not learnt every fact.`;
  if (reversed.right === 0) return `${facts} That is the reversal curse. Turned round, the right answer is ${beside} probable than in a blind guess among all words, on average.`;
  if (reversed.right < all) return `${facts} The curse is there in part.`;
  return `${facts} With these settings there is no reversal curse.`;
}

/** Where the weights grew. */
function weightsWords(frame) {
  const { taught, reversed } = frame;
  const level = ({ margin }) => {
    if (Math.abs(margin) < 0.05) return "level with";
    return margin > 0 ? `${margin.toFixed(1)} above` : `${(-margin).toFixed(1)} below`;
  };
  const facts = `From the first name to the second the right weight stands ${level(taught)} its rivals, on average; from the second to the first, ${level(reversed)} them.`;
  const missing = asymmetry(frame);
  if (Number.isNaN(missing)) return `${facts} The facts are not learnt yet.`;
  if (missing > 0.9) return `${facts} The weights grew on one side only.`;
  if (missing > 0.3) return `${facts} The weights grew more on one side than on the other.`;
  if (missing > -0.3) return `${facts} The weights grew on both sides.`;
  return `${facts} The weights grew more on the side that was not taught.`;
}

/** How a sentence bears on the weight turned round; without a remedy. */
function leakWords({ tied }) {
  return tied
    ? "Reading and answering share one table of names, so a part of the push reaches the weight from B to A."
    : "The weight from B to A stands elsewhere, in the row of B, and this sentence does not push it up.";
}

function settingsWords({ tied, remedy }) {
  return `${REMEDIES[remedy].adds}, ${tied ? "shared" : "own"} output table`;
}

/** What the remedy changed. */
function helpWords(before, after) {
  const all = after.model.names.oneWay.length;
  const facts = `Turned round, ${count(after.last.reversed.right, all)} are right; before, ${count(before.last.reversed.right, all)}.`;
  const loss = after.last.taught.right < before.last.taught.right
    ? ` As taught, it answers ${before.last.taught.right - after.last.taught.right} fewer.` : "";
  const change = after.last.reversed.right - before.last.reversed.right;
  const grown = after.last.reversed.margin - before.last.reversed.margin;
  const rank = grown > 0.1 * before.last.taught.margin
    ? " No more answers are right, but the weights turned round have grown." : " It does not help here.";
  const verdict = change > 0 ? (after.last.reversed.right === all ? " It helps." : " It helps in part.")
    : change < 0 ? " It makes things worse." : after.last.reversed.right === all ? " There was nothing to improve." : rank;
  return `${facts}${verdict}${loss}`;
}

/** The command that trains the same model. */
function commandWords({ pairs, tied, remedy, seed }) {
  const { recipe } = REMEDIES[remedy];
  const keys = [`data.vocab_size=${4 * pairs}`, recipe && `'data.recipes=["${recipe}"]'`, "model.layers=1",
    "model.dim=32", `model.tie_head=${tied}`, "train.lr=0.003", "train.epochs=400"];
  return `retrodict run reversal-quick --isa portable --seed ${seed} \\\n  ${
    keys.filter(Boolean).map((key) => `--set ${key}`).join(" \\\n  ")}`;
}
