//! Recipes: changes to the training sentences. Each has been proposed against the reversal curse,
//! or is a control of one that was.
//!
//! A recipe takes the sentences so far and keeps them; most add others after them. Recipes are
//! applied in order, so one that reverses sentences also reverses those that earlier recipes
//! added. No recipe adds a held-out sentence, or an untrained question of any group.
//!
//! Everything about a recipe is one `Method` in a file of this folder and one line in `ALL`.

mod all_orders;
mod bridge;
mod builder;
mod chain_of_thought;
mod error;
mod identities;
mod in_context;
mod layout;
mod method;
mod permute_chunks;
mod reverse;
mod size;
mod text;
mod training_set;

pub use error::RecipeError;
pub use size::{TrainingSetSize, training_set_size};
pub use text::Recipes;
pub use training_set::{Sentence, TrainingSet};

use crate::Dataset;
use builder::SetBuilder;
use method::{Argument, Method};

/// Every recipe.
static ALL: &[Method] = &[
    reverse::TOKENS,
    reverse::TOKENS_MARKED,
    reverse::ENTITIES,
    reverse::SEGMENTS,
    permute_chunks::PERMUTE_CHUNKS,
    all_orders::ALL_ORDERS,
    identities::IDENTITIES,
    identities::TYPED,
    identities::RANDOM,
    identities::CONFLICTING,
    bridge::OUT_OF_CONTEXT,
    bridge::PLAIN,
    bridge::WITHOUT_SELF,
    identities::THIRD_RELATION,
    in_context::IN_CONTEXT,
    chain_of_thought::CHAIN_OF_THOUGHT,
];

/// A named change to the training sentences, with its argument. `Display` and `FromStr` write and
/// read it as `name`, or `name(argument)` where it takes one: `reverse-segments(3)`.
#[derive(Clone, Copy)]
pub struct Recipe {
    method: &'static Method,
    argument: Argument,
}

impl Recipe {
    /// Every recipe, with the default of its argument.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|method| Self { method, argument: method.argument })
    }

    /// The name, without the argument.
    pub fn name(&self) -> &'static str {
        self.method.name
    }

    /// The argument, if it takes one.
    pub fn argument(&self) -> Option<f64> {
        match self.argument {
            Argument::None => None,
            Argument::Whole(number) => Some(number as f64),
            Argument::Real(number) => Some(number),
        }
    }

    /// The number of tokens that it adds to the vocabulary.
    pub fn new_tokens(&self) -> usize {
        self.method.new_tokens
    }
}

impl PartialEq for Recipe {
    fn eq(&self, other: &Self) -> bool {
        (self.name(), self.argument) == (other.name(), other.argument)
    }
}

/// The training set after all `recipes`, in order. The same seed gives the same sentences; a recipe
/// that finds nothing to change changes nothing.
pub fn apply(recipes: &[Recipe], dataset: &Dataset, seed: u32) -> TrainingSet {
    let mut set = SetBuilder::new(dataset, seed);
    recipes.iter().for_each(|recipe| set.apply(recipe));
    set.training_set
}
