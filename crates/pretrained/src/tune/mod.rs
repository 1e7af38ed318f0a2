//! Fine-tuning: texts in, weights changed.

mod losses;
mod low_rank;
mod sequence;
mod transfer;
mod tuner;

use std::time::Instant;

use retrodict_engine::{Mode, Parameters, Program, Purpose, Scalar, Stream};
use retrodict_models::{LrDecay, LrSchedule};

use self::losses::{LANES, Losses, describe, groups};
use self::low_rank::{adapted, merge};
use crate::runner::team;
use crate::{Architecture, Model, PretrainedError};

pub use self::low_rank::Lora;
pub use self::sequence::{Sequence, TrainingText};
pub use self::transfer::{ModelPart, PartTransfer, Transfer};
pub use self::tuner::Tuner;

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TuneOptions {
    /// Passes over all texts.
    pub epochs: u64,
    /// Texts of a step.
    pub batch: usize,
    /// The highest learning rate.
    pub lr: f64,
    /// The decay of the learning rate after the warm-up, to the last step.
    pub decay: LrDecay,
    /// Steps over which the learning rate rises from 0.
    pub warmup: u64,
    /// AdamW's weight decay, of matrices alone.
    pub weight_decay: f64,
    /// The largest norm of the whole gradient; 0 for no limit.
    pub clip: f64,
    /// Adapters to train instead of the weights.
    pub lora: Option<Lora>,
    /// The seed of the order of the texts, and of the adapters.
    pub seed: u64,
    /// The most bytes that training may take besides the weights of the model; `None` for no limit.
    pub memory: Option<u64>,
}

impl Default for TuneOptions {
    fn default() -> Self {
        Self {
            epochs: 1,
            batch: 32,
            lr: 1e-4,
            decay: LrDecay::Constant,
            warmup: 0,
            weight_decay: 0.0,
            clip: 1.0,
            lora: None,
            seed: 0,
            memory: None,
        }
    }
}

/// A step that has been made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TuneStep {
    /// Its number, from 1.
    pub step: u64,
    /// The number of all steps.
    pub steps: u64,
    /// The mean negative log probability of a trained token before the step, in nats.
    pub loss: f64,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

impl Model {
    /// Trains on texts, with AdamW. A step is one update by the mean gradient over the trained tokens
    /// of [`batch`](TuneOptions::batch) texts; each epoch takes all texts, in an order of its own.
    /// `step` is called after every step and ends training when it returns false. Adapters are added
    /// to the weights at the end.
    ///
    /// The same texts, options and seed give the same weights, with any number of threads.
    ///
    /// # Errors
    /// [`PretrainedError::Text`] for a text that cannot be trained on, and
    /// [`PretrainedError::Training`] for options that are out of range, for training that needs more
    /// than [`memory`](TuneOptions::memory), and for a loss that is not finite. In the last case the
    /// weights are those before the step, or with adapters those before all training.
    pub fn tune(
        &mut self,
        texts: &[TrainingText],
        options: &TuneOptions,
        mut step: impl FnMut(TuneStep) -> bool,
    ) -> Result<(), PretrainedError> {
        let sequences = self.checked(texts, options)?;
        let hint = "shorter texts or adapters (LoRA) need less";
        refuse_memory("training", self.bytes(&sequences, options), options.memory, hint)?;
        let threads = self.runner.release();
        let (architecture, parameters) = self.runner.model();
        let Some(lora) = options.lora else {
            return train(architecture, parameters, &sequences, options, threads, &mut step);
        };
        let mut all = adapted(architecture, lora, parameters, options.seed);
        train(architecture, &mut all, &sequences, options, threads, &mut step)?;
        merge(architecture, lora, &all, parameters);
        Ok(())
    }

    /// The bytes that [`tune`](Model::tune) takes besides the weights of the model: gradients,
    /// moments, activations, logits, adapters and a copy of the weights beside them.
    ///
    /// # Errors
    /// As [`tune`](Model::tune), for texts and options.
    pub fn tune_bytes(
        &self,
        texts: &[TrainingText],
        options: &TuneOptions,
    ) -> Result<u64, PretrainedError> {
        Ok(self.bytes(&self.checked(texts, options)?, options))
    }

    /// The mean negative log probability of a token of the texts, in nats. The first token of a text
    /// has none.
    ///
    /// # Errors
    /// [`PretrainedError::Text`] for no text, and for one that has a single token or is longer than
    /// the model's context.
    pub fn nll(&mut self, texts: &[&str]) -> Result<f64, PretrainedError> {
        let texts: Vec<_> = texts.iter().map(|text| TrainingText::from(*text)).collect();
        let sequences = self.sequences(&texts)?;
        let all: Vec<&Sequence> = sequences.iter().collect();
        let tokens: usize = all.iter().map(|sequence| sequence.trained()).sum();
        let mut team = team(self.runner.release());
        let (architecture, parameters) = self.runner.model();
        let mut losses = Losses::new(architecture.clone(), None, Mode::Inference);
        let sum: f64 = groups(&all)
            .iter()
            .map(|group| losses.run(group, 1.0, parameters, None, &mut team))
            .sum();
        Ok(sum / tokens as f64)
    }

    fn checked(
        &self,
        texts: &[TrainingText],
        options: &TuneOptions,
    ) -> Result<Vec<Sequence>, PretrainedError> {
        options.check(self.architecture())?;
        self.sequences(texts)
    }

    fn bytes(&self, sequences: &[Sequence], options: &TuneOptions) -> u64 {
        let longest = |of: fn(&Sequence) -> usize| sequences.iter().map(of).max().unwrap_or(1);
        let shape = [longest(|s| s.tokens.len() - 1), longest(Sequence::trained)];
        let (graph, _) = describe::<f32>(self.architecture(), options.lora, shape);
        let threads = self.runner.threads();
        let precision = losses::PRECISION;
        let run = Program::planned_bytes(&graph, LANES, Mode::Training, precision, threads);
        let numbers = |trained: bool| -> u64 {
            let chosen = graph.parameters().iter().filter(|p| p.trainable || !trained);
            chosen.map(|p| (p.rows * p.columns) as u64).sum()
        };
        let copy = if options.lora.is_some() { numbers(false) } else { 0 };
        // A gradient and two moments.
        4 * (3 * numbers(true) + copy) + run as u64
    }
}

impl TuneOptions {
    /// The number of steps on so many texts.
    pub fn steps(&self, texts: usize) -> u64 {
        self.epochs.saturating_mul(texts.div_ceil(self.batch.max(1)) as u64)
    }

    /// # Errors
    /// If an option is out of range.
    fn check(&self, architecture: &Architecture) -> Result<(), PretrainedError> {
        let refuse = |problem: String| Err(PretrainedError::Training(problem));
        if self.epochs == 0 || self.batch == 0 {
            let which = if self.epochs == 0 { "epochs" } else { "texts of a batch" };
            return refuse(format!("the number of {which} is 0, but must be at least 1"));
        }
        if !(self.lr > 0.0 && self.lr.is_finite()) {
            return refuse(format!("the learning rate is {}, but must be above 0", self.lr));
        }
        for (name, value) in [("weight decay", self.weight_decay), ("clipping limit", self.clip)] {
            if !(value >= 0.0 && value.is_finite()) {
                return refuse(format!("the {name} is {value}, but must be 0 or above"));
            }
        }
        let Some(Lora { rank, alpha }) = self.lora else { return Ok(()) };
        let most = architecture.width();
        if !(1..=most).contains(&rank) {
            return refuse(format!(
                "the rank of the adapters is {rank}, but must be from 1 to the model's {most} features"
            ));
        }
        if !(alpha > 0.0 && alpha.is_finite()) {
            return refuse(format!("alpha of the adapters is {alpha}, but must be above 0"));
        }
        Ok(())
    }
}

/// Refuses what takes more than `most` bytes.
fn refuse_memory(
    what: &str,
    need: u64,
    most: Option<u64>,
    hint: &str,
) -> Result<(), PretrainedError> {
    let Some(most) = most.filter(|most| need > *most) else { return Ok(()) };
    let [need, most] = [need, most].map(|bytes| bytes as f64 / f64::from(1 << 30));
    Err(PretrainedError::Training(format!(
        "{what} needs {need:.1} GiB of memory besides the model's weights, and {most:.1} GiB are \
         free; {hint}"
    )))
}

/// Trains all trainable parameters.
fn train<T: Scalar>(
    architecture: &Architecture,
    parameters: &mut Parameters<T>,
    sequences: &[Sequence],
    options: &TuneOptions,
    threads: usize,
    step: &mut impl FnMut(TuneStep) -> bool,
) -> Result<(), PretrainedError> {
    let mut tuner = Tuner::new(architecture.clone(), options, parameters, threads);
    let steps = options.steps(sequences.len());
    let schedule = LrSchedule { warmup: options.warmup, steps, decay: options.decay };
    let mut made = 0;
    for epoch in 0..options.epochs {
        let mut order: Vec<&Sequence> = sequences.iter().collect();
        Stream::new(options.seed, Purpose::Order, epoch as u32).shuffle(&mut order);
        for batch in order.chunks(options.batch) {
            let start = Instant::now();
            let loss = tuner.step(parameters, batch, options.lr * schedule.factor(made));
            made += 1;
            if !loss.is_finite() {
                return Err(PretrainedError::Training(format!(
                    "training has diverged: the loss of step {made} of {steps} is {loss}; a learning \
                     rate below {} or a warm-up may prevent it",
                    options.lr
                )));
            }
            let ms = 1e3 * start.elapsed().as_secs_f64();
            if !step(TuneStep { step: made, steps, loss, ms }) {
                return Ok(());
            }
        }
    }
    Ok(())
}
