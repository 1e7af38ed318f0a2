//! The list of the kinds of data.

use retrodict_settings::choice;

use crate::kind::DataKind;
use crate::{
    BiographiesConfig, ChainConfig, FamilyConfig, FileConfig, HopsConfig, IclConfig,
    OneToManyConfig, RelatedConfig, RelationsConfig, ReversalConfig,
};

choice! {
    /// Kind of data.
    pub enum DataConfig as dyn DataKind: "data"."kind" = "" {
        /// Pairs x → y and y ← x, trained in both directions or in one.
        Reversal(ReversalConfig) = "reversal",
        /// Triples A → B → C and A ⇝ C, trained with the last or without.
        Chain(ChainConfig) = "chain",
        /// Sentences that hold both directions: x → y ⇔ y ← x.
        Icl(IclConfig) = "icl",
        /// Chains whose three entities share a token.
        Related(RelatedConfig) = "related",
        /// Pairs of several relations, and a pair of relations that are not inverses.
        Relations(RelationsConfig) = "relations",
        /// Persons with parents, children, siblings and grandparents.
        Family(FamilyConfig) = "family",
        /// Chains of any length, and questions several steps ahead.
        Hops(HopsConfig) = "hops",
        /// Persons with several attributes in one sentence, and questions about them.
        Biographies(BiographiesConfig) = "biographies",
        /// Pairs of which each x has several y.
        OneToMany(OneToManyConfig) = "one-to-many",
        /// Your own facts, from a file.
        File(FileConfig) = "file",
    }
}
