//! The one-layer transformer (paper, section 4), simulated and checked against theorems 3 and 4.

mod closed_form;
mod config;
mod descent;
mod error;
mod flow;
mod gradient;
mod half_time;
mod layout;
mod model;
mod series;
mod study;
mod verdict;

use std::collections::HashSet;

use retrodict_facts::{Dataset, Query};
use serde::{Deserialize, Serialize};

use crate::Theorem;

pub use closed_form::{flow_margin, ln_complement};
pub use config::{Context, Data, Dynamics, OneLayerConfig};
pub use error::OneLayerError;
pub use half_time::{HalfTime, half_time, half_time_configs, measure_half_time};
pub use series::Point;
pub use study::{Case, Study, cases, reproduce, stored};
pub use verdict::{Assumption, Rate};

use model::{OneLayer, Sentence};

/// Steps at which the series is taken, besides the start.
const POINTS: u32 = 60;

/// The result of a simulation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OneLayerResult {
    /// Its settings.
    pub config: OneLayerConfig,
    /// M, the vocabulary with its reserved tokens.
    pub vocab: usize,
    /// N.
    pub training_sentences: usize,
    /// Sentences that are queried and never trained.
    pub held_out_sentences: usize,
    /// The start and log-spaced steps.
    pub series: Vec<Point>,
    /// How 1 − p falls; `None` until half is learned at three points of the series.
    pub rate: Option<Rate>,
    /// The theorems' bounds and the measured values.
    pub theorems: Vec<Theorem>,
    /// The assumptions of the theorems, and whether this simulation satisfies them.
    pub assumptions: Vec<Assumption>,
    /// The effects of violated assumptions, in words.
    pub changes: Vec<String>,
}

/// Simulates, and checks the result against the theorems.
///
/// # Errors
/// [`OneLayerError`] for settings that make no sense, and a flow that cannot be followed.
pub fn simulate(config: &OneLayerConfig) -> Result<OneLayerResult, OneLayerError> {
    config.check()?;
    let observed = Observed::new(config)?;
    let vocab = observed.dataset.vocab;
    let mut network = OneLayer::new(*config, vocab, &observed.train, &observed.held_out)?;
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
    /// Training sentences that the theorem is about, by index: for pairs all of them; for chains
    /// the links of the held-out ones, whose rows are trained on them alone.
    judged: Vec<usize>,
}

impl Observed {
    fn new(config: &OneLayerConfig) -> Result<Observed, OneLayerError> {
        let dataset = config.facts().generate(config.seed)?;
        let [train, held_out] =
            [&dataset.train, &dataset.held_out].map(|of| of.iter().map(|s| sentence(s)).collect());
        let mut observed = Observed { dataset, train, held_out, judged: Vec::new() };
        observed.judged = observed.judged(config.data);
        Ok(observed)
    }

    fn judged(&self, data: Data) -> Vec<usize> {
        if data == Data::Reversal {
            return (0..self.train.len()).collect();
        }
        let links = self.dataset.trained_of_held_out().flat_map(|group| &group.queries);
        let links: HashSet<Sentence> = links.map(asked).collect();
        (0..self.train.len()).filter(|&at| links.contains(&self.train[at])).collect()
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
