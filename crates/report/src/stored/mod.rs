//! A report made from the run store alone.

mod claims;
mod draw;
mod opening;
mod over;
mod own;
mod read;
mod reproduction;
mod tables;

use std::path::Path;

use retrodict_lab::store::{Machine, RunDir, Store};

use crate::compare::{self, experiment_name};
use crate::paper::{self, PaperFigure, Scale, Variant};
use crate::{Report, ReportError, Section, theory};

pub(crate) use read::{Runs, Stored, read};
pub use reproduction::Reproduction;

/// The report of everything complete in the store below `out`.
///
/// It shows the requested figures of the paper, those whose every experiment is in the store, and
/// all other experiments as the user's own.
///
/// # Errors
/// [`ReportError::Nothing`] if no run is complete; others if the store cannot be read, or a
/// complete run in it is damaged.
pub fn from_store(out: &Path) -> Result<Report, ReportError> {
    report(out, &mut Runs::new())
}

/// The same; only runs that are not `known` are read.
pub(crate) fn report(out: &Path, known: &mut Runs) -> Result<Report, ReportError> {
    let store = Store::view(out)?;
    let comparisons = compare::kept(out)?;
    let compared: Vec<String> = comparisons
        .iter()
        .flat_map(|(comparison, _)| comparison.tasks.iter().map(experiment_name))
        .collect();
    let runs = store.runs()?;
    let is_compared = |run: &RunDir| compared.contains(&run.experiment);
    // They have their own page.
    let all = read(&store, known, |run| !is_compared(run))?;
    let theory = theory::sections(out)?;
    let any_compared = runs.iter().any(|run| is_compared(run) && run.is_complete());
    if all.is_empty() && theory.is_empty() && !any_compared {
        return Err(ReportError::Nothing(out.to_owned()));
    }
    let kept = Reproduction::read(out)?;
    let scale = match kept.as_ref().map(|kept| kept.scale.as_str()) {
        Some("paper") => Scale::Paper,
        Some(_) => Scale::Quick,
        None => scale_of(&all)?,
    };
    let asked = |figure: &PaperFigure| {
        kept.as_ref().is_some_and(|kept| kept.figures.contains(&figure.name))
    };
    let mut drawn = Vec::new();
    let own = kept.iter().flat_map(|kept| kept.own.values());
    let own = own.map(|text| paper::own_figure(text, "reproduction.json"));
    let own = own.collect::<Result<Vec<&PaperFigure>, _>>()?;
    for figure in paper::all().iter().chain(own) {
        let wanted = paper::experiments(figure, scale, Some(1))?;
        let of = |variant: &'static Variant, experiment: &retrodict_lab::Experiment| {
            let hash = &experiment.hash;
            let name = &experiment.spec.name;
            let stored =
                all.iter().find(|s| s.experiment.hash == *hash && s.experiment.spec.name == *name);
            stored.map(|stored| (variant, stored))
        };
        let found: Vec<(&Variant, &Stored)> =
            wanted.iter().filter_map(|(variant, experiment)| of(variant, experiment)).collect();
        // A film is no part that a figure must have.
        let whole = wanted.iter().filter(|(variant, _)| !variant.film).count();
        let there = found.iter().filter(|(variant, _)| !variant.film).count();
        if there > 0 && (there == whole || asked(figure)) {
            drawn.push((figure, found));
        }
    }
    let mut sections = drawn
        .iter()
        .map(|(figure, found)| draw::section(&store, figure, scale, found))
        .collect::<Result<Vec<Section>, ReportError>>()?;
    sections.extend(theory);
    let used = |stored: &Stored| {
        let found = drawn.iter().flat_map(|(_, found)| found);
        found.into_iter().any(|(_, used)| std::ptr::eq(*used, stored))
    };
    let own: Vec<&Stored> = all.iter().filter(|stored| !used(stored)).collect();
    sections.extend(own::sections(&store, &own)?);
    // A stable sort: the paper's figures stay in its order.
    sections.sort_by_key(|section| section.part);
    let runs_took: f64 = all.iter().map(Stored::wall_seconds).sum();
    let seeds = all.iter().map(|stored| stored.runs.len()).max().unwrap_or(0);
    let machine = all.iter().find_map(|stored| stored.machine.as_ref()).map(machine_name);
    let word = if drawn.is_empty() && kept.is_none() { "own" } else { scale.word() };
    Ok(Report {
        title: if drawn.is_empty() { OWN_TITLE } else { TITLE }.into(),
        version: retrodict_lab::VERSION.into(),
        commit: retrodict_lab::COMMIT.unwrap_or_default().into(),
        scale: word.into(),
        seeds: kept.as_ref().map_or(seeds, |kept| kept.seeds),
        wall_seconds: kept.map_or(runs_took, |kept| kept.wall_seconds),
        machine: machine.unwrap_or_default(),
        opening: opening::opening(&store, &drawn)?,
        sections,
        tables: tables::tables(&drawn)?,
        comparisons: if any_compared {
            comparisons.into_iter().map(|(comparison, _)| comparison.title).collect()
        } else {
            Vec::new()
        },
    })
}

const TITLE: &str = "The reversal curse, redrawn";
const OWN_TITLE: &str = "retrodict: own experiments";

/// The scale of most of the paper's experiments in the store.
fn scale_of(all: &[Stored]) -> Result<Scale, ReportError> {
    let mut counts = Vec::new();
    for scale in [Scale::Quick, Scale::Paper] {
        let mut count = 0;
        for figure in paper::all() {
            let wanted = paper::experiments(figure, scale, Some(1))?;
            let there = |hash| all.iter().any(|stored| stored.experiment.hash == hash);
            count += wanted.into_iter().filter(|(_, e)| there(e.hash)).count();
        }
        counts.push(count);
    }
    Ok(if counts[1] > counts[0] { Scale::Paper } else { Scale::Quick })
}

fn machine_name(machine: &Machine) -> String {
    let cores = if machine.cores == 1 { "core" } else { "cores" };
    format!("{}, {} {cores}, {}", machine.cpu, machine.cores, machine.os)
}
