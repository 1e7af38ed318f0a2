//! `retrodict run SPEC.toml`.

use std::fmt::Write as _;

use retrodict_lab::spec::{Spec, parse_seeds};
use retrodict_lab::store::{Status, Store};
use retrodict_lab::{Experiment, Job, MEASURES, Measure, Progress, RunResult, run_all, stats};
use serde_json::{Map, Value, json};

use super::{Failure, overrides, print, stop_on_interrupt};
use crate::args::RunArgs;
use crate::progress::show_progress;

pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let set = overrides(&args.set)?;
    let mut spec = Spec::load(&args.spec, &set).map_err(Failure::usage)?;
    if let Some(seeds) = &args.seeds {
        spec.seeds = parse_seeds(seeds).map_err(|e| Failure::Usage(format!("--seeds: {e}")))?;
    }
    if let Some(seed) = args.seed {
        spec.seeds = vec![seed.into()];
    }
    let origin = args.spec.display().to_string();
    let experiment = Experiment::new(spec, &origin).map_err(Failure::usage)?;
    let store = Store::open(&args.out).map_err(Failure::failed)?;
    let stop = stop_on_interrupt()?;
    let jobs: Vec<Job<'_>> = experiment
        .spec
        .seeds
        .iter()
        .map(|&seed| Job { experiment: &experiment, seed, progress: Progress::default() })
        .collect();
    let resources = args.resources.resources();
    let outcomes = show_progress(&jobs, || run_all(&jobs, &store, resources, &stop));
    let results = jobs
        .iter()
        .zip(outcomes)
        .map(|(job, outcome)| RunResult::collect(&experiment, &store, job.seed, outcome))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::failed)?;
    print(&if args.json { json(&experiment, &results) } else { table(&experiment, &results) })?;
    verdict(&results, &args.out.display().to_string())
}

/// The exit status that the runs deserve.
fn verdict(results: &[RunResult], out: &str) -> Result<(), Failure> {
    let count = |status| results.iter().filter(|r| r.status == status).count();
    let (all, left) = (results.len(), count(Status::Interrupted));
    if left > 0 {
        return Err(Failure::Interrupted(format!(
            "{left} of {all} runs are unfinished; the same command goes on where they stopped ({out})"
        )));
    }
    let bad: Vec<String> = results
        .iter()
        .filter(|r| r.status != Status::Complete)
        .map(|r| format!("seed {}: {}", r.seed, r.message.as_deref().unwrap_or("no reason given")))
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{} of {all} runs did not complete\n  {}",
        bad.len(),
        bad.join("\n  ")
    )))
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Complete => "complete",
        Status::Diverged => "diverged",
        Status::Failed => "failed",
        Status::Interrupted => "interrupted",
    }
}

fn json(experiment: &Experiment, results: &[RunResult]) -> String {
    let runs: Vec<Value> = results
        .iter()
        .map(|result| {
            let mut run = Map::new();
            run.insert("seed".into(), json!(result.seed));
            run.insert("dir".into(), json!(result.folder.display().to_string()));
            run.insert("status".into(), json!(word(result.status)));
            for measure in Measure::of_json() {
                run.insert(measure.id.into(), json!(measure.of(experiment, result)));
            }
            run.insert("message".into(), json!(result.message));
            Value::Object(run)
        })
        .collect();
    let over_seeds = |of: fn(&[f64]) -> Option<f64>| -> Map<String, Value> {
        let all = Measure::of_json().map(|measure| {
            (measure.id.to_owned(), json!(of(&values(experiment, results, measure))))
        });
        all.collect()
    };
    let result = json!({
        "experiment": experiment.spec.name,
        "hash": experiment.hash.to_string(),
        "runs": runs,
        "mean": over_seeds(stats::mean),
        "std": over_seeds(stats::std),
    });
    format!("{result}\n")
}

/// The measure in every run that has it.
fn values(experiment: &Experiment, results: &[RunResult], measure: &Measure) -> Vec<f64> {
    results.iter().filter_map(|result| measure.of(experiment, result)).collect()
}

fn table(experiment: &Experiment, results: &[RunResult]) -> String {
    let shown: Vec<(&Measure, &str)> = MEASURES
        .iter()
        .filter_map(|measure| Some((measure, measure.brief?)))
        .filter(|(measure, _)| !values(experiment, results, measure).is_empty())
        .collect();
    let mut rows = vec![vec!["seed".to_owned()]];
    rows[0].extend(shown.iter().map(|(_, heading)| (*heading).to_owned()));
    rows[0].push("status".to_owned());
    for result in results {
        let mut row = vec![result.seed.to_string()];
        row.extend(shown.iter().map(|(m, _)| m.format(m.of(experiment, result))));
        row.push(word(result.status).to_owned());
        rows.push(row);
    }
    if results.len() > 1 {
        for (name, of) in [("mean", stats::mean as fn(&[f64]) -> _), ("std", stats::std)] {
            let mut row = vec![name.to_owned()];
            row.extend(shown.iter().map(|(m, _)| m.format(of(&values(experiment, results, m)))));
            row.push(String::new());
            rows.push(row);
        }
    }
    let mut text = format!(
        "{} ({}): {} parameters, vocabulary {}, NLL in nats of the last \
         entity (guessing: {} = {:.2})\n",
        experiment.spec.name,
        experiment.hash,
        experiment.network.parameter_count(),
        experiment.network.vocab(),
        experiment.guessing_label(),
        experiment.guessing_nll(),
    );
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|c| rows.iter().map(|row| row[c].chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:>width$}"));
        let _ = writeln!(text, "{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
    text
}
