//! The held-out loss over the next steps, predicted with the present tangents.

use retrodict_engine::{Rule, Scalar};
use retrodict_facts::Dataset;
use retrodict_lab::spec::{BatchSize, Keyword as _};
use retrodict_lab::{Experiment, memory};
use retrodict_models::{LossFunction, LossOn, LrDecay, Reading, Trainer};
use serde::{Deserialize, Serialize};

use super::linearised::{FrozenOptimizer, Linearised};
use super::{Training, TransferError, mean_nll};

/// The prediction holds while its error is at most this part of the largest change so far.
pub const WINDOW_HOLDS: f64 = 0.1;

/// Steps of one window.
const MOST_STEPS: u64 = 100_000;

/// The steps after a measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// How far the next step moves the held-out NLL, to first order in the step.
    pub slope: f64,
    /// How far it did.
    pub measured_slope: f64,
    /// Every step, from 0 on.
    pub steps: Vec<WindowStep>,
    /// The last step up to which the error of the predicted held-out NLL is at most a tenth of the
    /// largest change so far.
    pub holds_for: u64,
}

/// One step of a window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowStep {
    /// Steps since the measurement.
    pub step: u64,
    /// Mean NLL of the held-out sentences, predicted.
    pub held_out_predicted: f64,
    /// The same, measured.
    pub held_out_nll: f64,
    /// Mean NLL of the training sentences, predicted.
    pub train_predicted: f64,
    /// The same, measured.
    pub train_nll: f64,
}

/// Refuses what the linearised model does not describe.
pub(super) fn check(
    experiment: &Experiment,
    dataset: &Dataset,
    steps: u64,
) -> Result<(), TransferError> {
    let spec = &experiment.spec;
    if !(1..=MOST_STEPS).contains(&steps) {
        let right = format!("it has to be a whole number from 1 to {MOST_STEPS}");
        let value = steps.to_string();
        return Err(TransferError::Setting { key: "window", value, right });
    }
    let refuse = |key, value: String, right| Err(TransferError::Window { key, value, right });
    if spec.train.batch_size != BatchSize::Full {
        let BatchSize::Sentences(size) = spec.train.batch_size else { return Ok(()) };
        return refuse("train.batch_size", size.to_string(), "train.batch_size = \"full\"");
    }
    let dropout = spec.model.decoder().map_or(0.0, |decoder| decoder.dropout);
    if dropout > 0.0 {
        return refuse("model.dropout", dropout.to_string(), "model.dropout = 0");
    }
    if dataset.entity_length != 1 {
        let right = "data.entity_length = 1";
        return refuse("data.entity_length", dataset.entity_length.to_string(), right);
    }
    if spec.train.loss_on != LossOn::LastEntity {
        let value = spec.train.loss_on.word().to_owned();
        return refuse("train.loss_on", value, "train.loss_on = \"last_entity\"");
    }
    if matches!(spec.train.optimizer, Rule::Adam(_)) && spec.train.weight_decay > 0.0 {
        let right = "a weight decay outside of what Adam divides: adamw, or train.weight_decay = 0";
        return refuse("train.optimizer", "adam".to_owned(), right);
    }
    if spec.train.clip > 0.0 {
        return refuse("train.clip", spec.train.clip.to_string(), "train.clip = 0");
    }
    if !spec.train.decay_norms {
        return refuse("train.decay_norms", "false".to_owned(), "train.decay_norms = true");
    }
    let plain = spec.train.schedule == LrDecay::Constant && spec.train.warmup == 0;
    if !plain {
        let value = spec.train.schedule.word().to_owned();
        return refuse("train.schedule", value, "a constant rate without warm-up");
    }
    let linear = match spec.train.optimizer {
        Rule::AdamW(_) | Rule::Adam(_) => true,
        Rule::Sgd(sgd) => sgd.momentum == 0.0,
        // A step of any other is no linear function of the gradient.
        _ => false,
    };
    if !linear {
        let value = spec.train.optimizer.word().to_owned();
        return refuse("train.optimizer", value, "adamw, adam, or sgd without momentum");
    }
    if experiment.objective.function != LossFunction::CrossEntropy
        || experiment.objective.reading != Reading::NextToken
        || spec.objective.has_terms()
        || !spec.data.recipes.is_empty()
        || spec.data.pack > 1
    {
        let right = "plain cross-entropy of the next token on the sentences of the data set";
        return refuse("objective", "changed".to_owned(), right);
    }
    // A gradient of each logit, and their inner products with those of the trained ones.
    let rows = dataset.vocab * (dataset.train.len() + dataset.held_out.len());
    let columns = dataset.vocab * dataset.train.len();
    let numbers = experiment.network.parameter_count().saturating_add(columns);
    let what = format!("a linearised window with the gradients of {rows} logits");
    let remedy = "lower data.vocab_size, model.dim or model.layers";
    Ok(memory::check(&what, memory::product(&[rows, numbers, size_of::<f64>()]), remedy)?)
}

/// Predicts, then trains and compares. `None` where the optimiser has no state to freeze yet.
pub(super) fn measure<T: Scalar>(
    run: &mut Training<'_>,
    trainer: &mut Trainer<T>,
    steps: u64,
) -> Result<Option<Window>, TransferError> {
    let is_adaptive = trainer.optimizer().preconditioner().is_some();
    if is_adaptive && trainer.optimizer().steps() == 0 {
        return Ok(None);
    }
    let mut linearised = linearise(trainer, run.dataset);
    let slope = linearised.held_out_slope();
    let mut window = Window { slope, measured_slope: 0.0, steps: Vec::new(), holds_for: 0 };
    let mut holds = true;
    let mut largest: f64 = 0.0;
    for step in 0..=steps {
        if step > 0 {
            linearised.step();
            run.train_to(run.epoch + 1, trainer, &mut |_| ())?;
        }
        let at = WindowStep {
            step,
            held_out_predicted: linearised.held_out_nll(),
            held_out_nll: mean_nll(trainer, &run.dataset.held_out),
            train_predicted: linearised.train_nll(),
            train_nll: mean_nll(trainer, &run.dataset.train),
        };
        window.steps.push(at);
        if step > 0 {
            let change = at.held_out_nll - window.steps[0].held_out_nll;
            largest = largest.max(change.abs());
            holds &= (at.held_out_predicted - at.held_out_nll).abs() <= WINDOW_HOLDS * largest;
            if holds {
                window.holds_for = step;
            }
        }
    }
    window.measured_slope = window.steps[1].held_out_nll - window.steps[0].held_out_nll;
    Ok(Some(window))
}

/// The linear model that agrees with this one here, to first order.
fn linearise<T: Scalar>(trainer: &Trainer<T>, dataset: &Dataset) -> Linearised {
    let vocab = dataset.vocab;
    // Each sentence with each token for an answer: the logits, as ln p.
    let sentences = dataset.train.iter().chain(&dataset.held_out);
    let answered = sentences.clone().flat_map(|sentence| {
        let prefix = &sentence[..sentence.len() - 1];
        (0..vocab as u32).map(move |token| [prefix, &[token]].concat())
    });
    let answered: Vec<Vec<u32>> = answered.collect();
    let tangents = trainer.tangents(&answered, true);
    let columns = vocab * dataset.train.len();
    let mut kernel = vec![0.0; answered.len() * columns];
    for part in tangents.inner_products(columns) {
        kernel.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }
    let optimizer = trainer.optimizer();
    let momentum = match optimizer.moments().first() {
        Some(moment) => tangents.along_preconditioned(moment.iter()),
        None => vec![0.0; answered.len()],
    };
    Linearised {
        vocab,
        logits: tangents.log_probabilities().to_vec(),
        answers: sentences.map(|sentence| sentence[sentence.len() - 1] as usize).collect(),
        trained: dataset.train.len(),
        kernel,
        momentum,
        decayed: tangents.along(trainer.parameters().iter()),
        optimizer: FrozenOptimizer {
            rate: optimizer.rate,
            weight_decay: optimizer.weight_decay,
            momentum: optimizer.rule().momentum(),
            steps: optimizer.steps(),
        },
    }
}
