//! The configuration of the one-layer transformer, also the options of the command line.

use clap::{Args, ValueEnum};
use retrodict_facts::{ChainConfig, DataConfig, ReversalConfig};
use serde::{Deserialize, Serialize};

use super::OneLayerError;
use crate::whole_number;

/// More steps than anyone waits for.
const MOST_STEPS: u64 = 1_000_000_000_000;
/// Learning rates and standard deviations above this are typing errors.
const LARGEST: f64 = 1e3;

/// The data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// Pairs, forward and backward: theorem 3.
    Reversal,
    /// Triples with direct and indirect implications: theorem 4.
    Chain,
}

/// Which tokens the relation token attends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Context {
    /// The source alone; the attention weights then have no gradient.
    Contextual,
    /// The source and the relation token.
    All,
}

/// The training dynamics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Dynamics {
    /// One sentence a step, drawn uniformly.
    Sgd,
    /// All sentences at every step.
    Gd,
    /// Gradient flow; its time is the learning rate times the step.
    Flow,
}

// A doc comment here would become the description of the command that takes these options.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Args)]
#[serde(deny_unknown_fields)]
pub struct OneLayerConfig {
    /// Data set
    #[arg(long, value_enum, default_value = "reversal")]
    pub data: Data,
    /// Tokens beside the reserved ones
    #[arg(long, value_name = "N", default_value = "800")]
    pub vocab_size: usize,
    /// Fraction of the facts trained in full
    #[arg(long, value_name = "F", default_value = "0.7", allow_negative_numbers = true)]
    pub train_fraction: f64,
    /// Tokens that the relation token attends to
    #[arg(long, value_enum, default_value = "contextual")]
    pub context: Context,
    /// Training dynamics
    #[arg(long, value_enum, default_value = "sgd")]
    pub dynamics: Dynamics,
    /// Learning rate of the decoder weights Y
    #[arg(long, value_name = "LR", default_value = "0.1", allow_negative_numbers = true)]
    pub lr_decoder: f64,
    /// Learning rate of the attention weights Z
    #[arg(long, value_name = "LR", default_value = "0", allow_negative_numbers = true)]
    pub lr_attention: f64,
    /// Standard deviation of the initial weights
    #[arg(long, value_name = "SD", default_value = "0", allow_negative_numbers = true)]
    pub init: f64,
    /// Steps; gradient flow ends at the equivalent time
    #[arg(long, value_name = "N", default_value = "200000", value_parser = whole_number)]
    pub steps: u64,
    /// Seed of the sentences, the initial weights and the order
    #[arg(long, default_value = "0")]
    pub seed: u32,
}

impl Default for OneLayerConfig {
    fn default() -> Self {
        crate::defaults()
    }
}

impl OneLayerConfig {
    /// Refuses settings that make no sense, but for those of the sentences.
    pub(super) fn check(&self) -> Result<(), OneLayerError> {
        if !(1..=MOST_STEPS).contains(&self.steps) {
            let right = format!("a whole number from 1 to {MOST_STEPS}");
            return Err(OneLayerError::setting("steps", self.steps, right));
        }
        let in_range = |key, value: f64, may_be_zero: bool| {
            // Written so that NaN is refused.
            let fits = value <= LARGEST && (value > 0.0 || may_be_zero && value == 0.0);
            let from = if may_be_zero { "from" } else { "above" };
            let right = format!("a number {from} 0 up to {LARGEST}");
            if fits { Ok(()) } else { Err(OneLayerError::setting(key, value, right)) }
        };
        in_range("lr_decoder", self.lr_decoder, false)?;
        in_range("lr_attention", self.lr_attention, true)?;
        in_range("init", self.init, true)
    }

    /// The data set.
    pub(super) fn facts(&self) -> DataConfig {
        let (vocab_size, train_fraction, entity_length) = (self.vocab_size, self.train_fraction, 1);
        match self.data {
            Data::Reversal => {
                DataConfig::Reversal(ReversalConfig { vocab_size, entity_length, train_fraction })
            }
            Data::Chain => {
                DataConfig::Chain(ChainConfig { vocab_size, entity_length, train_fraction })
            }
        }
    }
}
