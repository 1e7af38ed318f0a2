//! Errors of the bilinear model.

use std::fmt::Display;

use retrodict_lab::memory::MemoryError;
use thiserror::Error;

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BilinearError {
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
    /// More entities than fit in memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The integrator gave up: steps became too many or too small.
    #[error(
        "the gradient flow could not be followed beyond t = {time:.3e}: {reason}; it is stiff where \
         the dimension is well below the number of entities, so take more dimensions, an earlier \
         end or a larger tolerance"
    )]
    Stiff {
        /// How far the flow was followed.
        time: f64,
        /// The integrator's reason.
        reason: &'static str,
    },
    /// A loss that is not a number.
    #[error("the loss is no longer a number at t = {time:.3e}; take a smaller learning rate")]
    Diverged {
        /// When it was found.
        time: f64,
    },
}

impl BilinearError {
    pub(super) fn setting(key: &'static str, was: impl Display, right: impl Into<String>) -> Self {
        BilinearError::Setting { key, was: was.to_string(), right: right.into() }
    }

    /// The setting that was refused before anything was simulated; `None` for other errors.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            BilinearError::Setting { key, .. } => Some(key),
            _ => None,
        }
    }

    /// Whether the settings were refused before anything was simulated.
    pub fn is_refusal(&self) -> bool {
        matches!(self, BilinearError::Setting { .. } | BilinearError::Memory(_))
    }
}
