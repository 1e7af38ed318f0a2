//! `retrodict reproduce`: the main job.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use retrodict_lab::store::{Status, Store};
use retrodict_lab::{BenchOptions, Experiment, Job, Outcome, Progress, Resources, run_all};
use retrodict_report::{Reproduction, Scale, figures, reversal};

use super::report::{draw, last_line};
use super::{Failure, print, stop_on_interrupt};
use crate::args::{self, ReproduceArgs};
use crate::progress::{duration, watch};

pub(crate) fn reproduce(args: &ReproduceArgs) -> Result<(), Failure> {
    let scale = match args.scale {
        args::Scale::Quick => Scale::Quick,
        args::Scale::Paper => Scale::Paper,
    };
    let wanted = figures(&args.figures).map_err(Failure::usage)?;
    // Every figure so far is made of the same runs.
    let experiments = reversal(scale, args.seeds.get()).map_err(Failure::failed)?;
    let resources = args.resources.resources();
    if args.list {
        let mut text = String::new();
        for figure in wanted {
            let _ = writeln!(text, "{}  {}: {}", figure.name, figure.title, figure.claim);
        }
        let _ = writeln!(text, "made of");
        for experiment in &experiments {
            let _ = writeln!(text, "  {}", estimate(experiment, resources)?);
        }
        return print(&text);
    }
    let begun = Instant::now();
    let store = Store::open(&args.out).map_err(Failure::failed)?;
    let stop = stop_on_interrupt()?;
    let jobs: Vec<Job<'_>> = experiments
        .iter()
        .flat_map(|experiment| experiment.spec.seeds.iter().map(move |&seed| (experiment, seed)))
        .map(|(experiment, seed)| Job { experiment, seed, progress: Progress::default() })
        .collect();
    let outcomes = watch(&jobs, || run_all(&jobs, &store, resources, &stop));
    let trained = outcomes.iter().any(|outcome| !outcome.from_store);
    let complete = outcomes.iter().filter(|outcome| outcome.status == Status::Complete).count();
    if trained && complete > 0 {
        let reproduction = Reproduction {
            scale: scale.word().to_owned(),
            seeds: args.seeds.get(),
            wall_seconds: begun.elapsed().as_secs_f64(),
        };
        reproduction.write(&args.out).map_err(Failure::failed)?;
    }
    if outcomes.iter().any(|outcome| outcome.status == Status::Interrupted) {
        return Err(Failure::Interrupted(format!(
            "{complete} of {} runs are complete; the same command goes on where they stopped ({})",
            outcomes.len(),
            args.out.display()
        )));
    }
    let (page, report) = draw(&args.out)?;
    let mut text = String::new();
    for section in &report.sections {
        let _ = writeln!(text, "{}", section.finding);
    }
    text.push_str(&last_line(&report, &page));
    print(&text)?;
    complain_of(&jobs, &outcomes)
}

/// Runs that diverged or failed are named; the report was made of the others.
fn complain_of(jobs: &[Job<'_>], outcomes: &[Outcome]) -> Result<(), Failure> {
    let bad: Vec<String> = jobs
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| outcome.status != Status::Complete)
        .map(|(job, outcome)| {
            let why = outcome.message.as_deref().unwrap_or("no reason given");
            format!("{} seed {}: {why}", job.experiment.spec.name, job.seed)
        })
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    let all = jobs.len();
    Err(Failure::Failed(format!(
        "{} of {all} runs did not complete\n  {}",
        bad.len(),
        bad.join("\n  ")
    )))
}

/// One experiment of a figure, with its time here, from some timed steps.
fn estimate(experiment: &Experiment, resources: Resources) -> Result<String, Failure> {
    let spec = &experiment.spec;
    let seeds = spec.seeds.len();
    let (at_once, _) = resources.divide(experiment.step_flops(), seeds);
    let options = BenchOptions { seeds: at_once, resources, steps: None, profile: false };
    let timed = retrodict_lab::bench(experiment, options, || 0).map_err(Failure::failed)?;
    let sentences = experiment.dataset(0).map_err(Failure::failed)?.train.len();
    let steps = spec.train.epochs * sentences.div_ceil(experiment.batch_size(sentences)) as u64;
    let seconds = 1e-3 * timed.ms_per_seed_step * steps as f64 * seeds as f64;
    let estimate = duration(Duration::from_secs_f64(seconds.max(1.0)));
    Ok(format!(
        "{}: {} seeds × {steps} steps of {} layers × {}, about {estimate} here",
        spec.name, seeds, spec.model.layers, spec.model.dim
    ))
}
