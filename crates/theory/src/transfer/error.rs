//! Errors of transfer.

use retrodict_facts::FactsError;
use retrodict_lab::ExperimentError;
use retrodict_lab::memory::MemoryError;
use retrodict_lab::spec::{SpecError, UnknownReady};
use thiserror::Error;

/// Why there is no result.
#[derive(Debug, Error)]
pub enum TransferError {
    /// A ready spec that is not valid.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A ready spec that cannot be run.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// There is no ready spec of that name.
    #[error(transparent)]
    Unknown(#[from] UnknownReady),
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
        /// Its value.
        value: String,
        /// The values that are accepted.
        right: String,
    },
    /// The linearised model needs another spec.
    #[error("the window's linearised model needs {right}; {key} is {value}")]
    Window {
        /// The key of the spec.
        key: &'static str,
        /// Its value.
        value: String,
        /// The values that are accepted.
        right: &'static str,
    },
    /// The run or the gradients do not fit in memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The loss is no longer a number.
    #[error("the loss is not finite after epoch {0}; a smaller lr may help")]
    Diverged(u64),
}

impl TransferError {
    /// The setting that was refused; `None` where it is not one setting's fault.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            TransferError::Setting { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Whether it was refused before anything was trained.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, TransferError::Diverged(_))
    }
}
