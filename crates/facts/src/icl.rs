//! In-context reversal (paper, appendix): `x 0 y 2 y 1 x`, a fact and its reverse in one sentence.
//! Every x is paired with every y. In the paper's split the model sees every entity in training, but
//! not every pair; in the other split some entities are never trained.

use retrodict_settings::{FRACTION, keywords, settings};

use crate::kind::{DataKind, SIZE, Structure};
use crate::limits::{self, MAX_SENTENCES, MAX_VOCAB, at_least, at_most};
use crate::numpy::RandomState;
use crate::query::Token;
use crate::tuples::draw_tokens;
use crate::{Dataset, FactsError};

const FORWARD: Token = 0;
const BACKWARD: Token = 1;
const EQUIVALENT: Token = 2;
/// The three tokens above.
const RESERVED: usize = 3;
/// Tokens of `x 0 y 2 y 1 x`.
const SENTENCE_LENGTH: usize = 7;

keywords! {
    /// The part of an in-context data set that is held out.
    pub enum HoldOut {
        /// Some sentences of every x, as in the paper: the pairs are new, x is not.
        Sentences = "sentences",
        /// Every sentence of some x, the last ones drawn.
        Entities = "entities",
    }
}

settings! {
    /// Settings of an in-context data set.
    #[derive(Copy)]
    pub struct IclConfig in "data" {
        /// Entity tokens to draw from, beside the three reserved tokens.
        pub vocab_size: usize = 400, SIZE;
        /// Number of x.
        pub entities: usize = 100, SIZE;
        /// Number of y; every x is paired with each.
        pub attributes: usize = 10, SIZE;
        /// Fraction trained, rounded down: of the sentences of each x, or of the x.
        pub train_fraction: f64 = 0.7, FRACTION;
        /// The part that is held out: sentences of every x, or all sentences of some x.
        pub hold_out: HoldOut = HoldOut::Sentences, (), later;
    }
}

impl DataKind for IclConfig {
    fn validate(&self) -> Result<(), FactsError> {
        let Self { vocab_size, entities, attributes, train_fraction, hold_out: _ } = *self;
        limits::vocab_at_most(vocab_size)?;
        for (key, value) in [("entities", entities), ("attributes", attributes)] {
            at_least(key, value, 1, "there must be a pair")?;
            at_most(key, value, MAX_VOCAB / 2, "larger vocabularies are not supported")?;
        }
        at_least(
            "vocab_size",
            vocab_size,
            entities + attributes,
            format!("{entities} entities and {attributes} attributes are drawn from it"),
        )?;
        at_most(
            "attributes",
            attributes,
            MAX_SENTENCES / entities,
            format!("each of the {entities} entities has a sentence with each attribute"),
        )?;
        limits::fraction(train_fraction)?;
        let (of, reason) = match self.hold_out {
            HoldOut::Sentences => {
                let reason = "attributes an entity would have no training sentence";
                (attributes, format!("with {attributes} {reason}"))
            }
            HoldOut::Entities => {
                (entities, format!("with {entities} entities none would be trained"))
            }
        };
        if self.trained(of) == 0 {
            let least = least_fraction(of);
            return Err(FactsError::NothingToTrain { value: train_fraction, least, reason });
        }
        Ok(())
    }

    fn vocab(&self) -> usize {
        self.vocab_size.saturating_add(RESERVED)
    }

    fn sentence_length(&self) -> usize {
        SENTENCE_LENGTH
    }

    fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let mut random = RandomState::new(seed);
        let count = self.entities + self.attributes;
        let drawn = draw_tokens(&mut random, self.vocab_size, count, RESERVED);
        let (entities, attributes) = drawn.split_at(self.entities);

        let (mut train, mut held_out) = (Vec::new(), Vec::new());
        for (place, &x) in entities.iter().enumerate() {
            let mut shuffled = attributes.to_vec();
            random.shuffle(&mut shuffled);
            let sentence = |&y: &Token| vec![x, FORWARD, y, EQUIVALENT, y, BACKWARD, x];
            let trained = match self.hold_out {
                HoldOut::Sentences => self.trained(self.attributes),
                HoldOut::Entities if place < self.trained(self.entities) => self.attributes,
                HoldOut::Entities => 0,
            };
            let (trained, rest) = shuffled.split_at(trained);
            train.extend(trained.iter().map(sentence));
            held_out.extend(rest.iter().map(sentence));
        }
        Ok(Dataset {
            weights: Vec::new(),
            train,
            held_out,
            vocab: self.vocab(),
            reserved: RESERVED,
            entity_length: 1,
            groups: Vec::new(),
            inverses: vec![[FORWARD, BACKWARD]],
        })
    }

    fn structure(&self) -> Structure {
        Structure::NONE
    }
}

impl IclConfig {
    /// The number trained of so many.
    fn trained(&self, of: usize) -> usize {
        (self.train_fraction * of as f64) as usize
    }
}

/// The smallest fraction of `n` that rounds down to one: 1/n, or the next number where the rounded
/// 1/n times n is below 1.
fn least_fraction(n: usize) -> f64 {
    let n = n as f64;
    let fraction = 1.0 / n;
    if fraction * n < 1.0 { fraction.next_up() } else { fraction }
}
