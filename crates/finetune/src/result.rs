//! The result of a run: one condition with one seed.

use retrodict_corpus::Direction;
use serde::{Deserialize, Serialize};

/// The files and settings that decide the numbers of a study, apart from condition and seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Key {
    /// The SHA-256 of the model's files.
    pub model: String,
    /// The SHA-256 of the file of facts.
    pub facts: String,
    /// The SHA-256 of the file of phrasings; empty if they were made of the names of relations.
    pub templates: String,
    /// The SHA-256 of the held text.
    pub held_text: String,
    /// Times that each sentence is trained.
    pub epochs: u64,
    /// Sentences of a step.
    pub batch: usize,
    /// The peak learning rate.
    pub lr: f64,
    /// The part of a sentence whose tokens are learned.
    pub loss: Part,
    /// The rank of low-rank adapters; `None` trains all weights.
    pub lora: Option<usize>,
    /// The fraction of the facts with an empty split that are stated in both directions.
    pub train_fraction: f64,
    /// The last phrasings of each direction that are not trained.
    pub held_phrasings: usize,
    /// Candidate answers of a question.
    pub candidates: usize,
}

/// The part of a sentence whose tokens are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// From its last name on.
    Answer,
    /// All but its first token.
    Text,
}

/// Whether a model answers a question.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AnswerResult {
    /// The line of the fact.
    pub line: usize,
    /// The direction, `forward` or `reverse` in the sense of the file.
    pub direction: String,
    /// Whether the training text states this direction of the fact.
    pub stated: bool,
    /// Whether no sentence of the training text has this phrasing.
    pub held_phrasing: bool,
    /// The text before the answer.
    pub prompt: String,
    /// The right answer.
    pub answer: String,
    /// Whether each token of a right answer is the most likely one after those before it, so that
    /// greedy decoding writes it.
    pub right: bool,
}

/// How well a model knows a fact in one direction, over all phrasings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownResult {
    /// The line of the fact.
    pub line: usize,
    /// The direction, `forward` or `reverse` in the sense of the file.
    pub direction: String,
    /// Whether the training text states it.
    pub stated: bool,
    /// The log probability of the right answer, in nats.
    pub log_probability: f64,
    /// The same minus its mean after questions about other entities.
    pub gain: Option<f64>,
    /// The rank of the right answer among the candidates by gain, from 1, first, to 0, last.
    pub level: Option<f64>,
    /// Whether the right answer is the most likely candidate.
    pub first: bool,
    /// The number of candidates.
    pub candidates: usize,
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The version of the program.
    pub version: String,
    /// The study.
    pub key: Key,
    /// The name of the condition; `before` for the model as it is in its file.
    pub condition: String,
    /// The seed.
    pub seed: u32,
    /// Sentences of an epoch.
    pub sentences: usize,
    /// Tokens of an epoch.
    pub tokens: usize,
    /// The mean negative log-likelihood of a trained token, in nats, of each step.
    pub losses: Vec<f64>,
    /// Seconds of training.
    pub train_seconds: f64,
    /// Seconds of measuring.
    pub measure_seconds: f64,
    /// The mean negative log-likelihood of a token of the held text, in nats.
    pub held_nll: f64,
    /// Every question.
    pub answers: Vec<AnswerResult>,
    /// Every fact in both directions.
    pub known: Vec<KnownResult>,
}

impl RunResult {
    /// The values of facts in a direction, in the order of the file.
    pub(crate) fn of_facts(
        &self,
        stated: bool,
        value: impl Fn(&KnownResult) -> Option<f64>,
    ) -> Vec<f64> {
        self.known.iter().filter(|known| known.stated == stated).filter_map(value).collect()
    }

    /// Whether the answers were right, 1 or 0.
    pub(crate) fn right(&self, stated: bool, held_phrasing: bool) -> Vec<f64> {
        let of = self.answers.iter();
        let of = of.filter(|a| a.stated == stated && a.held_phrasing == held_phrasing);
        of.map(|answer| f64::from(u8::from(answer.right))).collect()
    }

    /// Whether the other run has the same questions, in the same order.
    pub(crate) fn asks_as(&self, other: &RunResult) -> bool {
        let answers = |run: &RunResult| -> Vec<(String, String, bool, bool)> {
            let of = run.answers.iter();
            of.map(|a| (a.prompt.clone(), a.direction.clone(), a.stated, a.held_phrasing)).collect()
        };
        let known = |run: &RunResult| -> Vec<(usize, String, bool)> {
            run.known.iter().map(|k| (k.line, k.direction.clone(), k.stated)).collect()
        };
        answers(self) == answers(other) && known(self) == known(other)
    }

    /// The level in the stated direction minus that in the other, of each fact that has both.
    pub(crate) fn asymmetries(&self) -> Vec<f64> {
        let pairs = self.known.chunk_by(|a, b| a.line == b.line);
        let of = pairs.filter_map(|pair| {
            let level = |stated| pair.iter().find(|known| known.stated == stated)?.level;
            Some(level(true)? - level(false)?)
        });
        of.collect()
    }
}

/// The word of a direction.
pub(crate) fn word(direction: Direction) -> String {
    direction.word().to_owned()
}
