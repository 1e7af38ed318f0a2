//! The chain data set (paper, section 5): of each triple two direct implications, `A 0 B` and
//! `B 0 C`, and an indirect one, `A 1 C`. Of some triples the indirect one is held out.

use retrodict_settings::{FRACTION, settings};

use crate::group::{Group, Role, Step};
use crate::kind::{DataKind, ENTITY_LENGTH, SIZE, Structure};
use crate::numpy::RandomState;
use crate::query::{Entity, EntityType, Query, Token};
use crate::tuples::{self, RESERVED, Tuples, sentence};
use crate::{Dataset, FactsError};

/// The relation token of A → B and B → C.
const DIRECT: Token = 0;
/// The relation token of A ⇝ C.
const INDIRECT: Token = 1;

settings! {
    /// Settings of a chain data set.
    #[derive(Copy)]
    pub struct ChainConfig in "data" {
        /// Entity tokens to draw from, beside the two relation tokens; A, B and C take a quarter each.
        pub vocab_size: usize = 800, SIZE;
        /// Tokens per entity.
        pub entity_length: usize = 1, ENTITY_LENGTH;
        /// Fraction of triples trained whole, rounded half to even.
        pub train_fraction: f64 = 0.7, FRACTION;
    }
}

impl DataKind for ChainConfig {
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
        let triples =
            tuples::draw(&mut random, self.vocab_size, self.entity_length, self.train_fraction);
        Ok(dataset(&triples, self.vocab(), self.entity_length))
    }

    fn structure(&self) -> Structure {
        Structure::CHAINS
    }
}

/// The sentences and groups of triples (A, B, C).
pub(crate) fn dataset(triples: &Tuples<3>, vocab: usize, entity_length: usize) -> Dataset {
    let mut train = Vec::with_capacity(3 * triples.whole.len() + 2 * triples.partial.len());
    for [a, b, c] in &triples.whole {
        train.extend([sentence(a, DIRECT, b), sentence(b, DIRECT, c), sentence(a, INDIRECT, c)]);
    }
    for [a, b, c] in &triples.partial {
        train.extend([sentence(a, DIRECT, b), sentence(b, DIRECT, c)]);
    }
    let held_out = triples.partial.iter().map(|[a, _, c]| sentence(a, INDIRECT, c)).collect();
    Dataset {
        weights: Vec::new(),
        train,
        held_out,
        vocab,
        reserved: RESERVED,
        entity_length,
        groups: groups(triples),
        inverses: Vec::new(),
    }
}

/// The six panels of the paper's effective-weight figure.
fn groups(triples: &Tuples<3>) -> Vec<Group> {
    let group = |whole, step| {
        let (source, relation, answer, answer_type) = match step {
            Step::First => (0, DIRECT, 1, EntityType::Y),
            Step::Second => (1, DIRECT, 2, EntityType::Z),
            Step::Indirect => (0, INDIRECT, 2, EntityType::Z),
        };
        let query = |triple: &[Entity; 3]| Query {
            source: triple[source].clone(),
            relation,
            answer: triple[answer].clone(),
            answer_type,
        };
        let triples = if whole { &triples.whole } else { &triples.partial };
        Group::new(Role::Chain { whole, step }, triples.iter().map(query).collect())
    };
    [true, false].into_iter().flat_map(|whole| Step::ALL.map(|step| group(whole, step))).collect()
}
