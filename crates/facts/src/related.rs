//! The related-token chains (paper, appendix): one fixed token each for A, B and C, followed by a
//! token i that the three entities of a triple share, `A i 0 B i`, `B i 0 C i`, `A i 1 C i`.

use retrodict_settings::settings;

use crate::kind::{COUNT, DataKind, SIZE, Structure};
use crate::limits::{self, MAX_VOCAB, at_least, at_most};
use crate::numpy::RandomState;
use crate::query::Token;
use crate::tuples::{RESERVED, Tuples, draw_tokens};
use crate::{Dataset, FactsError, chain};

/// The tokens that stand for A, B and C.
const FIXED: usize = 3;
/// An entity is a fixed token and a variable one.
const TOKENS_OF_AN_ENTITY: usize = 2;

settings! {
    /// Settings of a related-token data set.
    #[derive(Copy)]
    pub struct RelatedConfig in "data" {
        /// Entity tokens to draw from, beside the two relation tokens.
        pub vocab_size: usize = 800, SIZE;
        /// Variable tokens to draw, at least one per triple.
        pub tokens: usize = 600, SIZE;
        /// Triples trained whole.
        pub train: usize = 200, COUNT;
        /// Triples whose indirect implication is held out.
        pub held_out: usize = 50, COUNT;
    }
}

impl DataKind for RelatedConfig {
    fn validate(&self) -> Result<(), FactsError> {
        let Self { vocab_size, tokens, train, held_out } = *self;
        limits::vocab_at_most(vocab_size)?;
        at_least("tokens", tokens, 1, "every triple takes one")?;
        at_most("tokens", tokens, MAX_VOCAB - FIXED, "larger vocabularies are not supported")?;
        at_least(
            "vocab_size",
            vocab_size,
            tokens + FIXED,
            format!("{tokens} variable tokens and the {FIXED} of A, B and C are drawn from it"),
        )?;
        let reason = format!("every triple takes one of the {tokens} variable tokens");
        at_most("held_out", held_out, tokens, reason)?;
        let reason = match held_out {
            0 => format!("every triple takes one of the {tokens} variable tokens"),
            n => {
                format!("every triple takes one of the {tokens} variable tokens, held-out ones {n}")
            }
        };
        at_most("train", train, tokens - held_out, reason)?;
        if held_out == 0 {
            at_least("train", train, 1, "with held_out = 0 there is nothing else to train on")?;
        }
        Ok(())
    }

    fn vocab(&self) -> usize {
        self.vocab_size.saturating_add(RESERVED)
    }

    fn entity_length(&self) -> usize {
        TOKENS_OF_AN_ENTITY
    }

    fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let mut random = RandomState::new(seed);
        let mut drawn = draw_tokens(&mut random, self.vocab_size, self.tokens + FIXED, RESERVED);
        let variable = drawn.split_off(FIXED);
        let triple = |&i: &Token| [0, 1, 2].map(|fixed| vec![drawn[fixed], i]);
        let (trained, rest) = variable.split_at(self.train);
        let triples = Tuples {
            whole: trained.iter().map(triple).collect(),
            partial: rest[..self.held_out].iter().map(triple).collect(),
        };
        Ok(chain::dataset(&triples, self.vocab(), TOKENS_OF_AN_ENTITY))
    }

    fn structure(&self) -> Structure {
        Structure::CHAINS
    }
}
