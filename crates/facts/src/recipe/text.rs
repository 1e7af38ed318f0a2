//! Recipes as text: `name` or `name(argument)`, and a list of them as the value of a key.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use retrodict_settings::{Refused, Setting, Value};

use super::{Recipe, RecipeError};

impl fmt::Display for Recipe {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{}{}", self.name(), self.argument)
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl FromStr for Recipe {
    type Err = RecipeError;

    fn from_str(text: &str) -> Result<Self, RecipeError> {
        let (name, argument) = match text.split_once('(') {
            Some((name, rest)) => (name.trim(), Some(rest)),
            None => (text.trim(), None),
        };
        let Some(recipe) = Self::all().find(|recipe| recipe.name() == name) else {
            let known: Vec<_> = Self::all().map(|recipe| recipe.name()).collect();
            return Err(RecipeError::Unknown { found: name.to_owned(), known: known.join(", ") });
        };
        let Some(rest) = argument else { return Ok(recipe) };
        let refused = |found: &str, right| {
            let (recipe, found) = (recipe.name(), found.to_owned());
            RecipeError::Argument { recipe, found, right }
        };
        let Some(text) = rest.trim_end().strip_suffix(')') else {
            return Err(refused(rest, "the bracket is not closed"));
        };
        let argument = recipe.argument.parse(text.trim());
        let argument = argument.ok_or_else(|| refused(text, recipe.method.right))?;
        Ok(Self { argument, ..recipe })
    }
}

/// Recipes in the order in which they are applied; in a spec `["reverse-tokens"]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recipes(pub Vec<Recipe>);

impl Deref for Recipes {
    type Target = [Recipe];

    fn deref(&self) -> &[Recipe] {
        &self.0
    }
}

impl Setting for Recipes {
    type Range = ();

    fn parse(value: &Value, (): &()) -> Result<Self, Refused> {
        let Value::Array(names) = value else { return Err(Refused::Right(Self::right(&()))) };
        let recipe = |name: &Value| match name {
            Value::Text(name) => {
                name.parse().map_err(|error: RecipeError| Refused::Because(error.to_string()))
            }
            _ => Err(Refused::Right("a list of recipes, each a text in quotes".to_owned())),
        };
        names.iter().map(recipe).collect::<Result<_, _>>().map(Self)
    }

    fn text(&self) -> Option<String> {
        let names: Vec<_> = self.iter().map(|recipe| format!("\"{recipe}\"")).collect();
        Some(format!("[{}]", names.join(", ")))
    }

    fn right((): &()) -> String {
        "a list of recipes, such as [\"reverse-tokens\"]".to_owned()
    }
}
