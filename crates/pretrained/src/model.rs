//! A model with its tokenizer.

use std::fmt;
use std::path::Path;

use crate::checkpoint::Checkpoint;
use crate::runner::{Runner, describe};
use crate::tokens::Tokens;
use crate::{Architecture, PretrainedError, gguf};

/// The end of the name of a GGUF file.
const GGUF: &str = "gguf";

/// A pretrained model that answers texts.
pub struct Model {
    pub(crate) runner: Runner,
    pub(crate) tokens: Tokens,
    pub(crate) checkpoint: Checkpoint,
}

impl fmt::Debug for Model {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        out.debug_struct("Model").field("architecture", self.architecture()).finish()
    }
}

impl Model {
    /// Whether a path is that of a model, not of another file: a folder, or a GGUF file.
    pub fn is_at(path: &Path) -> bool {
        path.is_dir() || path.extension().is_some_and(|end| end.eq_ignore_ascii_case(GGUF))
    }

    /// Reads a Hugging Face folder with its `tokenizer.json`, or a GGUF file, for `threads` threads.
    /// Weights are held in single precision.
    ///
    /// # Errors
    /// [`PretrainedError::File`] if a file is missing, damaged or of an unknown kind.
    pub fn open(path: &Path, threads: usize) -> Result<Self, PretrainedError> {
        let (mut checkpoint, tokens) = if path.is_dir() {
            let checkpoint = Checkpoint::open(path)?;
            let vocab = checkpoint.architecture.vocab();
            (checkpoint, Tokens::read(&path.join("tokenizer.json"), vocab)?)
        } else {
            let (described, tokens) = gguf::open(path)?;
            (Checkpoint::of_gguf(path, described), tokens)
        };
        let (graph, ..) = describe(&checkpoint.architecture, 1, 1);
        let parameters = checkpoint.parameters(&graph)?;
        let runner = Runner::new(checkpoint.architecture.clone(), parameters, threads);
        Ok(Self { runner, tokens, checkpoint })
    }

    /// Reads the weights of the file again, after training.
    ///
    /// # Errors
    /// [`PretrainedError::File`] if it cannot be read; the weights are then a mixture.
    pub fn reset(&mut self) -> Result<(), PretrainedError> {
        let (_, parameters) = self.runner.model();
        self.checkpoint.read_again(parameters)
    }

    /// The model without its weights.
    pub fn architecture(&self) -> &Architecture {
        &self.runner.architecture
    }

    /// The number of its weights.
    pub fn weights(&self) -> usize {
        self.runner.parameters.count()
    }

    /// The number of tokens of an answer after a prompt.
    ///
    /// # Errors
    /// If one of them has none.
    pub fn tokens_of(&self, prompt: &str, answer: &str) -> Result<usize, PretrainedError> {
        let (tokens, first) = self.tokens.of_both(prompt, answer)?;
        Ok(tokens.len() - first)
    }

    /// The number of tokens of a text.
    ///
    /// # Errors
    /// If it cannot be divided into tokens.
    pub fn token_count(&self, text: &str) -> Result<usize, PretrainedError> {
        Ok(self.tokens.of(text)?.len())
    }

    pub(crate) fn check_length(&self, prompt: &str, length: usize) -> Result<(), PretrainedError> {
        let context = self.runner.architecture.context();
        if length <= context {
            return Ok(());
        }
        let short: String = prompt.chars().take(80).collect();
        Err(PretrainedError::Text(format!(
            "the text that begins “{short}” has {length} tokens before its last, but the model reads \
             {context} at most"
        )))
    }
}
