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

use std::sync::Arc;

pub use error::RecipeError;
pub use size::{TrainingSetSize, training_set_size};
pub use text::Recipes;
pub use training_set::{Sentence, TrainingSet};

use crate::Dataset;
use builder::SetBuilder;
use method::Method;

/// Every recipe, with the default of its argument.
const ALL: &[fn() -> Recipe] = &[
    || Recipe::new(reverse::Tokens),
    || Recipe::new(reverse::TokensMarked),
    || Recipe::new(reverse::Entities),
    || Recipe::new(reverse::Segments::default()),
    || Recipe::new(permute_chunks::PermuteChunks),
    || Recipe::new(all_orders::AllOrders),
    || Recipe::new(identities::Identities),
    || Recipe::new(identities::Typed),
    || Recipe::new(identities::Random),
    || Recipe::new(identities::Conflicting),
    || Recipe::new(bridge::OUT_OF_CONTEXT),
    || Recipe::new(bridge::PLAIN),
    || Recipe::new(bridge::WITHOUT_SELF),
    || Recipe::new(identities::ThirdRelation),
    || Recipe::new(in_context::InContext),
    || Recipe::new(chain_of_thought::ChainOfThought),
];

/// A named change to the training sentences, with its argument. `Display` and `FromStr` write and
/// read it as `name`, or `name(argument)` where it takes one: `reverse-segments(3)`.
#[derive(Clone)]
pub struct Recipe(Arc<dyn Method>);

impl Recipe {
    fn new(method: impl Method + 'static) -> Self {
        Self(Arc::new(method))
    }

    /// Every recipe, with the default of its argument.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.iter().map(|recipe| recipe())
    }

    /// The name, without the argument.
    pub fn name(&self) -> &'static str {
        self.0.name()
    }

    /// The number of tokens that it adds to the vocabulary.
    pub fn new_tokens(&self) -> usize {
        self.0.new_tokens()
    }
}

/// Name and argument say all there is to a recipe.
impl PartialEq for Recipe {
    fn eq(&self, other: &Self) -> bool {
        (self.name(), self.0.argument()) == (other.name(), other.0.argument())
    }
}

/// The training set after all `recipes`, in order. The same seed gives the same sentences; a recipe
/// that finds nothing to change changes nothing.
pub fn apply(recipes: &[Recipe], dataset: &Dataset, seed: u32) -> TrainingSet {
    let mut set = SetBuilder::new(dataset, seed);
    for Recipe(method) in recipes {
        set.restart_random();
        method.apply(&mut set);
    }
    set.training_set
}
