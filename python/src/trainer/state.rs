//! The state that a step changes: the model, in either precision, and its place in the run.

use std::ops::Range;

use retrodict_engine::{Parameter, Purpose, Scalar, Stream};
use retrodict_facts::{Dataset, Sentence, TrainingSet};
use retrodict_lab::spec::Precision;
use retrodict_lab::store::{Tensor, Values};
use retrodict_lab::{Experiment, Steps, example};
use retrodict_models::{SentenceScore, Trainer};

/// A model in either precision.
pub(super) enum Net {
    F32(Box<Trainer<f32>>),
    F64(Box<Trainer<f64>>),
}

/// Runs code with the trainer of either precision.
macro_rules! with {
    ($net:expr, $trainer:ident => $code:expr) => {
        match $net {
            crate::trainer::state::Net::F32($trainer) => $code,
            crate::trainer::state::Net::F64($trainer) => $code,
        }
    };
}
pub(super) use with;

impl Net {
    /// A model with fresh parameters.
    pub(super) fn new(
        experiment: &Experiment,
        seed: u64,
        dataset: &Dataset,
        threads: usize,
    ) -> Net {
        match experiment.spec.precision {
            Precision::F32 | Precision::Bf16 => {
                Net::F32(Box::new(experiment.trainer(seed, dataset, threads)))
            }
            Precision::F64 => Net::F64(Box::new(experiment.trainer(seed, dataset, threads))),
        }
    }
}

/// The sentences of a run and the order in which it takes them.
pub(super) struct Course {
    pub(super) sentences: Vec<Sentence>,
    pub(super) steps: Steps,
    order_seed: u64,
}

impl Course {
    pub(super) fn new(experiment: &Experiment, seed: u64, training_set: TrainingSet) -> Course {
        Course {
            steps: experiment.steps(&training_set),
            sentences: training_set.sentences,
            order_seed: experiment.seeds(seed).order,
        }
    }
}

/// The state that changes with a step.
pub(super) struct State {
    pub(super) net: Net,
    /// Whole epochs done.
    pub(super) epoch: u64,
    /// Batches done of the next epoch.
    batch: u64,
    /// The order of the sentences in it; empty before it begins.
    order: Vec<usize>,
}

impl State {
    pub(super) fn new(net: Net) -> State {
        State { net, epoch: 0, batch: 0, order: Vec::new() }
    }

    /// Draws the order of the epoch as a run does, unless it is there; returns the next batch's
    /// part of it.
    fn next(&mut self, course: &Course) -> Range<usize> {
        let count = course.sentences.len();
        if self.order.len() != count {
            self.order = (0..count).collect();
            Stream::new(course.order_seed, Purpose::Order, self.epoch as u32)
                .shuffle(&mut self.order);
        }
        let first = self.batch as usize * course.steps.batch_size;
        first..(first + course.steps.batch_size).min(count)
    }

    /// A step on the next batch: the mean NLL before the update, in nats.
    pub(super) fn step(&mut self, course: &Course) -> f64 {
        let next = self.next(course);
        let batch = self.order[next].iter().map(|&at| example(&course.sentences[at]));
        let nll = with!(&mut self.net, trainer => mean(trainer.step(batch)));
        self.batch += 1;
        if self.batch == course.steps.per_epoch {
            (self.epoch, self.batch) = (self.epoch + 1, 0);
            self.order.clear();
        }
        nll
    }

    /// The gradients on the next batch, which stays the next.
    pub(super) fn gradients(&mut self, course: &Course) -> Vec<Tensor<'static>> {
        let next = self.next(course);
        let batch = self.order[next].iter().map(|&at| example(&course.sentences[at]));
        with!(&mut self.net, trainer => trainer.gradients(batch).iter().map(copy).collect())
    }
}

/// The mean NLL of scores, in nats.
pub(super) fn mean(scores: &[SentenceScore]) -> f64 {
    scores.iter().map(|score| score.nll).sum::<f64>() / scores.len() as f64
}

/// A number of a model in either precision.
pub(super) trait Number: Scalar {
    fn values(numbers: &[Self]) -> Values<'static>;
}

impl Number for f32 {
    fn values(numbers: &[f32]) -> Values<'static> {
        Values::F32(numbers.to_vec().into())
    }
}

impl Number for f64 {
    fn values(numbers: &[f64]) -> Values<'static> {
        Values::F64(numbers.to_vec().into())
    }
}

/// A copy of a parameter or its gradient, which outlives the hold on the trainer.
pub(super) fn copy<T: Number>((parameter, numbers): (&Parameter, &[T])) -> Tensor<'static> {
    Tensor {
        name: parameter.name.clone().into(),
        shape: parameter.shape().into(),
        values: T::values(numbers),
    }
}
