//! A language model as fine-tuning sees it.

use std::path::Path;

use retrodict_audit::Score;
use thiserror::Error;

/// A sentence to train on.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// The sentence.
    pub text: String,
    /// The byte where the part begins whose tokens are learned; 0 learns all but the first token.
    pub from: usize,
    /// Its weight in the loss.
    pub weight: f64,
}

/// Settings of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuning {
    /// Times that each sentence is trained.
    pub epochs: u64,
    /// Sentences of a step.
    pub batch: usize,
    /// The peak learning rate of AdamW.
    pub lr: f64,
    /// Steps over which the rate rises from 0; after them it falls linearly to 0.
    pub warmup: u64,
    /// The rank of low-rank adapters; `None` trains all weights.
    pub lora: Option<usize>,
    /// Seed of the order of sentences, and of adapters.
    pub seed: u64,
}

/// A step that was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// Steps done.
    pub done: u64,
    /// Steps in all.
    pub all: u64,
    /// The mean negative log-likelihood of a trained token before the step, in nats.
    pub loss: f64,
}

/// An answer after a prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    /// Its log probability.
    pub score: Score,
    /// Whether each of its tokens is the most likely one after those before it: greedy decoding then
    /// writes this answer.
    pub greedy: bool,
}

/// Why a learner stopped.
#[derive(Debug, Error)]
pub enum LearnerError {
    /// A text, a file or the training is at fault.
    #[error("{0}")]
    Failed(String),
    /// The caller stopped it.
    #[error("stopped")]
    Stopped,
}

/// A language model that can be trained, and starts again from its file. Callbacks with work done
/// and all work return false to stop it.
pub trait Learner {
    /// Sets the weights back to those of the file.
    ///
    /// # Errors
    /// [`LearnerError::Failed`] if the file is gone.
    fn reset(&mut self) -> Result<(), LearnerError>;

    /// Trains on texts.
    ///
    /// # Errors
    /// [`LearnerError`] for a text that the model cannot take, a training that diverged, and a stop.
    fn tune(
        &mut self,
        texts: &[Text],
        tuning: &Tuning,
        step: &mut dyn FnMut(Step) -> bool,
    ) -> Result<(), LearnerError>;

    /// The log probability of each answer after its prompt, and whether greedy decoding writes it.
    ///
    /// # Errors
    /// [`LearnerError`] for a text that the model cannot take, and a stop.
    fn scores(
        &mut self,
        texts: &[(&str, &str)],
        go: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Vec<Scored>, LearnerError>;

    /// The mean negative log-likelihood of a token of some texts, in nats.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    fn nll(&mut self, texts: &[&str]) -> Result<f64, LearnerError>;

    /// The number of tokens of a text.
    ///
    /// # Errors
    /// [`LearnerError::Failed`] if it cannot be divided into tokens.
    fn tokens(&self, text: &str) -> Result<usize, LearnerError>;

    /// Writes the model into a new folder.
    ///
    /// # Errors
    /// [`LearnerError::Failed`] if the folder exists or cannot be written.
    fn save(&self, folder: &Path) -> Result<(), LearnerError>;
}
