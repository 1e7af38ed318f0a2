//! Greedy text.

use crate::runner::Logits;
use crate::{Model, PretrainedError};

impl Model {
    /// The most likely continuation of each prompt, token by token: `most` tokens, or up to the end
    /// of the line or of the text. `go` is called after every token of a batch with the number of
    /// prompts that are done and of all, until it returns false.
    ///
    /// # Errors
    /// As [`log_probabilities`](Model::log_probabilities).
    pub fn greedy(
        &mut self,
        prompts: &[&str],
        most: usize,
        go: impl FnMut(usize, usize) -> bool,
    ) -> Result<Vec<String>, PretrainedError> {
        let mut read = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let tokens = self.tokens.of(prompt)?;
            self.check_length(prompt, tokens.len())?;
            if tokens.is_empty() {
                return Err(PretrainedError::Text(format!("the prompt “{prompt}” has no token")));
            }
            read.push(tokens);
        }
        let mut said: Vec<Vec<u32>> = vec![Vec::new(); prompts.len()];
        let mut failed = None;
        let next = |number: usize, logits: &Logits<'_>| {
            let token = likeliest(logits.iter());
            if self.checkpoint.ends.contains(&token) {
                return None;
            }
            said[number].push(token);
            match self.tokens.text(&said[number]) {
                Ok(text) => (!text.trim_start().contains('\n')).then_some(token),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            }
        };
        let all = self.runner.continued(&read, most, next, go);
        match failed {
            Some(error) => Err(error),
            None if !all => Err(PretrainedError::Stopped),
            None => said.iter().map(|tokens| self.tokens.text(tokens)).collect(),
        }
    }
}

/// The token of the highest logit, the first of several.
fn likeliest(logits: impl Iterator<Item = f32>) -> u32 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, logit) in logits.enumerate() {
        if logit > best.1 {
            best = (token as u32, logit);
        }
    }
    best.0
}
