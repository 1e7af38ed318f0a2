//! What is trained on: sentences that may differ in length and in weight.

use crate::{Dataset, Token};

/// A sentence to train on.
#[derive(Debug, Clone, PartialEq)]
pub struct Sentence {
    /// Its tokens, at least two.
    pub tokens: Vec<Token>,
    /// How many of the last tokens are its answer, which the loss is on where
    /// it is on the last entity: at least one, fewer than all.
    pub answer: usize,
    /// How much it counts in the loss; 1 for a sentence of a data set.
    pub weight: f64,
}

/// The sentences to train on, in order, and their vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSet {
    /// The sentences of the data set come first.
    pub sentences: Vec<Sentence>,
    /// The size of the vocabulary: the data set's, then what recipes added.
    pub vocab: usize,
}

impl TrainingSet {
    /// The training sentences of a data set as they are.
    pub fn plain(dataset: &Dataset) -> Self {
        let sentence = |tokens: &Vec<Token>| Sentence {
            tokens: tokens.clone(),
            answer: dataset.entity_length,
            weight: 1.0,
        };
        Self { sentences: dataset.train.iter().map(sentence).collect(), vocab: dataset.vocab }
    }

    /// The tokens of all sentences together. What recipes cost is the
    /// difference to the [`plain`](Self::plain) training_set.
    pub fn tokens(&self) -> usize {
        self.sentences.iter().map(|sentence| sentence.tokens.len()).sum()
    }

    /// The tokens of the longest sentence.
    pub fn longest(&self) -> usize {
        self.sentences.iter().map(|sentence| sentence.tokens.len()).max().unwrap_or(0)
    }

    /// The tokens of the longest answer.
    pub fn longest_answer(&self) -> usize {
        self.sentences.iter().map(|sentence| sentence.answer).max().unwrap_or(0)
    }
}
