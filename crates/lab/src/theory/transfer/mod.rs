//! Transfer: what training on one sentence does to another, measured while a decoder learns, and
//! the linearised model that follows from it.

mod cases;
mod window;

use retrodict_dynamics::{TransferPairs, transfer, transfer_pairs};
use retrodict_engine::{Purpose, Scalar, Stream};
use retrodict_facts::{Dataset, FactsError, TrainingSet};
use retrodict_models::Trainer;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::experiment::{Experiment, example};
use crate::spec::Precision;

pub use cases::{Case, CaseError, Made, cases, reproduce, stored};
pub use retrodict_dynamics::{Excess, KindTransfer};
pub use window::{WINDOW_HOLDS, Window, WindowStep};

/// What is measured of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferConfig {
    /// The run's seed.
    pub seed: u64,
    /// Epochs after which it is measured, rising; `None` for 0, 1, 2, 5, 10, 20, 50 … and the last.
    pub at: Option<Vec<u64>>,
    /// Held-out sentences asked, at most.
    pub sentences: usize,
    /// Whether gradients are weighed by what the optimiser divides by at that time, frozen.
    pub preconditioned: bool,
    /// Steps over which the linearised model predicts, from each measurement on.
    pub window: Option<u64>,
}

impl Default for TransferConfig {
    fn default() -> Self {
        TransferConfig { seed: 0, at: None, sentences: 24, preconditioned: false, window: None }
    }
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferResult {
    /// What was measured.
    pub config: TransferConfig,
    /// The whole spec that was trained.
    pub spec: String,
    /// Numbers in the model.
    pub parameters: usize,
    /// Held-out sentences asked.
    pub sentences: usize,
    /// The parts of the model, from the input to the output.
    pub parts: Vec<String>,
    /// The measurements, in the order of time.
    pub series: Vec<Point>,
    /// What could not be measured, in words.
    pub warnings: Vec<String>,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Epochs trained.
    pub epoch: u64,
    /// Steps trained.
    pub step: u64,
    /// Mean NLL of the training sentences, dropout off.
    pub train_nll: f64,
    /// Mean NLL of the held-out sentences.
    pub held_out_nll: f64,
    /// The transfer, by kind.
    pub kinds: Vec<KindTransfer>,
    /// The steps that follow, foretold and measured.
    pub window: Option<Window>,
}

impl Point {
    /// The transfer of one kind.
    pub fn kind(&self, id: &str) -> Option<&KindTransfer> {
        self.kinds.iter().find(|kind| kind.id == id)
    }
}

/// Why there is no result.
#[derive(Debug, PartialEq, Error)]
pub enum SimulationError {
    /// No such sentences.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// Nothing to compare.
    #[error(
        "transfer compares held-out sentences with what is trained of the same facts: data.kind has \
         to be reversal, chain or related, and train_fraction small enough to hold some out"
    )]
    NothingHeldOut,
    /// A setting of the measurement that makes no sense.
    #[error("{key} is {value}: {right}")]
    Setting {
        /// The setting.
        key: &'static str,
        /// What it was.
        value: String,
        /// What it has to be.
        right: String,
    },
    /// The linearised model needs another spec.
    #[error("the window's linearised model needs {right}; {key} is {value}")]
    Window {
        /// The key of the spec.
        key: &'static str,
        /// What it was.
        value: String,
        /// What it has to be.
        right: &'static str,
    },
    /// The gradients do not fit.
    #[error(
        "the gradients of {rows} {what} take {gib:.1} GiB, and at most {MOST_GIB} are allowed; \
         {remedy}"
    )]
    Memory {
        /// Gradients kept.
        rows: usize,
        /// Of what.
        what: &'static str,
        /// Memory of all of them.
        gib: f64,
        /// What makes it smaller.
        remedy: &'static str,
    },
    /// The loss is not a number any more.
    #[error("the loss is not finite after epoch {0}; a smaller lr may help")]
    Diverged(u64),
}

impl SimulationError {
    /// The setting that was refused; `None` where it is not one setting's fault.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            SimulationError::Setting { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Whether it was refused before anything was trained.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, SimulationError::Diverged(_))
    }
}

/// Memory for gradients.
const MOST_GIB: f64 = 4.0;

/// Refuses gradients that do not fit.
fn check_memory(
    rows: usize,
    what: &'static str,
    parameters: usize,
    remedy: &'static str,
) -> Result<(), SimulationError> {
    let gib = (rows * parameters * size_of::<f64>()) as f64 / f64::from(1 << 30);
    if gib > MOST_GIB {
        return Err(SimulationError::Memory { rows, what, gib, remedy });
    }
    Ok(())
}

/// Trains the experiment, measuring on the way. `progress` is told the epochs done.
///
/// # Errors
/// [`SimulationError`] for settings that make no sense, and for a run that diverges.
pub fn simulate(
    experiment: &Experiment,
    config: &TransferConfig,
    progress: &mut dyn FnMut(u64),
) -> Result<TransferResult, SimulationError> {
    match experiment.spec.precision {
        Precision::F32 | Precision::Bf16 => train::<f32>(experiment, config, progress),
        Precision::F64 => train::<f64>(experiment, config, progress),
    }
}

fn train<T: Scalar>(
    experiment: &Experiment,
    config: &TransferConfig,
    progress: &mut dyn FnMut(u64),
) -> Result<TransferResult, SimulationError> {
    let spec = &experiment.spec;
    let epochs = spec.train.epochs;
    let times = times(config, epochs)?;
    if config.sentences < 2 {
        let (value, right) = (config.sentences.to_string(), "it has to be at least 2".to_owned());
        return Err(SimulationError::Setting { key: "sentences", value, right });
    }
    let dataset = experiment.dataset(config.seed)?;
    let pairs =
        transfer_pairs(&dataset, config.sentences).ok_or(SimulationError::NothingHeldOut)?;
    let parameters = experiment.network.parameter_count();
    let remedy = "ask for fewer sentences";
    check_memory(pairs.sentences.len(), "sentences", parameters, remedy)?;
    if let Some(steps) = config.window {
        window::check(experiment, &dataset, steps)?;
    }

    let mut trainer = experiment.trainer::<T>(config.seed, &dataset, 1);
    let training_set = &experiment.training_set(config.seed, &dataset);
    let mut run =
        Training { experiment, dataset: &dataset, training_set, seed: config.seed, epoch: 0 };
    let mut result = TransferResult {
        config: config.clone(),
        spec: spec.to_toml(),
        parameters,
        sentences: pairs.targets,
        parts: Vec::new(),
        series: Vec::new(),
        warnings: Vec::new(),
    };
    for &time in &times {
        run.train_to(time, &mut trainer, progress)?;
        let mut point = run.measure(&trainer, &pairs, config.preconditioned, &mut result.parts);
        point.train_nll = mean_nll(&mut trainer, &dataset.train);
        point.held_out_nll = mean_nll(&mut trainer, &dataset.held_out);
        if let Some(steps) = config.window {
            // The window runs ahead on a copy, so that the measurements after it see no other run.
            let mut ahead = experiment.trainer::<T>(config.seed, &dataset, 1);
            copy(&trainer, &mut ahead);
            point.window = window::measure(&mut run.clone(), &mut ahead, steps)?;
        }
        result.series.push(point);
    }
    let adaptive = trainer.optimizer().preconditioner().is_some();
    if adaptive && times.first() == Some(&0) {
        if config.preconditioned {
            result.warnings.push(
                "before the first step the optimiser divides by nothing yet: the \
                 measurement at epoch 0 is not preconditioned"
                    .to_owned(),
            );
        }
        if config.window.is_some() {
            result.warnings.push(
                "before the first step the optimiser divides by nothing yet: no \
                 window begins at epoch 0"
                    .to_owned(),
            );
        }
    }
    Ok(result)
}

/// The epochs of the measurements.
fn times(config: &TransferConfig, epochs: u64) -> Result<Vec<u64>, SimulationError> {
    let Some(at) = &config.at else {
        let decades =
            (0..20).map(|exponent| 10u64.pow(exponent / 3) * [1, 2, 5][exponent as usize % 3]);
        let before = decades.filter(|&time| time < epochs);
        return Ok(std::iter::once(0).chain(before).chain([epochs]).collect());
    };
    let rising = at.windows(2).all(|pair| pair[0] < pair[1]);
    if at.is_empty() || !rising || at.iter().any(|&time| time > epochs) {
        let value = at.iter().map(u64::to_string).collect::<Vec<_>>().join(",");
        let right = format!("epochs have to rise, and lie from 0 to train.epochs = {epochs}");
        return Err(SimulationError::Setting { key: "at", value, right });
    }
    Ok(at.clone())
}

/// A run that can be stopped to be measured. It trains as `retrodict run` does, bit for bit.
#[derive(Clone)]
struct Training<'a> {
    experiment: &'a Experiment,
    dataset: &'a Dataset,
    training_set: &'a TrainingSet,
    seed: u64,
    epoch: u64,
}

impl Training<'_> {
    fn train_to<T: Scalar>(
        &mut self,
        time: u64,
        trainer: &mut Trainer<T>,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), SimulationError> {
        let sentences = &self.training_set.sentences;
        let size = self.experiment.batch_size(sentences.len());
        let seed = self.experiment.seeds(self.seed).order;
        while self.epoch < time {
            let mut order: Vec<usize> = (0..sentences.len()).collect();
            Stream::new(seed, Purpose::Order, self.epoch as u32).shuffle(&mut order);
            for batch in order.chunks(size) {
                let examples = batch.iter().map(|&at| example(&sentences[at]));
                if !trainer.step(examples).iter().all(|score| score.nll.is_finite()) {
                    return Err(SimulationError::Diverged(self.epoch));
                }
            }
            self.epoch += 1;
            progress(self.epoch);
        }
        Ok(())
    }

    fn measure<T: Scalar>(
        &self,
        trainer: &Trainer<T>,
        pairs: &TransferPairs,
        preconditioned: bool,
        parts: &mut Vec<String>,
    ) -> Point {
        let step = trainer.optimizer().steps();
        let tangents = trainer.tangents(&pairs.sentences, preconditioned && step > 0);
        let kernel = tangents.inner_products(pairs.sentences.len());
        *parts = tangents.parts().map(str::to_owned).collect();
        Point {
            epoch: self.epoch,
            step,
            train_nll: 0.0,
            held_out_nll: 0.0,
            kinds: transfer(pairs, &kernel),
            window: None,
        }
    }
}

fn mean_nll<T: Scalar>(trainer: &mut Trainer<T>, sentences: &[Vec<u32>]) -> f64 {
    let scores = trainer.evaluate(sentences);
    scores.iter().map(|score| score.nll).sum::<f64>() / scores.len() as f64
}

/// Makes `to` stand where `from` does.
fn copy<T: Scalar>(from: &Trainer<T>, to: &mut Trainer<T>) {
    let values = from.parameters().iter();
    let moments = from.optimizer().moments();
    for (at, (parameter, values)) in values.enumerate() {
        to.parameters_mut().values_mut(at).copy_from_slice(values);
        if parameter.trainable {
            for (own, moment) in to.optimizer_mut().moments_mut().iter_mut().zip(moments) {
                let mut named = moment.iter().filter(|(p, _)| p.name == parameter.name);
                if let Some((_, values)) = named.next() {
                    own.values_mut(at).copy_from_slice(values);
                }
            }
        }
    }
    to.optimizer_mut().set_steps(from.optimizer().steps());
}

#[cfg(test)]
mod tests;
