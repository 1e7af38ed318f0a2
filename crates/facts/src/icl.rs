//! In-context reversal (paper, appendix): `x 0 y 2 y 1 x`, a fact and its reverse
//! in one sentence. Every x is paired with every y; the model sees every entity
//! while training, but not every pair.

use crate::dataset::Token;
use crate::limits::{self, MAX_SENTENCES, MAX_VOCAB, at_least, at_most};
use crate::numpy::RandomState;
use crate::{Dataset, FactsError};

const FORWARD: Token = 0;
const BACKWARD: Token = 1;
const EQUIVALENT: Token = 2;
/// The three tokens above.
const RESERVED: usize = 3;
/// Tokens of `x 0 y 2 y 1 x`.
pub(crate) const SENTENCE_LENGTH: usize = 7;

/// What decides an in-context data set, but for the seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IclConfig {
    /// Tokens without the three reserved ones.
    pub vocab_size: usize,
    /// How many x there are.
    pub entities: usize,
    /// How many y there are, each said of every x.
    pub attributes: usize,
    /// The fraction of an x's sentences that is trained, rounded down.
    pub train_fraction: f64,
}

impl Default for IclConfig {
    /// The paper's: 400 tokens, 100 entities, 10 attributes, 0.7.
    fn default() -> Self {
        Self { vocab_size: 400, entities: 100, attributes: 10, train_fraction: 0.7 }
    }
}

impl IclConfig {
    /// Refuses a setting that gives no data set, drawing nothing.
    ///
    /// # Errors
    /// [`FactsError`] names the key and what would fit.
    pub fn validate(&self) -> Result<(), FactsError> {
        let Self { vocab_size, entities, attributes, train_fraction } = *self;
        limits::vocab_at_most(vocab_size)?;
        for (key, value) in [("entities", entities), ("attributes", attributes)] {
            at_least(key, value, 1, "there must be a pair to tell of")?;
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
        if self.trained_sentences() == 0 {
            let least = least_fraction(attributes);
            return Err(FactsError::NothingToTrain { value: train_fraction, least, attributes });
        }
        Ok(())
    }

    /// The size of the whole vocabulary, reserved tokens included.
    pub fn vocab(&self) -> usize {
        self.vocab_size.saturating_add(RESERVED)
    }

    /// How many sentences of each x are trained.
    fn trained_sentences(&self) -> usize {
        (self.train_fraction * self.attributes as f64) as usize
    }

    /// Draws the data set of that seed.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let mut random = RandomState::new(seed);
        let mut drawn =
            random.choice(self.vocab_size as u32, (self.entities + self.attributes) as u32);
        drawn.iter_mut().for_each(|token| *token += RESERVED as Token);
        let (entities, attributes) = drawn.split_at(self.entities);

        let (mut train, mut held_out) = (Vec::new(), Vec::new());
        for &x in entities {
            let mut shuffled = attributes.to_vec();
            random.shuffle(&mut shuffled);
            let sentence = |&y: &Token| vec![x, FORWARD, y, EQUIVALENT, y, BACKWARD, x];
            let (trained, rest) = shuffled.split_at(self.trained_sentences());
            train.extend(trained.iter().map(sentence));
            held_out.extend(rest.iter().map(sentence));
        }
        Ok(Dataset { train, held_out, vocab: self.vocab(), entity_length: 1, groups: Vec::new() })
    }
}

/// The smallest fraction of `attributes` that rounds down to one: 1/n, or the
/// next number where the product of the rounded 1/n with n falls short of 1.
fn least_fraction(attributes: usize) -> f64 {
    let n = attributes as f64;
    let fraction = 1.0 / n;
    if fraction * n < 1.0 { fraction.next_up() } else { fraction }
}
