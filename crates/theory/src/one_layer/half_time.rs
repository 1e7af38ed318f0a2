//! The time scale of theorem 3: when half of a training sentence is learned.

use serde::{Deserialize, Serialize};

use super::model::OneLayer;
use super::{Data, Observed, OneLayerConfig, OneLayerError};

/// The measured time is looked for within this factor of the predicted one, on both sides.
const SEARCH: f64 = 3.0;
/// The quotient of two times at which it is looked for.
const RESOLUTION: f64 = 1.01;

/// The own time η_Y t/N at which p = ½ under gradient flow in closed form: e^z = M − 1 in
/// [`flow_margin`](super::flow_margin), so that M τ = M − 2 + (M − 1) ln(M − 1), and τ → ln M + 1.
pub fn half_time(vocab: usize) -> f64 {
    let m = vocab as f64;
    (m - 2.0 + (m - 1.0) * (m - 1.0).ln()) / m
}

/// When the mean 1 − p of the sentences that the theorem is about has come down to ½.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HalfTime {
    /// Its settings.
    pub config: OneLayerConfig,
    /// M.
    pub vocab: usize,
    /// N.
    pub training_sentences: usize,
    /// η_Y t/N, predicted.
    pub predicted: f64,
    /// The same, measured to 1 %; `None` where it is not within a factor of three.
    pub measured: Option<f64>,
}

impl HalfTime {
    /// The relative distance of the measured from the predicted time; infinite where it was not
    /// found.
    pub fn off(&self) -> f64 {
        self.measured.map_or(f64::INFINITY, |measured| (measured / self.predicted - 1.0).abs())
    }
}

/// Simulations over M, N and the learning rate, of pairs and of chains.
pub fn half_time_configs() -> Vec<OneLayerConfig> {
    let base = OneLayerConfig::default();
    let over_vocab =
        [50, 200, 800, 3200, 12_800].map(|vocab_size| OneLayerConfig { vocab_size, ..base });
    let over_rate = [0.02, 0.5].map(|lr_decoder| OneLayerConfig { lr_decoder, ..base });
    let few_sentences = OneLayerConfig { train_fraction: 0.2, ..base };
    let chains =
        [201, 801, 3201].map(|vocab_size| OneLayerConfig { data: Data::Chain, vocab_size, ..base });
    [&over_vocab[..], &over_rate, &[few_sentences], &chains].concat()
}

/// Trains until half is learned.
///
/// # Errors
/// [`OneLayerError`] for settings that make no sense.
pub fn measure_half_time(config: &OneLayerConfig) -> Result<HalfTime, OneLayerError> {
    config.check()?;
    let observed = Observed::new(config)?;
    let vocab = observed.dataset.vocab;
    let mut network = OneLayer::new(*config, vocab, &observed.train, &observed.held_out)?;
    let judged: Vec<_> = observed.judged.iter().map(|&at| observed.train[at]).collect();
    let predicted = half_time(vocab);
    let steps_per_time = observed.train.len() as f64 / config.lr_decoder;
    let mut measured = None;
    let mut time = predicted / SEARCH;
    while measured.is_none() && time < predicted * SEARCH {
        let step = (time * steps_per_time).round() as u64;
        network.train_to(step)?;
        let complements = network.scores(&judged).into_iter().map(|s| libm::exp(s.ln_complement));
        if retrodict_dynamics::mean(complements).is_some_and(|mean| mean <= 0.5) {
            measured = Some(step as f64 / steps_per_time);
        }
        time *= RESOLUTION;
    }
    let training_sentences = observed.train.len();
    Ok(HalfTime { config: *config, vocab, training_sentences, predicted, measured })
}

#[cfg(test)]
mod tests {
    use super::super::{Dynamics, ln_complement};
    use super::*;

    #[test]
    fn half_is_learned_in_the_flow_when_predicted() {
        for vocab in [3, 52, 802, 1_000_002] {
            assert!((ln_complement(vocab, half_time(vocab)) + 2f64.ln()).abs() < 1e-12, "{vocab}");
        }
        assert!((half_time(1_000_000) / (1e6_f64.ln() + 1.0) - 1.0).abs() < 1e-5);
        let config = OneLayerConfig {
            dynamics: Dynamics::Flow,
            vocab_size: 100,
            ..OneLayerConfig::default()
        };
        // To the resolution of the search.
        assert!(measure_half_time(&config).unwrap().off() < 0.011);
    }
}
