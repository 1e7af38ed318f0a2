//! Bounds on the size of a data set, and the checks that all kinds share.
//!
//! The bounds keep a typing error from filling the memory; every setting of the paper is far below
//! them.

use crate::FactsError;

/// Tokens to choose entities from.
pub(crate) const MAX_VOCAB: usize = 1 << 20;
/// Candidates for the entities of one type, all combinations of its tokens. All are shuffled, at
/// four bytes each.
pub(crate) const MAX_CANDIDATES: usize = 1 << 24;
/// Sentences of a data set.
pub(crate) const MAX_SENTENCES: usize = 1 << 20;

/// Refuses a `value` below `least`.
pub(crate) fn at_least(
    key: &'static str,
    value: usize,
    least: usize,
    reason: impl Into<String>,
) -> Result<(), FactsError> {
    if value >= least {
        return Ok(());
    }
    let reason = reason.into();
    Err(FactsError::TooSmall { key, value, least, reason })
}

/// Refuses a `value` above `most`.
pub(crate) fn at_most(
    key: &'static str,
    value: usize,
    most: usize,
    reason: impl Into<String>,
) -> Result<(), FactsError> {
    if value <= most {
        return Ok(());
    }
    let reason = reason.into();
    Err(FactsError::TooLarge { key, value, most, reason })
}

/// Refuses a vocabulary above [`MAX_VOCAB`].
pub(crate) fn vocab_at_most(vocab_size: usize) -> Result<(), FactsError> {
    at_most("vocab_size", vocab_size, MAX_VOCAB, "larger vocabularies are not supported")
}

/// Refuses a number outside 0 to 1.
pub(crate) fn fraction(value: f64) -> Result<(), FactsError> {
    if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(FactsError::NotAFraction { value }) }
}
