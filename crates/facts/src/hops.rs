//! Chains of any length, e₀ → e₁ → … → e_k, and questions several steps ahead. Of some chains the
//! question of all k steps is held out. With two hops the sentences are those of the chain data set.

use retrodict_settings::{FRACTION, settings};

use crate::group::{Group, Role, sentences};
use crate::kind::{DataKind, SIZE, Structure};
use crate::limits::{self, MAX_SENTENCES, MAX_VOCAB, at_least, at_most};
use crate::numpy::RandomState;
use crate::query::{EntityType, Query, Token};
use crate::tuples::{draw_tokens, trained_of};
use crate::{Dataset, FactsError};

settings! {
    /// Settings of a data set of longer chains.
    ///
    /// Token 0 is the relation of one step, token j − 1 that of j steps.
    #[derive(Copy)]
    pub struct HopsConfig in "data" {
        /// Entity tokens to draw from, beside the relation tokens.
        pub vocab_size: usize = 800, SIZE;
        /// Number of chains.
        pub chains: usize = 60, SIZE;
        /// Steps per chain.
        pub hops: usize = 3, SIZE;
        /// Fraction of chains trained whole, rounded half to even.
        pub train_fraction: f64 = 0.7, FRACTION;
    }
}

impl DataKind for HopsConfig {
    fn validate(&self) -> Result<(), FactsError> {
        let Self { vocab_size, chains, hops, train_fraction } = *self;
        limits::vocab_at_most(vocab_size)?;
        at_least("chains", chains, 1, "there must be a chain")?;
        at_most("chains", chains, MAX_VOCAB / 3, "larger vocabularies are not supported")?;
        at_least("hops", hops, 2, "with one there is nothing to infer")?;
        let reason = format!(
            "each of the {chains} chains has a sentence from every link to every later one"
        );
        at_most("hops", hops, longest_chain(chains), reason)?;
        let reason = format!("{chains} chains of {} entities are drawn from it", hops + 1);
        at_least("vocab_size", vocab_size, chains * (hops + 1), reason)?;
        limits::fraction(train_fraction)
    }

    fn vocab(&self) -> usize {
        self.vocab_size.saturating_add(self.hops)
    }

    fn generate(&self, seed: u32) -> Result<Dataset, FactsError> {
        self.validate()?;
        let mut random = RandomState::new(seed);
        let Self { vocab_size, chains, hops, .. } = *self;
        let links = hops + 1;
        let tokens = draw_tokens(&mut random, vocab_size, chains * links, hops);
        let chains: Vec<&[Token]> = tokens.chunks(links).collect();
        // The tokens stand in random order already.
        let (whole, partial) = chains.split_at(trained_of(self.train_fraction, chains.len()));

        let held_out = Role::HeldOut("held_out_whole", "held-out, all steps");
        let group = |role, of: &[&[Token]], steps| {
            Group::new(role, of.iter().flat_map(|chain| questions(chain, steps)).collect())
        };
        let (direct, between, all) = ([1, 1], [2, hops - 1], [hops, hops]);
        let groups = vec![
            group(Role::Trained("train_direct", "train, one step"), whole, direct),
            group(Role::Trained("train_between", "train, several steps"), whole, between),
            group(Role::Trained("train_whole", "train, all steps"), whole, all),
            group(Role::TrainedInPart("held_out_direct", "held-out, one step"), partial, direct),
            group(
                Role::TrainedInPart("held_out_between", "held-out, several steps"),
                partial,
                between,
            ),
            group(held_out, partial, all),
        ];
        Ok(Dataset {
            weights: Vec::new(),
            train: sentences(&groups, Role::is_trained),
            held_out: sentences(&groups, Role::is_held_out),
            vocab: self.vocab(),
            reserved: hops,
            entity_length: 1,
            groups,
            inverses: Vec::new(),
        })
    }

    fn structure(&self) -> Structure {
        Structure { steps: self.hops, ..Structure::CHAINS }
    }
}

/// The questions of a chain whose answers are from `least` to `most` steps ahead, each number in the
/// order of the chain. Only its first entity has type X and only its last has type Z.
fn questions(chain: &[Token], [least, most]: [usize; 2]) -> Vec<Query> {
    let question = |steps: usize, at: usize| Query {
        source: vec![chain[at]],
        relation: (steps - 1) as Token,
        answer: vec![chain[at + steps]],
        answer_type: if at + steps == chain.len() - 1 { EntityType::Z } else { EntityType::Y },
    };
    let from_all = |steps: usize| (0..chain.len() - steps).map(move |at| (steps, at));
    (least..=most).flat_map(from_all).map(|(steps, at)| question(steps, at)).collect()
}

/// The most hops with which so many chains stay within [`MAX_SENTENCES`], at least two.
fn longest_chain(chains: usize) -> usize {
    let sentences = |hops: usize| chains * (hops * (hops + 1) / 2);
    (2..).take_while(|&hops| sentences(hops) <= MAX_SENTENCES).last().unwrap_or(2)
}
