//! Errors of recipes.

use thiserror::Error;

/// A recipe that does not exist, has a wrong argument or does not suit the data.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecipeError {
    /// No recipe has this name.
    #[error("`{found}` is no recipe; there are {known}")]
    Unknown {
        /// The name that was given.
        found: String,
        /// All names, separated by commas.
        known: String,
    },
    /// The argument of a recipe is wrong, or it takes none.
    #[error("`{found}` is no argument of {recipe}: {right}")]
    Argument {
        /// The recipe's name.
        recipe: &'static str,
        /// The text in the brackets, or all of it after an open one.
        found: String,
        /// The arguments that would be right.
        right: &'static str,
    },
    /// The recipe would change nothing in data of this kind.
    #[error("{recipe} does nothing to {kind} data: it {needs}")]
    Unsuited {
        /// The recipe's name.
        recipe: &'static str,
        /// The kind of the data.
        kind: &'static str,
        /// The structure that it needs, with the verb.
        needs: &'static str,
    },
}
