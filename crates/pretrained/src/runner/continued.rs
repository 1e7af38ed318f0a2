//! Texts continued token by token. Keys and values of the positions that were run are kept, so that
//! a token costs one position.

use std::cmp::Reverse;

use retrodict_engine::{Graph, Indices, Mode, Noise, ProductPrecision, Program, Weights};
use retrodict_models::{Inputs, Places, Site};

use super::{BATCH, LENGTH_UNIT, Logits, Runner};
use crate::architecture::Architecture;

/// Slots of kept positions are a multiple of this, so that few programs are compiled.
const SLOT_UNIT: usize = 16;

const NOISE: Noise = Noise { seed: 0, step: 0 };

/// A program for the first positions of a batch of texts.
struct Beginning {
    program: Program<f32>,
    tokens: Indices,
    last: Indices,
}

/// A program for one position of each text of a batch, behind those that it keeps.
struct Step {
    program: Program<f32>,
    /// Positions that it keeps, at most: position p of a text is in slot p.
    slots: usize,
    token: Indices,
    /// The position of the token.
    at: Indices,
    /// 1 for each slot that holds a position of the text, then 1 for the token itself.
    seen: Weights,
    /// Keys and values of the slots, `[features · slots]`, block by block. The program's outputs
    /// behind the logits are those of the token.
    kept: Vec<Weights>,
}

/// A text that is continued.
struct Open {
    number: usize,
    lane: usize,
    /// The position of its last token.
    at: usize,
    token: u32,
}

impl Runner {
    /// Continues each of the texts. `next` gets the number of a text and the logits after its last
    /// token, and returns the token to append, or `None` where the text is done; it is asked `most`
    /// times, or until the context is full. `go` is called after every token of a batch with the
    /// number of texts that are done and of all, until it returns false. Returns whether all were
    /// done.
    ///
    /// # Panics
    /// If a text has no token, or more than the context.
    pub(crate) fn continued(
        &mut self,
        texts: &[Vec<u32>],
        most: usize,
        mut next: impl FnMut(usize, &Logits<'_>) -> Option<u32>,
        mut go: impl FnMut(usize, usize) -> bool,
    ) -> bool {
        if most == 0 {
            return true;
        }
        let (context, threads) = (self.architecture.context(), self.release());
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|number| Reverse(texts[*number].len()));
        let mut kept: Option<Step> = None;
        for (before, batch) in (0..).step_by(BATCH).zip(order.chunks(BATCH)) {
            let longest = texts[batch[0]].len();
            let slots = (longest + most).next_multiple_of(SLOT_UNIT).min(context);
            if kept.as_ref().is_some_and(|step| step.slots != slots) {
                kept = None;
            }
            let length = longest.next_multiple_of(LENGTH_UNIT).min(context);
            let mut beginning = Beginning::new(&self.architecture, length, threads);
            beginning.write(batch.iter().map(|number| &texts[*number][..]));
            beginning.program.forward(&self.parameters, NOISE, &mut self.team);
            let mut open: Vec<Open> = Vec::with_capacity(batch.len());
            for (lane, number) in batch.iter().copied().enumerate() {
                let logits = Logits { program: &beginning.program, read: 0, lane };
                let at = texts[number].len();
                if let Some(token) = next(number, &logits).filter(|_| at < context) {
                    open.push(Open { number, lane, at, token });
                }
            }
            let step = kept.get_or_insert_with(|| Step::new(&self.architecture, slots, threads));
            step.take(&beginning.program, batch.iter().map(|number| texts[*number].len()));
            drop(beginning);
            for asked in 1.. {
                if !go(before + batch.len() - open.len(), texts.len()) {
                    return false;
                }
                if open.is_empty() || asked == most {
                    break;
                }
                step.write(&open);
                step.program.forward(&self.parameters, NOISE, &mut self.team);
                step.keep(&open);
                open.retain_mut(|text| {
                    let logits = Logits { program: &step.program, read: 0, lane: text.lane };
                    let token = next(text.number, &logits);
                    text.at += 1;
                    text.token = token.unwrap_or(text.token);
                    token.is_some() && text.at < context
                });
            }
        }
        true
    }
}

/// Whether later positions read what flows at a site.
fn is_kept(site: Site) -> bool {
    matches!(site, Site::Keys(_) | Site::Values(_))
}

fn compiled(graph: &Graph<f32>, threads: usize) -> Program<f32> {
    Program::compile(graph, BATCH, Mode::Inference, ProductPrecision::Full, threads)
}

impl Beginning {
    fn new(architecture: &Architecture, length: usize, threads: usize) -> Self {
        let mut graph = Graph::new();
        let (tokens, last) = (graph.indices(length), graph.indices(1));
        let mut kept = Vec::new();
        let x = architecture.stream_with_hook(&mut graph, tokens.into(), &mut |_, site, value| {
            if is_kept(site) {
                kept.push(value);
            }
            value
        });
        let x = graph.pick(x, last);
        let logits = architecture.head(&mut graph, x);
        graph.output(logits, 0..1);
        for value in kept {
            graph.output(value, 0..length);
        }
        Self { program: compiled(&graph, threads), tokens, last }
    }

    /// Writes a text into each lane; shorter ones are padded at their end, which a causal model does
    /// not see.
    fn write<'t>(&mut self, texts: impl Iterator<Item = &'t [u32]>) {
        let lanes = self.program.lanes();
        for (lane, text) in texts.enumerate() {
            let input = self.program.indices_mut(self.tokens);
            for (at, token) in text.iter().enumerate() {
                input[at * lanes + lane] = *token;
            }
            self.program.indices_mut(self.last)[lane] = text.len() as u32 - 1;
        }
    }
}

impl Step {
    fn new(architecture: &Architecture, slots: usize, threads: usize) -> Self {
        let mut graph = Graph::new();
        let (token, at) = (graph.indices(1), graph.indices(1));
        let seen = graph.weights(slots + 1);
        let inputs = Inputs {
            tokens: token,
            padding_mask: Some(seen),
            places: Some(Places { of: at, below: slots + 1 }),
        };
        let (mut kept, mut own) = (Vec::new(), Vec::new());
        let x = architecture.stream_with_hook(&mut graph, inputs, &mut |graph, site, value| {
            if !is_kept(site) {
                return value;
            }
            let features = graph.features(value);
            let numbers = graph.weights(features * slots);
            kept.push(numbers);
            own.push(value);
            let earlier = graph.given(numbers, features);
            graph.join(&[earlier, value])
        });
        let logits = architecture.head(&mut graph, x);
        graph.output(logits, 0..1);
        for value in own {
            graph.output(value, 0..1);
        }
        Self { program: compiled(&graph, threads), slots, token, at, seen, kept }
    }

    /// Takes the keys and values of texts of these lengths from the run of their beginnings, in place
    /// of those of earlier texts.
    fn take(&mut self, beginning: &Program<f32>, lengths: impl Iterator<Item = usize>) {
        let lanes = self.program.lanes();
        for (part, kept) in self.kept.iter().enumerate() {
            let out = beginning.output(1 + part);
            let slots = self.program.weights_mut(*kept);
            for feature in 0..out.features() {
                for at in 0..out.positions() {
                    let place = (feature * self.slots + at) * lanes;
                    slots[place..place + lanes].copy_from_slice(out.lanes(feature, at));
                }
            }
        }
        let seen = self.program.weights_mut(self.seen);
        seen.fill(0.0);
        seen[self.slots * lanes..].fill(1.0);
        for (lane, length) in lengths.enumerate() {
            for at in 0..length {
                seen[at * lanes + lane] = 1.0;
            }
        }
    }

    /// Writes the last token of each text.
    fn write(&mut self, open: &[Open]) {
        for text in open {
            self.program.indices_mut(self.token)[text.lane] = text.token;
            self.program.indices_mut(self.at)[text.lane] = text.at as u32;
        }
    }

    /// Keeps the keys and values of the tokens that were run.
    fn keep(&mut self, open: &[Open]) {
        let lanes = self.program.lanes();
        let mut own = Vec::new();
        for (part, kept) in self.kept.iter().enumerate() {
            let out = self.program.output(1 + part);
            own.clear();
            for feature in 0..out.features() {
                own.extend_from_slice(out.lanes(feature, 0));
            }
            let slots = self.program.weights_mut(*kept);
            for (feature, own) in own.chunks_exact(lanes).enumerate() {
                for Open { lane, at, .. } in open {
                    slots[(feature * self.slots + at) * lanes + lane] = own[*lane];
                }
            }
        }
        let seen = self.program.weights_mut(self.seen);
        for Open { lane, at, .. } in open {
            seen[at * lanes + lane] = 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use crate::Model;
    use crate::context::Context;

    /// The largest difference of a logit.
    const ALLOWED: f32 = 1e-5;

    fn open(name: &str) -> Model {
        let reference: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
        Model::open(&reference.join(name), 2).unwrap()
    }

    /// Texts of differing lengths, more than one batch of them: some shorter than the unit of
    /// lengths, some at the end of the context.
    fn texts(model: &Model) -> Vec<Vec<u32>> {
        let (context, vocab) = (model.architecture().context(), model.architecture().vocab());
        let lengths = [1, 2, 3, 4, 5, 9, 16, 17, 20, 31, 33, context - 1, context];
        let of = |(number, length): (usize, &usize)| -> Vec<u32> {
            (0..*length).map(|at| ((7 * at * at + 13 * number + 1) % vocab) as u32).collect()
        };
        lengths.iter().cycle().take(21).enumerate().map(of).collect()
    }

    /// The logits after a text, all of it run anew.
    fn anew(model: &mut Model, tokens: &[u32]) -> Vec<f32> {
        let context = Context { tokens: tokens.to_vec(), positions: vec![tokens.len() - 1] };
        let mut found = Vec::new();
        model.runner.run(&[context], |_, _, logits| found = logits.iter().collect(), |_, _| true);
        found
    }

    fn likeliest(logits: &[f32]) -> u32 {
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        logits.iter().position(|logit| *logit == best).unwrap() as u32
    }

    #[test]
    fn logits_equal_those_of_the_whole_text_run_anew() {
        const MOST: usize = 20;
        for name in ["gpt2", "llama", "qwen2", "gguf/tiny.gguf"] {
            let mut model = open(name);
            let context = model.architecture().context();
            let (texts, mut other) = (texts(&model), open(name));
            let mut grown = texts.clone();
            let mut asked = vec![0; texts.len()];
            let mut calls = Vec::new();
            let next = |number: usize, logits: &super::Logits<'_>| {
                let found: Vec<f32> = logits.iter().collect();
                let expected = anew(&mut other, &grown[number]);
                let apart = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
                let apart = apart.fold(0.0, f32::max);
                let length = grown[number].len();
                assert!(apart <= ALLOWED, "{name}, text {number}, {length} tokens: {apart}");
                asked[number] += 1;
                // Text 5 is done after three tokens, while others of its batch go on.
                let token = likeliest(&expected);
                grown[number].push(token);
                (number != 5 || asked[number] < 3).then_some(token)
            };
            let go = |done, all| {
                calls.push(done);
                done <= all
            };
            assert!(model.runner.continued(&texts, MOST, next, go));
            for (number, text) in texts.iter().enumerate() {
                let room = context + 1 - text.len();
                let expected = if number == 5 { 3 } else { MOST.min(room) };
                assert_eq!(asked[number], expected, "{name}, text {number}");
            }
            assert!(calls.len() > MOST && calls.is_sorted(), "{name}: {calls:?}");
        }
    }

    #[test]
    fn it_stops_when_told() {
        let mut model = open("llama");
        let mut asked = 0;
        let next = |_: usize, _: &super::Logits<'_>| {
            asked += 1;
            Some(1)
        };
        assert!(!model.runner.continued(&[vec![1, 2], vec![3]], 9, next, |_, _| false));
        assert_eq!(asked, 2);
        assert!(model.runner.continued(&[vec![1, 2]], 0, |_, _| unreachable!(), |_, _| false));
        assert!(model.runner.continued(&[], 5, |_, _| unreachable!(), |_, _| false));
    }
}
