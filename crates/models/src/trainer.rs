//! The trainer: a network with its parameters, its optimiser and its compiled programs.

mod compiled;
mod custom;
mod device;
mod inside;
mod memory;
mod next_token;
mod parts;
mod representation;
mod tangent;

use std::time::Instant;

use retrodict_engine::lower::UpdateRule;
use retrodict_engine::{
    Gradients, Graph, Noise, Optimizer, Parameters, ProductPrecision, Profile, Purpose, Roofline,
    Rule, Scalar, Stream, Team,
};

use crate::lr_schedule::LrSchedule;
use crate::network::Network;
use crate::objective::{Example, Objective};
use compiled::{Compiled, LOGITS};
use custom::LogitLoss;
use device::{Machine, Remote, forward};
use next_token::{NextToken, copy_logits};

pub use device::DeviceBytes;
pub use inside::{NotADecoder, Patch};
pub use memory::{Batches, TrainerBytes};
pub use parts::{LastNorm, NoParts, Part, Parts, Written};
pub use tangent::Tangents;

/// Sentences in one batch of an evaluation.
const EVALUATION_BATCH: usize = 64;

/// The score of one sentence's last entity, each token predicted from the true tokens before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SentenceScore {
    /// −ln of the probability of the whole entity, in nats. In training on masked or permuted
    /// sentences, which predict tokens other than the entity's: their mean NLL times the tokens of
    /// an entity.
    pub nll: f64,
    /// −ln of the probability of its first token, in nats.
    pub first_token_nll: f64,
    /// Whether every token of the entity ranks first in the whole vocabulary; a tie is no first rank.
    pub top1: bool,
}

/// The settings of training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainerOptions {
    /// The optimiser.
    pub rule: Rule,
    /// The learning rate.
    pub rate: f64,
    /// The weight decay.
    pub weight_decay: f64,
    /// Whether it acts on biases and the gains of norms too.
    pub decay_norms: bool,
    /// The largest norm of the whole gradient; 0 for no limit.
    pub clip: f64,
    /// The seed of the initial parameters.
    pub init_seed: u64,
    /// The seed of dropout.
    pub noise_seed: u64,
    /// Threads of one step.
    pub threads: usize,
    /// The learning-rate schedule.
    pub schedule: LrSchedule,
}

/// A network in training. After the first steps, a step allocates no memory.
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
    /// The device on which it trains, if any.
    remote: Option<Remote<T>>,
    update: UpdateRule,
    /// Compiled when a batch size first occurs; a run has two or three sizes.
    training: Vec<Compiled<T>>,
    evaluation: Vec<Compiled<T>>,
    next_token: Vec<NextToken<T>>,
    logit_loss: Vec<LogitLoss<T>>,
    scores: Vec<SentenceScore>,
    /// Whether the head holds the present representations; of joint-embedding prediction alone.
    head_is_fresh: bool,
}

impl<T: Scalar> Trainer<T> {
    /// A model with freshly drawn parameters.
    ///
    /// # Panics
    /// If the network is not [valid](Network::validate), or if its position table is shorter than
    /// the inputs.
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
            Optimizer::new(options.rule, options.rate, options.weight_decay, &parameters)
                .decaying_vectors(options.decay_norms)
                .clipped(options.clip);
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
            remote: None,
            update: UpdateRule {
                rule: options.rule,
                decays_vectors: options.decay_norms,
                clip: options.clip,
            },
            training: Vec::new(),
            evaluation: Vec::new(),
            next_token: Vec::new(),
            logit_loss: Vec::new(),
            scores: Vec::new(),
            head_is_fresh: false,
        }
    }

    /// The same trainer with matrix products in `precision`, in training and in evaluation. The
    /// default is full precision.
    pub fn with_products(self, precision: ProductPrecision) -> Trainer<T> {
        Trainer {
            precision,
            training: Vec::new(),
            evaluation: Vec::new(),
            next_token: Vec::new(),
            logit_loss: Vec::new(),
            ..self
        }
    }

    /// The parameters; on a device, as of the last [`fetch`](Trainer::fetch).
    pub fn parameters(&self) -> &Parameters<T> {
        &self.parameters
    }

    /// The parameters, mutable.
    pub fn parameters_mut(&mut self) -> &mut Parameters<T> {
        self.change_here();
        self.head_is_fresh = false;
        &mut self.parameters
    }

    /// The optimiser and its state; on a device, as of the last [`fetch`](Trainer::fetch), but for
    /// the number of steps.
    pub fn optimizer(&self) -> &Optimizer<T> {
        &self.optimizer
    }

    /// The optimiser, mutable, to restore its state.
    pub fn optimizer_mut(&mut self) -> &mut Optimizer<T> {
        self.change_here();
        &mut self.optimizer
    }

    /// Makes one training step on a batch. The scores are those before the update, with dropout.
    ///
    /// # Panics
    /// On a device, which makes [several](Trainer::steps) at once.
    pub fn step<'s, L: Into<Example<'s>>>(
        &mut self,
        examples: impl ExactSizeIterator<Item = L>,
    ) -> &[SentenceScore] {
        assert!(self.remote.is_none(), "a device makes several steps at once");
        let machine = self.machine();
        let compiled = Self::prepare(
            &mut self.training,
            (&self.network, &self.objective),
            examples,
            (self.noise_seed, self.optimizer.steps()),
            (self.precision, machine),
        );
        self.head_is_fresh = false;
        let steps = self.optimizer.steps();
        let highest = self.optimizer.rate;
        self.optimizer.rate *= self.schedule.factor(steps);
        let noise = Noise { seed: self.noise_seed, step: steps };
        let (parameters, gradients) = (&mut self.parameters, &mut self.gradients);
        self.team.set_active(compiled.thread_tuning.workers());
        self.team.set_patience(compiled.thread_tuning.patience());
        // One worker needs no tuning; some systems with one thread, WebAssembly's, have no clock.
        let begun = (self.team.workers() > 1).then(Instant::now);
        let (optimizer, team) = (&mut self.optimizer, &mut self.team);
        let together = compiled.program.step(parameters, gradients, optimizer, noise, team);
        if let Some(begun) = begun {
            compiled.thread_tuning.took(begun.elapsed(), together);
        }
        self.optimizer.rate = highest;
        self.scores.clear();
        compiled.score(&mut self.scores);
        &self.scores
    }

    /// The gradient that the next step would compute on a batch.
    pub fn gradients<'s, L: Into<Example<'s>>>(
        &mut self,
        examples: impl ExactSizeIterator<Item = L>,
    ) -> &Gradients<T> {
        self.leave_device();
        let machine = self.machine();
        let compiled = Self::prepare(
            &mut self.training,
            (&self.network, &self.objective),
            examples,
            (self.noise_seed, self.optimizer.steps()),
            (self.precision, machine),
        );
        let noise = Noise { seed: self.noise_seed, step: self.optimizer.steps() };
        let (parameters, gradients) = (&self.parameters, &mut self.gradients);
        compiled.program.gradients(parameters, gradients, noise, &mut self.team);
        &self.gradients
    }

    /// Writes a batch into the training program of its size, and returns the program.
    fn prepare<'c, 's, L: Into<Example<'s>>>(
        training: &'c mut Vec<Compiled<T>>,
        (network, objective): (&Network, &Objective),
        examples: impl ExactSizeIterator<Item = L>,
        (seed, step): (u64, u64),
        (precision, machine): (ProductPrecision, Machine),
    ) -> &'c mut Compiled<T> {
        let size = examples.len();
        let compiled = program_for(training, size, || {
            Compiled::for_training(network, objective, size, precision, machine)
        });
        let streams = [Purpose::Reading, Purpose::Pairs]
            .map(|purpose| Stream::new(seed, purpose, step as u32));
        compiled.write_batch(objective, examples.map(L::into), streams);
        compiled
    }

    /// Scores sentences without dropout.
    pub fn evaluate(&mut self, sentences: &[Vec<u32>]) -> &[SentenceScore] {
        self.score(sentences, |_, _| ());
        &self.scores
    }

    /// Scores sentences without dropout, and returns the logits of the last token of each: those of
    /// [`logits_after`](Trainer::logits_after) the tokens before it, without another pass. `None`
    /// instead of logits if a sentence is shorter than the longest of the objective.
    pub fn evaluate_with_logits(
        &mut self,
        sentences: &[Vec<u32>],
    ) -> (&[SentenceScore], Option<Vec<f32>>) {
        let length = self.objective.sentence_length;
        if sentences.iter().any(|sentence| sentence.len() != length) {
            return (self.evaluate(sentences), None);
        }
        let mut logits = vec![0.0; self.network.vocab() * sentences.len()];
        self.score(sentences, |first, compiled| {
            copy_logits(&mut logits, sentences.len(), first, &compiled.program, LOGITS);
        });
        (&self.scores, Some(logits))
    }

    /// Scores sentences in batches. `read` receives each program after its run, with the index of
    /// the batch's first sentence.
    fn score(&mut self, sentences: &[Vec<u32>], mut read: impl FnMut(usize, &Compiled<T>)) {
        self.refresh_head();
        self.scores.clear();
        let machine = self.machine();
        for (nth, batch) in sentences.chunks(EVALUATION_BATCH).enumerate() {
            let compiled = program_for(&mut self.evaluation, batch.len(), || {
                let (network, objective) = (&self.network, &self.objective);
                Compiled::for_scoring(network, objective, batch.len(), self.precision, machine)
            });
            compiled.ask(&self.objective, batch.iter().map(Vec::as_slice));
            let state = (&self.parameters, &self.optimizer, &mut self.team);
            forward(&mut compiled.program, compiled.lowered.as_ref(), state, &mut self.remote);
            compiled.score(&mut self.scores);
            read(nth * EVALUATION_BATCH, compiled);
        }
    }

    /// Measures the time of each operation over `steps` steps on a batch, and the machine's
    /// roofline for a working set of the same size. The parameters change as in any step.
    pub fn profile(&mut self, batch: &[Example<'_>], steps: u64) -> (Profile, Roofline) {
        let sentences = || batch.iter().copied();
        for _ in 0..2 {
            self.step(sentences()); // compiles, and touches all memory
        }
        let size = batch.len();
        let at = self.training.iter().position(|compiled| compiled.sentences == size);
        let at = at.expect("the step compiled a program of this size");
        self.training[at].program.keep_profile();
        for _ in 0..steps {
            self.step(sentences());
        }
        let program = &self.training[at].program;
        let rule = self.optimizer.rule();
        let profile = program.profile(rule).expect("it was told to keep one");
        let state = (2 + rule.moments()) * self.parameters.count() * T::BYTES;
        let (isa, bytes) = (program.isa(), program.bytes() + state);
        (profile, Roofline::measure::<T>(isa, &mut self.team, bytes))
    }

    /// The multiplications and additions of a training step on `sentences`.
    pub fn step_flops(&mut self, sentences: usize) -> u64 {
        let (network, objective, machine) = (&self.network, &self.objective, self.machine());
        let compiled = program_for(&mut self.training, sentences, || {
            Compiled::for_training(network, objective, sentences, self.precision, machine)
        });
        compiled.program.flops()
    }
}

/// The program for batches of so many sentences, compiled on first use.
fn program_for<T: Scalar>(
    programs: &mut Vec<Compiled<T>>,
    sentences: usize,
    compile: impl FnOnce() -> Compiled<T>,
) -> &mut Compiled<T> {
    let at = programs.iter().position(|c| c.sentences == sentences).unwrap_or_else(|| {
        programs.push(compile());
        programs.len() - 1
    });
    &mut programs[at]
}
