//! Recipes: changes to the sentences that are trained on, each of which has
//! been proposed against the reversal curse, or is a control of one that was.
//!
//! A [`Recipe`] takes the sentences so far and leaves a [`TrainingSet`]: the same
//! sentences, most often with others after them. Recipes are applied in order,
//! so one that reverses sentences also reverses what those before it added.
//! What is held out stays held out: a sentence that equals a held-out one, or
//! an untrained question of any group, is never added.

mod all_orders;
mod bridge;
mod chain_of_thought;
mod error;
mod identities;
mod in_context;
mod layout;
mod name;
mod permute_chunks;
mod reverse;
mod size;
mod training_set;

use std::collections::HashSet;

pub use bridge::Form as BridgeForm;
pub use error::RecipeError;
pub use size::{TrainingSetSize, training_set_size};
pub use training_set::{Sentence, TrainingSet};

use crate::numpy::RandomState;
use crate::{Dataset, Token};
use layout::Layout;

/// Keeps the draws of recipes apart from those of the data set of the same seed.
const SEED_OF_RECIPES: u32 = 0x5EC1_9E55;

/// A named change to the sentences that are trained on. `Display` and `FromStr`
/// are the name, with its argument in brackets where it takes one:
/// `reverse-segments(3)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Recipe {
    /// `reverse-tokens`: every sentence also with its tokens in reverse.
    ReverseTokens,
    /// `reverse-tokens-marked`: the same, behind a new token that says so.
    ReverseTokensMarked,
    /// `reverse-entities`: every sentence also in reverse, entities kept whole.
    ReverseEntities,
    /// `reverse-segments(N)`: every sentence also in reverse, random segments of
    /// up to `longest` tokens kept whole.
    ReverseSegments {
        /// The most tokens of a segment, at least 1.
        longest: usize,
    },
    /// `permute-chunks`: every sentence also with its chunks (entities and
    /// relations) in reverse and in a random order.
    PermuteChunks,
    /// `all-orders`: every fact also in all orders that end in an entity.
    AllOrders,
    /// `identities`: `[e, id, e]` of every entity, `id` a new token.
    Identities,
    /// `identities-typed`: `[e, r, e]` of every entity and the relations that
    /// answer with its type.
    IdentitiesTyped,
    /// `identities-random`: a control of the typed ones that answers with a
    /// random entity of the type.
    IdentitiesRandom,
    /// `identities-conflicting`: a control, `[e, r, e]` with every relation.
    IdentitiesConflicting,
    /// `bridge-out-of-context(W)`, `bridge-plain(W)`, `bridge-without-self(W)`:
    /// the identity bridge and what it is held against.
    Bridge {
        /// How the identities are put.
        form: BridgeForm,
        /// How much the sentences before it then count, above 0; the bridge's own count 1.
        fact_weight: f64,
    },
    /// `third-relation`: identities with a new relation, on chains.
    ThirdRelation,
    /// `in-context`: `x 0 y ⇔ y 1 x` of every fact that is trained in both
    /// directions, ⇔ a new token.
    InContext,
    /// `chain-of-thought`: `x 0 y 0 z` of every indirect fact `x 1 z` that is trained.
    ChainOfThought,
}

/// The sentences to train on after all `recipes`, in order. The same seed gives
/// the same sentences; a recipe that finds nothing to change changes nothing.
pub fn apply(recipes: &[Recipe], dataset: &Dataset, seed: u32) -> TrainingSet {
    let mut training_set = TrainingSet::plain(dataset);
    let secret = untrained(dataset);
    for recipe in recipes {
        let mut kitchen = Kitchen {
            dataset,
            layout: Layout::of(dataset),
            secret: &secret,
            random: RandomState::new(seed ^ SEED_OF_RECIPES),
            training_set: &mut training_set,
        };
        recipe.cook(&mut kitchen);
    }
    training_set
}

impl Recipe {
    fn cook(&self, kitchen: &mut Kitchen) {
        match *self {
            Self::ReverseTokens => reverse::tokens(kitchen),
            Self::ReverseTokensMarked => reverse::tokens_marked(kitchen),
            Self::ReverseEntities => reverse::entities(kitchen),
            Self::ReverseSegments { longest } => reverse::segments(kitchen, longest),
            Self::PermuteChunks => permute_chunks::cook(kitchen),
            Self::AllOrders => all_orders::cook(kitchen),
            Self::Identities | Self::ThirdRelation => identities::untyped(kitchen),
            Self::IdentitiesTyped => identities::typed(kitchen),
            Self::IdentitiesRandom => identities::random(kitchen),
            Self::IdentitiesConflicting => identities::conflicting(kitchen),
            Self::Bridge { form, fact_weight } => bridge::cook(kitchen, form, fact_weight),
            Self::InContext => in_context::cook(kitchen),
            Self::ChainOfThought => chain_of_thought::cook(kitchen),
        }
    }
}

/// The sentences that no recipe may add: all questions of a group that are not
/// trained, with their answers, and the held-out sentences.
fn untrained(dataset: &Dataset) -> HashSet<Vec<Token>> {
    let asked =
        dataset.groups.iter().flat_map(|group| &group.queries).map(|query| query.sentence());
    let mut untrained: HashSet<_> = asked.chain(dataset.held_out.iter().cloned()).collect();
    for sentence in &dataset.train {
        untrained.remove(sentence);
    }
    untrained
}

/// What a recipe works with.
struct Kitchen<'a> {
    dataset: &'a Dataset,
    layout: Layout,
    secret: &'a HashSet<Vec<Token>>,
    random: RandomState,
    training_set: &'a mut TrainingSet,
}

impl Kitchen<'_> {
    /// A token that was not there, at the end of the vocabulary.
    fn new_token(&mut self) -> Token {
        self.training_set.vocab += 1;
        (self.training_set.vocab - 1) as Token
    }

    /// Adds a sentence, unless it is to stay unknown.
    fn add(&mut self, sentence: Sentence) {
        if !self.secret.contains(&sentence.tokens) {
            self.training_set.sentences.push(sentence);
        }
    }

    /// Adds to every sentence so far what `rewrite` makes of it.
    fn rewrite(&mut self, mut rewrite: impl FnMut(&mut Self, &Sentence) -> Vec<Sentence>) {
        let before = self.training_set.sentences.clone();
        for sentence in &before {
            for rewritten in rewrite(self, sentence) {
                // What reads the same both ways is said once.
                if rewritten.tokens != sentence.tokens {
                    self.add(rewritten);
                }
            }
        }
    }
}
