//! Any of the data sets.

use crate::{
    BiographiesConfig, ChainConfig, Dataset, FactsError, FamilyConfig, HopsConfig, IclConfig,
    OneToManyConfig, RelatedConfig, RelationsConfig, ReversalConfig,
};
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
    /// Pairs of several relations, and a pair of relations that is not reciprocal.
    Relations(RelationsConfig),
    /// Persons with an inverse, a symmetric and a composed relation.
    Family(FamilyConfig),
    /// Chains of several steps.
    Hops(HopsConfig),
    /// Attributes stated in one sentence, and questions about them.
    Biographies(BiographiesConfig),
    /// Pairs of which one side has several partners.
    OneToMany(OneToManyConfig),
}

impl DataConfig {
    /// The kind, as specifications and the command line spell it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Reversal(_) => "reversal",
            Self::Chain(_) => "chain",
            Self::Icl(_) => "icl",
            Self::Related(_) => "related",
            Self::Relations(_) => "relations",
            Self::Family(_) => "family",
            Self::Hops(_) => "hops",
            Self::Biographies(_) => "biographies",
            Self::OneToMany(_) => "one-to-many",
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
            Self::Relations(config) => config.validate(),
            Self::Family(config) => config.validate(),
            Self::Hops(config) => config.validate(),
            Self::Biographies(config) => config.validate(),
            Self::OneToMany(config) => config.validate(),
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
            Self::Relations(config) => config.generate(seed),
            Self::Family(config) => config.generate(seed),
            Self::Hops(config) => config.generate(seed),
            Self::Biographies(config) => config.generate(seed),
            Self::OneToMany(config) => config.generate(seed),
        }
    }

    /// The size of the whole vocabulary, reserved tokens included.
    pub fn vocab(&self) -> usize {
        match self {
            Self::Reversal(config) => config.vocab(),
            Self::Chain(config) => config.vocab(),
            Self::Icl(config) => config.vocab(),
            Self::Related(config) => config.vocab(),
            Self::Relations(config) => config.vocab(),
            Self::Family(config) => config.vocab(),
            Self::Hops(config) => config.vocab(),
            Self::Biographies(config) => config.vocab(),
            Self::OneToMany(config) => config.vocab(),
        }
    }

    /// How many tokens the last entity of a sentence has: those that are scored.
    pub fn entity_length(&self) -> usize {
        match self {
            Self::Reversal(config) => config.entity_length,
            Self::Chain(config) => config.entity_length,
            Self::Related(_) => related::ENTITY_LENGTH,
            _ => 1,
        }
    }

    /// How many tokens the longest sentence has; all have as many, but in the
    /// *biographies*.
    pub fn sentence_length(&self) -> usize {
        match self {
            Self::Icl(_) => icl::SENTENCE_LENGTH,
            Self::Biographies(config) => config.sentence_length(),
            // Two entities and the relation between them.
            _ => self.entity_length().saturating_mul(2).saturating_add(1),
        }
    }
}
