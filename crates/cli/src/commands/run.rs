//! `retrodict run NAME|SPEC.toml`.

use std::path::Path;

use retrodict_lab::spec::parse_seeds;
use retrodict_lab::store::{Kept, Status, Store};
use retrodict_lab::sweep::{Launcher, Point, Sweep, SweepRecord, status_of};
use retrodict_lab::{
    Experiment, Isa, Job, MEASURES, Measure, Outcome, Resources, RunResult, run_all, stats,
};
use serde_json::{Map, Value, json};

use super::dry_run::dry_run;
use super::launch::launch;
use super::record::command_line;
use super::sweep_table::sweep_table;
use super::{Failure, fitted, overrides, print, spec_text, stop_on_interrupt};
use crate::args::{Keep, RunArgs};
use crate::progress::show_progress;
use crate::table::{table, wrap};

pub(crate) fn run(args: &RunArgs, isa: Option<Isa>) -> Result<(), Failure> {
    let sweep = load(args)?;
    let launcher = args.launch.launcher(&args.resources)?;
    if args.dry_run {
        return dry_run(&sweep, args);
    }
    let store = Store::open(&args.out).map_err(Failure::failed)?;
    if launcher == Launcher::Local {
        let results = local(&sweep, args, &store)?;
        show(&sweep, &results, args)?;
        return verdict(&sweep, &results, &args.out.display().to_string());
    }
    let Some(end) = launch(&sweep, args, launcher, isa, &store)? else { return Ok(()) };
    let results = stored(&sweep, &store)?;
    show(&sweep, &results, args)?;
    match end.complaint {
        Some(complaint) => Err(Failure::Failed(complaint)),
        None => verdict(&sweep, &results, &args.out.display().to_string()),
    }
}

/// The points of a sweep, the longest runs first, so that none runs alone at the end.
pub(super) fn longest_first(sweep: &Sweep) -> Vec<usize> {
    let mut order: Vec<usize> = (0..sweep.points.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(sweep.points[*at].experiment.work()));
    order
}

/// Makes all runs in this process. The results are by point.
fn local(sweep: &Sweep, args: &RunArgs, store: &Store) -> Result<Vec<Vec<RunResult>>, Failure> {
    if sweep.points.len() > 1 {
        record(sweep, args)?;
    }
    let stop = stop_on_interrupt();
    let jobs: Vec<Job<'_>> =
        sweep.points.iter().flat_map(|point| Job::of(&point.experiment)).collect();
    let resources = Resources { keep: keep(args, sweep), ..args.resources.resources()? };
    let resources = fitted(&jobs, store, resources)?;
    let name = sweep.points.first().map_or("", |point| &point.experiment.spec.name);
    let outcomes = show_progress(name, &jobs, || run_all(&jobs, store, resources, &stop));
    let mut outcomes = outcomes.into_iter();
    let mut results: Vec<Vec<RunResult>> = Vec::new();
    for Point { experiment, .. } in &sweep.points {
        let runs = experiment.spec.seeds.iter().zip(outcomes.by_ref());
        let collected =
            runs.map(|(&seed, outcome)| RunResult::measures(experiment, store, seed, outcome));
        results.push(collected.collect::<Result<_, _>>().map_err(Failure::failed)?);
    }
    Ok(results)
}

/// The results that the store has, by point, of runs that other processes made.
fn stored(sweep: &Sweep, store: &Store) -> Result<Vec<Vec<RunResult>>, Failure> {
    let one = |experiment: &Experiment, seed: u64| {
        let run = store.run_dir(&experiment.spec.name, experiment.hash, seed)?;
        let status = match status_of(&run) {
            Some(status @ (Status::Complete | Status::Diverged | Status::Failed)) => status,
            Some(Status::Running | Status::Interrupted) | None => Status::Interrupted,
        };
        let message = run.read_manifest().ok().and_then(|manifest| manifest.message);
        let outcome = Outcome { status, message, from_store: true };
        RunResult::measures(experiment, store, seed, outcome)
    };
    let point = |point: &Point| {
        let experiment = &point.experiment;
        experiment.spec.seeds.iter().map(|&seed| one(experiment, seed)).collect()
    };
    sweep.points.iter().map(point).collect::<Result<_, _>>().map_err(Failure::failed)
}

/// Prints the results, and where they are.
fn show(sweep: &Sweep, results: &[Vec<RunResult>], args: &RunArgs) -> Result<(), Failure> {
    match (args.json, &sweep.points[..]) {
        (true, [point]) if !sweep.is_swept => {
            print(&format!("{}\n", json(&point.experiment, &results[0])))?;
        }
        (true, points) => {
            let each = points.iter().zip(results).map(|(point, results)| {
                let mut result = json(&point.experiment, results);
                result["swept"] = swept(sweep, point);
                result
            });
            print(&format!("{}\n", Value::Array(each.collect())))?;
        }
        (false, [point]) if !sweep.is_swept => print(&summary(&point.experiment, &results[0]))?,
        (false, _) => print(&sweep_table(sweep, results))?,
    }
    if !args.json
        && let Some(folder) = results.iter().flatten().find_map(|run| run.folder.parent())
    {
        print(&wrap(&places(sweep, keep(args, sweep), folder, &args.out.display().to_string())))?;
    }
    Ok(())
}

/// Writes the record of a sweep that this process makes; a sweep that is resumed has one already.
fn record(sweep: &Sweep, args: &RunArgs) -> Result<(), Failure> {
    let record = SweepRecord::new(sweep, Launcher::Local, command_line(), |_| None);
    record.write_once(&args.out).map_err(Failure::failed)
}

/// Where the runs are, and what can be done with them. `folder` is that of a spec.
fn places(sweep: &Sweep, keep: Kept, folder: &Path, out: &str) -> String {
    if !sweep.is_swept {
        return format!("runs in {}\ndraw them with: retrodict report {out}\n", folder.display());
    }
    let list = format!("list them with: retrodict runs {out}\n");
    if keep < Kept::All {
        let also = if keep == Kept::Probes { ", probes" } else { "" };
        return format!(
            "spec, metrics{also} and answers of each run are packed in {out}/segments; --keep all \
             keeps a folder for each, with checkpoints\n{list}"
        );
    }
    let folder = folder.parent().unwrap_or(folder).display();
    format!("runs in {folder}\ndraw them with: retrodict report {out}\n{list}")
}

/// The files to keep of each run: of a sweep those that a table needs, unless the command line asks
/// for checkpoints.
pub(super) fn keep(args: &RunArgs, sweep: &Sweep) -> Kept {
    match args.keep {
        Some(Keep::Metrics) => Kept::Metrics,
        Some(Keep::Probes) => Kept::Probes,
        Some(Keep::All) => Kept::All,
        None => {
            let set = |key: &str| args.set.iter().any(|set| set.starts_with(key));
            let asked = |point: &Point| {
                let spec = &point.experiment.spec.checkpoint;
                (set("checkpoint.every=") && spec.every.is_some())
                    || (set("checkpoint.at=") && !spec.at.is_empty())
                    || (set("checkpoint.last=") && spec.last)
            };
            let packs = sweep.is_swept && !sweep.points.first().is_some_and(asked);
            if packs { Kept::Metrics } else { Kept::All }
        }
    }
}

/// The spec with its sweep and the overrides of the command line.
fn load(args: &RunArgs) -> Result<Sweep, Failure> {
    let seed = args.seed.map(|seed| vec![seed.into()]);
    load_sweep(&args.spec, &args.set, args.seeds.as_deref(), seed)
}

/// The sweep of a spec with overrides, and with these seeds where any are given.
pub(super) fn load_sweep(
    named: &Path,
    set: &[String],
    seeds: Option<&str>,
    list: Option<Vec<u64>>,
) -> Result<Sweep, Failure> {
    let seeds = match seeds {
        Some(seeds) => {
            Some(parse_seeds(seeds).map_err(|e| Failure::Usage(format!("--seeds: {e}")))?)
        }
        None => list,
    };
    let seeds = seeds.map(|seeds| format!("{seeds:?}"));
    let mut set = overrides(set)?;
    set.extend(seeds.iter().map(|seeds| ("seeds", seeds.as_str())));
    let (text, origin) = (spec_text(named)?, named.display().to_string());
    Sweep::parse(&text, &origin, &set).map_err(Failure::usage)
}

/// The swept keys of a point with their values.
pub(super) fn swept(sweep: &Sweep, point: &Point) -> Value {
    let values = sweep.keys.iter().zip(&point.swept);
    Value::Object(values.map(|(key, value)| (key.clone(), json!(value))).collect())
}

/// An error where a run is not complete.
fn verdict(sweep: &Sweep, results: &[Vec<RunResult>], out: &str) -> Result<(), Failure> {
    let runs = || results.iter().flatten();
    let left = runs().filter(|run| run.status == Status::Interrupted).count();
    let all = runs().count();
    if left > 0 {
        return Err(Failure::Interrupted(format!(
            "{left} of {all} runs are unfinished; the same command resumes them ({out})"
        )));
    }
    let mut bad = Vec::new();
    for (point, results) in sweep.points.iter().zip(results) {
        for run in results.iter().filter(|run| run.status != Status::Complete) {
            let values = sweep.keys.iter().zip(&point.swept);
            let place: String = values.map(|(key, value)| format!("{key}={value}, ")).collect();
            let why = run.message.as_deref().unwrap_or("no reason given");
            bad.push(format!("{place}seed {}: {why}", run.seed));
        }
    }
    if bad.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!(
        "{} of {all} runs did not complete\n  {}",
        bad.len(),
        bad.join("\n  ")
    )))
}

/// The object of `--json` for one experiment.
fn json(experiment: &Experiment, results: &[RunResult]) -> Value {
    let runs: Vec<Value> = results
        .iter()
        .map(|result| {
            let mut run = Map::new();
            run.insert("seed".into(), json!(result.seed));
            run.insert("dir".into(), json!(result.folder.display().to_string()));
            run.insert("status".into(), json!(result.status.word()));
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
    json!({
        "experiment": experiment.spec.name,
        "hash": experiment.hash.to_string(),
        "runs": runs,
        "complete": complete(results).count(),
        "mean": over_seeds(stats::mean),
        "std": over_seeds(stats::std),
    })
}

/// The runs that count in means: other runs' numbers are of an earlier epoch.
pub(super) fn complete(results: &[RunResult]) -> impl Iterator<Item = &RunResult> {
    results.iter().filter(|result| result.status == Status::Complete)
}

/// The measure in every complete run that has it.
pub(super) fn values(
    experiment: &Experiment,
    results: &[RunResult],
    measure: &Measure,
) -> Vec<f64> {
    complete(results).filter_map(|result| measure.of(experiment, result)).collect()
}

/// The measures of a table, with their headings, that `has` a value.
pub(super) fn brief(has: impl Fn(&Measure) -> bool) -> Vec<(&'static Measure, &'static str)> {
    let all = MEASURES.iter().filter_map(|measure| Some((measure, measure.brief?)));
    all.filter(|(measure, _)| has(measure)).collect()
}

fn summary(experiment: &Experiment, results: &[RunResult]) -> String {
    let shown = brief(|measure| results.iter().any(|run| measure.of(experiment, run).is_some()));
    let mut rows = vec![vec!["seed".to_owned()]];
    rows[0].extend(shown.iter().map(|(_, heading)| (*heading).to_owned()));
    rows[0].push("status".to_owned());
    for result in results {
        let mut row = vec![result.seed.to_string()];
        row.extend(shown.iter().map(|(m, _)| m.format(m.of(experiment, result))));
        row.push(result.status.word().to_owned());
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
