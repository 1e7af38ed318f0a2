//! An audit of a model on this machine.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread::available_parallelism;

use retrodict_audit::{Generated, Plan, Request, Score, Scores};
use retrodict_pretrained::{Model, PretrainedError};
use serde::Serialize;

use super::{Failure, stop_on_interrupt};
use crate::progress::Counter;

/// The file of the model's own words, in the folder of the audit.
const GENERATED: &str = "generated.jsonl";

/// A line of it.
#[derive(Serialize)]
struct Line<'a> {
    prompt: &'a str,
    text: &'a str,
    right: &'a [String],
    exact: bool,
}

/// Scores all requests, and lets the model answer every question in its own words, which are
/// written into `out`.
pub(super) fn run(
    path: &Path,
    plan: &Plan,
    requests: &[Request],
    out: &Path,
) -> Result<(Scores, Generated), Failure> {
    let refused = |error: PretrainedError| match error {
        PretrainedError::Stopped => Failure::Interrupted(
            "stopped; an audit of a model on this machine begins anew".to_owned(),
        ),
        error => Failure::usage(error),
    };
    let threads = available_parallelism().map_or(1, std::num::NonZero::get);
    let mut model = Model::open(path, threads).map_err(refused)?;
    let stop = stop_on_interrupt();

    let counter = Counter::new("log probabilities");
    let texts: Vec<(&str, &str)> =
        requests.iter().map(|request| (&*request.prompt, &*request.answer)).collect();
    let go = |done, all| {
        counter.show(done, all);
        !stop.load(Ordering::Relaxed)
    };
    let found = model.log_probabilities(&texts, go).map_err(refused)?;
    drop(counter);
    let mut scores = Scores::default();
    let mut longest = 0;
    for (request, found) in requests.iter().zip(found) {
        let score = Score { log_probability: found.sum, tokens: found.tokens };
        longest = longest.max(score.tokens);
        scores.insert(request.clone(), score);
    }

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
