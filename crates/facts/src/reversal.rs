//! The reversal data set (paper, section 5): pairs said forward, `x 0 y`, and
//! backward, `y 1 x`. Of some pairs one direction only is trained; the other is
//! held out.

use crate::dataset::{Entity, EntityType, Group, Query, Token};
use crate::numpy::RandomState;
use crate::tuples::{self, RESERVED, sentence};
use crate::{Dataset, FactsError};

/// The relation token of `x → y`.
const FORWARD: Token = 0;
/// The relation token of `y ← x`.
const BACKWARD: Token = 1;

/// What decides a reversal data set, but for the seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReversalConfig {
    /// Tokens without the two relation tokens; x and y take a quarter each.
    pub vocab_size: usize,
    /// Tokens of an entity.
    pub entity_length: usize,
    /// The fraction of pairs trained in both directions, rounded half to even.
    pub train_fraction: f64,
}

impl Default for ReversalConfig {
    /// The paper's: 800 tokens, entities of one, 0.7.
    fn default() -> Self {
        Self { vocab_size: 800, entity_length: 1, train_fraction: 0.7 }
    }
}

impl ReversalConfig {
    /// Refuses a setting that gives no data set, drawing nothing.
    ///
    /// # Errors
    /// [`FactsError`] names the key and what would fit.
    pub fn validate(&self) -> Result<(), FactsError> {
        tuples::validate(self.vocab_size, self.entity_length, self.train_fraction)
    }

    /// The size of the whole vocabulary, reserved tokens included.
    pub fn vocab(&self) -> usize {
        self.vocab_size.saturating_add(RESERVED)
    }

    /// Draws the data set of that seed.
    ///
    /// # Errors
    /// As [`validate`](Self::validate).
    pub fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let mut random = RandomState::new(seed);
        let pairs = tuples::draw::<2>(
            &mut random,
            self.vocab_size,
            self.entity_length,
            self.train_fraction,
        );

        let both: Vec<_> = pairs.whole.iter().map(directions).collect();
        // Of every other pair, a coin decides which direction is seen.
        let one: Vec<(Query, Query)> = pairs
            .partial
            .iter()
            .map(|pair| {
                let (forward, backward) = directions(pair);
                let seen_forward = random.randint(2) == 1;
                if seen_forward { (forward, backward) } else { (backward, forward) }
            })
            .collect();

        let trained_twice = both.iter().flat_map(|(forward, backward)| [forward, backward]);
        let trained_once = one.iter().map(|(seen, _)| seen);
        Ok(Dataset {
            train: trained_twice.chain(trained_once).map(spoken).collect(),
            held_out: one.iter().map(|(_, unseen)| spoken(unseen)).collect(),
            vocab: self.vocab(),
            reserved: RESERVED,
            entity_length: self.entity_length,
            groups: groups(both, one),
            inverses: vec![[FORWARD, BACKWARD]],
        })
    }
}

/// A pair asked forward and backward.
fn directions([x, y]: &[Entity; 2]) -> (Query, Query) {
    let query = |source: &Entity, relation, answer: &Entity, answer_type| Query {
        source: source.clone(),
        relation,
        answer: answer.clone(),
        answer_type,
    };
    (query(x, FORWARD, y, EntityType::Y), query(y, BACKWARD, x, EntityType::X))
}

/// The sentence that answers a query.
fn spoken(query: &Query) -> Vec<Token> {
    sentence(&query.source, query.relation, &query.answer)
}

/// The four panels of the paper's effective-weight figure, from the pairs trained
/// in both directions (forward, backward) and those in one (seen, unseen).
fn groups(both: Vec<(Query, Query)>, mut one: Vec<(Query, Query)>) -> Vec<Group> {
    let (train_forward, train_backward) = both.into_iter().unzip();
    // Stable, so the data set's order is kept within a type.
    one.sort_by_key(|(seen, _)| seen.answer_type != EntityType::Y);
    let (seen, unseen) = one.into_iter().unzip();
    vec![
        Group { id: "train_forward", name: "train x → y", queries: train_forward },
        Group { id: "train_backward", name: "train y → x", queries: train_backward },
        Group { id: "held_out_seen", name: "held-out, seen direction", queries: seen },
        Group { id: "held_out_unseen", name: "held-out, unseen direction", queries: unseen },
    ]
}
