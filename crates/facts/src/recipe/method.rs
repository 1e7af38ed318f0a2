//! The interface of a recipe.

use super::size::SizeBefore;
use super::{Recipe, SetBuilder};
use crate::Structure;

/// One change to the training sentences: all that the rest of the program needs of a recipe.
pub(super) trait Method: Send + Sync {
    /// The name, without the argument.
    fn name(&self) -> &'static str;

    /// The argument as it is written; `None` for a recipe that takes none.
    fn argument(&self) -> Option<String> {
        None
    }

    /// The recipe with another argument.
    ///
    /// # Errors
    /// The arguments that would be right.
    fn with_argument(&self, _text: &str) -> Result<Recipe, &'static str> {
        Err("it takes none")
    }

    /// The structure that the data must have for the recipe to change anything.
    fn needs(&self) -> Need {
        Need::Nothing
    }

    /// The number of tokens that it adds to the vocabulary.
    fn new_tokens(&self) -> usize {
        0
    }

    /// Tokens of the longest sentence and of the longest answer that it adds. The default is a
    /// sentence of two entities and a relation.
    fn longest(&self, before: &SizeBefore) -> (usize, usize) {
        before.entities(2, 1)
    }

    /// Adds its sentences.
    fn apply(&self, set: &mut SetBuilder);
}

/// The structure of the data that a recipe needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Need {
    /// None.
    Nothing,
    /// Sentences of an entity, a relation and an entity.
    Triples,
    /// Relations that are each other's inverse.
    Inverses,
    /// Facts that form chains.
    Chains,
}

impl Need {
    /// Whether data of this structure will do.
    pub(super) fn met_by(self, structure: Structure) -> bool {
        match self {
            Self::Nothing => true,
            Self::Triples => structure.triples,
            Self::Inverses => structure.inverses,
            Self::Chains => structure.chains,
        }
    }

    /// The need in words, for `it …`.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Nothing => "needs nothing",
            Self::Triples => "needs sentences of two entities",
            Self::Inverses => "needs relations that are each other's inverse",
            Self::Chains => "needs chains",
        }
    }
}
