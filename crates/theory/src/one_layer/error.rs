//! Errors of the one-layer transformer.

use std::fmt::Display;

use retrodict_facts::FactsError;
use retrodict_lab::memory::MemoryError;
use thiserror::Error;

use super::Sentence;

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum OneLayerError {
    /// Sentences that cannot be generated.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// A setting that makes no sense.
    #[error("{key} is {was}: it has to be {right}")]
    Setting {
        /// The name of its field.
        key: &'static str,
        /// Its value.
        was: String,
        /// The values that are accepted.
        right: String,
    },
    /// Weights that do not fit in memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The integrator gave up: steps became too many or too small.
    #[error(
        "the gradient flow could not be followed beyond step {step:.3e}: {reason}; \
         ask for fewer steps, or for gd"
    )]
    Stiff {
        /// How far the flow was followed.
        step: f64,
        /// The integrator's reason.
        reason: &'static str,
    },
}

impl OneLayerError {
    pub(super) fn setting(key: &'static str, was: impl Display, right: impl Into<String>) -> Self {
        OneLayerError::Setting { key, was: was.to_string(), right: right.into() }
    }

    /// The setting that was refused; `None` where it is not the fault of one.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            OneLayerError::Setting { key, .. } => Some(key),
            OneLayerError::Facts(error) => Some(error.key()),
            _ => None,
        }
    }

    /// Whether the settings were refused before anything was simulated.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, OneLayerError::Stiff { .. })
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
