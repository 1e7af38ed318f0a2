//! Recipes as they are written: `name` or `name(argument)`.

use std::fmt;
use std::str::FromStr;

use super::{BridgeForm, Recipe, RecipeError};

/// The longest segment where none is given: a sentence of one-token entities is
/// then cut anywhere.
const LONGEST_SEGMENT: usize = 2;
/// What facts weigh beside the identities of a bridge (arXiv 2602.02470).
const FACT_WEIGHT: f64 = 6.0;

impl Recipe {
    /// Every recipe, with its argument's default.
    pub const ALL: [Recipe; 16] = {
        const fn bridge(form: BridgeForm) -> Recipe {
            Recipe::Bridge { form, fact_weight: FACT_WEIGHT }
        }
        [
            Self::ReverseTokens,
            Self::ReverseTokensMarked,
            Self::ReverseEntities,
            Self::ReverseSegments { longest: LONGEST_SEGMENT },
            Self::PermuteChunks,
            Self::AllOrders,
            Self::Identities,
            Self::IdentitiesTyped,
            Self::IdentitiesRandom,
            Self::IdentitiesConflicting,
            bridge(BridgeForm::OutOfContext),
            bridge(BridgeForm::Plain),
            bridge(BridgeForm::WithoutSelf),
            Self::ThirdRelation,
            Self::InContext,
            Self::ChainOfThought,
        ]
    };

    /// The name, without the argument.
    pub fn name(&self) -> &'static str {
        match self {
            Self::ReverseTokens => "reverse-tokens",
            Self::ReverseTokensMarked => "reverse-tokens-marked",
            Self::ReverseEntities => "reverse-entities",
            Self::ReverseSegments { .. } => "reverse-segments",
            Self::PermuteChunks => "permute-chunks",
            Self::AllOrders => "all-orders",
            Self::Identities => "identities",
            Self::IdentitiesTyped => "identities-typed",
            Self::IdentitiesRandom => "identities-random",
            Self::IdentitiesConflicting => "identities-conflicting",
            Self::Bridge { form: BridgeForm::OutOfContext, .. } => "bridge-out-of-context",
            Self::Bridge { form: BridgeForm::Plain, .. } => "bridge-plain",
            Self::Bridge { form: BridgeForm::WithoutSelf, .. } => "bridge-without-self",
            Self::ThirdRelation => "third-relation",
            Self::InContext => "in-context",
            Self::ChainOfThought => "chain-of-thought",
        }
    }

    /// The recipe with another argument; what would be right, where it is wrong.
    fn with_argument(self, argument: &str) -> Result<Self, &'static str> {
        match self {
            Self::ReverseSegments { .. } => match argument.parse() {
                Ok(longest) if longest > 0 => Ok(Self::ReverseSegments { longest }),
                _ => Err("it is the most tokens of a segment, a whole number from 1"),
            },
            Self::Bridge { form, .. } => match argument.parse() {
                Ok(fact_weight) if fact_weight > 0.0 && f64::is_finite(fact_weight) => {
                    Ok(Self::Bridge { form, fact_weight })
                }
                _ => Err("it is the weight of a fact beside an identity, a number above 0"),
            },
            _ => Err("it takes none"),
        }
    }
}

impl fmt::Display for Recipe {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.write_str(self.name())?;
        match self {
            Self::ReverseSegments { longest } => write!(out, "({longest})"),
            Self::Bridge { fact_weight, .. } => write!(out, "({fact_weight})"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Recipe {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        let (name, argument) = match text.split_once('(') {
            Some((name, rest)) => (name.trim(), Some(rest)),
            None => (text.trim(), None),
        };
        let Some(recipe) = Self::ALL.into_iter().find(|recipe| recipe.name() == name) else {
            let known: Vec<_> = Self::ALL.iter().map(Recipe::name).collect();
            return Err(RecipeError::Unknown { found: name.to_owned(), known: known.join(", ") });
        };
        let Some(rest) = argument else { return Ok(recipe) };
        let refuse = |found: &str, right| {
            Err(RecipeError::Argument { recipe: recipe.name(), found: found.to_owned(), right })
        };
        let Some(argument) = rest.trim_end().strip_suffix(')') else {
            return refuse(rest, "the bracket is not closed");
        };
        recipe.with_argument(argument.trim()).or_else(|right| refuse(argument, right))
    }
}
