//! Why a bilinear model is not simulated.

use std::fmt::Display;

use thiserror::Error;

/// Why a bilinear model is not simulated, or not to the end.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum BilinearError {
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
    /// The integrator gave up: steps became too many or too small.
    #[error(
        "the gradient flow could not be followed beyond t = {time:.3e}: {reason}; it is stiff where \
         the dimension is well below the number of entities, so take more dimensions, an earlier \
         end or a larger tolerance"
    )]
    Stiff {
        /// How far it came.
        time: f64,
        /// What the integrator said.
        reason: &'static str,
    },
    /// A loss that is no number.
    #[error("the loss is no longer a number at t = {time:.3e}; take a smaller learning rate")]
    Diverged {
        /// When that was seen.
        time: f64,
    },
}

impl BilinearError {
    pub(super) fn setting(key: &'static str, was: impl Display, right: impl Into<String>) -> Self {
        BilinearError::Setting { key, was: was.to_string(), right: right.into() }
    }
}
