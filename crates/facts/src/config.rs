//! Any of the four data sets.

use crate::{ChainConfig, Dataset, FactsError, IclConfig, RelatedConfig, ReversalConfig};
use crate::{icl, related};

/// What decides a data set, but for the seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DataConfig {
    /// Pairs said forward and backward.
    Reversal(ReversalConfig),
    /// Triples with direct and indirect implications.
    Chain(ChainConfig),
    /// A fact and its reverse in one sentence.
    Icl(IclConfig),
    /// Chains whose three entities share a token.
    Related(RelatedConfig),
}

impl DataConfig {
    /// The kind, as specifications and the command line spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reversal(_) => "reversal",
            Self::Chain(_) => "chain",
            Self::Icl(_) => "icl",
            Self::Related(_) => "related",
        }
    }

    /// Refuses a setting that gives no data set, drawing nothing.
    ///
    /// # Errors
    /// [`FactsError`] names the key and what would fit.
    pub fn validate(&self) -> Result<(), FactsError> {
        match self {
            Self::Reversal(config) => config.validate(),
            Self::Chain(config) => config.validate(),
            Self::Icl(config) => config.validate(),
            Self::Related(config) => config.validate(),
        }
    }

    /// Draws the data set of that seed.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        match self {
            Self::Reversal(config) => config.generate(seed),
            Self::Chain(config) => config.generate(seed),
            Self::Icl(config) => config.generate(seed),
            Self::Related(config) => config.generate(seed),
        }
    }

    /// The size of the whole vocabulary, reserved tokens included.
    pub fn vocab(&self) -> usize {
        match self {
            Self::Reversal(config) => config.vocab(),
            Self::Chain(config) => config.vocab(),
            Self::Icl(config) => config.vocab(),
            Self::Related(config) => config.vocab(),
        }
    }

    /// How many tokens the last entity of a sentence has: those that are scored.
    pub fn entity_length(&self) -> usize {
        match self {
            Self::Reversal(config) => config.entity_length,
            Self::Chain(config) => config.entity_length,
            Self::Icl(_) => 1,
            Self::Related(_) => related::ENTITY_LENGTH,
        }
    }

    /// How many tokens every sentence has.
    pub fn sentence_length(&self) -> usize {
        match self {
            Self::Icl(_) => icl::SENTENCE_LENGTH,
            // Two entities and the relation between them.
            _ => self.entity_length().saturating_mul(2).saturating_add(1),
        }
    }
}
