//! Why a data set cannot be made.

use thiserror::Error;

/// A size or a fraction that gives no data set. The message names the key, what
/// it was, and what would fit.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FactsError {
    /// A count that leaves too little.
    #[error("{key} is {value}, but must be at least {least}: {reason}")]
    TooSmall {
        /// The key of the specification (the option, with `_` for `-`).
        key: &'static str,
        /// What it was.
        value: usize,
        /// The smallest that fits, all other keys unchanged.
        least: usize,
        /// What sets this bound.
        reason: String,
    },
    /// A count that asks for too much.
    #[error("{key} is {value}, but must be at most {most}: {reason}")]
    TooLarge {
        /// The key of the specification (the option, with `_` for `-`).
        key: &'static str,
        /// What it was.
        value: usize,
        /// The largest that fits, all other keys unchanged.
        most: usize,
        /// What sets this bound.
        reason: String,
    },
    /// A `train_fraction` that is no fraction.
    #[error("train_fraction is {value}, but must be a number from 0 to 1")]
    NotAFraction {
        /// What it was.
        value: f64,
    },
    /// A `train_fraction` that rounds down to no training sentence.
    #[error("train_fraction is {value}, but must be at least {least}: {reason}")]
    NothingToTrain {
        /// What it was.
        value: f64,
        /// The smallest fraction that trains one sentence of each entity, or one entity.
        least: f64,
        /// What sets this bound.
        reason: String,
    },
}

impl FactsError {
    /// The key that was refused, as a specification spells it.
    pub fn key(&self) -> &'static str {
        match self {
            Self::TooSmall { key, .. } | Self::TooLarge { key, .. } => key,
            Self::NotAFraction { .. } | Self::NothingToTrain { .. } => "train_fraction",
        }
    }
}
