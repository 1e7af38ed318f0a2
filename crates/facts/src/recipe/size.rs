//! How large a training_set becomes, told without drawing it.

use super::{BridgeForm, Recipe, RecipeError};
use crate::{DataConfig, Structure};

/// Bounds of a training_set that the recipes and the configuration alone decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingSetSize {
    /// The whole vocabulary: that of the data, then the tokens that recipes add.
    pub vocab: usize,
    /// No sentence has more tokens.
    pub longest: usize,
    /// No answer has more tokens.
    pub longest_answer: usize,
}

/// The size of what [`apply`](super::apply) makes of a data set of this
/// configuration.
///
/// # Errors
/// [`RecipeError::Unsuited`] where a recipe could change nothing.
pub fn training_set_size(
    recipes: &[Recipe],
    config: &DataConfig,
) -> Result<TrainingSetSize, RecipeError> {
    let mut size = TrainingSetSize {
        vocab: config.vocab(),
        longest: config.sentence_length(),
        longest_answer: config.entity_length(),
    };
    for recipe in recipes {
        recipe.suits(config)?;
        size.vocab = size.vocab.saturating_add(recipe.new_tokens());
        let (longest, answer) = recipe.longest(&size, config);
        size.longest = size.longest.max(longest);
        size.longest_answer = size.longest_answer.max(answer);
    }
    Ok(size)
}

impl Recipe {
    /// How many tokens it adds to the vocabulary.
    pub fn new_tokens(&self) -> usize {
        match self {
            Self::ReverseTokensMarked
            | Self::Identities
            | Self::ThirdRelation
            | Self::InContext => 1,
            Self::Bridge { form, .. } => usize::from(*form != BridgeForm::WithoutSelf),
            _ => 0,
        }
    }

    /// The longest sentence and the longest answer that it adds.
    fn longest(&self, before: &TrainingSetSize, config: &DataConfig) -> (usize, usize) {
        let entity = config.entity_length();
        // A configuration that is refused elsewhere is still sized.
        let entities =
            |n: usize, between: usize| (entity.saturating_mul(n).saturating_add(between), entity);
        match *self {
            Self::ReverseTokens | Self::ReverseEntities | Self::PermuteChunks | Self::AllOrders => {
                (before.longest, entity)
            }
            Self::ReverseTokensMarked => (before.longest.saturating_add(1), entity),
            // What is one segment is not said again.
            Self::ReverseSegments { longest } => {
                (before.longest, longest.min(before.longest.saturating_sub(1)))
            }
            Self::Bridge { form: BridgeForm::OutOfContext | BridgeForm::WithoutSelf, .. } => {
                entities(2, 2)
            }
            Self::InContext => entities(4, 3),
            Self::ChainOfThought => {
                let steps = config.structure().steps;
                entities(steps.saturating_add(1), steps)
            }
            _ => entities(2, 1),
        }
    }

    /// Refuses data that the recipe finds nothing in.
    fn suits(&self, config: &DataConfig) -> Result<(), RecipeError> {
        let Structure { triples: facts, inverses, chains, .. } = config.structure();
        let (suits, needs) = match self {
            Self::ThirdRelation | Self::ChainOfThought => (chains, "needs chains"),
            Self::InContext
            | Self::Bridge { form: BridgeForm::OutOfContext | BridgeForm::WithoutSelf, .. } => {
                (inverses, "needs relations that are each other's inverse")
            }
            Self::Bridge { form: BridgeForm::Plain, .. }
            | Self::AllOrders
            | Self::IdentitiesTyped
            | Self::IdentitiesRandom
            | Self::IdentitiesConflicting => (facts, "needs sentences of two entities"),
            _ => (true, ""),
        };
        if suits {
            return Ok(());
        }
        Err(RecipeError::Unsuited { recipe: self.name(), kind: config.word(), needs })
    }
}
