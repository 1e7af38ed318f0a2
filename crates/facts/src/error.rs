//! Errors of settings that give no data set.

use thiserror::Error;

/// A size or a fraction that gives no data set. The message names the key, its value and the values
/// that would be right.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FactsError {
    /// A key without a default is not given.
    #[error("{key} is missing: {right}")]
    Missing {
        /// The key of the spec.
        key: &'static str,
        /// The right form.
        right: &'static str,
    },
    /// A count that is too small.
    #[error("{key} is {value}, but must be at least {least}: {reason}")]
    TooSmall {
        /// The key of the spec (the option, with `_` for `-`).
        key: &'static str,
        /// The refused value.
        value: usize,
        /// The smallest right value, with all other keys unchanged.
        least: usize,
        /// The reason for this bound.
        reason: String,
    },
    /// A count that is too large.
    #[error("{key} is {value}, but must be at most {most}: {reason}")]
    TooLarge {
        /// The key of the spec (the option, with `_` for `-`).
        key: &'static str,
        /// The refused value.
        value: usize,
        /// The largest right value, with all other keys unchanged.
        most: usize,
        /// The reason for this bound.
        reason: String,
    },
    /// A `train_fraction` outside 0 to 1.
    #[error("train_fraction is {value}, but must be a number from 0 to 1")]
    NotAFraction {
        /// The refused value.
        value: f64,
    },
    /// A `train_fraction` that rounds down to no training sentence.
    #[error("train_fraction is {value}, but must be at least {least}: {reason}")]
    NothingToTrain {
        /// The refused value.
        value: f64,
        /// The smallest fraction that trains one sentence of each entity, or one entity.
        least: f64,
        /// The reason for this bound.
        reason: String,
    },
}

impl FactsError {
    /// The refused key, as in a spec.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Missing { key, .. } | Self::TooSmall { key, .. } | Self::TooLarge { key, .. } => {
                key
            }
            Self::NotAFraction { .. } | Self::NothingToTrain { .. } => "train_fraction",
        }
    }
}
