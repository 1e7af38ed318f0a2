//! Answers in a model's own words.

use std::collections::HashMap;

use crate::{Asked, Plan};

/// A question for the model's own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The text before the answer.
    pub prompt: String,
    /// The right answers, without the space before them.
    pub right: Vec<String>,
}

/// The text with which a model continues each prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Generated(HashMap<String, String>);

impl Question {
    /// Whether a text begins with a right answer, as a whole word.
    pub fn is_answered_by(&self, text: &str) -> bool {
        let text = text.trim_start();
        self.right.iter().any(|name| {
            let rest = text.strip_prefix(name.as_str());
            rest.is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        })
    }
}

impl Generated {
    /// Adds a text.
    pub fn insert(&mut self, prompt: String, text: String) {
        self.0.insert(prompt, text);
    }

    /// The share of phrasings of a question whose text begins with a right answer; `None` if there
    /// is no text.
    pub(crate) fn exact(&self, asked: &Asked, source: usize) -> Option<f64> {
        let mut hits = 0;
        for phrasing in 0..asked.phrasings() {
            let question = asked.question(phrasing, source);
            let text = self.0.get(&question.prompt)?;
            hits += usize::from(question.is_answered_by(text));
        }
        Some(hits as f64 / asked.phrasings() as f64)
    }
}

impl Asked {
    /// The question about a source.
    fn question(&self, phrasing: usize, source: usize) -> Question {
        let right = &self.right[source];
        Question {
            prompt: self.request(phrasing, source, right[0]).prompt,
            right: right.iter().map(|answer| self.answer(phrasing, *answer)).collect(),
        }
    }
}

impl Plan {
    /// Every question in every phrasing.
    pub fn questions(&self) -> Vec<Question> {
        let mut questions = Vec::new();
        for asked in &self.asked {
            for source in 0..asked.sources.len() {
                questions.extend((0..asked.phrasings()).map(|at| asked.question(at, source)));
            }
        }
        questions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_whole_word() {
        let right = vec!["Paris".to_owned(), "Quill Harbor".to_owned()];
        let question = Question { prompt: "The capital is".to_owned(), right };
        for (text, answered) in [
            (" Paris, which", true),
            ("Paris", true),
            (" Quill Harbor.\n", true),
            (" Parish", false),
            (" Quill", false),
            (" in Paris", false),
            ("", false),
        ] {
            assert_eq!(question.is_answered_by(text), answered, "{text}");
        }
    }
}
