//! The sections of a spec that are the laboratory's own; `[model]` and `[objective]` are declared
//! beside the models, and the keys of each kind of data, optimiser and loss beside their code.

use std::ops::RangeInclusive;

use retrodict_engine::Rule;
use retrodict_facts::{DataConfig, Recipes};
use retrodict_models::{LossOn, LrDecay};
use retrodict_settings::{Condition, NOT_NEGATIVE, POSITIVE, Refused, Setting, Value, settings};

use super::seeds::LARGEST_SEED;

// Bounds far beyond any experiment: a larger value is a typing error, and its allocation would
// fail.
const SENTENCES: RangeInclusive<u64> = 1..=1_000_000;
const EPOCHS: RangeInclusive<u64> = 1..=1_000_000_000;
const EVERY: RangeInclusive<u64> = 0..=1_000_000_000;
const STEPS: RangeInclusive<u64> = 0..=1_000_000_000_000_000;
const PACKED: RangeInclusive<u64> = 1..=1_000;
const SEED: RangeInclusive<u64> = 0..=LARGEST_SEED;

settings! {
    /// The sentences.
    pub struct DataSettings in "data" {
        /// The kind of sentences, with its sizes.
        pub kind: DataConfig;
        /// Recipes that change the training sentences, in order.
        pub recipes: Recipes = Recipes::default(), (), later;
        /// Training sentences of one context, in the order of the epoch and without a mask between
        /// them; evaluation reads each by itself.
        pub pack: usize = 1, PACKED, later;
        /// Seed of the data set; the run's seed if left out.
        pub seed: Option<u64> = None, SEED;
    }
}

settings! {
    /// The training.
    pub struct TrainSettings in "train" {
        /// The optimizer.
        pub optimizer: Rule;
        /// Learning rate; the highest, if it changes.
        pub lr: f64 = 0.001, POSITIVE;
        /// Decay of the learning rate after the warm-up.
        pub schedule: LrDecay = LrDecay::Constant, (), later;
        /// Steps in which the learning rate rises linearly.
        pub warmup: u64 = 0, EVERY, later;
        /// Weight decay of every parameter.
        pub weight_decay: f64 = 0.01, NOT_NEGATIVE;
        /// Whether biases and norms decay too; false exempts them, as two parameter groups do.
        pub decay_norms: bool = true, (), later, when(Condition::positive("train.weight_decay"));
        /// Largest norm of the whole gradient, to which a longer one is scaled down; 0 for no limit.
        pub clip: f64 = 0.0, NOT_NEGATIVE, later;
        /// Sentences of a batch; the last batch of an epoch may be smaller.
        pub batch_size: BatchSize = BatchSize::Sentences(64), ();
        /// Passes over the training sentences.
        pub epochs: u64 = 150, EPOCHS;
        /// Tokens that the loss is on: the last entity's, or all but the first.
        pub loss_on: LossOn = LossOn::LastEntity, ();
        /// Seed of the initial weights; the run's seed if left out.
        pub init_seed: Option<u64> = None, SEED;
        /// Seed of the batch order and of dropout; the run's seed if left out.
        pub order_seed: Option<u64> = None, SEED;
    }
}

settings! {
    /// The measurements during training.
    pub struct ProbeSettings in "probe" {
        /// Whether effective weights are measured: the logits of every candidate after each single
        /// entity.
        pub effective_weights: bool = true, ();
        /// Epochs between two measurements; 0 for a single one at the end.
        pub every: Option<u64> = None, EVERY;
        /// Whether to measure, after the last epoch, if the two directions of a fact share a
        /// representation.
        pub directions: bool = false, (), later;
        /// Whether to measure, after the last epoch, the distance to a model that also answers the
        /// held-out questions. It takes up to 900 epochs more.
        pub reach: bool = false, (), later;
    }
}

settings! {
    /// The models that are kept.
    pub struct CheckpointSettings in "checkpoint" {
        /// Epochs between two checkpoints; 0 for none on the way.
        pub every: Option<u64> = None, EVERY;
        /// Further steps whose checkpoints are kept, such as [0, 100].
        pub at: StepList = StepList::default(), ();
        /// Whether the trained model is kept.
        pub last: bool = true, ();
    }
}

/// Sentences of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchSize {
    /// This many; the last batch of an epoch may be smaller.
    Sentences(usize),
    /// All training sentences.
    Full,
}

impl Setting for BatchSize {
    type Range = ();

    fn parse(value: &Value, (): &()) -> Result<Self, Refused> {
        match value {
            Value::Text(word) if word == "full" => Ok(Self::Full),
            value => match usize::parse(value, &SENTENCES) {
                Ok(size) => Ok(Self::Sentences(size)),
                Err(_) => Err(Refused::Right(Self::right(&()))),
            },
        }
    }

    fn text(&self) -> Option<String> {
        Some(match self {
            Self::Sentences(size) => size.to_string(),
            Self::Full => "\"full\"".to_owned(),
        })
    }

    fn right((): &()) -> String {
        format!("{}, or \"full\"", u64::right(&SENTENCES))
    }
}

/// Some steps, rising.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StepList(pub Vec<u64>);

impl std::ops::Deref for StepList {
    type Target = Vec<u64>;

    fn deref(&self) -> &Vec<u64> {
        &self.0
    }
}

impl Setting for StepList {
    type Range = ();

    fn parse(value: &Value, (): &()) -> Result<Self, Refused> {
        let steps: Option<Vec<u64>> = match value {
            Value::Array(values) => values.iter().map(|v| u64::parse(v, &STEPS).ok()).collect(),
            _ => None,
        };
        let mut steps = steps.ok_or_else(|| Refused::Right(Self::right(&())))?;
        steps.sort_unstable();
        steps.dedup();
        Ok(Self(steps))
    }

    fn text(&self) -> Option<String> {
        Some(format!("{:?}", self.0))
    }

    fn right((): &()) -> String {
        "a list of steps, such as [0, 100]".to_owned()
    }
}
