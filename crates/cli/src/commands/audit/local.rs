//! An audit of a model on this machine.

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread::available_parallelism;

use retrodict_audit::{AuditError, Generated, Plan, Record, Request, Score, Scores};
use retrodict_finetune::digest_of_model;
use retrodict_pretrained::{LogProbability, Model, PretrainedError};
use serde::Serialize;

use super::{Failure, kept, scores_file, stop_on_interrupt};
use crate::progress::Counter;

/// The file of the model's own words, in the folder of the audit.
const GENERATED: &str = "generated.jsonl";

/// Digits of the model's digest in the name of its file of scores.
const DIGITS: usize = 12;

/// A line of the model's own words.
#[derive(Serialize)]
struct Line<'a> {
    prompt: &'a str,
    text: &'a str,
    right: &'a [String],
    exact: bool,
}

/// Scores all requests, and lets the model answer every question in its own words, which are
/// written into `out`. Scores are kept there as they come, in a file of this model's own.
pub(super) fn run(
    path: &Path,
    plan: &Plan,
    requests: &[Request],
    out: &Path,
) -> Result<(Scores, Generated), Failure> {
    let digest = digest_of_model(path).map_err(|error| {
        Failure::Usage(format!("{}: it cannot be read: {error}", path.display()))
    })?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = scores_file(out, &format!("{name}-{}", &digest[..DIGITS]));
    let mut scores = kept(&file)?;
    let refused = |error: PretrainedError| match error {
        PretrainedError::Stopped => Failure::Interrupted(AuditError::Interrupted.to_string()),
        error => Failure::usage(error),
    };
    let threads = available_parallelism().map_or(1, std::num::NonZero::get);
    let mut model = Model::open(path, threads).map_err(refused)?;
    let stop = stop_on_interrupt();

    let missing = scores.missing(requests);
    let known = requests.len() - missing.len();
    if known > 0 && !missing.is_empty() {
        eprintln!("{known} of {} log probabilities are kept in {}", requests.len(), file.display());
    }
    if !missing.is_empty() {
        let mut record = Record::open(&file).map_err(Failure::failed)?;
        let counter = Counter::new("log probabilities");
        let texts: Vec<(&str, &str)> =
            missing.iter().map(|request| (&*request.prompt, &*request.answer)).collect();
        let failed = RefCell::new(None);
        let found = |at: usize, found: LogProbability| {
            let score = Score { log_probability: found.sum, tokens: found.tokens };
            match record.add(&missing[at], score) {
                Ok(()) => scores.insert(missing[at].clone(), score),
                Err(error) => *failed.borrow_mut() = Some(error),
            }
        };
        let go = |done, all| {
            counter.show(done, all);
            failed.borrow().is_none() && !stop.load(Ordering::Relaxed)
        };
        let scored = model.each_log_probability(&texts, found, go);
        drop(counter);
        if let Some(error) = failed.into_inner() {
            return Err(Failure::failed(error));
        }
        scored.map_err(refused)?;
    }
    let of = requests.iter().filter_map(|request| scores.get(request));
    let longest = of.map(|score| score.tokens).max().unwrap_or(0);

    let counter = Counter::new("greedy answers");
    let questions = plan.questions();
    let prompts: Vec<&str> = questions.iter().map(|question| &*question.prompt).collect();
    let go = |done, all| {
        counter.show(done, all);
        !stop.load(Ordering::Relaxed)
    };
    // One token more shows where a name ends.
    let texts = model.greedy(&prompts, longest + 1, go).map_err(refused)?;
    drop(counter);
    let mut generated = Generated::default();
    let mut lines = String::new();
    for (question, text) in questions.iter().zip(texts) {
        let exact = question.is_answered_by(&text);
        let line = Line { prompt: &question.prompt, text: &text, right: &question.right, exact };
        lines += &serde_json::to_string(&line).map_err(Failure::failed)?;
        lines.push('\n');
        generated.insert(question.prompt.clone(), text);
    }
    let file = out.join(GENERATED);
    fs::create_dir_all(out)
        .and_then(|()| fs::write(&file, lines))
        .map_err(|error| Failure::Failed(format!("{}: {error}", file.display())))?;
    Ok((scores, generated))
}
