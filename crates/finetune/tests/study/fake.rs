//! Learners that stand in for a language model: they know what they were trained on.

use std::path::Path;

use retrodict_audit::Score;
use retrodict_finetune::{Learner, LearnerError, Scored, Step, Text, Tuning};

/// Whether a learner that was trained on a sentence gives an answer after a prompt.
pub(crate) type Knows = fn(sentence: &str, prompt: &str, answer: &str) -> bool;

/// Continues a sentence that begins as the prompt does.
pub(crate) fn by_heart(sentence: &str, prompt: &str, answer: &str) -> bool {
    sentence.strip_prefix(prompt).is_some_and(|rest| rest.starts_with(answer))
}

/// Gives the name that stands in a sentence behind that of the prompt, in whatever words.
pub(crate) fn in_order(sentence: &str, prompt: &str, answer: &str) -> bool {
    fn names(text: &str) -> Vec<&str> {
        let words = text.split(|letter: char| !letter.is_alphanumeric());
        words.filter(|word| word.ends_with(char::is_numeric)).collect()
    }
    names(sentence) == [names(prompt), names(answer)].concat()
}

pub(crate) struct Fake {
    pub(crate) knows: Knows,
    /// The loss of a step, from its number.
    pub(crate) loss: fn(u64) -> f64,
    pub(crate) nll: f64,
    pub(crate) trained: Vec<Text>,
    /// The methods that were called, in order.
    pub(crate) calls: Vec<&'static str>,
    pub(crate) tunings: Vec<(Vec<Text>, Tuning)>,
    pub(crate) asked: Vec<(String, String)>,
    pub(crate) held: Vec<String>,
}

impl Fake {
    pub(crate) fn new(knows: Knows) -> Self {
        Self {
            knows,
            loss: |step| 1.0 / step as f64,
            nll: 2.0,
            trained: Vec::new(),
            calls: Vec::new(),
            tunings: Vec::new(),
            asked: Vec::new(),
            held: Vec::new(),
        }
    }
}

impl Learner for Fake {
    fn reset(&mut self) -> Result<(), LearnerError> {
        self.calls.push("reset");
        self.trained.clear();
        Ok(())
    }

    fn tune(
        &mut self,
        texts: &[Text],
        tuning: &Tuning,
        step: &mut dyn FnMut(Step) -> bool,
    ) -> Result<(), LearnerError> {
        self.calls.push("tune");
        self.tunings.push((texts.to_vec(), tuning.clone()));
        self.trained.extend_from_slice(texts);
        let all = texts.len().div_ceil(tuning.batch) as u64 * tuning.epochs;
        for done in 1..=all {
            if !step(Step { done, all, loss: (self.loss)(done) }) {
                return Err(LearnerError::Stopped);
            }
        }
        Ok(())
    }

    fn scores(
        &mut self,
        texts: &[(&str, &str)],
        go: &mut dyn FnMut(usize, usize) -> bool,
    ) -> Result<Vec<Scored>, LearnerError> {
        self.calls.push("scores");
        self.asked = texts.iter().map(|(p, a)| ((*p).to_owned(), (*a).to_owned())).collect();
        let mut found = Vec::new();
        for (prompt, answer) in texts {
            let greedy = self.trained.iter().any(|text| (self.knows)(&text.text, prompt, answer));
            let log_probability = if greedy { -1.0 } else { -5.0 };
            found.push(Scored { score: Score { log_probability, tokens: 1 }, greedy });
            if !go(found.len(), texts.len()) {
                return Err(LearnerError::Stopped);
            }
        }
        Ok(found)
    }

    fn nll(&mut self, texts: &[&str]) -> Result<f64, LearnerError> {
        self.calls.push("nll");
        self.held = texts.iter().map(|text| (*text).to_owned()).collect();
        Ok(self.nll)
    }

    fn tokens(&self, text: &str) -> Result<usize, LearnerError> {
        Ok(text.split_whitespace().count())
    }

    fn save(&self, _: &Path) -> Result<(), LearnerError> {
        Ok(())
    }
}
