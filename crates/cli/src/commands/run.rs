//! `retrodict run NAME|SPEC.toml`.

use retrodict_lab::spec::parse_seeds;
use retrodict_lab::store::{Status, Store};
use retrodict_lab::{Experiment, Job, RunResult, run_all, stats};
use serde_json::{Map, Value, json};

use super::{Failure, load_spec, print, stop_on_interrupt};
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
    let stop = stop_on_interrupt()?;
    let jobs: Vec<Job<'_>> = Job::of(&experiment).collect();
    let resources = args.resources.resources();
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

/// A measure of a run: its name in JSON, its heading in the table, its value.
type Measure = (&'static str, &'static str, fn(&RunResult) -> Option<f64>);

const MEASURES: [Measure; 22] = [
    ("train_nll", "train NLL", |r| Some(r.last?.train_nll)),
    ("train_first_token_nll", "", |r| Some(r.last?.train_first_token_nll)),
    ("held_out_nll", "held-out NLL", |r| r.last?.held_out_nll),
    ("held_out_first_token_nll", "", |r| r.last?.held_out_first_token_nll),
    ("held_out_top1", "held-out top-1", |r| r.last?.held_out_top1),
    ("asymmetry", "asymmetry", |r| r.indexes.asymmetry),
    ("asymmetry_in_context", "", |r| r.indexes.asymmetry_in_context),
    ("intransitivity", "intransitivity", |r| r.indexes.intransitivity),
    ("unseen_top1_among_candidates", "", |r| r.indexes.unseen_top1_among_candidates),
    ("direct_top1", "", |r| r.answers?.direct_top1),
    ("two_step_top1", "in two steps", |r| r.answers?.two_step_top1),
    ("whole_direct_top1", "", |r| r.answers?.whole_direct_top1),
    ("whole_two_step_top1", "", |r| r.answers?.whole_two_step_top1),
    ("forward_top1", "", |r| r.answers?.forward_top1),
    ("echo_rate", "", |r| r.answers?.echo_rate),
    ("control_top1", "", |r| r.answers?.control_top1),
    ("blind_swap_rate", "", |r| r.answers?.blind_swap_rate),
    ("candidates_mean", "candidates", |r| r.answers?.candidates_mean),
    ("rank_among_candidates_mean", "mean rank", |r| r.answers?.rank_among_candidates_mean),
    ("top1_among_candidates", "", |r| r.answers?.top1_among_candidates),
    ("embedding_cosine_mean_absolute", "", |r| {
        r.embedding_cosines.as_ref()?.mean_absolute_off_diagonal
    }),
    ("ms_per_step", "ms a step", RunResult::ms_per_step),
];

fn word(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Complete => "complete",
        Status::Diverged => "diverged",
        Status::Failed => "failed",
        Status::Interrupted => "interrupted",
    }
}

/// The values of the complete runs: those of others are of another epoch, or not this process's.
fn complete((_, _, value): &Measure, results: &[RunResult]) -> Vec<f64> {
    results.iter().filter(|r| r.status == Status::Complete).filter_map(value).collect()
}

fn json(experiment: &Experiment, results: &[RunResult]) -> String {
    let runs: Vec<Value> = results
        .iter()
        .map(|result| {
            let mut run = Map::new();
            run.insert("seed".into(), json!(result.seed));
            run.insert("dir".into(), json!(result.folder.display().to_string()));
            run.insert("status".into(), json!(word(result.status)));
            for (name, _, value) in MEASURES {
                run.insert(name.into(), json!(value(result)));
            }
            run.insert("message".into(), json!(result.message));
            Value::Object(run)
        })
        .collect();
    let over_seeds = |of: fn(&[f64]) -> Option<f64>| -> Map<String, Value> {
        let all = MEASURES.iter();
        all.map(|measure| (measure.0.to_owned(), json!(of(&complete(measure, results))))).collect()
    };
    let result = json!({
        "experiment": experiment.spec.name,
        "hash": experiment.hash.to_string(),
        "runs": runs,
        "complete": results.iter().filter(|r| r.status == Status::Complete).count(),
        "mean": over_seeds(stats::mean),
        "std": over_seeds(stats::std),
    });
    format!("{result}\n")
}

fn summary(experiment: &Experiment, results: &[RunResult]) -> String {
    let shown: Vec<&Measure> = MEASURES
        .iter()
        .filter(|(_, heading, value)| {
            !heading.is_empty() && results.iter().any(|r| value(r).is_some())
        })
        .collect();
    let number = |value: Option<f64>| match value {
        Some(x) if x != 0.0 && x.abs() < 0.01 => format!("{x:.5}"),
        Some(x) => format!("{x:.3}"),
        None => "–".to_owned(),
    };
    let mut rows = vec![vec!["seed".to_owned()]];
    rows[0].extend(shown.iter().map(|(_, heading, _)| (*heading).to_owned()));
    rows[0].push("status".to_owned());
    for result in results {
        let mut row = vec![result.seed.to_string()];
        row.extend(shown.iter().map(|(_, _, value)| number(value(result))));
        row.push(word(result.status).to_owned());
        rows.push(row);
    }
    if results.len() > 1 {
        let count = results.iter().filter(|r| r.status == Status::Complete).count();
        for (name, of) in [("mean", stats::mean as fn(&[f64]) -> _), ("std", stats::std)] {
            let mut row = vec![name.to_owned()];
            row.extend(shown.iter().map(|measure| number(of(&complete(measure, results)))));
            row.push(format!("{count} complete"));
            rows.push(row);
        }
    }
    let text = wrap(&format!(
        "{} ({}): {} parameters, vocabulary {}, uniform NLL {:.2}\n",
        experiment.spec.name,
        experiment.hash,
        experiment.network.parameter_count(),
        experiment.network.vocab(),
        (experiment.network.vocab() as f64).ln(),
    ));
    text + &table(&rows, 1, &[])
}
