//! A decoder with its numbers, its optimiser and its compiled programs: sentences in, scores out.

mod tangent;

use std::ops::Range;
use std::time::Instant;

use retrodict_engine::{
    Gradients, Graph, Indices, Limits, Mode, Noise, Optimizer, Pace, Parameters, ProductPrecision,
    Profile, Program, Rule, Scalar, Team, Weights,
};

use crate::decoder::Decoder;

pub use tangent::Tangents;

/// Sentences scored at once when nothing is trained.
const EVALUATION_BATCH: usize = 64;

/// Which tokens of a sentence the loss is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossOn {
    /// The tokens of the last entity.
    LastEntity,
    /// Every token that has one before it.
    Sequence,
}

/// What is asked of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Objective {
    /// Tokens in a sentence.
    pub sentence_length: usize,
    /// Tokens of the last entity.
    pub entity_length: usize,
    /// Which tokens the loss is on; its mean over them and over the batch is minimised.
    pub loss_on: LossOn,
}

impl Objective {
    /// Positions of the inputs: the last token predicts nothing.
    fn positions(&self) -> usize {
        self.sentence_length - 1
    }

    /// Positions whose predictions are the last entity.
    fn last_entity(&self) -> Range<usize> {
        self.positions() - self.entity_length..self.positions()
    }

    fn scored(&self) -> Range<usize> {
        match self.loss_on {
            LossOn::LastEntity => self.last_entity(),
            LossOn::Sequence => 0..self.positions(),
        }
    }
}

/// How well one sentence's last entity was predicted, each token from the true ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SentenceScore {
    /// −ln of the probability of the whole entity.
    pub nll: f64,
    /// −ln of the probability of its first token.
    pub first_token_nll: f64,
    /// Whether every token of it ranked first in the whole vocabulary.
    pub top1: bool,
}

/// How a model is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainerOptions {
    /// The optimiser.
    pub rule: Rule,
    /// The learning rate.
    pub rate: f64,
    /// The weight decay, of every trainable parameter.
    pub weight_decay: f64,
    /// The seed of the initial parameters.
    pub init_seed: u64,
    /// The seed of dropout.
    pub noise_seed: u64,
    /// Threads that work on one step.
    pub threads: usize,
}

/// A program with its inputs.
struct Compiled<T> {
    program: Program<T>,
    tokens: Indices,
    targets: Option<(Indices, Weights)>,
    /// Scored positions that are not of the last entity, before it.
    skip: usize,
    pace: Pace,
}

/// A decoder in training. After the first steps, a step allocates nothing.
pub struct Trainer<T> {
    decoder: Decoder,
    objective: Objective,
    parameters: Parameters<T>,
    gradients: Gradients<T>,
    optimizer: Optimizer<T>,
    noise_seed: u64,
    precision: ProductPrecision,
    team: Team,
    /// Compiled when a size is first met; there are two or three.
    training: Vec<Compiled<T>>,
    evaluation: Vec<Compiled<T>>,
    scores: Vec<SentenceScore>,
}

impl<T: Scalar> Trainer<T> {
    /// A freshly drawn model.
    ///
    /// # Panics
    /// If the decoder is not [valid](Decoder::validate), or has a table of positions that is
    /// shorter than the inputs.
    pub fn new(decoder: &Decoder, objective: Objective, options: &TrainerOptions) -> Trainer<T> {
        let mut graph = Graph::new();
        let tokens = graph.indices(objective.positions());
        decoder.logits(&mut graph, tokens);
        let parameters = Parameters::initial(&graph, options.init_seed);
        let optimizer =
            Optimizer::new(options.rule, options.rate, options.weight_decay, &parameters);
        Trainer {
            decoder: decoder.clone(),
            objective,
            gradients: Gradients::zeros(&parameters),
            parameters,
            optimizer,
            noise_seed: options.noise_seed,
            precision: ProductPrecision::Full,
            team: Team::new(options.threads),
            training: Vec::new(),
            evaluation: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// The same, its matrix products computed in `precision` (at first: full), in training and in
    /// evaluation.
    pub fn with_products(self, precision: ProductPrecision) -> Trainer<T> {
        Trainer { precision, training: Vec::new(), evaluation: Vec::new(), ..self }
    }

    /// The model's numbers.
    pub fn parameters(&self) -> &Parameters<T> {
        &self.parameters
    }

    /// The model's numbers, to be changed.
    pub fn parameters_mut(&mut self) -> &mut Parameters<T> {
        &mut self.parameters
    }

    /// The optimiser with its state.
    pub fn optimizer(&self) -> &Optimizer<T> {
        &self.optimizer
    }

    /// The optimiser, to be restored.
    pub fn optimizer_mut(&mut self) -> &mut Optimizer<T> {
        &mut self.optimizer
    }

    /// One training step on a batch. The scores are those before the update, dropout on.
    pub fn step<'s>(
        &mut self,
        sentences: impl ExactSizeIterator<Item = &'s [u32]>,
    ) -> &[SentenceScore] {
        let compiled = program_for(&mut self.training, sentences.len(), || {
            compile(&self.decoder, self.objective, sentences.len(), self.precision, &self.team)
        });
        compiled.fill(self.objective, sentences);
        let noise = Noise { seed: self.noise_seed, step: self.optimizer.steps() };
        let (parameters, gradients) = (&mut self.parameters, &mut self.gradients);
        self.team.set_active(compiled.pace.workers());
        self.team.set_patience(compiled.pace.patience());
        let begun = Instant::now();
        let (optimizer, team) = (&mut self.optimizer, &mut self.team);
        let together = compiled.program.step(parameters, gradients, optimizer, noise, team);
        compiled.pace.took(begun.elapsed(), together);
        self.scores.clear();
        compiled.score(&mut self.scores);
        &self.scores
    }

    /// The gradient of the loss on a batch, as the next step would see it.
    pub fn gradients<'s>(
        &mut self,
        sentences: impl ExactSizeIterator<Item = &'s [u32]>,
    ) -> &Gradients<T> {
        let compiled = program_for(&mut self.training, sentences.len(), || {
            compile(&self.decoder, self.objective, sentences.len(), self.precision, &self.team)
        });
        compiled.fill(self.objective, sentences);
        let noise = Noise { seed: self.noise_seed, step: self.optimizer.steps() };
        let (parameters, gradients) = (&self.parameters, &mut self.gradients);
        compiled.program.gradients(parameters, gradients, noise, &mut self.team);
        &self.gradients
    }

    /// Scores sentences, dropout off.
    pub fn evaluate(&mut self, sentences: &[Vec<u32>]) -> &[SentenceScore] {
        self.scores.clear();
        let objective = Objective { loss_on: LossOn::LastEntity, ..self.objective };
        for batch in sentences.chunks(EVALUATION_BATCH) {
            let compiled = program_for(&mut self.evaluation, batch.len(), || {
                let mut graph = Graph::new();
                let (tokens, targets) = with_loss(&self.decoder, &mut graph, objective);
                let (precision, workers) = (self.precision, self.team.workers());
                let program =
                    Program::compile(&graph, batch.len(), Mode::Inference, precision, workers);
                Compiled::new(program, tokens, Some(targets), 0)
            });
            compiled.fill(objective, batch.iter().map(Vec::as_slice));
            let noise = Noise { seed: 0, step: 0 };
            compiled.program.forward(&self.parameters, noise, &mut self.team);
            compiled.score(&mut self.scores);
        }
        &self.scores
    }

    /// The logits of what follows each context, `[context][vocabulary]`, dropout off.
    ///
    /// # Panics
    /// If the contexts differ in length, or are longer than the table of positions.
    pub fn next_token_logits(&mut self, contexts: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let mut logits = Vec::with_capacity(contexts.len());
        for batch in contexts.chunks(EVALUATION_BATCH) {
            let length = batch[0].len();
            let mut graph = Graph::<T>::new();
            let tokens = graph.indices(length);
            let value = self.decoder.logits(&mut graph, tokens);
            graph.output(value, length - 1..length);
            let (precision, workers) = (self.precision, self.team.workers());
            let program =
                Program::compile(&graph, batch.len(), Mode::Inference, precision, workers);
            let mut compiled: Compiled<T> = Compiled::new(program, tokens, None, 0);
            let sentences = batch.iter().map(|context| {
                assert_eq!(context.len(), length, "contexts have one length");
                context.as_slice()
            });
            compiled.fill_tokens(length, sentences);
            let noise = Noise { seed: 0, step: 0 };
            compiled.program.forward(&self.parameters, noise, &mut self.team);
            let out = compiled.program.output(0);
            for lane in 0..batch.len() {
                let row = (0..out.features()).map(|f| out.lanes(f, 0)[lane].to_f64() as f32);
                logits.push(row.collect());
            }
        }
        logits
    }

    /// Measures where the time of `steps` steps on a batch goes, and what the machine could do at
    /// best with as many bytes as a step works on. The parameters change as in any step.
    pub fn profile(&mut self, batch: &[Vec<u32>], steps: u64) -> (Profile, Limits) {
        let sentences = || batch.iter().map(Vec::as_slice);
        for _ in 0..2 {
            self.step(sentences()); // compiles, and touches all memory
        }
        let size = batch.len();
        let at = self.training.iter().position(|compiled| compiled.program.batch() == size);
        let at = at.expect("the step compiled a program of this size");
        self.training[at].program.keep_profile();
        for _ in 0..steps {
            self.step(sentences());
        }
        let program = &self.training[at].program;
        let rule = self.optimizer.rule;
        let profile = program.profile(rule).expect("it was told to keep one");
        let state = (2 + rule.moments()) * self.parameters.count() * T::BYTES;
        let (isa, bytes) = (program.isa(), program.bytes() + state);
        (profile, Limits::measure::<T>(isa, &mut self.team, bytes))
    }

    /// Multiplications and additions of a training step of `batch` sentences, and the bytes of
    /// memory that it needs beside parameters, gradients and moments.
    pub fn cost(&self, batch: usize) -> (u64, usize) {
        let compiled =
            compile::<T>(&self.decoder, self.objective, batch, self.precision, &self.team);
        (compiled.program.flops(), compiled.program.bytes())
    }
}

/// The program for batches of this size, compiled the first time.
fn program_for<T: Scalar>(
    programs: &mut Vec<Compiled<T>>,
    batch: usize,
    compile: impl FnOnce() -> Compiled<T>,
) -> &mut Compiled<T> {
    let at = programs.iter().position(|c| c.program.batch() == batch).unwrap_or_else(|| {
        programs.push(compile());
        programs.len() - 1
    });
    &mut programs[at]
}

fn compile<T: Scalar>(
    decoder: &Decoder,
    objective: Objective,
    batch: usize,
    precision: ProductPrecision,
    team: &Team,
) -> Compiled<T> {
    let mut graph = Graph::new();
    let (tokens, targets) = with_loss(decoder, &mut graph, objective);
    let program = Program::compile(&graph, batch, Mode::Training, precision, team.workers());
    let skip = objective.last_entity().start - objective.scored().start;
    Compiled::new(program, tokens, Some(targets), skip)
}

fn with_loss<T: Scalar>(
    decoder: &Decoder,
    graph: &mut Graph<T>,
    objective: Objective,
) -> (Indices, (Indices, Weights)) {
    let positions = objective.positions();
    let tokens = graph.indices(positions);
    let logits = decoder.logits(graph, tokens);
    let targets = graph.indices(positions);
    let weights = graph.weights(positions);
    let scored = objective.scored();
    let loss = graph.cross_entropy(logits, targets, weights, scored.clone());
    graph.output(loss, 0..scored.len());
    (tokens, (targets, weights))
}

impl<T: Scalar> Compiled<T> {
    fn new(
        program: Program<T>,
        tokens: Indices,
        targets: Option<(Indices, Weights)>,
        skip: usize,
    ) -> Compiled<T> {
        let pace = Pace::new(program.workers(), program.flops());
        Compiled { program, tokens, targets, skip, pace }
    }

    /// Writes a batch into the inputs; padding lanes repeat the first sentence, with weight zero.
    fn fill<'s>(
        &mut self,
        objective: Objective,
        sentences: impl ExactSizeIterator<Item = &'s [u32]>,
    ) {
        let (batch, lanes) = (self.program.batch(), self.program.lanes());
        let scored = objective.scored();
        let Some((targets, weights)) = self.targets else { return };
        let weight = T::from_f64(1.0 / (batch * scored.len()) as f64);
        for (at, out) in self.program.weights_mut(weights).iter_mut().enumerate() {
            let counts = at % lanes < batch && scored.contains(&(at / lanes));
            *out = if counts { weight } else { T::ZERO };
        }
        for (lane, sentence) in sentences.enumerate() {
            assert_eq!(sentence.len(), objective.sentence_length, "sentences have one length");
            let last = if lane == 0 { batch..lanes } else { 0..0 };
            for (p, pair) in sentence.windows(2).enumerate() {
                for lane in std::iter::once(lane).chain(last.clone()) {
                    self.program.indices_mut(self.tokens)[p * lanes + lane] = pair[0];
                    self.program.indices_mut(targets)[p * lanes + lane] = pair[1];
                }
            }
        }
    }

    /// Writes the tokens alone.
    fn fill_tokens<'s>(&mut self, length: usize, sentences: impl Iterator<Item = &'s [u32]>) {
        let lanes = self.program.lanes();
        for (lane, sentence) in sentences.enumerate() {
            for (p, token) in sentence[..length].iter().enumerate() {
                self.program.indices_mut(self.tokens)[p * lanes + lane] = *token;
            }
        }
    }

    /// Adds the scores of the batch that was just run.
    fn score(&self, scores: &mut Vec<SentenceScore>) {
        let out = self.program.output(0);
        for lane in 0..self.program.batch() {
            let at = |feature, position| out.lanes(feature, position)[lane].to_f64();
            let entity = self.skip..out.positions();
            scores.push(SentenceScore {
                nll: entity.clone().map(|p| at(0, p)).sum(),
                first_token_nll: at(0, self.skip),
                top1: entity.into_iter().all(|p| at(1, p) == 0.0),
            });
        }
    }
}
