//! Conditions: the recipes that the training text of a run is made by.

use retrodict_facts::{Recipe, RecipeError};

use crate::FinetuneError;

/// The condition without recipes, which is the baseline.
const NONE: &str = "none";

/// Recipes, in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Vec<Recipe>);

impl Condition {
    /// The baseline, and a condition for each of `given`: a recipe, or several separated by commas.
    ///
    /// # Errors
    /// [`FinetuneError::Condition`] for an unknown recipe, and a condition that stands twice.
    pub fn parse_all(given: &[String]) -> Result<Vec<Self>, FinetuneError> {
        let mut conditions = vec![Self(Vec::new())];
        for text in given.iter().filter(|text| text.trim() != NONE) {
            let refuse =
                |problem: String| FinetuneError::Condition { given: text.clone(), problem };
            let recipe = |name: &str| name.trim().parse::<Recipe>();
            let recipes: Result<_, RecipeError> = text.split(',').map(recipe).collect();
            let condition = Self(recipes.map_err(|error| refuse(error.to_string()))?);
            if conditions.contains(&condition) {
                return Err(refuse("it stands twice".to_owned()));
            }
            conditions.push(condition);
        }
        Ok(conditions)
    }

    /// Its recipes.
    pub fn recipes(&self) -> &[Recipe] {
        &self.0
    }

    /// The recipes separated by commas, or `none`.
    pub fn name(&self) -> String {
        let names: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        if names.is_empty() { NONE.to_owned() } else { names.join(",") }
    }

    /// Its name as part of a file's name.
    pub fn file_stem(&self) -> String {
        let name = self.name().replace(',', "+").replace('(', "-").replace(')', "");
        name.replace(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)), "_")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_named() {
        let given = ["reverse-entities,identities", "reverse-segments(3)", "none"];
        let conditions = Condition::parse_all(&given.map(str::to_owned)).unwrap();
        let names: Vec<String> = conditions.iter().map(Condition::name).collect();
        assert_eq!(names, ["none", given[0], given[1]]);
        assert_eq!(conditions[2].file_stem(), "reverse-segments-3");
        assert_eq!(conditions[1].file_stem(), "reverse-entities+identities");
        for (wrong, message) in
            [(vec!["magic"], "--recipe magic: "), (vec!["identities"; 2], "it stands twice")]
        {
            let wrong: Vec<String> = wrong.into_iter().map(str::to_owned).collect();
            let error = Condition::parse_all(&wrong).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
