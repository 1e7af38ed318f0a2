//! `retrodict reproduce`.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use retrodict_lab::store::{Status, Store};
use retrodict_lab::{Experiment, Job, Resources, run_all};
use retrodict_report::{
    PaperFigure, Redraw, Reproduction, SEEDS, Scale, TheoryFigure, Variant, Wanted, experiments,
    figures, whole_seconds,
};

use retrodict_theory::with_threads;

use super::estimate::Estimates;
use super::record::record_sweep;
use super::report::{draw, last_line};
use super::{Failure, complaints, fitted, print, stop_on_interrupt};
use crate::args::{self, ReproduceArgs};
use crate::progress::show_progress;

/// A figure with its experiments.
type Trained = (&'static PaperFigure, Vec<(&'static Variant, Experiment)>);

pub(crate) fn reproduce(args: &ReproduceArgs) -> Result<(), Failure> {
    let scale = match args.scale {
        args::Scale::Quick => Scale::Quick,
        args::Scale::Paper => Scale::Paper,
    };
    let Wanted { trained, theory } = figures(&args.figures).map_err(Failure::usage)?;
    let asked = args.seeds.map(NonZeroUsize::get);
    let seeds = asked.unwrap_or(SEEDS);
    let wanted: Vec<Trained> = trained
        .into_iter()
        .map(|figure| Ok((figure, experiments(figure, scale, asked)?)))
        .collect::<Result<_, retrodict_report::PaperError>>()
        .map_err(Failure::usage)?;
    let style = args.style.read()?;
    let resources = args.resources.resources()?;
    if args.list {
        return list(&wanted, &theory, resources);
    }
    if scale == Scale::Paper {
        eprintln!(
            "The paper's own numbers, about as long as this takes here (Ctrl-C loses nothing):"
        );
        let mut estimates = Estimates::new(resources);
        for (figure, experiments) in &wanted {
            eprintln!("  {}: {}", figure.name, estimates.of(&alone(experiments))?);
        }
    }
    let begun = Instant::now();
    let store = Store::open(&args.out).map_err(Failure::failed)?;
    let before = Reproduction::read(&args.out).map_err(Failure::failed)?;
    let before = before.filter(|kept| kept.scale == scale.word());
    let stop = stop_on_interrupt();
    let mut kept = Reproduction {
        scale: scale.word().to_owned(),
        seeds,
        wall_seconds: before.as_ref().map_or(0.0, |kept| kept.wall_seconds),
        figures: before.as_ref().map(|kept| kept.figures.clone()).unwrap_or_default(),
        own: before.map(|kept| kept.own).unwrap_or_default(),
    };
    let spent = kept.wall_seconds;
    let mut redraw = Redraw::new(style);
    let mut seen = HashSet::new();
    let mut figures = Vec::new();
    for (figure, experiments) in &wanted {
        let new = alone(experiments).into_iter();
        let new = new.filter(|e| seen.insert((e.spec.name.clone(), e.hash)));
        let jobs: Vec<Job<'_>> = new.flat_map(Job::of).collect();
        let resources = fitted(&jobs, &store, resources)?;
        figures.push((figure, jobs, resources));
    }
    record_sweep(&args.out, wanted.iter().flat_map(|(_, experiments)| alone(experiments)))?;
    let mut bad = Vec::new();
    let (mut drawn, mut complete, mut all) = (None, 0, 0);
    for (figure, jobs, resources) in figures {
        let outcomes =
            show_progress(&figure.name, &jobs, || run_all(&jobs, &store, resources, &stop));
        let done = outcomes.iter().filter(|o| o.status == Status::Complete).count();
        (complete, all) = (complete + done, all + outcomes.len());
        if !kept.figures.contains(&figure.name) {
            kept.figures.push(figure.name.clone());
        }
        if !figure.text.is_empty() {
            kept.own.insert(figure.name.clone(), figure.text.clone());
        }
        if outcomes.iter().any(|outcome| !outcome.from_store) {
            kept.wall_seconds = spent + begun.elapsed().as_secs_f64();
        }
        if outcomes.iter().any(|outcome| outcome.status == Status::Interrupted) {
            kept.write(&args.out).map_err(Failure::failed)?;
            return Err(Failure::Interrupted(format!(
                "at {}, {complete} of {all} runs so far are complete; the same command resumes \
                 them ({})",
                figure.name,
                args.out.display()
            )));
        }
        bad.extend(complaints(&jobs, &outcomes));
        if complete > 0 {
            kept.write(&args.out).map_err(Failure::failed)?;
            drawn = Some(draw(&mut redraw, &args.out, &args.out)?);
        }
    }
    for figure in &theory {
        simulate(figure, scale, args)?;
        if !kept.figures.iter().any(|name| name == figure.name) {
            kept.figures.push(figure.name.to_owned());
        }
        kept.wall_seconds = spent + begun.elapsed().as_secs_f64();
        kept.write(&args.out).map_err(Failure::failed)?;
        drawn = Some(draw(&mut redraw, &args.out, &args.out)?);
    }
    if let Some((page, report)) = drawn {
        let mut text = String::new();
        let asked = |name: &str| {
            wanted.iter().any(|(figure, _)| figure.name == name)
                || theory.iter().any(|figure| figure.name == name)
        };
        for section in report.sections.iter().filter(|section| asked(&section.name)) {
            let _ = writeln!(text, "{}: {}", section.name, section.finding);
        }
        text.push_str(&last_line(&report, &page));
        print(&text)?;
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

/// Runs the simulations of a figure of the theory.
fn simulate(figure: &TheoryFigure, scale: Scale, args: &ReproduceArgs) -> Result<(), Failure> {
    let told = Mutex::new((Instant::now(), 0));
    let progress = || {
        let Ok(mut told) = told.lock() else { return };
        told.1 += 1;
        if told.0.elapsed() > Duration::from_secs(5) {
            eprintln!("{}: {} simulations", figure.name, told.1);
            told.0 = Instant::now();
        }
    };
    let seeds = args.seeds.map_or(SEEDS, NonZeroUsize::get);
    with_threads(|| figure.make(&args.out, scale, seeds, &progress)).map_err(Failure::failed)
}

/// Each figure with its claim, its runs and its estimated time on this machine.
fn list(wanted: &[Trained], theory: &[&TheoryFigure], resources: Resources) -> Result<(), Failure> {
    let mut estimates = Estimates::new(resources);
    for (figure, experiments) in wanted {
        let time = estimates.of(&alone(experiments))?;
        print(&format!("{}  {}: {}\n  {time}\n", figure.name, figure.title, figure.claim))?;
    }
    for figure in theory {
        let time = whole_seconds(figure.seconds);
        let TheoryFigure { name, title, claim, .. } = figure;
        print(&format!("{name}  {title}: {claim}\n  simulations, about {time} on two cores\n"))?;
        estimates.add(figure.seconds);
    }
    print(&format!("all of these together, shared runs once: about {} here\n", estimates.total()))
}

fn alone<'e>(experiments: &'e [(&'static Variant, Experiment)]) -> Vec<&'e Experiment> {
    experiments.iter().map(|(_, experiment)| experiment).collect()
}
