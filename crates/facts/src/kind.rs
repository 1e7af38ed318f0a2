//! A kind of data: the interface of every data set.

use std::ops::RangeInclusive;

use crate::{Dataset, FactsError};

// Bounds that no experiment comes near: beyond them lies a typing error, and an allocation that
// fails.
/// Numbers of tokens and of entities.
pub(crate) const SIZE: RangeInclusive<u64> = 1..=1_000_000;
/// Numbers of triples, of which there may be none.
pub(crate) const COUNT: RangeInclusive<u64> = 0..=1_000_000;
/// Tokens of an entity.
pub(crate) const ENTITY_LENGTH: RangeInclusive<u64> = 1..=16;

/// A kind of data set: the settings of one, and the generator.
pub trait DataKind {
    /// Refuses settings that give no data set, drawing nothing.
    ///
    /// # Errors
    /// [`FactsError`] names the key and the values that would be right.
    fn validate(&self) -> Result<(), FactsError>;

    /// Draws the data set of a seed.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    fn generate(&self, seed: u32) -> Result<Dataset, FactsError>;

    /// The size of the whole vocabulary, reserved tokens included.
    fn vocab(&self) -> usize;

    /// Tokens of the last entity of a sentence, those that are scored.
    fn entity_length(&self) -> usize {
        1
    }

    /// Tokens of the longest sentence.
    fn sentence_length(&self) -> usize {
        // Two entities and the relation between them.
        self.entity_length().saturating_mul(2).saturating_add(1)
    }

    /// The structure that recipes can use.
    fn structure(&self) -> Structure;
}

/// The structure of a data set that recipes can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Whether its sentences are an entity, a relation and an entity.
    pub triples: bool,
    /// Whether relations are each other's inverse.
    pub inverses: bool,
    /// Whether facts form chains.
    pub chains: bool,
    /// Steps of the longest chain.
    pub steps: usize,
}

impl Structure {
    /// None that a recipe can use.
    pub const NONE: Self = Self { triples: false, inverses: false, chains: false, steps: 2 };
    /// Pairs with inverse relations.
    pub const INVERSES: Self = Self { triples: true, inverses: true, ..Self::NONE };
    /// Chains of two steps.
    pub const CHAINS: Self = Self { triples: true, chains: true, ..Self::NONE };
}
