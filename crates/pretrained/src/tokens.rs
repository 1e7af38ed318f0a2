//! Texts as tokens.

use std::path::Path;

use tokenizers::{Encoding, Tokenizer};

use crate::PretrainedError;

/// A model's tokenizer.
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
}

impl Tokens {
    /// Reads `tokenizer.json`, for a model of so many tokens.
    ///
    /// # Errors
    /// If it is missing, damaged, or has other tokens than the model.
    pub(crate) fn read(path: &Path, vocab: usize) -> Result<Self, PretrainedError> {
        if !path.exists() {
            let problem = "it is missing; `AutoTokenizer.from_pretrained(name).save_pretrained(folder)` \
                           of transformers writes it";
            return Err(PretrainedError::file(path, problem));
        }
        let text = std::fs::read(path).map_err(|error| PretrainedError::unreadable(path, error))?;
        Self::new(path, &text, vocab)
    }

    /// Of the text of a `tokenizer.json`.
    pub(crate) fn new(path: &Path, text: &[u8], vocab: usize) -> Result<Self, PretrainedError> {
        let refuse = |problem: String| PretrainedError::file(path, problem);
        let mut tokenizer = Tokenizer::from_bytes(text)
            .map_err(|error| refuse(format!("it is no tokenizer: {error}")))?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| refuse(error.to_string()))?;
        let tokens = tokenizer.get_vocab(true);
        let beyond = tokens.iter().filter(|(_, id)| **id as usize >= vocab).max_by_key(|t| t.1);
        if let Some((token, id)) = beyond {
            return Err(refuse(format!(
                "its token {token:?} is number {id}, but the model has {vocab} tokens; the tokenizer \
                 is of another model"
            )));
        }
        Ok(Self { tokenizer })
    }

    /// The text of a `tokenizer.json`.
    pub(crate) fn json(&self) -> Result<String, PretrainedError> {
        let failed = |error| PretrainedError::Text(format!("the tokenizer has no text: {error}"));
        self.tokenizer.to_string(false).map_err(failed)
    }

    /// The name of a token.
    pub(crate) fn name(&self, token: u32) -> Option<String> {
        self.tokenizer.id_to_token(token)
    }

    /// The tokens of a prompt.
    pub(crate) fn of(&self, prompt: &str) -> Result<Vec<u32>, PretrainedError> {
        Ok(self.encoded(prompt)?.0)
    }

    /// The tokens of a prompt and its answer, and the number of the answer's first. A token that
    /// begins in the prompt and ends in the answer counts as the answer's.
    pub(crate) fn of_both(
        &self,
        prompt: &str,
        answer: &str,
    ) -> Result<(Vec<u32>, usize), PretrainedError> {
        let (ids, ends) = self.encoded(&format!("{prompt}{answer}"))?;
        let first = ends.iter().position(|end| *end > prompt.len()).unwrap_or(ids.len());
        let problem = match first {
            0 => "has no token before the answer",
            first if first == ids.len() => "is followed by an answer without tokens",
            first => return Ok((ids, first)),
        };
        Err(PretrainedError::Text(format!("the prompt “{prompt}” {problem}")))
    }

    /// The text of tokens that a model has written.
    pub(crate) fn text(&self, tokens: &[u32]) -> Result<String, PretrainedError> {
        let failed = |error| PretrainedError::Text(format!("tokens cannot be read: {error}"));
        self.tokenizer.decode(tokens, true).map_err(failed)
    }

    /// The tokens of a text, and where each ends in it, without special ones at the end.
    pub(crate) fn encoded(&self, text: &str) -> Result<(Vec<u32>, Vec<usize>), PretrainedError> {
        let encoding: Encoding = self.tokenizer.encode(text, true).map_err(|error| {
            PretrainedError::Text(format!("“{text}” cannot be divided into tokens: {error}"))
        })?;
        let special = encoding.get_special_tokens_mask();
        let count = special.iter().rposition(|special| *special == 0).map_or(0, |last| last + 1);
        let ends = encoding.get_offsets()[..count].iter().map(|(_, end)| *end);
        Ok((encoding.get_ids()[..count].to_vec(), ends.collect()))
    }
}
