//! Transfer: the effect of training on one sentence on the others, measured while a decoder learns,
//! and the linearised model that follows from it.

mod error;
mod linearised;
mod pairs;
mod study;
mod window;

use clap::Args;
use retrodict_engine::{Purpose, Scalar, Stream};
use retrodict_facts::{Dataset, TrainingSet};
use retrodict_lab::spec::Precision;
use retrodict_lab::{Experiment, example, memory};
use retrodict_models::Trainer;
use serde::{Deserialize, Serialize};

pub use error::TransferError;
pub use pairs::{Excess, KindTransfer};
pub use study::{Case, Made, cases, reproduce, stored};
pub use window::{WINDOW_HOLDS, Window, WindowStep};

use crate::whole_number;
use pairs::{TransferPairs, transfer, transfer_pairs};

// A doc comment here would become the description of the command that takes these options.
#[allow(missing_docs)]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Args)]
pub struct TransferConfig {
    /// Seed of the run
    #[arg(long, default_value = "0")]
    pub seed: u32,
    /// Epochs after which to measure [default: 0,1,2,5,10,20,50 … and the last]
    #[arg(long, value_name = "EPOCHS", value_delimiter = ',', value_parser = whole_number)]
    pub at: Option<Vec<u64>>,
    /// Held-out sentences to query, at most
    #[arg(long, value_name = "N", default_value = "24")]
    pub sentences: usize,
    /// Scale gradients by the optimiser's preconditioner at that time
    #[arg(long)]
    pub preconditioned: bool,
    /// Also predict the held-out loss over this many steps after each measurement
    #[arg(long, value_name = "STEPS", value_parser = whole_number)]
    pub window: Option<u64>,
}

impl Default for TransferConfig {
    fn default() -> Self {
        crate::defaults()
    }
}

/// The result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TransferResult {
    /// The settings of the measurement.
    pub config: TransferConfig,
    /// The whole spec that was trained.
    pub spec: String,
    /// Numbers in the model.
    pub parameters: usize,
    /// Held-out sentences queried.
    pub sentences: usize,
    /// The parts of the model, from the input to the output.
    pub parts: Vec<String>,
    /// The measurements, in the order of time.
    pub series: Vec<Point>,
    /// Measurements that could not be made, in words.
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
    /// The next steps, predicted and measured.
    pub window: Option<Window>,
}

impl Point {
    /// The transfer of one kind.
    pub fn kind(&self, id: &str) -> Option<&KindTransfer> {
        self.kinds.iter().find(|kind| kind.id == id)
    }
}

/// Trains the experiment, measuring on the way. `progress` receives the number of epochs trained.
///
/// # Errors
/// [`TransferError`] for settings that make no sense, and for a run that diverges.
pub fn simulate(
    experiment: &Experiment,
    config: &TransferConfig,
    progress: &mut dyn FnMut(u64),
) -> Result<TransferResult, TransferError> {
    match experiment.spec.precision {
        Precision::F32 | Precision::Bf16 => train::<f32>(experiment, config, progress),
        Precision::F64 => train::<f64>(experiment, config, progress),
    }
}

fn train<T: Scalar>(
    experiment: &Experiment,
    config: &TransferConfig,
    progress: &mut dyn FnMut(u64),
) -> Result<TransferResult, TransferError> {
    let spec = &experiment.spec;
    let epochs = spec.train.epochs;
    let times = times(config, epochs)?;
    if config.sentences < 2 {
        let (value, right) = (config.sentences.to_string(), "it has to be at least 2".to_owned());
        return Err(TransferError::Setting { key: "sentences", value, right });
    }
    let dataset = experiment.dataset(config.seed.into())?;
    let pairs = transfer_pairs(&dataset, config.sentences).ok_or(TransferError::NothingHeldOut)?;
    let parameters = experiment.network.parameter_count();
    let rows = pairs.sentences.len();
    let gradients = memory::product(&[rows, parameters, size_of::<f64>()]);
    let what = format!("a run with the gradients of {rows} sentences");
    let need = experiment.memory(1)?.total().saturating_add(gradients);
    memory::check(&what, need, "lower --sentences, model.dim or model.layers")?;
    if let Some(steps) = config.window {
        window::check(experiment, &dataset, steps)?;
    }

    let mut trainer = experiment.trainer::<T>(config.seed.into(), &dataset, 1);
    let training_set = &experiment.training_set(config.seed.into(), &dataset);
    let mut run = Training {
        experiment,
        dataset: &dataset,
        training_set,
        seed: config.seed.into(),
        epoch: 0,
    };
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
            let mut ahead = experiment.trainer::<T>(config.seed.into(), &dataset, 1);
            copy(&trainer, &mut ahead);
            point.window = window::measure(&mut run.clone(), &mut ahead, steps)?;
        }
        result.series.push(point);
    }
    let adaptive = trainer.optimizer().preconditioner().is_some();
    if adaptive && times.first() == Some(&0) {
        if config.preconditioned {
            result.warnings.push(
                "at epoch 0 the optimiser has seen no gradient and has no preconditioner: that \
                 measurement uses none"
                    .to_owned(),
            );
        }
        if config.window.is_some() {
            result.warnings.push(
                "at epoch 0 the optimiser has seen no gradient and has no state to freeze: no \
                 window begins there"
                    .to_owned(),
            );
        }
    }
    Ok(result)
}

/// The epochs of the measurements.
fn times(config: &TransferConfig, epochs: u64) -> Result<Vec<u64>, TransferError> {
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
        return Err(TransferError::Setting { key: "at", value, right });
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
    ) -> Result<(), TransferError> {
        let sentences = &self.training_set.sentences;
        let size = self.experiment.batch_size(sentences.len());
        let seed = self.experiment.seeds(self.seed).order;
        while self.epoch < time {
            let mut order: Vec<usize> = (0..sentences.len()).collect();
            Stream::new(seed, Purpose::Order, self.epoch as u32).shuffle(&mut order);
            for batch in order.chunks(size) {
                let examples = batch.iter().map(|&at| example(&sentences[at]));
                if !trainer.step(examples).iter().all(|score| score.nll.is_finite()) {
                    return Err(TransferError::Diverged(self.epoch));
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

/// Copies parameters and optimiser state.
fn copy<T: Scalar>(from: &Trainer<T>, to: &mut Trainer<T>) {
    let values = from.parameters().iter();
    let moments = from.optimizer().moments();
    for (at, (parameter, values)) in values.enumerate() {
        to.parameters_mut().values_mut(at).copy_from_slice(values);
        if parameter.trainable {
            for (number, moment) in moments.iter().enumerate() {
                let mut named = moment.iter().filter(|(p, _)| p.name == parameter.name);
                if let Some((_, values)) = named.next() {
                    to.optimizer_mut().moment_mut(number, at).copy_from_slice(values);
                }
            }
        }
    }
    to.optimizer_mut().set_steps(from.optimizer().steps());
}

#[cfg(test)]
mod tests;
