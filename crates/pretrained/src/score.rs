//! Log probabilities of answers.

use crate::context::{Context, contexts};
use crate::{Model, PretrainedError};

/// The log probability of an answer after a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LogProbability {
    /// The sum over its tokens, in nats.
    pub sum: f64,
    /// The number of its tokens.
    pub tokens: usize,
    /// The number of its tokens that are the most likely ones after those before them: if all are,
    /// greedy decoding writes this answer.
    pub likeliest: usize,
}

impl Model {
    /// The log probability of each answer after its prompt. `go` is called after every batch with
    /// the work done and all of it, until it returns false.
    ///
    /// # Errors
    /// [`PretrainedError::Text`] for a text without tokens, or longer than the model's context;
    /// [`PretrainedError::Stopped`].
    pub fn log_probabilities(
        &mut self,
        texts: &[(&str, &str)],
        go: impl FnMut(usize, usize) -> bool,
    ) -> Result<Vec<LogProbability>, PretrainedError> {
        self.each_log_probability(texts, |_, _| {}, go)
    }

    /// The same; `found` is called with the number of each answer and its log probability as soon as
    /// it is known, before the `go` of its batch.
    ///
    /// # Errors
    /// As [`log_probabilities`](Self::log_probabilities).
    pub fn each_log_probability(
        &mut self,
        texts: &[(&str, &str)],
        mut found: impl FnMut(usize, LogProbability),
        go: impl FnMut(usize, usize) -> bool,
    ) -> Result<Vec<LogProbability>, PretrainedError> {
        let tokens = texts.iter().map(|(prompt, answer)| {
            let (tokens, first) = self.tokens.of_both(prompt, answer)?;
            // The last token is read from those before it.
            self.check_length(prompt, tokens.len() - 1)?;
            Ok((tokens, first))
        });
        let tokens = tokens.collect::<Result<Vec<_>, PretrainedError>>()?;
        let contexts = contexts(&tokens);
        let read: Vec<Context> = contexts
            .iter()
            .map(|(tokens, targets)| Context {
                tokens: tokens.clone(),
                positions: targets.keys().copied().collect(),
            })
            .collect();
        let mut scores = vec![LogProbability::default(); texts.len()];
        let all = self.runner.run(
            &read,
            |number, position, logits| {
                let (highest, whole) = log_sum(logits.iter());
                for target in &contexts[number].1[&position] {
                    let score = &mut scores[target.text];
                    let logit = logits.of(target.token);
                    score.sum += f64::from(logit) - whole;
                    score.tokens += 1;
                    score.likeliest += usize::from(logit >= highest);
                    let (tokens, first) = &tokens[target.text];
                    if score.tokens == tokens.len() - first {
                        // Rounding must not make a certain answer more than certain.
                        score.sum = score.sum.min(0.0);
                        found(target.text, *score);
                    }
                }
            },
            go,
        );
        if all { Ok(scores) } else { Err(PretrainedError::Stopped) }
    }
}

/// The highest logit, and the logarithm of the sum of exponentials.
fn log_sum(logits: impl Iterator<Item = f32> + Clone) -> (f32, f64) {
    let highest = logits.clone().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.map(|logit| f64::from((logit - highest).exp())).sum();
    (highest, f64::from(highest) + sum.ln())
}
