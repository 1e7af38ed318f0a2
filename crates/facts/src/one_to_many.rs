//! One x with several partners: `x 0 y` has several right answers, `y 1 x` has one. Of some pairs the
//! latter is held out.

use retrodict_settings::{FRACTION, settings};

use crate::group::{Group, Role};
use crate::kind::{DataKind, SIZE, Structure};
use crate::limits::{self, MAX_SENTENCES, MAX_VOCAB, at_least, at_most};
use crate::numpy::RandomState;
use crate::query::Query;
use crate::reversal::{BACKWARD, FORWARD, directions};
use crate::tuples::{RESERVED, draw_tokens, trained_of};
use crate::{Dataset, FactsError};

settings! {
    /// Settings of a one-to-many data set.
    #[derive(Copy)]
    pub struct OneToManyConfig in "data" {
        /// Entity tokens to draw from, beside the two relation tokens.
        pub vocab_size: usize = 800, SIZE;
        /// Number of x.
        pub entities: usize = 50, SIZE;
        /// Number of y per x, each of one x only.
        pub partners: usize = 4, SIZE;
        /// Fraction of pairs trained in both directions, rounded half to even; of the others only
        /// x → y is trained.
        pub train_fraction: f64 = 0.7, FRACTION;
    }
}

impl DataKind for OneToManyConfig {
    fn validate(&self) -> Result<(), FactsError> {
        let Self { vocab_size, entities, partners, train_fraction } = *self;
        limits::vocab_at_most(vocab_size)?;
        for (key, value) in [("entities", entities), ("partners", partners)] {
            at_least(key, value, 1, "there must be a pair")?;
        }
        at_most("entities", entities, MAX_VOCAB / 2, "larger vocabularies are not supported")?;
        let reason = format!("each of the {entities} x has up to two sentences with each");
        at_most("partners", partners, MAX_SENTENCES / (2 * entities), reason)?;
        let reason = format!("{entities} x, each with {partners} y, are drawn from it");
        at_least("vocab_size", vocab_size, entities * (partners + 1), reason)?;
        limits::fraction(train_fraction)
    }

    fn vocab(&self) -> usize {
        self.vocab_size.saturating_add(RESERVED)
    }

    fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let mut random = RandomState::new(seed);
        let Self { vocab_size, entities, partners, train_fraction } = *self;
        let count = entities * (partners + 1);
        let tokens = draw_tokens(&mut random, vocab_size, count, RESERVED);
        let (xs, ys) = tokens.split_at(entities);
        let of_x = |(&x, ys): (_, &[_])| -> Vec<(Query, Query)> {
            let pair = |&y| directions(&[vec![x], vec![y]], [FORWARD, BACKWARD]);
            ys.iter().map(pair).collect()
        };
        let mut pairs: Vec<_> = xs.iter().zip(ys.chunks(partners)).flat_map(of_x).collect();
        let forward_any = pairs.iter().step_by(partners).map(|(forward, _)| forward.clone());
        let forward_any = forward_any.collect();
        random.shuffle(&mut pairs);
        let one = pairs.split_off(trained_of(train_fraction, pairs.len()));

        let trained_twice = pairs.iter().flat_map(|(forward, backward)| [forward, backward]);
        let trained = trained_twice.chain(one.iter().map(|(seen, _)| seen));
        let train = trained.map(Query::sentence).collect();
        let held_out = one.iter().map(|(_, unseen)| unseen.sentence()).collect();
        let (train_forward, train_backward) = pairs.into_iter().unzip();
        let (seen, unseen) = one.into_iter().unzip();
        let any = Role::TrainedInPart("forward_any", "x → any of its y");
        Ok(Dataset {
            weights: Vec::new(),
            train,
            held_out,
            vocab: self.vocab(),
            reserved: RESERVED,
            entity_length: 1,
            groups: vec![
                Group::new(Role::Forward, train_forward),
                Group::new(Role::Backward, train_backward),
                Group::new(any, forward_any),
                Group::new(Role::Seen, seen),
                Group::new(Role::Unseen, unseen),
            ],
            inverses: vec![[FORWARD, BACKWARD]],
        })
    }

    fn structure(&self) -> Structure {
        Structure::INVERSES
    }
}
