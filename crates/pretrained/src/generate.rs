//! Greedy text.

use crate::context::Context;
use crate::{Model, PretrainedError};

impl Model {
    /// The most likely continuation of each prompt, token by token: `most` tokens, or up to the end
    /// of the line or of the text. `go` is called after every batch with the work done and all of
    /// it, until it returns false.
    ///
    /// # Errors
    /// As [`log_probabilities`](Model::log_probabilities).
    pub fn greedy(
        &mut self,
        prompts: &[&str],
        most: usize,
        mut go: impl FnMut(usize, usize) -> bool,
    ) -> Result<Vec<String>, PretrainedError> {
        let context = self.runner.architecture.context();
        let mut texts: Vec<(Vec<u32>, usize)> = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            let tokens = self.tokens.of(prompt)?;
            self.check_length(prompt, tokens.len())?;
            if tokens.is_empty() {
                return Err(PretrainedError::Text(format!("the prompt “{prompt}” has no token")));
            }
            let own = tokens.len();
            texts.push((tokens, own));
        }
        let mut open: Vec<usize> = (0..texts.len()).collect();
        for step in 0..most {
            let read = open.iter().map(|text| {
                let tokens = texts[*text].0.clone();
                Context { positions: vec![tokens.len() - 1], tokens }
            });
            let read: Vec<Context> = read.collect();
            let mut next = vec![0; open.len()];
            let all = self.runner.run(
                &read,
                |number, _, logits| next[number] = likeliest(logits.iter()),
                |done, of| go(step * of + done, most * of),
            );
            if !all {
                return Err(PretrainedError::Stopped);
            }
            let mut still = Vec::new();
            for (text, token) in open.into_iter().zip(next) {
                let (tokens, own) = &mut texts[text];
                if self.checkpoint.ends.contains(&token) {
                    continue;
                }
                tokens.push(token);
                let line = self.tokens.text(&tokens[*own..])?;
                if !line.trim_start().contains('\n') && tokens.len() <= context {
                    still.push(text);
                }
            }
            open = still;
            if open.is_empty() {
                break;
            }
        }
        texts.iter().map(|(tokens, own)| self.tokens.text(&tokens[*own..])).collect()
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
