//! Training text made of facts, phrasings and recipes.
//!
//! The recipes are those of the laboratory ([`retrodict_facts::recipe`]), on words in place of
//! tokens: a name stays one unit wherever the laboratory keeps an entity whole. No recipe adds a
//! sentence that contains a phrasing of a held-out direction.

mod builder;
mod files;
mod format;
mod identities;
mod orders;

use std::collections::HashMap;

use retrodict_facts::Recipe;
use thiserror::Error;

pub use files::{Size, Summary, files};
pub use format::Format;

use crate::{CorpusError, Direction, Fact, FactFile, Sentence, Templates, Trained};
use builder::Builder;

/// A sentence of the training text, and its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The sentence.
    pub sentence: Sentence,
    /// The index of the fact that it states or was made of; `None` of sentences about a name alone.
    pub fact: Option<usize>,
    /// The direction that it was made of.
    pub direction: Option<Direction>,
    /// The number of the phrasing that it was made of, from 0.
    pub phrasing: Option<usize>,
    /// The recipes that made it, in order; none of a plain sentence.
    pub recipes: Vec<String>,
    /// How often it stands in the text.
    pub times: usize,
}

/// Settings of a training text.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// The recipes, in order.
    pub recipes: Vec<Recipe>,
    /// The fraction of facts with an empty split that are stated in both directions.
    pub train_fraction: f64,
    /// The last phrasings of each direction that are only asked; the first is always trained.
    pub held_phrasings: usize,
    /// Seed of the split and of random recipes.
    pub seed: u32,
}

/// A training text.
#[derive(Debug, Clone, PartialEq)]
pub struct Augmented {
    /// The trained directions of each fact.
    pub split: Vec<Trained>,
    /// The sentences: plain ones first, then those of each recipe.
    pub lines: Vec<Line>,
    /// Sentences that recipes would have added, but that state a held-out direction.
    pub dropped: usize,
}

/// Why there is no training text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AugmentError {
    /// The facts or the phrasings are at fault.
    #[error("{0}")]
    Corpus(#[from] CorpusError),
    /// A recipe does not work on text, or not on these facts.
    #[error("--recipe {recipe}: {problem}")]
    Recipe {
        /// The recipe with its argument.
        recipe: String,
        /// The problem, and the right form.
        problem: String,
    },
}

/// The training text of some facts. The same settings give the same text.
///
/// # Errors
/// [`AugmentError`] names what was wrong and what would be right.
pub fn augment(
    facts: &FactFile,
    templates: &Templates,
    settings: &Settings,
) -> Result<Augmented, AugmentError> {
    templates.check(facts)?;
    let mut builder = Builder::new(facts, templates, settings)?;
    for recipe in &settings.recipes {
        builder.apply(recipe)?;
    }
    Ok(builder.finish())
}

/// The right answers to questions about facts.
pub(crate) struct RightAnswers<'f>(HashMap<(&'f str, Direction, &'f str), Vec<&'f str>>);

impl<'f> RightAnswers<'f> {
    pub(crate) fn of(facts: &'f FactFile) -> Self {
        let mut answers: HashMap<_, Vec<&str>> = HashMap::new();
        for fact in &facts.facts {
            for direction in Direction::ALL {
                let key = (fact.relation.as_str(), direction, fact.source(direction));
                answers.entry(key).or_default().push(fact.answer(direction));
            }
            if facts.inverses.get(&fact.relation) == Some(&fact.relation) {
                for direction in Direction::ALL {
                    let key = (fact.relation.as_str(), direction, fact.answer(direction));
                    answers.entry(key).or_default().push(fact.source(direction));
                }
            }
        }
        Self(answers)
    }

    /// All right answers to a question, that of the fact first.
    pub(crate) fn to(&self, fact: &Fact, direction: Direction) -> Vec<String> {
        let key = (fact.relation.as_str(), direction, fact.source(direction));
        let first = fact.answer(direction);
        let mut answers = vec![first.to_owned()];
        for answer in self.0.get(&key).into_iter().flatten() {
            if !answers.iter().any(|known| known == answer) {
                answers.push((*answer).to_owned());
            }
        }
        answers
    }
}
