// The model: `crates/lesson-model`, compiled to WebAssembly and kept in the page as base64.

const MODULE = WebAssembly.compile(
  Uint8Array.from(atob($("module").textContent), (letter) => letter.charCodeAt(0)),
);

/** One model. Its settings: `pairs`, `tied`, `remedy` (its place in REMEDIES) and `seed`. */
class Model {
  static async begin(settings) {
    const { exports } = await WebAssembly.instantiate(await MODULE);
    const model = new Model();
    model.exports = exports;
    const { pairs, tied, remedy, seed } = settings;
    const [epochs] = model.read("begin", pairs, Number(tied), remedy, seed);
    if (!epochs) throw new Error(`no lesson with ${pairs} pairs`);
    return Object.assign(model, { epochs, settings, names: new Names(model, pairs) });
  }

  /** The numbers that a function of the module leaves in its buffer. */
  read(name, ...values) {
    const count = this.exports[name](...values);
    return Float64Array.from(new Float64Array(this.exports.memory.buffer, this.exports.numbers(), count));
  }

  train() {
    return this.read("train_epoch")[0];
  }

  measures() {
    const [nll, right, margin, ...reversed] = this.read("measures");
    return {
      taught: { nll, right, margin },
      reversed: { nll: reversed[0], right: reversed[1], margin: reversed[2] },
    };
  }

  weights() {
    return Float32Array.from(this.read("weights"));
  }

  /** All words with their probability after a question, the most probable first. */
  answers(pair, reversed) {
    const logits = this.read("answers", pair, reversed);
    const most = Math.max(...logits);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - most), 0);
    return Array.from(logits, (logit, token) => ({ token, p: Math.exp(logit - most) / sum }))
      .sort((a, b) => b.p - a.p);
  }
}

/** Names of tokens: A is a child, B the mother with the same number. */
class Names {
  constructor(model, pairs) {
    this.of = new Map();
    this.oneWay = [];
    let number = 0;
    const read = (name) => {
      const tokens = model.read(name);
      for (let at = 0; at < tokens.length; at += 3) {
        const [source, relation, answer] = tokens.slice(at, at + 3);
        number += 1;
        const [child, mother] = relation === 0 ? [source, answer] : [answer, source];
        this.of.set(child, `A${number}`).set(mother, `B${number}`);
        if (name === "told_one_way") this.oneWay.push({ source, answer, asksMother: relation === 0 });
      }
    };
    read("told_both_ways");
    this.bothWays = number;
    read("told_one_way");
    this.pairs = pairs;
    this.words = 4 * pairs + 2;
  }

  name(token) {
    return this.of.get(token) ?? (token < 2 ? ["“’s mother is”", "“’s child is”"][token] : "no name");
  }

  /** The sentence of a pair up to its answer, and the answer. */
  question(pair, reversed) {
    const { source, answer, asksMother } = this.oneWay[pair];
    const [from, to] = reversed ? [answer, source] : [source, answer];
    const relation = asksMother !== reversed ? "mother" : "child";
    return { ask: `${this.name(from)}’s ${relation} is`, right: to };
  }
}
