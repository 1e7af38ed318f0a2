//! A compiled program with its inputs and its scores.

use std::ops::Range;
use std::sync::Arc;

use retrodict_engine::lower::Lowered;
use retrodict_engine::{
    Graph, LossFunction, Mode, ProductPrecision, Program, Scalar, Stream, ThreadTuning,
};

use super::SentenceScore;
use super::device::{Machine, compile};
use crate::network::{Inputs, Network};
use crate::objective::{BuiltTerm, Draws, Example, Objective, Slots, TargetSet};

/// The output of a scoring program that holds the logits of the last position.
pub(super) const LOGITS: usize = 1;

/// A compiled graph for one number of sentences.
pub(super) struct Compiled<T> {
    pub(super) program: Program<T>,
    /// Its launches, where it runs on a device.
    pub(super) lowered: Option<Arc<Lowered>>,
    pub(super) thread_tuning: ThreadTuning,
    /// Sentences of a batch.
    pub(super) sentences: usize,
    inputs: Inputs,
    targets: TargetSet,
    terms: Vec<BuiltTerm>,
    /// The positions that the loss covers.
    asked: Range<usize>,
    places: Vec<Place>,
    /// Which predictions belong to a sentence's answer, `[positions, lanes]`.
    counted: Vec<bool>,
}

/// A sentence of the batch.
struct Place {
    lane: usize,
    positions: Range<usize>,
    /// The factor that turns the sum of its NLLs into the NLL of an entity.
    factor: f64,
}

/// A graph with its inputs, before it is compiled.
pub(super) struct Described<T> {
    pub(super) graph: Graph<T>,
    pub(super) mode: Mode,
    inputs: Inputs,
    targets: TargetSet,
    terms: Vec<BuiltTerm>,
    asked: Range<usize>,
}

impl<T: Scalar> Described<T> {
    /// A training step.
    pub(super) fn training(network: &Network, objective: &Objective) -> Described<T> {
        let mut graph = Graph::new();
        let inputs = network.inputs(&mut graph, objective.training_positions());
        let hidden = network.hidden(&mut graph, inputs);
        let logits = network.head(&mut graph, hidden);
        let asked = objective.trained();
        let targets = TargetSet::add(&mut graph, objective.training_positions());
        let (tokens, weights) = (targets.tokens, targets.weights);
        let loss = graph.loss(objective.function, logits, tokens, weights, asked.clone());
        graph.output(loss, 0..asked.len());
        let terms = objective.terms.iter();
        let terms: Vec<BuiltTerm> =
            terms.map(|term| term.build(&mut graph, network, objective, hidden)).collect();
        Described { graph, mode: Mode::Training, inputs, targets, terms, asked }
    }

    /// The scoring of sentences.
    pub(super) fn scoring(network: &Network, objective: &Objective) -> Described<T> {
        let mut graph = Graph::new();
        let inputs = network.inputs(&mut graph, objective.positions());
        let hidden = network.hidden(&mut graph, inputs);
        let logits = network.head(&mut graph, hidden);
        objective.parameters(&mut graph, network, hidden);
        let asked = objective.scored();
        let targets = TargetSet::add(&mut graph, objective.positions());
        let (tokens, weights) = (targets.tokens, targets.weights);
        let plain = LossFunction::CrossEntropy;
        let loss = graph.loss(plain, logits, tokens, weights, asked.clone());
        graph.output(loss, 0..asked.len());
        graph.output(logits, asked.end - 1..asked.end);
        Described { graph, mode: Mode::Inference, inputs, targets, terms: Vec::new(), asked }
    }

    fn compile(self, batch: usize, precision: ProductPrecision, machine: Machine) -> Compiled<T> {
        let Described { graph, mode, inputs, targets, terms, asked } = self;
        let (program, lowered) = compile(&graph, batch, mode, precision, machine);
        Compiled { lowered, ..Compiled::new(program, inputs, targets, terms, asked) }
    }
}

impl<T: Scalar> Compiled<T> {
    /// Compiles a training step.
    pub(super) fn for_training(
        network: &Network,
        objective: &Objective,
        sentences: usize,
        precision: ProductPrecision,
        machine: Machine,
    ) -> Compiled<T> {
        let described = Described::training(network, objective);
        let batch = sentences.div_ceil(objective.pack);
        Compiled { sentences, ..described.compile(batch, precision, machine) }
    }

    /// Compiles the scoring of sentences.
    pub(super) fn for_scoring(
        network: &Network,
        objective: &Objective,
        batch: usize,
        precision: ProductPrecision,
        machine: Machine,
    ) -> Compiled<T> {
        Described::scoring(network, objective).compile(batch, precision, machine)
    }

    fn new(
        program: Program<T>,
        inputs: Inputs,
        targets: TargetSet,
        terms: Vec<BuiltTerm>,
        asked: Range<usize>,
    ) -> Compiled<T> {
        let thread_tuning = ThreadTuning::new(program.workers().max(1), program.flops());
        let sentences = program.batch();
        Compiled {
            program,
            lowered: None,
            thread_tuning,
            sentences,
            inputs,
            targets,
            terms,
            asked,
            places: Vec::new(),
            counted: Vec::new(),
        }
    }

    /// Writes a training batch: as many sentences to a lane, one after the other, as the objective
    /// packs.
    pub(super) fn write_batch<'s>(
        &mut self,
        objective: &Objective,
        examples: impl ExactSizeIterator<Item = Example<'s>>,
        [reading, pairs]: [Stream; 2],
    ) {
        self.clear();
        let share = 1.0 / examples.len() as f64;
        let mut end = 0;
        for (nth, example) in examples.enumerate() {
            let example = objective.resolve(example, share);
            let (lane, length) = (nth / objective.pack, example.tokens.len());
            let first = if nth.is_multiple_of(objective.pack) { 0 } else { end };
            end = first + length;
            let mut slots = self.slots(lane, first..end);
            let draws = Draws { stream: reading, sentence: nth };
            let factor = objective.write_example(example, draws, &mut slots);
            if !(nth + 1).is_multiple_of(objective.pack) {
                // The next sentence sees the last token of this one.
                slots.read(length - 1, example.tokens[length - 1]);
            }
            self.places[nth].factor = factor;
            for term in &self.terms {
                term.write_example(example, &mut self.program, lane);
            }
        }
        for (term, built) in objective.terms.iter().zip(&self.terms) {
            term.draw(built, objective.reading.prompt(), &mut self.program, pairs);
        }
        self.pad();
    }

    /// Writes sentences to be scored on their last entity.
    pub(super) fn ask<'s>(
        &mut self,
        objective: &Objective,
        sentences: impl Iterator<Item = &'s [u32]>,
    ) {
        self.clear();
        for (lane, tokens) in sentences.enumerate() {
            let mut slots = self.slots(lane, 0..tokens.len());
            objective.reading.question(tokens, objective.entity_length, &mut slots);
        }
        self.pad();
    }

    /// The inputs of the next sentence.
    fn slots(&mut self, lane: usize, positions: Range<usize>) -> Slots<'_, T> {
        let first = positions.start;
        self.places.push(Place { lane, positions, factor: 1.0 });
        Slots {
            program: &mut self.program,
            tokens: self.inputs.tokens,
            padding_mask: self.inputs.padding_mask,
            targets: self.targets,
            counted: &mut self.counted,
            lane,
            first,
        }
    }

    /// Clears the inputs of the last batch: its sentences may be longer than the next ones.
    fn clear(&mut self) {
        self.program.indices_mut(self.inputs.tokens).fill(0);
        self.targets.clear(&mut self.program);
        if let Some(padding_mask) = self.inputs.padding_mask {
            self.program.weights_mut(padding_mask).fill(T::ZERO);
        }
        let size = self.program.indices_mut(self.inputs.tokens).len();
        self.places.clear();
        self.counted.clear();
        self.counted.resize(size, false);
        for term in &self.terms {
            term.clear(&mut self.program);
        }
    }

    /// Padding lanes repeat the first sentence; their weight is zero.
    fn pad(&mut self) {
        let (batch, lanes) = (self.program.batch(), self.program.lanes());
        pad(self.program.indices_mut(self.inputs.tokens), batch, lanes);
        pad(self.program.indices_mut(self.targets.tokens), batch, lanes);
        if let Some(padding_mask) = self.inputs.padding_mask {
            pad(self.program.weights_mut(padding_mask), batch, lanes);
        }
    }

    /// Adds the scores of the last run. Every NLL is that of a whole entity.
    pub(super) fn score(&self, scores: &mut Vec<SentenceScore>) {
        let (out, lanes) = (self.program.output(0), self.program.lanes());
        for Place { lane, positions, factor } in &self.places {
            let positions =
                positions.start.max(self.asked.start)..positions.end.min(self.asked.end);
            let mut score = SentenceScore { nll: 0.0, first_token_nll: 0.0, top1: true };
            let counts = |position: &usize| self.counted[position * lanes + lane];
            for (nth, position) in positions.filter(counts).enumerate() {
                let at = |feature| out.lanes(feature, position - self.asked.start)[*lane].to_f64();
                score.nll += at(0);
                if nth == 0 {
                    score.first_token_nll = at(0);
                }
                score.top1 &= at(1) == 0.0;
            }
            score.nll *= factor;
            scores.push(score);
        }
    }
}

/// Copies the first of each `lanes` numbers over those from `batch` on.
pub(crate) fn pad<N: Copy>(rows: &mut [N], batch: usize, lanes: usize) {
    for row in rows.chunks_exact_mut(lanes) {
        let first = row[0];
        row[batch..].fill(first);
    }
}
