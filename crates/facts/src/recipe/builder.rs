//! The training set while recipes are applied.

use std::collections::{BTreeSet, HashSet};

use super::layout::Layout;
use super::method::Argument;
use super::{Recipe, Sentence, TrainingSet};
use crate::numpy::RandomState;
use crate::query::Query;
use crate::{Dataset, Token};

/// Keeps the draws of recipes apart from those of the data set of the same seed.
const SEED_OF_RECIPES: u32 = 0x5EC1_9E55;

/// A training set to which recipes add sentences.
pub(super) struct SetBuilder<'a> {
    pub(super) dataset: &'a Dataset,
    pub(super) layout: Layout,
    /// The argument of the recipe that is applied.
    pub(super) argument: Argument,
    /// Its draws.
    pub(super) random: RandomState,
    pub(super) training_set: TrainingSet,
    untrained: HashSet<Vec<Token>>,
    /// The lengths of these sentences.
    lengths: BTreeSet<usize>,
    seed: u32,
}

impl<'a> SetBuilder<'a> {
    /// The training set of a data set without recipes.
    pub(super) fn new(dataset: &'a Dataset, seed: u32) -> Self {
        let seed = seed ^ SEED_OF_RECIPES;
        let untrained = untrained(dataset);
        let lengths = untrained.iter().map(Vec::len).collect();
        Self {
            dataset,
            layout: Layout::of(dataset),
            argument: Argument::None,
            random: RandomState::new(seed),
            training_set: TrainingSet::plain(dataset),
            untrained,
            lengths,
            seed,
        }
    }

    /// Applies a recipe, which draws from the beginning of the seed's stream.
    pub(super) fn apply(&mut self, recipe: &Recipe) {
        self.argument = recipe.argument;
        self.random = RandomState::new(self.seed);
        (recipe.method.apply)(self);
    }

    /// A new token, at the end of the vocabulary.
    pub(super) fn new_token(&mut self) -> Token {
        self.training_set.vocab += 1;
        (self.training_set.vocab - 1) as Token
    }

    /// Adds a sentence, unless it must stay untrained, or has such a sentence inside: one of a
    /// symmetric relation, reversed behind a marker, has.
    pub(super) fn add(&mut self, sentence: Sentence) {
        let mut windows = self.lengths.iter().flat_map(|&length| sentence.tokens.windows(length));
        if !windows.any(|window| self.untrained.contains(window)) {
            self.training_set.sentences.push(sentence);
        }
    }

    /// Adds the sentences that `rewrite` returns for each sentence so far.
    pub(super) fn rewrite(
        &mut self,
        mut rewrite: impl FnMut(&mut Self, &Sentence) -> Vec<Sentence>,
    ) {
        let before = self.training_set.sentences.clone();
        for sentence in &before {
            for rewritten in rewrite(self, sentence) {
                // A palindrome is not added again.
                if rewritten.tokens != sentence.tokens {
                    self.add(rewritten);
                }
            }
        }
    }
}

/// The sentences that no recipe may add: the held-out sentences, and the questions of every group,
/// with their answers, that are not trained.
fn untrained(dataset: &Dataset) -> HashSet<Vec<Token>> {
    let questions = dataset.groups.iter().flat_map(|group| &group.queries).map(Query::sentence);
    let mut untrained: HashSet<_> = questions.chain(dataset.held_out.iter().cloned()).collect();
    for sentence in &dataset.train {
        untrained.remove(sentence);
    }
    untrained
}
