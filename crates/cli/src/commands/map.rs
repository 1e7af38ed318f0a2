//! `retrodict map NAME|SPEC.toml --set A=… --set B=…`: a phase diagram.

use std::sync::atomic::AtomicBool;

use retrodict_lab::bootstrap::Interval;
use retrodict_lab::map::{Boundary, MapCell, crossings};
use retrodict_lab::store::{Kept, Status, Store};
use retrodict_lab::{Cell, Experiment, Job, Measure, Progress, Resources, RunResult, run_all};
use retrodict_report::{Map, write_map};
use serde_json::{Value, json};

use super::run::load_sweep;
use super::{Failure, fitted, print, stop_on_interrupt};
use crate::args::MapArgs;
use crate::progress::show_progress;
use crate::table::{table, wrap};

/// One setting of the map with its runs.
struct Setting {
    x: Cell,
    y: Cell,
    experiment: Experiment,
    seeds: Vec<u64>,
    cell: MapCell,
}

pub(crate) fn map(args: &MapArgs) -> Result<(), Failure> {
    let measure = Measure::find(&args.measure).map_err(Failure::Usage)?;
    let sweep = load_sweep(&args.spec, &args.set, args.seeds.as_deref(), None)?;
    let [x, y] = &sweep.keys[..] else {
        return Err(Failure::Usage(format!(
            "a map has two swept keys, and this sweep has {}; give two, as in --set \
             data.vocab_size=40,80,160 --set 'data.train_fraction=range(0.0, 1.0, 0.1)'",
            match &sweep.keys[..] {
                [] => "none".to_owned(),
                keys => keys.join(", "),
            }
        )));
    };
    let mut settings = Vec::new();
    for point in &sweep.points {
        settings.push(setting(&point.swept, point.experiment.clone(), [x, y])?);
    }
    let store = Store::open(&args.out).map_err(Failure::failed)?;
    let stop = stop_on_interrupt();
    let level = args.level.first().copied().unwrap_or(0.5);
    let mut lost = make(&mut settings, measure, args, &store, &stop)?;
    for _ in 0..args.finer {
        let new = finer(&settings, level);
        if new.is_empty() {
            break;
        }
        for (a, b) in new {
            if settings.iter().any(|setting| (&setting.x, &setting.y) == (&a, &b)) {
                continue;
            }
            let mut set = args.set.clone();
            set.extend([format!("{x}={a}"), format!("{y}={b}")]);
            let one = load_sweep(&args.spec, &set, args.seeds.as_deref(), None)?;
            for point in one.points {
                settings.push(setting(&[a.clone(), b.clone()], point.experiment, [x, y])?);
            }
        }
        lost += make(&mut settings, measure, args, &store, &stop)?;
    }
    for _ in 0..args.refine {
        for setting in settings.iter_mut().filter(|setting| setting.cell.straddles(level)) {
            let next = setting.seeds.iter().max().map_or(0, |seed| seed + 1);
            let more = setting.seeds.len() as u64;
            setting.seeds.extend(next..next + more);
        }
        lost += make(&mut settings, measure, args, &store, &stop)?;
    }
    draw(args, measure, [x, y], settings, lost)
}

fn setting(swept: &[Cell], experiment: Experiment, keys: [&String; 2]) -> Result<Setting, Failure> {
    let number = |at: usize| {
        let cell = swept.get(at).unwrap_or(&Cell::Missing);
        cell.number().ok_or_else(|| {
            let text = cell.to_string();
            Failure::Usage(format!(
                "the axes of a map are numbers, and `{}` is {} at one of its points; compare such \
                 values with `retrodict run`",
                keys[at],
                if text.is_empty() { "missing" } else { text.as_str() },
            ))
        })
    };
    let cell = MapCell { x: number(0)?, y: number(1)?, values: Vec::new() };
    let (x, y, seeds) = (swept[0].clone(), swept[1].clone(), experiment.spec.seeds.clone());
    Ok(Setting { x, y, experiment, seeds, cell })
}

/// Makes the runs that are not yet there, and reads the measure of all. Returns the number of runs
/// that did not complete.
fn make(
    settings: &mut [Setting],
    measure: &'static Measure,
    args: &MapArgs,
    store: &Store,
    stop: &AtomicBool,
) -> Result<usize, Failure> {
    let jobs: Vec<Job<'_>> = settings
        .iter()
        .flat_map(|setting| {
            // Those of earlier rounds are read already.
            let new = setting.seeds.iter().skip(setting.cell.values.len());
            new.map(|&seed| Job {
                experiment: &setting.experiment,
                seed,
                progress: Progress::default(),
            })
        })
        .collect();
    let resources = Resources { keep: Kept::Metrics, ..args.resources.resources()? };
    let resources = fitted(&jobs, store, resources)?;
    let outcomes = show_progress("map", &jobs, || run_all(&jobs, store, resources, stop));
    let left = outcomes.iter().filter(|outcome| outcome.status == Status::Interrupted).count();
    if left > 0 {
        return Err(Failure::Interrupted(format!(
            "{left} of {} runs are unfinished; the same command resumes them ({})",
            jobs.len(),
            args.out.display()
        )));
    }
    let mut values: Vec<Option<f64>> = Vec::new();
    let mut lost = 0;
    for (job, outcome) in jobs.iter().zip(outcomes) {
        let complete = outcome.status == Status::Complete;
        lost += usize::from(!complete);
        let result = RunResult::measures(job.experiment, store, job.seed, outcome)
            .map_err(Failure::failed)?;
        values.push(measure.of(job.experiment, &result).filter(|_| complete));
    }
    drop(jobs);
    let mut values = values.into_iter();
    for setting in settings {
        let new = setting.seeds.len() - setting.cell.values.len();
        setting
            .cell
            .values
            .extend(values.by_ref().take(new).map(|value| value.unwrap_or(f64::NAN)));
    }
    Ok(lost)
}

/// The settings half-way between neighbours on two sides of the level.
fn finer(settings: &[Setting], level: f64) -> Vec<(Cell, Cell)> {
    let cells: Vec<MapCell> = settings.iter().map(|setting| setting.cell.clone()).collect();
    let whole = |of: fn(&Setting) -> &Cell| {
        settings.iter().all(|setting| matches!(of(setting), Cell::Integer(_)))
    };
    let (whole_x, whole_y) = (whole(|s| &s.x), whole(|s| &s.y));
    let middle = |a: f64, b: f64, whole: bool| {
        let middle = (a + b) / 2.0;
        match whole {
            true => Cell::Integer(middle.round() as i64),
            // Not 0.30000000000000004.
            false => Cell::Number((middle * 1e9).round() / 1e9),
        }
    };
    let between = crossings(&cells, level)
        .into_iter()
        .map(|((ax, ay), (bx, by))| (middle(ax, bx, whole_x), middle(ay, by, whole_y)));
    between.collect()
}

fn draw(
    args: &MapArgs,
    measure: &'static Measure,
    [x, y]: [&String; 2],
    settings: Vec<Setting>,
    lost: usize,
) -> Result<(), Failure> {
    let cells: Vec<MapCell> = settings
        .into_iter()
        .map(|setting| {
            let values = setting.cell.values.into_iter().filter(|value| value.is_finite());
            MapCell { values: values.collect(), ..setting.cell }
        })
        .collect();
    let runs: usize = cells.iter().map(|cell| cell.values.len()).sum();
    let levels = if args.level.is_empty() { vec![0.5] } else { args.level.clone() };
    let boundary = if args.fit { Boundary::fit(&cells, levels[0]) } else { None };
    let uncertain = cells.iter().filter(|cell| cell.straddles(levels[0])).count();
    let caption = format!(
        "{} over {x} and {y}: {} settings, {runs} runs. Lines: the mean is {}{}. Beside it the \
         half-width of the 95 % interval of the mean over runs (bootstrap).",
        measure.heading,
        cells.len(),
        listed(&levels),
        boundary.as_ref().map_or(String::new(), |fit| format!(
            "; dashed: {y} = {:.3} · {x}^{:.3}, fitted in every second column",
            fit.factor, fit.exponent
        )),
    );
    let title = format!("{} over {x} and {y}", measure.heading);
    let content = Map {
        name: &args.name,
        title: &title,
        caption: &caption,
        x,
        y,
        measure: &measure.heading_with_unit(),
        cells: &cells,
        levels: &levels,
        boundary: boundary.as_ref(),
    };
    let (picture, numbers) = write_map(&args.out, &content).map_err(Failure::failed)?;
    if args.json {
        let result = json!({
            "x": x,
            "y": y,
            "measure": measure.id,
            "runs": runs,
            "incomplete": lost,
            "cells": cells.iter().map(cell_json).collect::<Vec<_>>(),
            "boundary": boundary.as_ref().map(boundary_json),
            "picture": picture.display().to_string(),
            "table": numbers.display().to_string(),
        });
        return print(&format!("{result}\n"));
    }
    let mut text = wrap(&format!(
        "{title}: {} settings, {runs} runs; of {uncertain} settings the side of {} is uncertain\n",
        cells.len(),
        levels[0],
    ));
    if lost > 0 {
        text += &wrap(&format!("{lost} runs did not complete, and are left out\n"));
    }
    text += &boundary.as_ref().map_or(String::new(), |fit| boundary_text(fit, x, y));
    if args.fit && boundary.is_none() {
        text += &wrap("no boundary: fewer than two columns cross the level\n");
    }
    print(&format!("{text}figure {}, numbers {}\n", picture.display(), numbers.display()))
}

fn listed(levels: &[f64]) -> String {
    levels.iter().map(f64::to_string).collect::<Vec<_>>().join(", ")
}

fn range(interval: Option<Interval>) -> String {
    interval.map_or("–".to_owned(), |i| format!("{:.3} to {:.3}", i.low, i.high))
}

fn boundary_text(fit: &Boundary, x: &str, y: &str) -> String {
    let mut rows = vec![["", y, "95 % interval", "fit"].map(str::to_owned).to_vec()];
    rows[0][0] = x.to_owned();
    for (at, value, interval) in &fit.crossings {
        let used = if fit.fitted.contains(at) { "" } else { " (unseen)" };
        let row = [
            format!("{at}"),
            format!("{value:.3}"),
            range(*interval),
            format!("{:.3}{used}", fit.at(*at)),
        ];
        rows.push(row.to_vec());
    }
    let (cells, right) = fit.unseen;
    table(&rows, 1, &[])
        + &wrap(&format!(
            "boundary at {}: {y} = a · {x}^b with a = {:.3} ({}) and b = {:.3} ({}); of {cells} \
             unseen settings whose side is certain it puts {right} on the right one\n",
            fit.level,
            fit.factor,
            range(fit.factor_interval),
            fit.exponent,
            range(fit.exponent_interval),
        ))
}

fn interval_json(interval: Option<Interval>) -> Value {
    interval.map_or(Value::Null, |interval| json!([interval.low, interval.high]))
}

fn cell_json(cell: &MapCell) -> Value {
    json!({
        "x": cell.x,
        "y": cell.y,
        "runs": cell.values.len(),
        "mean": cell.mean(),
        "interval": interval_json(cell.interval()),
    })
}

fn boundary_json(fit: &Boundary) -> Value {
    json!({
        "level": fit.level,
        "factor": fit.factor,
        "factor_interval": interval_json(fit.factor_interval),
        "exponent": fit.exponent,
        "exponent_interval": interval_json(fit.exponent_interval),
        "unseen_settings": fit.unseen.0,
        "unseen_right": fit.unseen.1,
    })
}
