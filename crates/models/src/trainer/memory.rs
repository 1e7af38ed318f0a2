//! The memory of a trainer, predicted from its graphs before anything is allocated.

use retrodict_engine::{Graph, Mode, ProductPrecision, Program, Rule, Scalar};

use super::EVALUATION_BATCH;
use super::compiled::Described;
use super::next_token::{KEPT, describe};
use crate::network::Network;
use crate::objective::Objective;

/// Programs and parameters that need more bytes are not planned: the engine refuses such graphs.
const LARGEST_PLAN: u64 = 1 << 40;

/// The sizes of the batches of a run; each distinct one is a program with memory of its own.
#[derive(Clone, Debug, Default)]
pub struct Batches {
    /// Sentences of the training batches.
    pub training: Vec<usize>,
    /// Sentences of each scored set.
    pub scored: Vec<usize>,
    /// Tokens of a context and number of contexts, of each set whose next tokens are asked for.
    pub contexts: Vec<(usize, usize)>,
}

/// The memory of a trainer, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrainerBytes {
    /// Parameters.
    pub parameters: u64,
    /// Gradients and the moments of the optimiser.
    pub gradients: u64,
    /// Programs of training steps: activations, their gradients, scratch.
    pub training: u64,
    /// Programs of evaluation.
    pub evaluation: u64,
}

impl TrainerBytes {
    /// The prediction for a trainer of these parts. Takes the time of planning its programs.
    pub fn predict<T: Scalar>(
        network: &Network,
        objective: &Objective,
        rule: Rule,
        products: ProductPrecision,
        threads: usize,
        batches: &Batches,
    ) -> TrainerBytes {
        let scoring = Described::<T>::scoring(network, objective);
        let bytes_of = |trainable_only: bool| {
            let parameters = scoring.graph.parameters().iter();
            parameters.filter(|p| p.trainable || !trainable_only).fold(0, |sum: u64, p| {
                let count = (p.rows as u64).saturating_mul(p.columns as u64);
                sum.saturating_add(count.saturating_mul(T::BYTES as u64))
            })
        };
        let planned = |graph: &Graph<T>, mode: Mode, positions: usize, batch: usize| {
            let least = least_bytes::<T>(network, positions, batch);
            if least.max(bytes_of(false)) > LARGEST_PLAN {
                return least;
            }
            Program::planned_bytes(graph, batch, mode, products, threads) as u64
        };
        let training = Described::<T>::training(network, objective);
        let sum = |of: &mut dyn Iterator<Item = u64>| of.fold(0, u64::saturating_add);
        let trained = distinct(batches.training.iter().copied());
        let scored = distinct(batches.scored.iter().flat_map(|&count| chunks(count)));
        let contexts = batches.contexts.iter();
        let contexts = distinct(contexts.flat_map(|&(tokens, count)| {
            let prompt = usize::from(objective.reading.prompt().is_some());
            chunks(count).into_iter().map(move |batch| (tokens + prompt, batch))
        }));
        let mut next_token: Vec<u64> = contexts
            .iter()
            .map(|&(positions, batch)| {
                let (graph, _) = describe::<T>(network, objective, positions);
                planned(&graph, Mode::Inference, positions, batch)
            })
            .collect();
        next_token.sort_unstable_by(|a, b| b.cmp(a));
        let scored = sum(&mut scored
            .iter()
            .map(|&batch| planned(&scoring.graph, scoring.mode, objective.positions(), batch)));
        TrainerBytes {
            parameters: bytes_of(false),
            gradients: bytes_of(true).saturating_mul(1 + rule.moments() as u64),
            training: sum(&mut trained.iter().map(|&sentences| {
                let batch = sentences.div_ceil(objective.pack);
                planned(&training.graph, training.mode, objective.training_positions(), batch)
            })),
            evaluation: scored.saturating_add(sum(&mut next_token.into_iter().take(KEPT))),
        }
    }

    /// The bytes of training steps alone, without evaluation.
    pub fn stepping(&self) -> u64 {
        TrainerBytes { evaluation: 0, ..*self }.total()
    }

    /// All of it.
    pub fn total(&self) -> u64 {
        let TrainerBytes { parameters, gradients, training, evaluation } = *self;
        [parameters, gradients, training, evaluation].into_iter().fold(0, u64::saturating_add)
    }
}

/// Sizes of the batches in which so many sentences are evaluated.
fn chunks(count: usize) -> Vec<usize> {
    let whole = (count >= EVALUATION_BATCH).then_some(EVALUATION_BATCH);
    let rest = Some(count % EVALUATION_BATCH).filter(|rest| *rest > 0);
    whole.into_iter().chain(rest).collect()
}

fn distinct<N: Ord>(of: impl Iterator<Item = N>) -> Vec<N> {
    let mut all: Vec<N> = of.collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// A lower bound on the memory of a program: the logits, the residual stream and the attention
/// probabilities. Sizes that would overflow the planner's sums are found by it.
fn least_bytes<T: Scalar>(network: &Network, positions: usize, batch: usize) -> u64 {
    let [positions, batch] = [positions, batch].map(|n| n as f64);
    let widest = match network {
        Network::Decoder(decoder) => {
            let layers = decoder.layers as f64;
            let attention = match decoder.design.mixer.has_queries() {
                true => decoder.heads as f64 * positions,
                false => 0.0,
            };
            layers * (decoder.dim as f64 + attention)
        }
        Network::Bilinear(_) | Network::OneLayer(_) => 0.0,
    };
    // A conversion to `u64` saturates.
    (T::BYTES as f64 * positions * batch * (network.vocab() as f64 + widest)) as u64
}
