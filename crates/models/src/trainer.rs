//! A network with its numbers, its optimiser and its compiled programs: sentences in, scores out.

mod compiled;
mod inside;
mod parts;
mod tangent;

use std::time::Instant;

use retrodict_engine::{
    Gradients, Graph, Noise, Optimizer, Parameters, ProductPrecision, Profile, Purpose, Roofline,
    Rule, Scalar, Stream, Team,
};

use crate::lr_schedule::LrSchedule;
use crate::network::Network;
use crate::objective::{Example, Objective};
use compiled::Compiled;

pub use inside::{NotADecoder, Patch};
pub use parts::{LastNorm, NoParts, Part, Parts};
pub use tangent::Tangents;

/// Sentences scored at once when nothing is trained.
const EVALUATION_BATCH: usize = 64;

/// How well one sentence's last entity was predicted, each token from the true ones before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SentenceScore {
    /// −ln of the probability of the whole entity. In training on masked or permuted sentences,
    /// which predict other tokens than the entity's: their mean times the tokens of an entity.
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
    /// How the rate changes over training.
    pub schedule: LrSchedule,
}

/// A network in training. After the first steps, a step allocates nothing.
pub struct Trainer<T> {
    network: Network,
    objective: Objective,
    parameters: Parameters<T>,
    gradients: Gradients<T>,
    optimizer: Optimizer<T>,
    schedule: LrSchedule,
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
    /// If the network is not [valid](Network::validate), or has a table of positions that is
    /// shorter than the inputs.
    pub fn new(
        network: impl Into<Network>,
        objective: Objective,
        options: &TrainerOptions,
    ) -> Trainer<T> {
        let network = network.into();
        let mut graph = Graph::new();
        let inputs = network.inputs(&mut graph, objective.positions());
        let hidden = network.hidden(&mut graph, inputs);
        network.head(&mut graph, hidden);
        objective.parameters(&mut graph, &network, hidden);
        let parameters = Parameters::initial(&graph, options.init_seed);
        let optimizer =
            Optimizer::new(options.rule, options.rate, options.weight_decay, &parameters);
        Trainer {
            network,
            objective,
            gradients: Gradients::zeros(&parameters),
            parameters,
            optimizer,
            schedule: options.schedule,
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
    pub fn step<'s, L: Into<Example<'s>>>(
        &mut self,
        examples: impl ExactSizeIterator<Item = L>,
    ) -> &[SentenceScore] {
        let compiled = Self::prepare(
            &mut self.training,
            (&self.network, &self.objective),
            examples,
            (self.noise_seed, self.optimizer.steps()),
            (self.precision, &self.team),
        );
        let steps = self.optimizer.steps();
        let highest = self.optimizer.rate;
        self.optimizer.rate *= self.schedule.factor(steps);
        let noise = Noise { seed: self.noise_seed, step: steps };
        let (parameters, gradients) = (&mut self.parameters, &mut self.gradients);
        self.team.set_active(compiled.thread_tuning.workers());
        self.team.set_patience(compiled.thread_tuning.patience());
        let begun = Instant::now();
        let (optimizer, team) = (&mut self.optimizer, &mut self.team);
        let together = compiled.program.step(parameters, gradients, optimizer, noise, team);
        compiled.thread_tuning.took(begun.elapsed(), together);
        self.optimizer.rate = highest;
        self.scores.clear();
        compiled.score(&mut self.scores);
        &self.scores
    }

    /// The gradient of the loss on a batch, as the next step would see it.
    pub fn gradients<'s, L: Into<Example<'s>>>(
        &mut self,
        examples: impl ExactSizeIterator<Item = L>,
    ) -> &Gradients<T> {
        let compiled = Self::prepare(
            &mut self.training,
            (&self.network, &self.objective),
            examples,
            (self.noise_seed, self.optimizer.steps()),
            (self.precision, &self.team),
        );
        let noise = Noise { seed: self.noise_seed, step: self.optimizer.steps() };
        let (parameters, gradients) = (&self.parameters, &mut self.gradients);
        compiled.program.gradients(parameters, gradients, noise, &mut self.team);
        &self.gradients
    }

    /// The training program for a batch, the batch written into it.
    fn prepare<'c, 's, L: Into<Example<'s>>>(
        training: &'c mut Vec<Compiled<T>>,
        (network, objective): (&Network, &Objective),
        examples: impl ExactSizeIterator<Item = L>,
        (seed, step): (u64, u64),
        (precision, team): (ProductPrecision, &Team),
    ) -> &'c mut Compiled<T> {
        let size = examples.len();
        let compiled = program_for(training, size, || {
            Compiled::for_training(network, objective, size, precision, team)
        });
        let streams = [Purpose::Reading, Purpose::Pairs]
            .map(|purpose| Stream::new(seed, purpose, step as u32));
        compiled.write_batch(objective, examples.map(L::into), streams);
        compiled
    }

    /// Scores sentences, dropout off.
    pub fn evaluate(&mut self, sentences: &[Vec<u32>]) -> &[SentenceScore] {
        self.scores.clear();
        for batch in sentences.chunks(EVALUATION_BATCH) {
            let compiled = program_for(&mut self.evaluation, batch.len(), || {
                let (network, objective) = (&self.network, &self.objective);
                Compiled::for_scoring(network, objective, batch.len(), self.precision, &self.team)
            });
            compiled.ask(&self.objective, batch.iter().map(Vec::as_slice));
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
        let mut read = self.look([contexts], |_, _, logits| vec![logits]);
        let rows = read.pop().unwrap_or_default();
        rows.into_iter().map(|row| row.into_iter().map(|x| x as f32).collect()).collect()
    }

    /// Measures where the time of `steps` steps on a batch goes, and what the machine could do at
    /// best with as many bytes as a step works on. The parameters change as in any step.
    pub fn profile(&mut self, batch: &[Example<'_>], steps: u64) -> (Profile, Roofline) {
        let sentences = || batch.iter().copied();
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
        (profile, Roofline::measure::<T>(isa, &mut self.team, bytes))
    }

    /// Multiplications and additions of a training step of `batch` sentences, and the bytes of
    /// memory that it needs beside parameters, gradients and moments.
    pub fn cost(&self, batch: usize) -> (u64, usize) {
        let (network, objective) = (&self.network, &self.objective);
        let compiled =
            Compiled::<T>::for_training(network, objective, batch, self.precision, &self.team);
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
