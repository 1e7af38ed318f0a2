//! The figures of `locate` for one run, in `locate/<experiment>/<spec hash>/`:
//! `seed-<n>-….{svg,png,pdf,csv}`, and all numbers in `seed-<n>.json`.

use std::path::{Path, PathBuf};

use retrodict_lab::locate::{LensPoint, LocateResult};
use retrodict_lab::name::check_name;
use retrodict_lab::store::StoreError;

use crate::figure::{BarPanel, Figure, MatrixPanel, bars, matrices, short};
use crate::summary::FigureFiles;
use crate::write::Files;
use crate::{Axes, Panel, ReportError, Series, SeriesKind, Style, lines};

const PATCHING: &str = "The share of the clean answer's margin that comes back when the residual \
    stream of the clean run is put into the corrupted run at one place and position: 0 as if \
    nothing had been put in, 1 as if it were the clean run.";
const ATTRIBUTION: &str = "What each part adds to the right answer's logit over the mean of the \
    other candidates', the scale of the last norm taken as it is; the bars of a panel sum to its \
    margin.";

/// Draws the results into `out`. Returns the folder.
///
/// # Errors
/// [`ReportError`] if a part cannot be drawn or written.
pub fn write_locate(out: &Path, result: &LocateResult) -> Result<PathBuf, ReportError> {
    check_name(&result.experiment).map_err(StoreError::from)?;
    let folder = out.join("locate").join(&result.experiment).join(&result.hash);
    let files = Files { dir: &folder, style: &Style::default() };
    for figure in figures(result) {
        let names = FigureFiles::in_folder("", &figure.name, &figure.title);
        files.figure(&figure, &names)?;
    }
    let mut text = serde_json::to_vec_pretty(result)?;
    text.push(b'\n');
    files.put(&format!("seed-{}.json", result.seed), &text)?;
    Ok(folder)
}

fn figures(result: &LocateResult) -> Vec<Figure> {
    let name = |what: &str| format!("seed-{}-{what}", result.seed);
    let mut all = vec![
        lens(result, &name("lens-nll"), "NLL of the right answer, nats", |point| Some(point.nll)),
        lens(result, &name("lens-rank"), "rank among candidates, 0 first, 1 last", |point| {
            point.relative_rank
        }),
    ];
    if !result.patching.is_empty() {
        let panels: Vec<MatrixPanel> = result
            .patching
            .iter()
            .map(|patching| MatrixPanel {
                title: patching.title.clone(),
                note: format!(
                    "margin {} clean, {} corrupted",
                    short(patching.clean_margin),
                    short(patching.corrupted_margin)
                ),
                rows: result.places.clone(),
                columns: patching.positions.clone(),
                values: patching.recovered.clone(),
            })
            .collect();
        let title = "Activation patching";
        all.push(matrices(&name("patching"), title, PATCHING, "recovered", &panels));
    }
    if !result.attribution.is_empty() {
        let panels: Vec<BarPanel> = result
            .attribution
            .iter()
            .map(|group| BarPanel {
                title: group.name.clone(),
                note: format!("margin {}", short(group.margin)),
                values: group.parts.clone(),
            })
            .collect();
        let title = "What each part adds to the margin";
        all.push(bars(&name("attribution"), title, ATTRIBUTION, &result.parts, &panels));
    }
    all
}

fn lens(
    result: &LocateResult,
    name: &str,
    quantity: &str,
    of: fn(&LensPoint) -> Option<f64>,
) -> Figure {
    let axes = Axes { x: "blocks passed".into(), y: quantity.into(), x_log: false, y_log: false };
    let series = result.lens.iter().map(|group| Series {
        label: group.name.clone(),
        points: group
            .places
            .iter()
            .enumerate()
            .map(|(at, point)| (at as f64, of(point).unwrap_or(f64::NAN)))
            .collect(),
        bands: Vec::new(),
        kind: if group.id.starts_with("held_out") { SeriesKind::Dashed } else { SeriesKind::Line },
    });
    let title = format!("{}, seed {}", result.experiment, result.seed);
    let panel = Panel { title, series: series.collect() };
    lines(name, "Logit lens: what the head would read behind each block", &axes, &[panel])
}
