//! Comparisons on disk, from the store alone; every file appears whole or not at all.

use std::path::{Path, PathBuf};

use retrodict_lab::store::Store;

use super::file::Response;
use super::judge::judge;
use super::kept::{Asked, FOLDER};
use super::result::{ComparisonResult, TaskResult, json};
use super::{Comparison, Measured, columns, experiment_name, kept, page, plan, row};
use crate::figure::{
    Answered, Axes, Dot, Figure, Panel, Series, SeriesKind, forward_reverse, lines,
};
use crate::stored::{self, Stored};
use crate::summary::FigureFiles;
use crate::write::Files;
use crate::{ReportError, Style};

/// The files that were written.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The page.
    pub page: PathBuf,
    /// The results of each comparison.
    pub results: Vec<ComparisonResult>,
}

/// Draws all comparisons kept in the store `out` into `to`: `compare/<name>.csv`, the figures below
/// `compare/figures/`, `compare/summary.json` and last `compare/index.html`. `None` if none is
/// kept, or none of their runs is complete.
///
/// # Errors
/// [`ReportError`] if a comparison or the store cannot be read, or a part cannot be written.
pub fn write_comparisons(
    out: &Path,
    to: &Path,
    style: &Style,
) -> Result<Option<Compared>, ReportError> {
    let kept = kept(out)?;
    if kept.is_empty() {
        return Ok(None);
    }
    let store = Store::view(out)?;
    let of_tasks: Vec<String> = kept
        .iter()
        .flat_map(|(comparison, _)| comparison.tasks.iter().map(experiment_name))
        .collect();
    let all =
        stored::read(&store, &mut stored::Runs::new(), |run| of_tasks.contains(&run.experiment))?;
    let results = kept
        .iter()
        .map(|(comparison, asked)| result(comparison, asked, &all))
        .collect::<Result<Vec<_>, _>>()?;
    let mut results: Vec<ComparisonResult> =
        results.into_iter().filter(|result| !result.tasks.is_empty()).collect();
    judge(&mut results);
    if results.is_empty() {
        return Ok(None);
    }
    let folder = to.join(FOLDER);
    let files = Files { dir: &folder, style };
    let mut figures = Vec::new();
    for result in &results {
        files.put(&format!("{}.csv", result.name), &columns::table(result).to_csv()?)?;
        for task in &result.tasks {
            let figure = picture(result, task);
            let names = FigureFiles::in_folder("figures/", &figure.name, &figure.title);
            files.figure(&figure, &names)?;
            figures.push(figure);
        }
    }
    let every: Vec<&ComparisonResult> = results.iter().collect();
    let mut summary = serde_json::to_vec_pretty(&json(&every))?;
    summary.push(b'\n');
    files.put("summary.json", &summary)?;
    let page = files.put(
        "index.html",
        page::html(&results, &figures, to.join("index.html").is_file())?.as_bytes(),
    )?;
    Ok(Some(Compared { page, results }))
}

/// The tasks that were asked for and have a complete run.
fn result(
    comparison: &Comparison,
    asked: &Asked,
    all: &[Stored],
) -> Result<ComparisonResult, ReportError> {
    let mut tasks = Vec::new();
    for task in comparison.tasks.iter().filter(|task| asked.tasks.contains(&task.id)) {
        let planned = plan(comparison, task, &asked.seeds)?;
        let found: Vec<Option<Stored>> = planned
            .iter()
            .map(|planned| {
                let same = |stored: &&Stored| {
                    stored.experiment.hash == planned.experiment.hash
                        && stored.experiment.spec.name == planned.experiment.spec.name
                };
                Some(all.iter().find(same)?.of_seeds(&asked.seeds))
            })
            .collect();
        if found.iter().flatten().all(|stored| stored.runs.is_empty()) {
            continue;
        }
        tasks.push(TaskResult {
            id: task.id.clone(),
            title: task.title.clone(),
            claim: task.claim.clone(),
            response: task.response.clone(),
            rows: row::rows(&planned, &found, asked.seeds.len())?,
        });
    }
    Ok(ComparisonResult {
        name: comparison.name.clone(),
        title: comparison.title.clone(),
        seeds: asked.seeds.clone(),
        tasks,
    })
}

/// The stem of the files of a task's figure. Different tasks have different ones: a dash in the
/// comparison's name could also be the one that ends it, and no name has a dot.
fn figure_name(comparison: &str, task: &str) -> String {
    let between = if comparison.contains('-') { '.' } else { '-' };
    format!("{comparison}{between}{task}")
}

/// Forward against reverse accuracy, or reverse accuracy over a number.
fn picture(result: &ComparisonResult, task: &TaskResult) -> Figure {
    let name = figure_name(&result.name, &task.id);
    if let Some(response) = &task.response {
        return over_a_number(&name, task, response);
    }
    let of = |measured: &Measured| Answered {
        mean: measured.mean,
        interval: measured.low.zip(measured.high),
    };
    let dots: Vec<Dot> = task
        .rows
        .iter()
        .map(|row| Dot {
            number: row.rank,
            label: row.name.clone(),
            family: row.family,
            reverse: of(row.reverse_accuracy()),
            forward: of(row.forward_accuracy()),
        })
        .collect();
    forward_reverse(&name, &task.title, &dots)
}

/// A line for each series of rows, its band the intervals.
fn over_a_number(name: &str, task: &TaskResult, response: &Response) -> Figure {
    let mut rows: Vec<_> = task
        .rows
        .iter()
        .filter_map(|row| Some((row, row.dose?, row.reverse_accuracy().mean?)))
        .collect();
    rows.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut lines_of: Vec<Series> = Vec::new();
    for (row, dose, accuracy) in rows {
        let own = row.intervention.as_ref().and_then(|intervention| intervention.series.as_ref());
        let label = own.unwrap_or(&response.series);
        let at = lines_of.iter().position(|series| series.label == *label).unwrap_or_else(|| {
            lines_of.push(Series {
                label: label.clone(),
                points: Vec::new(),
                bands: Vec::new(),
                kind: SeriesKind::Line,
            });
            lines_of.len() - 1
        });
        let Measured { low, high, .. } = row.reverse_accuracy();
        lines_of[at].points.push((dose, accuracy));
        lines_of[at].bands.push(low.zip(*high).unwrap_or((accuracy, accuracy)));
    }
    let axes = Axes {
        x: response.axis.clone(),
        y: "reverse accuracy, 95 % interval".into(),
        x_log: false,
        y_log: false,
    };
    let panel = Panel { title: "Mean over seeds".into(), series: lines_of };
    lines(name, &task.title, &axes, &[panel])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tasks_never_share_the_files_of_a_figure() {
        let pairs = [("a", "b-c"), ("a-b", "c"), ("a-b-c", "d"), ("a-b", "c-d")];
        let names: std::collections::HashSet<_> =
            pairs.iter().map(|(comparison, task)| figure_name(comparison, task)).collect();
        assert_eq!(names.len(), pairs.len(), "{names:?}");
        assert_eq!(figure_name("reversal", "pairs-free"), "reversal-pairs-free");
    }
}
