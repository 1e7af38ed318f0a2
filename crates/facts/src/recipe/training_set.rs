//! The training sentences, which may differ in length and in weight.

use crate::{Dataset, Token};

/// A training sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct Sentence {
    /// Its tokens, at least two.
    pub tokens: Vec<Token>,
    /// The number of last tokens that are its answer, at least one and fewer than all. A loss on
    /// the last entity is over these.
    pub answer: usize,
    /// Its weight in the loss; 1 unless the data set or a recipe says otherwise.
    pub weight: f64,
}

/// The training sentences, in order, and their vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSet {
    /// The sentences of the data set come first.
    pub sentences: Vec<Sentence>,
    /// The size of the vocabulary: that of the data set, then the tokens that recipes added.
    pub vocab: usize,
}

impl TrainingSet {
    /// The training sentences of a data set, unchanged.
    pub fn plain(dataset: &Dataset) -> Self {
        let sentence = |(at, tokens): (usize, &Vec<Token>)| Sentence {
            tokens: tokens.clone(),
            answer: dataset.entity_length,
            weight: dataset.weights.get(at).copied().unwrap_or(1.0),
        };
        let sentences = dataset.train.iter().enumerate().map(sentence).collect();
        Self { sentences, vocab: dataset.vocab }
    }

    /// The tokens of all sentences together. The cost of recipes is the difference from the
    /// [`plain`](Self::plain) training set.
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
