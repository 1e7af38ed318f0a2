//! A training by a condition, and the measures after it.

use std::collections::HashMap;
use std::time::Instant;

use retrodict_audit::{Generated, Plan, Request, Scores, audit};
use retrodict_corpus::augment::{Augmented, Settings, augment};
use retrodict_corpus::{Direction, FactFile, Question, Templates, Trained, questions};

use crate::result::{AnswerResult, KnownResult, word};
use crate::runs::BEFORE;
use crate::{
    Condition, FinetuneError, Key, Learner, LearnerError, Part, RunResult, Scored, Step, Text,
    Tuning,
};

/// A text on everyday subjects, written for this program, whose perplexity shows what training
/// costs elsewhere. A paragraph a line.
pub const HELD_TEXT: &str = include_str!("held.txt");

/// The seed of the drawn candidates: the same for all runs, so that they are paired.
const CANDIDATES_SEED: u32 = 0;

/// The work that a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Steps of training.
    Training,
    /// Log probabilities of candidates.
    Measuring,
}

/// Facts, their phrasings, and all that is measured of them.
#[derive(Debug)]
pub struct Study<'a> {
    facts: &'a FactFile,
    templates: &'a Templates,
    held_text: Vec<&'a str>,
    key: Key,
    plan: Plan,
    requests: Vec<Request>,
}

impl<'a> Study<'a> {
    /// A study of `conditions`. `held_text` has a paragraph a line.
    ///
    /// # Errors
    /// [`FinetuneError::Text`] if a condition does not suit the facts, and
    /// [`FinetuneError::NothingHeldOut`].
    pub fn new(
        facts: &'a FactFile,
        templates: &'a Templates,
        held_text: &'a str,
        key: Key,
        conditions: &[Condition],
    ) -> Result<Self, FinetuneError> {
        let plan = Plan::new(facts, templates, key.candidates, CANDIDATES_SEED);
        let requests = plan.requests();
        let held_text = held_text.lines().filter(|line| !line.trim().is_empty()).collect();
        let study = Self { facts, templates, held_text, key, plan, requests };
        for condition in conditions {
            let text = study.text(condition, 0)?;
            if text.split.iter().all(|split| *split == Trained::Both) {
                return Err(FinetuneError::NothingHeldOut(facts.name.clone()));
            }
        }
        Ok(study)
    }

    /// The file of facts, as the user named it.
    pub fn facts_file(&self) -> &str {
        &self.facts.name
    }

    /// The number of facts.
    pub fn fact_count(&self) -> usize {
        self.facts.facts.len()
    }

    /// The files and settings that decide the numbers.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The accuracy of a guess among all answers of the question's relation: the mean over
    /// questions.
    pub fn chance(&self) -> f64 {
        let of = self.plan.asked.iter();
        let (sum, count) = of.fold((0.0, 0.0), |(sum, count), asked| {
            let questions = asked.sources.len() as f64;
            (sum + questions / asked.candidates.len() as f64, count + questions)
        });
        sum / f64::max(count, 1.0)
    }

    fn text(&self, condition: &Condition, seed: u32) -> Result<Augmented, FinetuneError> {
        let settings = Settings {
            recipes: condition.recipes().to_vec(),
            train_fraction: self.key.train_fraction,
            held_phrasings: self.key.held_phrasings,
            seed,
        };
        Ok(augment(self.facts, self.templates, &settings)?)
    }

    /// Trains the learner from its file by a condition and measures it. `go` is called with the work
    /// done and all work of each phase, until it returns false.
    ///
    /// # Errors
    /// [`FinetuneError::Learner`] if a text does not fit the model, the training diverges, or `go`
    /// stops it.
    pub fn run(
        &self,
        learner: &mut impl Learner,
        condition: &Condition,
        seed: u32,
        go: &mut dyn FnMut(Phase, usize, usize) -> bool,
    ) -> Result<RunResult, FinetuneError> {
        let text = self.text(condition, seed)?;
        let mut texts = Vec::with_capacity(text.lines.len());
        let mut tokens = 0;
        for line in &text.lines {
            let from = match self.key.loss {
                Part::Answer => line.sentence.cut().0.len(),
                Part::Text => 0,
            };
            let sentence = line.sentence.text();
            tokens += learner.tokens(&sentence)?;
            texts.push(Text { text: sentence, from, weight: line.times as f64 });
        }
        let steps = texts.len().div_ceil(self.key.batch) as u64 * self.key.epochs;
        let tuning = Tuning {
            epochs: self.key.epochs,
            batch: self.key.batch,
            lr: self.key.lr,
            warmup: steps / 10,
            lora: self.key.lora,
            seed: u64::from(seed),
        };
        learner.reset()?;
        let begun = Instant::now();
        let (mut losses, mut diverged) = (Vec::new(), None);
        let tuned = learner.tune(&texts, &tuning, &mut |step: Step| {
            losses.push(step.loss);
            // The file of the run cannot hold what is not finite.
            diverged = Some(step).filter(|step| !step.loss.is_finite());
            diverged.is_none() && go(Phase::Training, step.done as usize, step.all as usize)
        });
        if let Some(Step { done, all, loss }) = diverged {
            let problem =
                format!("the loss of step {done} of {all} is {loss}: training has diverged");
            return Err(LearnerError::Failed(problem).into());
        }
        tuned?;
        let train_seconds = begun.elapsed().as_secs_f64();
        let measured = self.measured(learner, &text.split, go)?;
        let condition = condition.name();
        let sentences = texts.len();
        Ok(RunResult { condition, seed, sentences, tokens, losses, train_seconds, ..measured })
    }

    /// Measures the learner as it is in its file.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn before(
        &self,
        learner: &mut impl Learner,
        go: &mut dyn FnMut(Phase, usize, usize) -> bool,
    ) -> Result<RunResult, FinetuneError> {
        learner.reset()?;
        self.measured(learner, &self.facts.split(self.key.train_fraction, 0), go)
    }

    fn measured(
        &self,
        learner: &mut impl Learner,
        split: &[Trained],
        go: &mut dyn FnMut(Phase, usize, usize) -> bool,
    ) -> Result<RunResult, FinetuneError> {
        let begun = Instant::now();
        let held_nll = learner.nll(&self.held_text)?;
        // Nor can it hold this.
        if !held_nll.is_finite() {
            let problem = format!("the loss of the held text is {held_nll}: training has diverged");
            return Err(LearnerError::Failed(problem).into());
        }
        let of = self.requests.iter();
        let texts: Vec<(&str, &str)> = of.map(|of| (&*of.prompt, &*of.answer)).collect();
        let found = learner.scores(&texts, &mut |done, all| go(Phase::Measuring, done, all))?;
        let found: HashMap<&Request, Scored> = self.requests.iter().zip(found).collect();
        let known = self.known(split, &found)?;
        let answers = self.answers(split, &found);
        Ok(RunResult {
            version: retrodict_lab::VERSION.to_owned(),
            key: self.key.clone(),
            condition: BEFORE.to_owned(),
            seed: 0,
            sentences: 0,
            tokens: 0,
            losses: Vec::new(),
            train_seconds: 0.0,
            measure_seconds: begun.elapsed().as_secs_f64(),
            held_nll,
            answers,
            known,
        })
    }

    /// The audit of every fact.
    fn known(
        &self,
        split: &[Trained],
        found: &HashMap<&Request, Scored>,
    ) -> Result<Vec<KnownResult>, FinetuneError> {
        let mut scores = Scores::default();
        for (request, Scored { score, .. }) in found {
            if !score.log_probability.is_finite() {
                let problem = format!("the log probability of “{}” is not finite", request.answer);
                return Err(LearnerError::Failed(problem).into());
            }
            scores.insert((*request).clone(), *score);
        }
        let audited = audit(self.facts, &self.plan, &scores, &Generated::default(), "")?;
        let mut known = Vec::new();
        for (fact, split) in audited.facts.iter().zip(split) {
            for direction in Direction::ALL {
                let of = match direction {
                    Direction::Forward => fact.forward,
                    Direction::Reverse => fact.reverse,
                };
                known.push(KnownResult {
                    line: fact.line,
                    direction: word(direction),
                    stated: split.includes(direction),
                    log_probability: of.log_probability,
                    gain: of.gain,
                    level: of.level,
                    first: of.raw_rank == 1.0,
                    candidates: of.candidates,
                });
            }
        }
        Ok(known)
    }

    /// Whether greedy decoding answers each question with a right answer.
    fn answers(&self, split: &[Trained], found: &HashMap<&Request, Scored>) -> Vec<AnswerResult> {
        let held = self.key.held_phrasings;
        let answer = |question: Question| {
            let phrasings = self.templates.get(&question.relation);
            let count = phrasings.map_or(0, |of| of.of(question.direction).len());
            // Every right answer begins with the space that the first one begins with.
            let name = question.answers.first().map_or("", String::as_str);
            let space = question.answer.strip_suffix(name).unwrap_or_default();
            let right = question.answers.iter().any(|other| {
                let (prompt, answer) = (question.prompt.clone(), format!("{space}{other}"));
                found.get(&Request { prompt, answer }).is_some_and(|found| found.greedy)
            });
            AnswerResult {
                line: question.line,
                direction: word(question.direction),
                stated: question.trained,
                held_phrasing: question.phrasing >= count.saturating_sub(held).max(1),
                prompt: question.prompt,
                answer: question.answer,
                right,
            }
        };
        let asked = questions(self.facts, self.templates, split, held);
        asked.into_iter().map(answer).collect()
    }
}
