//! Questions about facts: sentences cut before their last name.

use serde::Serialize;

use crate::{Direction, FactFile, Templates, Trained};

/// A question.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// The line of the fact.
    pub line: usize,
    /// The relation of the fact.
    pub relation: String,
    /// Its direction.
    pub direction: Direction,
    /// The number of the phrasing, from 0.
    pub phrasing: usize,
    /// Whether the training text states this direction of the fact.
    pub trained: bool,
    /// Whether it does so in this phrasing.
    pub phrasing_trained: bool,
    /// The text before the answer.
    pub prompt: String,
    /// The answer, with the space before it.
    pub answer: String,
    /// Every right answer, this one first.
    pub answers: Vec<String>,
}

/// Every question, in the order of facts, directions and phrasings. The last `held_phrasings` of each
/// direction, though never the first, are not trained.
pub fn questions(
    facts: &FactFile,
    templates: &Templates,
    split: &[Trained],
    held_phrasings: usize,
) -> Vec<Question> {
    let right = crate::augment::RightAnswers::of(facts);
    let mut questions = Vec::new();
    for (fact, trained) in facts.facts.iter().zip(split) {
        for direction in Direction::ALL {
            let count = templates.of(fact).of(direction).len();
            for phrasing in 0..count {
                let (prompt, rest) = templates.sentence(fact, direction, phrasing).cut();
                let trained = trained.includes(direction);
                let answer = fact.answer(direction);
                // Without the text behind the name.
                let end = rest.find(answer).map_or(rest.len(), |at| at + answer.len());
                questions.push(Question {
                    line: fact.line,
                    relation: fact.relation.clone(),
                    direction,
                    phrasing,
                    trained,
                    phrasing_trained: trained
                        && phrasing < count.saturating_sub(held_phrasings).max(1),
                    prompt,
                    answer: rest[..end].to_owned(),
                    answers: right.to(fact, direction),
                });
            }
        }
    }
    questions
}
