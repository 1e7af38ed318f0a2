//! The one-layer transformer: one simulation, held against theorems 3 and 4.

mod cases;
mod series;
mod verdict;

use retrodict_facts::{ChainConfig, DataConfig, Dataset, FactsError, Query, ReversalConfig};
use retrodict_models::one_layer::{self as model, OneLayer, OneLayerError, Sentence};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Theorem;

pub use cases::{Case, cases, reproduce, stored};
pub use series::Point;
pub use verdict::{Assumption, Rate};

/// Steps at which the series is taken, beside the start.
const POINTS: u32 = 60;
/// More steps than anyone waits for.
const MOST_STEPS: u64 = 1_000_000_000_000;

/// Whose sentences are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// Pairs said forward and backward (theorem 3).
    Reversal,
    /// Triples with direct and indirect implications (theorem 4).
    Chain,
}

/// Which tokens the relation token attends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Context {
    /// The source alone.
    Contextual,
    /// The source and itself.
    All,
}

/// How the weights move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dynamics {
    /// One training sentence a step, drawn uniformly.
    Sgd,
    /// All of them at every step.
    Gd,
    /// Gradient flow, at the time t = learning rate · step.
    Flow,
}

/// What decides a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneLayerConfig {
    /// The sentences.
    pub data: Data,
    /// Tokens beside the reserved ones.
    pub vocab_size: usize,
    /// Fraction of the facts that is trained whole.
    pub train_fraction: f64,
    /// What is attended to.
    pub context: Context,
    /// How the weights move.
    pub dynamics: Dynamics,
    /// η_Y.
    pub lr_decoder: f64,
    /// η_Z.
    pub lr_attention: f64,
    /// Standard deviation of Y_0 and Z_0.
    pub init: f64,
    /// Steps, from 1.
    pub steps: u64,
    /// Decides the sentences, the initial weights and the order.
    pub seed: u32,
}

impl Default for OneLayerConfig {
    fn default() -> Self {
        OneLayerConfig {
            data: Data::Reversal,
            vocab_size: 800,
            train_fraction: 0.7,
            context: Context::Contextual,
            dynamics: Dynamics::Sgd,
            lr_decoder: 0.1,
            lr_attention: 0.0,
            init: 0.0,
            steps: 200_000,
            seed: 0,
        }
    }
}

/// What a simulation gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneLayerResult {
    /// What was simulated.
    pub config: OneLayerConfig,
    /// M, the vocabulary with its reserved tokens.
    pub vocab: usize,
    /// N.
    pub training_sentences: usize,
    /// Sentences that are asked for and never trained.
    pub held_out_sentences: usize,
    /// The start and log-spaced steps.
    pub series: Vec<Point>,
    /// How 1 − p falls; `None` until half is learned at three points of the series.
    pub rate: Option<Rate>,
    /// The theorems' bounds beside what was measured.
    pub theorems: Vec<Theorem>,
    /// What the theorems assume, and whether this simulation keeps to it.
    pub assumptions: Vec<Assumption>,
    /// What is different where an assumption is broken, in words.
    pub changes: Vec<String>,
}

/// Why there is no result.
#[derive(Debug, PartialEq, Error)]
pub enum SimulationError {
    /// No such sentences.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// No such model.
    #[error(transparent)]
    Model(#[from] OneLayerError),
    /// A number of steps out of range.
    #[error("steps is {0}: it has to be a whole number from 1 to {MOST_STEPS}")]
    Steps(u64),
}

impl SimulationError {
    /// The key that was refused; `None` where it is not one key's fault.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            SimulationError::Facts(error) => Some(error.key()),
            SimulationError::Model(OneLayerError::Setting { key, .. }) => Some(key),
            SimulationError::Model(_) => None,
            SimulationError::Steps(_) => Some("steps"),
        }
    }

    /// Whether the settings were refused before anything was simulated.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, SimulationError::Model(OneLayerError::Stiff { .. }))
    }
}

/// Simulates, and holds what came out against the theorems.
///
/// # Errors
/// [`SimulationError`] for settings that make no sense, and a flow that cannot be followed.
pub fn simulate(config: &OneLayerConfig) -> Result<OneLayerResult, SimulationError> {
    if !(1..=MOST_STEPS).contains(&config.steps) {
        return Err(SimulationError::Steps(config.steps));
    }
    let dataset = config.facts().generate(config.seed)?;
    let [train, held_out] =
        [&dataset.train, &dataset.held_out].map(|of| of.iter().map(|s| sentence(s)).collect());
    let mut observed = Observed { dataset, train, held_out, judged: Vec::new() };
    observed.judged = observed.judged(config.data);
    let mut network =
        OneLayer::new(config.model(observed.dataset.vocab), &observed.train, &observed.held_out)?;
    let mut recorder = series::Recorder::new(config, &observed);
    for step in log_spaced(config.steps) {
        network.train_to(step)?;
        recorder.record(&network);
    }
    Ok(verdict::verdict(config, &observed, recorder))
}

/// The sentences of a simulation.
struct Observed {
    dataset: Dataset,
    train: Vec<Sentence>,
    held_out: Vec<Sentence>,
    /// Training sentences that the theorem speaks of, by index: for pairs all of them; for chains
    /// the links of the held-out ones, whose rows are trained on them alone.
    judged: Vec<usize>,
}

impl Observed {
    fn judged(&self, data: Data) -> Vec<usize> {
        if data == Data::Reversal {
            return (0..self.train.len()).collect();
        }
        let links = ["held_out_a_to_b", "held_out_b_to_c"].map(|id| self.dataset.group(id));
        let links: std::collections::HashSet<Sentence> =
            links.into_iter().flatten().flat_map(|group| &group.queries).map(asked).collect();
        (0..self.train.len()).filter(|&at| links.contains(&self.train[at])).collect()
    }
}

impl OneLayerConfig {
    fn facts(&self) -> DataConfig {
        let (vocab_size, train_fraction) = (self.vocab_size, self.train_fraction);
        match self.data {
            Data::Reversal => {
                let config = ReversalConfig { vocab_size, entity_length: 1, train_fraction };
                DataConfig::Reversal(config)
            }
            Data::Chain => {
                DataConfig::Chain(ChainConfig { vocab_size, entity_length: 1, train_fraction })
            }
        }
    }

    fn model(&self, vocab: usize) -> model::OneLayerConfig {
        model::OneLayerConfig {
            vocab,
            context: match self.context {
                Context::Contextual => model::AttentionContext::Contextual,
                Context::All => model::AttentionContext::All,
            },
            dynamics: match self.dynamics {
                Dynamics::Sgd => model::Dynamics::Sgd,
                Dynamics::Gd => model::Dynamics::Gd,
                Dynamics::Flow => model::Dynamics::Flow,
            },
            lr_decoder: self.lr_decoder,
            lr_attention: self.lr_attention,
            init: self.init,
            seed: u64::from(self.seed),
        }
    }
}

fn sentence(tokens: &[u32]) -> Sentence {
    Sentence { source: tokens[0], relation: tokens[1], target: tokens[2] }
}

fn asked(query: &Query) -> Sentence {
    Sentence { source: query.source[0], relation: query.relation, target: query.answer[0] }
}

/// 0, and up to [`POINTS`] different steps from 1 to the last one.
fn log_spaced(last: u64) -> Vec<u64> {
    let step = |at| (last as f64).powf(f64::from(at) / f64::from(POINTS - 1)).round() as u64;
    let mut steps: Vec<u64> = std::iter::once(0).chain((0..POINTS - 1).map(step)).collect();
    steps.push(last);
    steps.dedup();
    steps
}

#[cfg(test)]
mod tests;
