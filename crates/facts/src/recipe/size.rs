//! The size of a training set, computed before it is drawn.

use super::method::Argument;
use super::{Recipe, RecipeError};
use crate::DataConfig;

/// Bounds of a training set, computed from the recipes and the configuration alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrainingSetSize {
    /// The whole vocabulary: that of the data, then the tokens that recipes add.
    pub vocab: usize,
    /// No sentence has more tokens.
    pub longest: usize,
    /// No answer has more tokens.
    pub longest_answer: usize,
}

/// Numbers from which a recipe computes the length of its sentences.
pub(super) struct SizeBefore {
    /// Tokens of the longest sentence that it may rewrite.
    pub(super) longest: usize,
    /// Tokens of an entity.
    pub(super) entity: usize,
    /// Steps of the longest chain.
    pub(super) steps: usize,
    /// The recipe's argument.
    pub(super) argument: Argument,
}

impl SizeBefore {
    /// The longest sentence and answer of a recipe that reorders sentences.
    pub(super) fn reordered(&self) -> (usize, usize) {
        (self.longest, self.entity)
    }

    /// The longest sentence and answer of a recipe that adds sentences of `count` entities and
    /// `between` other tokens.
    pub(super) fn entities(&self, count: usize, between: usize) -> (usize, usize) {
        // Saturating: a configuration that is refused elsewhere still has a size.
        (self.entity.saturating_mul(count).saturating_add(between), self.entity)
    }
}

/// The size of the training set that [`apply`](super::apply) builds from a data set of this
/// configuration.
///
/// # Errors
/// [`RecipeError::Unsuited`] if a recipe would change nothing.
pub fn training_set_size(
    recipes: &[Recipe],
    config: &DataConfig,
) -> Result<TrainingSetSize, RecipeError> {
    let mut size = TrainingSetSize {
        vocab: config.vocab(),
        longest: config.sentence_length(),
        longest_answer: config.entity_length(),
    };
    let structure = config.structure();
    for recipe in recipes {
        if let Some(needs) = recipe.method.needs.unmet(structure) {
            let (recipe, kind) = (recipe.name(), config.word());
            return Err(RecipeError::Unsuited { recipe, kind, needs });
        }
        size.vocab = size.vocab.saturating_add(recipe.new_tokens());
        let (longest, answer) = (recipe.method.longest)(&SizeBefore {
            longest: size.longest,
            entity: config.entity_length(),
            steps: structure.steps,
            argument: recipe.argument,
        });
        size.longest = size.longest.max(longest);
        size.longest_answer = size.longest_answer.max(answer);
    }
    Ok(size)
}
