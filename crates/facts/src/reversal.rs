//! The reversal data set (paper, section 5): pairs forward, `x 0 y`, and backward, `y 1 x`. Of some
//! pairs only one direction is trained; the other is held out.

use retrodict_settings::{FRACTION, settings};

use crate::group::{Group, Role};
use crate::kind::{DataKind, ENTITY_LENGTH, SIZE, Structure};
use crate::numpy::RandomState;
use crate::query::{Entity, EntityType, Query, Token};
use crate::tuples::{self, RESERVED};
use crate::{Dataset, FactsError};

/// The relation token of `x → y`.
pub(crate) const FORWARD: Token = 0;
/// The relation token of `y ← x`.
pub(crate) const BACKWARD: Token = 1;

settings! {
    /// Settings of a reversal data set.
    #[derive(Copy)]
    pub struct ReversalConfig in "data" {
        /// Entity tokens to draw from, beside the two relation tokens; x and y take a quarter each.
        pub vocab_size: usize = 800, SIZE;
        /// Tokens per entity.
        pub entity_length: usize = 1, ENTITY_LENGTH;
        /// Fraction of pairs trained in both directions, rounded half to even.
        pub train_fraction: f64 = 0.7, FRACTION;
    }
}

impl DataKind for ReversalConfig {
    fn validate(&self) -> Result<(), FactsError> {
        tuples::validate(self.vocab_size, self.entity_length, self.train_fraction)
    }

    fn vocab(&self) -> usize {
        self.vocab_size.saturating_add(RESERVED)
    }

    fn entity_length(&self) -> usize {
        self.entity_length
    }

    fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let mut random = RandomState::new(seed);
        let pairs = tuples::draw::<2>(
            &mut random,
            self.vocab_size,
            self.entity_length,
            self.train_fraction,
        );

        let questions = |pair| directions(pair, [FORWARD, BACKWARD]);
        let both: Vec<_> = pairs.whole.iter().map(questions).collect();
        let one = pairs.partial.iter().map(questions);
        let one: Vec<_> = one.map(|pair| seen_and_unseen(&mut random, pair)).collect();

        let trained_twice = both.iter().flat_map(|(forward, backward)| [forward, backward]);
        let trained_once = one.iter().map(|(seen, _)| seen);
        Ok(Dataset {
            weights: Vec::new(),
            train: trained_twice.chain(trained_once).map(Query::sentence).collect(),
            held_out: one.iter().map(|(_, unseen)| unseen.sentence()).collect(),
            vocab: self.vocab(),
            reserved: RESERVED,
            entity_length: self.entity_length,
            groups: groups(both, one),
            inverses: vec![[FORWARD, BACKWARD]],
        })
    }

    fn structure(&self) -> Structure {
        Structure::INVERSES
    }
}

/// The forward and the backward question of a pair, with those relation tokens.
pub(crate) fn directions([x, y]: &[Entity; 2], [forward, backward]: [Token; 2]) -> (Query, Query) {
    let query = |source: &Entity, relation, answer: &Entity, answer_type| Query {
        source: source.clone(),
        relation,
        answer: answer.clone(),
        answer_type,
    };
    (query(x, forward, y, EntityType::Y), query(y, backward, x, EntityType::X))
}

/// A coin decides which of the two directions of a pair is seen.
pub(crate) fn seen_and_unseen(
    random: &mut RandomState,
    (forward, backward): (Query, Query),
) -> (Query, Query) {
    let seen_forward = random.randint(2) == 1;
    if seen_forward { (forward, backward) } else { (backward, forward) }
}

/// The four panels of the paper's effective-weight figure, from the pairs trained in both directions
/// (forward, backward) and those trained in one (seen, unseen).
pub(crate) fn groups(both: Vec<(Query, Query)>, mut one: Vec<(Query, Query)>) -> Vec<Group> {
    let (train_forward, train_backward) = both.into_iter().unzip();
    // Stable: keeps the data set's order within a type.
    one.sort_by_key(|(seen, _)| seen.answer_type != EntityType::Y);
    let (seen, unseen) = one.into_iter().unzip();
    vec![
        Group::new(Role::Forward, train_forward),
        Group::new(Role::Backward, train_backward),
        Group::new(Role::Seen, seen),
        Group::new(Role::Unseen, unseen),
    ]
}
