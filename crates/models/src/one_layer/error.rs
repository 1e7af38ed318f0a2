//! Why a one-layer transformer is not simulated.

use std::fmt::Display;

use thiserror::Error;

use super::{OneLayerConfig, Sentence};

/// Learning rates and standard deviations beyond this are slips of the keyboard.
const LARGEST: f64 = 1e3;

/// Why a one-layer transformer is not simulated, or not to the end.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum OneLayerError {
    /// A setting that makes no sense.
    #[error("{key} is {was}: it has to be {right}")]
    Setting {
        /// Which, as a field's name.
        key: &'static str,
        /// What it was.
        was: String,
        /// What would be right.
        right: String,
    },
    /// Weights that fill too much memory.
    #[error(
        "{rows} rows of {columns} decoder weights take {needed:.1} GiB, but at most {most:.0} GiB \
         are taken; a smaller vocabulary, or zero initial weights with contextual attention, \
         take less"
    )]
    TooLarge {
        /// Rows of Y that are kept.
        rows: usize,
        /// Numbers in the widest.
        columns: usize,
        /// What the simulation would take, in GiB.
        needed: f64,
        /// What it may take, in GiB.
        most: f64,
    },
    /// The integrator gave up: steps became too many or too small.
    #[error(
        "the gradient flow could not be followed beyond step {step:.3e}: {reason}; \
         ask for fewer steps, or for gd"
    )]
    Stiff {
        /// How far it came.
        step: f64,
        /// What the integrator said.
        reason: &'static str,
    },
}

impl OneLayerError {
    fn setting(key: &'static str, was: impl Display, right: impl Into<String>) -> Self {
        OneLayerError::Setting { key, was: was.to_string(), right: right.into() }
    }
}

impl OneLayerConfig {
    pub(super) fn check(&self) -> Result<(), OneLayerError> {
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
}

/// Refuses sentences that no model of this vocabulary can have.
pub(super) fn check_sentences(
    vocab: usize,
    train: &[Sentence],
    held_out: &[Sentence],
) -> Result<(), OneLayerError> {
    if train.is_empty() {
        return Err(OneLayerError::setting("train", "empty", "at least one sentence"));
    }
    for Sentence { source, relation, target } in train.iter().chain(held_out) {
        let written = format!("{source} {relation} {target}");
        if [source, relation, target].iter().any(|&&token| token as usize >= vocab) {
            let right = format!("made of tokens below {vocab}");
            return Err(OneLayerError::setting("a sentence", written, right));
        }
        // A token that is both would be attended to twice.
        if source == relation {
            let right = "one whose source is not its relation token";
            return Err(OneLayerError::setting("a sentence", written, right));
        }
    }
    Ok(())
}
