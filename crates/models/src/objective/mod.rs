//! Training objectives: how a sentence is read, which tokens are predicted, and which loss is
//! minimised. An objective is data: the trainer has no special case for any of them.

mod masking;
mod penalty;
mod reading;
mod settings;
mod slots;
mod term;

use std::ops::Range;

use retrodict_engine::{Graph, LossFunction, Scalar, Stream};
use retrodict_settings::keywords;

pub use masking::Masking;
pub use penalty::{Penalties, PenaltyOn};
pub use reading::Reading;
pub use settings::{ObjectiveSettings, ReadingName};
pub(crate) use slots::{Slots, TargetSet};
pub(crate) use term::BuiltTerm;
pub use term::{Pairs, Term};

use crate::network::Network;

keywords! {
    /// The tokens of a sentence that the loss covers.
    pub enum LossOn {
        /// The tokens of the last entity.
        LastEntity = "last_entity",
        /// Every token after the first.
        Sequence = "sequence",
    }
}

/// A sentence to train on.
#[derive(Clone, Copy, Debug)]
pub struct Example<'s> {
    /// Its tokens.
    pub tokens: &'s [u32],
    /// The length of its answer, at the end of the sentence; by default that of an entity.
    pub answer: Option<usize>,
    /// Its weight in the loss; 1 for a plain fact.
    pub weight: f64,
}

impl<'s> From<&'s [u32]> for Example<'s> {
    fn from(tokens: &'s [u32]) -> Example<'s> {
        Example { tokens, answer: None, weight: 1.0 }
    }
}

/// An example with every field filled in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ResolvedExample<'s> {
    pub(crate) tokens: &'s [u32],
    pub(crate) answer: usize,
    /// Its share of the batch's loss.
    pub(crate) weight: f64,
}

/// A training objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// Tokens in the longest sentence.
    pub sentence_length: usize,
    /// Tokens of the last entity of the sentences that are scored.
    pub entity_length: usize,
    /// Tokens before the answer in the shortest sentence; no earlier position predicts an answer.
    pub shortest_context: usize,
    /// Sentences that are concatenated into one context in training, without a mask between them;
    /// above 1 only left to right. Evaluation reads each by itself.
    pub pack: usize,
    /// The tokens that the loss covers; its mean over them and over the batch is minimised.
    pub loss_on: LossOn,
    /// How sentences are read.
    pub reading: Reading,
    /// The loss of one prediction.
    pub function: LossFunction,
    /// Whether joint-embedding prediction replaces the loss on sentences: they have weight 0, and
    /// answers are read by the tokens' representations.
    pub joint_embedding: bool,
    /// Terms added to the loss on sentences.
    pub terms: Vec<Term>,
}

impl Objective {
    /// Cross-entropy of the next token, in sentences of one length.
    pub fn next_token(sentence_length: usize, entity_length: usize, loss_on: LossOn) -> Objective {
        Objective {
            sentence_length,
            entity_length,
            shortest_context: sentence_length - entity_length,
            pack: 1,
            loss_on,
            reading: Reading::NextToken,
            function: LossFunction::CrossEntropy,
            joint_embedding: false,
            terms: Vec::new(),
        }
    }

    /// The vocabulary size of a network with this objective, for sentences with `tokens` different
    /// tokens.
    pub fn vocab(&self, tokens: usize) -> usize {
        match self.reading {
            Reading::NextToken | Reading::Permuted => tokens,
            Reading::Masked { mask, .. } => tokens.max(mask as usize + 1),
        }
    }

    /// Positions of the inputs of one sentence.
    pub(crate) fn positions(&self) -> usize {
        self.reading.positions(self.sentence_length)
    }

    /// Positions of the inputs in training.
    pub(crate) fn training_positions(&self) -> usize {
        self.reading.positions(self.pack * self.sentence_length)
    }

    /// Positions that may predict a token in training.
    pub(crate) fn trained(&self) -> Range<usize> {
        let end = self.pack * self.sentence_length;
        match self.loss_on {
            LossOn::LastEntity => self.reading.asked(self.shortest_context, end),
            LossOn::Sequence => self.reading.asked(1, end),
        }
    }

    /// Positions that may predict a token of the last entity in evaluation.
    pub(crate) fn scored(&self) -> Range<usize> {
        let context = self.shortest_context.min(self.sentence_length - self.entity_length);
        self.reading.asked(context, self.sentence_length)
    }

    /// Fills in an example's defaults. `share` is the weight of a plain sentence.
    ///
    /// # Panics
    /// If the sentence is longer than the longest, or its context shorter than the shortest.
    pub(crate) fn resolve<'s>(&self, example: Example<'s>, share: f64) -> ResolvedExample<'s> {
        let Example { tokens, answer, weight } = example;
        let answer = answer.unwrap_or(self.entity_length);
        let fits =
            tokens.len() <= self.sentence_length && tokens.len() >= self.shortest_context + answer;
        assert!(fits, "a sentence of {} tokens, {answer} of them its answer", tokens.len());
        ResolvedExample { tokens, answer, weight: share * weight }
    }

    /// Writes the inputs and targets of one sentence for a training step. Returns the factor that
    /// makes the sum of their NLLs that of an entity, where they are not those of the answer.
    pub(crate) fn write_example<T: Scalar>(
        &self,
        example: ResolvedExample<'_>,
        draws: Draws,
        slots: &mut Slots<'_, T>,
    ) -> f64 {
        let weight = if self.joint_embedding { 0.0 } else { example.weight };
        let example = ResolvedExample { weight, ..example };
        let tokens = self.reading.write_example(example, self.loss_on, draws, slots);
        tokens.map_or(1.0, |tokens| self.entity_length as f64 / tokens)
    }

    /// Adds the parameters that only the terms have, so that a graph without the terms has the same
    /// parameters as one with them.
    pub(crate) fn parameters<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        network: &Network,
        hidden: retrodict_engine::Value,
    ) {
        for term in &self.terms {
            term.parameters(graph, hidden, network.vocab());
        }
    }
}

/// The random draws for one sentence in one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    pub(crate) stream: Stream,
    /// The sentence's index in the batch.
    pub(crate) sentence: usize,
}

impl Draws {
    /// Draw number `index` of the sentence, uniform in [0, 1).
    pub(crate) fn unit(&self, index: usize) -> f64 {
        let place = ((self.sentence as u64) << 16) | index as u64;
        f64::from(self.stream.words(place)[0]) / (f64::from(u32::MAX) + 1.0)
    }
}
