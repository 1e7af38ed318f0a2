//! The figures of `locate`: for one run in `locate/<experiment>/<spec hash>/` as
//! `seed-<n>-….{svg,png,pdf,csv}`, with all numbers in `seed-<n>.json`; for a language model in a
//! folder of its own.

use std::path::{Path, PathBuf};

use retrodict_lab::locate::{LensPoint, LocateResult, Located};
use retrodict_lab::name::check_name;
use retrodict_lab::store::StoreError;

use serde::Serialize;

use crate::figure::{BarPanel, Figure, MatrixPanel, bars, matrices, short};
use crate::summary::FigureFiles;
use crate::write::Files;
use crate::{Axes, Panel, ReportError, Series, SeriesKind, Style, lines};

const PATCHING: &str = "The share of the clean answer's margin that comes back when the residual \
    stream of the clean run is put into the corrupted run at one place and position: 0 as if \
    nothing had been put in, 1 as if it were the clean run.";
const ATTRIBUTION: &str = "The contribution of each part to the right answer's logit over the mean of the \
    other candidates', the scale of the last norm taken as it is; the bars of a panel sum to its \
    margin.";
const HEADS: &str = "The contribution of each head to the right answer's logit over the mean of \
    the other candidates', the scale of the last norm taken as it is. Biases of output maps belong \
    to no head.";

/// Draws the results into `out`. Returns the folder.
///
/// # Errors
/// [`ReportError`] if a part cannot be drawn or written.
pub fn write_locate(out: &Path, result: &LocateResult) -> Result<PathBuf, ReportError> {
    check_name(&result.experiment).map_err(StoreError::from)?;
    let folder = out.join("locate").join(&result.experiment).join(&result.hash);
    let seed = result.seed;
    let title = format!("{}, seed {seed}", result.experiment);
    write_figures(&folder, &format!("seed-{seed}-"), &title, &result.located)?;
    write_json(&folder, &format!("seed-{seed}.json"), result)?;
    Ok(folder)
}

/// Draws measurements in a language model into `folder`: `….{svg,png,pdf,csv}`, and all numbers in
/// `locate.json`.
///
/// # Errors
/// As [`write_locate`].
pub fn write_model_locate(
    folder: &Path,
    model: &str,
    located: &Located,
) -> Result<(), ReportError> {
    write_figures(folder, "", model, located)?;
    write_json(folder, "locate.json", located)
}

fn write_figures(
    folder: &Path,
    before: &str,
    title: &str,
    located: &Located,
) -> Result<(), ReportError> {
    let files = Files { dir: folder, style: &Style::default() };
    for figure in figures(located, before, title) {
        let names = FigureFiles::in_folder("", &figure.name, &figure.title);
        files.figure(&figure, &names)?;
    }
    Ok(())
}

fn write_json(folder: &Path, name: &str, result: &impl Serialize) -> Result<(), ReportError> {
    let mut text = serde_json::to_vec_pretty(result)?;
    text.push(b'\n');
    Files { dir: folder, style: &Style::default() }.put(name, &text)?;
    Ok(())
}

fn figures(result: &Located, before: &str, title: &str) -> Vec<Figure> {
    let name = |what: &str| format!("{before}{what}");
    let mut all = vec![
        lens(result, &name("lens-nll"), title, "NLL of the right answer, nats", |point| {
            Some(point.nll)
        }),
        lens(
            result,
            &name("lens-rank"),
            title,
            "rank among candidates, 0 first, 1 last",
            |point| point.relative_rank,
        ),
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
        all.push(matrices(&name("patching"), title, PATCHING, "recovered", 1.0, &panels));
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
        let title = "Contributions of parts to the margin";
        all.push(bars(&name("attribution"), title, ATTRIBUTION, &result.parts, &panels));
    }
    let by_head = result.attribution.iter().filter(|group| !group.heads.is_empty());
    let panels: Vec<MatrixPanel> = by_head
        .map(|group| {
            let count = group.heads.iter().map(Vec::len).max().unwrap_or(0);
            MatrixPanel {
                title: format!("{}, heads 1 to {count}", group.name),
                note: format!("margin {}", short(group.margin)),
                rows: (1..=group.heads.len()).map(|block| format!("block {block}")).collect(),
                columns: (1..=count).map(|head| head.to_string()).collect(),
                values: group
                    .heads
                    .iter()
                    .map(|of| of.iter().copied().map(Some).collect())
                    .collect(),
            }
        })
        .collect();
    if !panels.is_empty() {
        let title = "Contributions of heads to the margin";
        let values = panels.iter().flat_map(|panel| panel.values.iter().flatten().flatten());
        let largest = values.map(|value| value.abs()).fold(0.0, f64::max);
        let limit = if largest > 0.0 { largest } else { 1.0 };
        all.push(matrices(&name("attribution-heads"), title, HEADS, "logit", limit, &panels));
    }
    all
}

fn lens(
    result: &Located,
    name: &str,
    title: &str,
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
    let panel = Panel { title: title.to_owned(), series: series.collect() };
    lines(name, "Logit lens: what the head would read behind each block", &axes, &[panel])
}
