//! `retrodict run NAME|SPEC.toml`.

use retrodict_lab::spec::parse_seeds;
use retrodict_lab::store::{Status, Store};
use retrodict_lab::{Experiment, Job, MEASURES, Measure, RunResult, run_all, stats};
use serde_json::{Map, Value, json};

use super::{Failure, fitted, load_spec, print, stop_on_interrupt};
use crate::args::RunArgs;
use crate::progress::show_progress;
use crate::table::{table, wrap};

pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let mut spec = load_spec(&args.spec, &args.set)?;
    if let Some(seeds) = &args.seeds {
        spec.seeds = parse_seeds(seeds).map_err(|e| Failure::Usage(format!("--seeds: {e}")))?;
    }
    if let Some(seed) = args.seed {
        spec.seeds = vec![seed.into()];
    }
    let origin = args.spec.display().to_string();
    let experiment = Experiment::new(spec, &origin).map_err(Failure::usage)?;
    let store = Store::open(&args.out).map_err(Failure::failed)?;
    let stop = stop_on_interrupt();
    let jobs: Vec<Job<'_>> = Job::of(&experiment).collect();
    let resources = fitted(&jobs, &store, args.resources.resources())?;
    let outcomes =
        show_progress(&experiment.spec.name, &jobs, || run_all(&jobs, &store, resources, &stop));
    let results = jobs
        .iter()
        .zip(outcomes)
        .map(|(job, outcome)| RunResult::collect(&experiment, &store, job.seed, outcome))
        .collect::<Result<Vec<_>, _>>()
        .map_err(Failure::failed)?;
    if args.json {
        print(&json(&experiment, &results))?;
    } else {
        print(&summary(&experiment, &results))?;
        if let Some(runs) = results.first().and_then(|result| result.folder.parent()) {
            let (runs, out) = (runs.display(), args.out.display());
            print(&wrap(&format!("runs in {runs}\ndraw them with: retrodict report {out}\n")))?;
        }
    }
    verdict(&results, &args.out.display().to_string())
}

/// An error where a run is not complete.
fn verdict(results: &[RunResult], out: &str) -> Result<(), Failure> {
    let count = |status| results.iter().filter(|r| r.status == status).count();
    let (all, left) = (results.len(), count(Status::Interrupted));
    if left > 0 {
        return Err(Failure::Interrupted(format!(
            "{left} of {all} runs are unfinished; the same command resumes them ({out})"
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
        "complete": complete(results).count(),
        "mean": over_seeds(stats::mean),
        "std": over_seeds(stats::std),
    });
    format!("{result}\n")
}

/// The runs that count in means: other runs' numbers are of an earlier epoch.
fn complete(results: &[RunResult]) -> impl Iterator<Item = &RunResult> {
    results.iter().filter(|result| result.status == Status::Complete)
}

/// The measure in every complete run that has it.
fn values(experiment: &Experiment, results: &[RunResult], measure: &Measure) -> Vec<f64> {
    complete(results).filter_map(|result| measure.of(experiment, result)).collect()
}

fn summary(experiment: &Experiment, results: &[RunResult]) -> String {
    let shown: Vec<(&Measure, &str)> = MEASURES
        .iter()
        .filter_map(|measure| Some((measure, measure.brief?)))
        .filter(|(measure, _)| results.iter().any(|run| measure.of(experiment, run).is_some()))
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
            row.push(format!("{} complete", complete(results).count()));
            rows.push(row);
        }
    }
    let text = wrap(&format!(
        "{} ({}): {} parameters, vocabulary {}, NLL in nats of the last \
         entity (guessing: {} = {:.2})\n",
        experiment.spec.name,
        experiment.hash,
        experiment.network.parameter_count(),
        experiment.network.vocab(),
        experiment.guessing_label(),
        experiment.guessing_nll(),
    ));
    text + &table(&rows, 1, &[])
}
