//! All that a recipe file declares of its recipe.

use std::fmt;

use super::SetBuilder;
use super::size::SizeBefore;
use crate::Structure;

/// One change to the training sentences.
pub(super) struct Method {
    /// The name, without the argument.
    pub(super) name: &'static str,
    /// The argument where none is given.
    pub(super) argument: Argument,
    /// The arguments that are right, for messages: `it …`.
    pub(super) right: &'static str,
    /// The structure without which it changes nothing.
    pub(super) needs: Need,
    /// The number of tokens that it adds to the vocabulary.
    pub(super) new_tokens: usize,
    /// Tokens of the longest sentence and of the longest answer that it adds.
    pub(super) longest: fn(&SizeBefore) -> (usize, usize),
    /// Adds its sentences.
    pub(super) apply: fn(&mut SetBuilder),
}

impl Method {
    /// A recipe without argument or needs, whose sentences are two entities and a relation.
    pub(super) const fn new(name: &'static str, apply: fn(&mut SetBuilder)) -> Self {
        Self {
            name,
            argument: Argument::None,
            right: "it takes none",
            needs: Need::Nothing,
            new_tokens: 0,
            longest: |before| before.entities(2, 1),
            apply,
        }
    }
}

/// The argument of a recipe, a number above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Argument {
    /// It takes none.
    None,
    /// A whole number.
    Whole(usize),
    /// Any finite number.
    Real(f64),
}

impl Argument {
    /// Another argument of the same type; `None` for a wrong one.
    pub(super) fn parse(self, text: &str) -> Option<Self> {
        match self {
            Self::None => None,
            Self::Whole(_) => text.parse().ok().filter(|n| *n > 0).map(Self::Whole),
            Self::Real(_) => {
                text.parse().ok().filter(|x: &f64| *x > 0.0 && x.is_finite()).map(Self::Real)
            }
        }
    }

    /// The whole number; 1 for other arguments.
    pub(super) fn whole(self) -> usize {
        if let Self::Whole(number) = self { number } else { 1 }
    }

    /// The real number; 1 for other arguments.
    pub(super) fn real(self) -> f64 {
        if let Self::Real(number) = self { number } else { 1.0 }
    }
}

impl fmt::Display for Argument {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Whole(number) => write!(out, "({number})"),
            Self::Real(number) => write!(out, "({number})"),
        }
    }
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
    /// The need in words, for `it …`, if data of this structure does not meet it.
    pub(super) fn unmet(self, structure: Structure) -> Option<&'static str> {
        let (met, words) = match self {
            Self::Nothing => return None,
            Self::Triples => (structure.triples, "needs sentences of two entities"),
            Self::Inverses => (structure.inverses, "needs relations that are each other's inverse"),
            Self::Chains => (structure.chains, "needs chains"),
        };
        (!met).then_some(words)
    }
}
