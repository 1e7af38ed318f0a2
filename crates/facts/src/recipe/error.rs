//! Why a recipe is refused.

use thiserror::Error;

/// A recipe that does not exist, or not like this.
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
        /// What stands in the brackets, or the text after the name.
        found: String,
        /// What would be right.
        right: &'static str,
    },
    /// The recipe has nothing to work on in data of this kind.
    #[error("{recipe} does nothing to {kind} data: it {needs}")]
    Unsuited {
        /// The recipe's name.
        recipe: &'static str,
        /// The kind of the data.
        kind: &'static str,
        /// What it needs.
        needs: &'static str,
    },
}
