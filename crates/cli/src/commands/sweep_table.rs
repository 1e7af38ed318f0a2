//! The results of a sweep as a table.

use retrodict_lab::store::Status;
use retrodict_lab::sweep::Sweep;
use retrodict_lab::{Cell, RunResult, stats};

use super::run::{brief, values};
use crate::table::{table, wrap};

/// One row for each point: the swept keys, means over its complete runs, and how many they are.
pub(super) fn sweep_table(sweep: &Sweep, results: &[Vec<RunResult>]) -> String {
    let shown = brief(|measure| {
        let mut points = sweep.points.iter().zip(results);
        points.any(|(point, runs)| !values(&point.experiment, runs, measure).is_empty())
    });
    let mut rows = vec![sweep.keys.clone()];
    rows[0].extend(shown.iter().map(|(_, heading)| (*heading).to_owned()));
    rows[0].extend(["complete".to_owned(), "hash".to_owned()]);
    for (point, runs) in sweep.points.iter().zip(results) {
        let mut row: Vec<String> = point.swept.iter().map(shown_cell).collect();
        let mean = |measure| stats::mean(&values(&point.experiment, runs, measure));
        row.extend(shown.iter().map(|(measure, _)| measure.format(mean(measure))));
        let complete = runs.iter().filter(|run| run.status == Status::Complete).count();
        row.extend([format!("{complete}/{}", runs.len()), point.experiment.hash.to_string()]);
        rows.push(row);
    }
    let name = sweep.points.first().map_or("", |point| &point.experiment.spec.name);
    let heading =
        format!("{name}: {}, means over seeds, NLL in nats of the last entity\n", size(sweep));
    wrap(&heading) + &table(&rows, sweep.keys.len(), &[])
}

/// The number of settings, seeds and left-out settings, in words.
pub(super) fn size(sweep: &Sweep) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let seeds = sweep.points.first().map_or(0, |point| point.experiment.spec.seeds.len());
    let repeated = match sweep.repeated {
        0 => String::new(),
        n => format!(" ({n} more equal to one of these)"),
    };
    format!("{}{repeated} × {}", count(sweep.points.len(), "setting"), count(seeds, "seed"))
}

/// A value of a swept key.
pub(super) fn shown_cell(cell: &Cell) -> String {
    match cell {
        Cell::Missing => "–".to_owned(),
        cell => cell.to_string(),
    }
}
