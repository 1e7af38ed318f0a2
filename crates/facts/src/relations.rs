//! Several pairs of reciprocal relations over the same entities, and one pair of relations that is
//! not reciprocal. Where each entity has one partner, a model can ignore the relation; here it
//! cannot, and the control separates a learned inverse from a blind swap of source and answer.

use retrodict_settings::{FRACTION, settings};

use crate::group::{Group, Role};
use crate::kind::{DataKind, SIZE, Structure};
use crate::limits::{self, MAX_SENTENCES, MAX_VOCAB, at_least, at_most};
use crate::numpy::RandomState;
use crate::query::{EntityType, Query, Token};
use crate::reversal::{self, directions};
use crate::tuples::{draw_tokens, trained_of};
use crate::{Dataset, FactsError};

settings! {
    /// Settings of a data set of several relations.
    ///
    /// Relation i is the tokens `2i` (x → y) and `2i + 1` (its inverse); the last
    /// two tokens are the control's.
    #[derive(Copy)]
    pub struct RelationsConfig in "data" {
        /// Entity tokens to draw from, beside the relation tokens.
        pub vocab_size: usize = 800, SIZE;
        /// Number of x, and of y.
        pub entities: usize = 50, SIZE;
        /// Number of reciprocal pairs of relations, each with its own pairing of x and y.
        pub relations: usize = 3, SIZE;
        /// Reciprocal pairs of relations, the last ones, of which no pair of entities is trained in
        /// both directions: whether a reverse generalises to a relation without an example of it.
        pub one_way_relations: usize = 0, 0..=1_000_000, later;
        /// Fraction of each other relation's pairs trained in both directions, and of the control's
        /// questions trained, rounded half to even.
        pub train_fraction: f64 = 0.7, FRACTION;
    }
}

impl DataKind for RelationsConfig {
    fn validate(&self) -> Result<(), FactsError> {
        let Self { vocab_size, entities, relations, one_way_relations, train_fraction } = *self;
        limits::vocab_at_most(vocab_size)?;
        at_least("entities", entities, 2, "the control answers with another x")?;
        at_most("entities", entities, MAX_VOCAB / 2, "larger vocabularies are not supported")?;
        let reason = format!("{entities} x and as many y are drawn from it");
        at_least("vocab_size", vocab_size, 2 * entities, reason)?;
        at_least("relations", relations, 1, "there must be a pair")?;
        let reason = format!("each has up to two sentences of each of the {entities} x");
        at_most("relations", relations, MAX_SENTENCES / (2 * entities), reason)?;
        let reason = format!("there are {relations} relations");
        at_most("one_way_relations", one_way_relations, relations, reason)?;
        limits::fraction(train_fraction)
    }

    fn vocab(&self) -> usize {
        self.vocab_size.saturating_add(self.reserved())
    }

    fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let mut random = RandomState::new(seed);
        let n = self.entities;
        let tokens = draw_tokens(&mut random, self.vocab_size, 2 * n, self.reserved());
        let (xs, ys) = tokens.split_at(n);
        let trained = trained_of(self.train_fraction, n);

        let (mut both, mut one) = (Vec::new(), Vec::new());
        let relation_tokens = |i: usize| [2 * i as Token, 2 * i as Token + 1];
        for relation in 0..self.relations {
            let partners = random.permutation(n as u32);
            let order = random.permutation(n as u32);
            let pair = |&at: &u32| {
                let (x, y) = (xs[at as usize], ys[partners[at as usize] as usize]);
                directions(&[vec![x], vec![y]], relation_tokens(relation))
            };
            let one_way = relation >= self.relations - self.one_way_relations;
            let (whole, partial) = order.split_at(if one_way { 0 } else { trained });
            both.extend(whole.iter().map(pair));
            one.extend(
                partial.iter().map(pair).map(|pair| reversal::seen_and_unseen(&mut random, pair)),
            );
        }
        let control = Control::draw(&mut random, xs, ys, trained, relation_tokens(self.relations));

        let trained = both.iter().flat_map(|(forward, backward)| [forward, backward]);
        let trained = trained.chain(one.iter().map(|(seen, _)| seen)).chain(&control.trained);
        let train = trained.map(Query::sentence).collect();
        let held_out = one.iter().map(|(_, unseen)| unseen.sentence()).collect();
        let mut groups = reversal::groups(both, one);
        let last = groups.split_off(2);
        groups.extend(control.groups());
        groups.extend(last);
        Ok(Dataset {
            weights: Vec::new(),
            train,
            held_out,
            vocab: self.vocab(),
            reserved: self.reserved(),
            entity_length: 1,
            groups,
            inverses: (0..self.relations).map(relation_tokens).collect(),
        })
    }

    fn structure(&self) -> Structure {
        Structure::INVERSES
    }
}

impl RelationsConfig {
    /// The number of relation tokens.
    fn reserved(&self) -> usize {
        self.relations.saturating_add(1).saturating_mul(2)
    }
}

/// Two relations n (x → y) and m (y → x) of which neither is the other's inverse.
struct Control {
    trained: Vec<Query>,
    unseen: Vec<Query>,
    /// The unseen questions, answered as if m were the inverse of n.
    swapped: Vec<Query>,
}

impl Control {
    /// Every x –n→ y is trained, and the first `trained` of y –m→ x′ in a random order. x′ follows x
    /// in a random circle of all x, so it is never x.
    fn draw(
        random: &mut RandomState,
        xs: &[Token],
        ys: &[Token],
        trained: usize,
        [n, m]: [Token; 2],
    ) -> Self {
        let mut circle = xs.to_vec();
        random.shuffle(&mut circle);
        let mut ys = ys.to_vec();
        random.shuffle(&mut ys);
        let query = |source, relation, answer, answer_type| Query {
            source: vec![source],
            relation,
            answer: vec![answer],
            answer_type,
        };
        let stated = circle.iter().zip(&ys).map(|(&x, &y)| query(x, n, y, EntityType::Y));
        let mut all: Vec<Query> = stated.collect();
        let (mut unseen, mut swapped) = (Vec::new(), Vec::new());
        for (place, at) in random.permutation(xs.len() as u32).into_iter().enumerate() {
            let (x, y) = (circle[at as usize], ys[at as usize]);
            let next = circle[(at as usize + 1) % circle.len()];
            let question = query(y, m, next, EntityType::X);
            if place < trained {
                all.push(question);
            } else {
                unseen.push(question);
                swapped.push(query(y, m, x, EntityType::X));
            }
        }
        Self { trained: all, unseen, swapped }
    }

    fn groups(self) -> [Group; 3] {
        let Self { trained, unseen, swapped } = self;
        [
            Group::new(Role::ControlTrained, trained),
            Group::new(Role::ControlUnseen, unseen),
            Group::new(Role::ControlSwapped, swapped),
        ]
    }
}
