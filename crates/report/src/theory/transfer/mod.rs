//! Transfer between sentences while decoders learn, and the predictions of the linearised model.

pub(super) mod claims;
pub(super) mod words;

use std::path::Path;

use retrodict_lab::stats;
use retrodict_theory::TheoryError;
use retrodict_theory::transfer::{self as theory, KindTransfer, Made, Point, TransferResult};

use super::TheoryFigure;
use crate::figure::Figure;
use crate::paper::Scale;
use crate::{Axes, Panel, Part, ReportError, Section, Series, SeriesKind, lines};

const LABELS: &[(&str, &str)] = &[
    ("reverse", "its reverse"),
    ("first-link", "its A → B"),
    ("second-link", "its B → C"),
    ("unrelated", "an unrelated sentence"),
    ("unrelated-first-link", "an unrelated A → B"),
    ("unrelated-second-link", "an unrelated B → C"),
];
const EPOCHS: &str = "epochs trained";

pub(super) fn make(
    out: &Path,
    _scale: Scale,
    seeds: u32,
    progress: &(dyn Fn() + Sync),
) -> Result<(), TheoryError> {
    theory::reproduce(out, seeds, progress).map(|_| ())
}

pub(super) fn section(figure: &TheoryFigure, out: &Path) -> Result<Option<Section>, ReportError> {
    let all = theory::stored(out)?;
    let of = |chosen: fn(&str) -> bool| -> Vec<&Made> {
        all.iter().filter(|(case, _)| chosen(case.name)).collect()
    };
    let pairs = of(|name| name.starts_with("reversal"));
    let chains = of(|name| name.starts_with("chain"));
    let windows = of(|name| name.starts_with("window"));
    if all.is_empty() {
        return Ok(None);
    }
    let title = "What a training sentence does to a held-out one";
    Ok(Some(Section {
        part: Part::Theory,
        name: figure.name.to_owned(),
        heading: figure.title.to_owned(),
        source: "beyond the paper: the neural tangent kernel of its decoder".to_owned(),
        see: words::see(&all),
        finding: words::finding(&all),
        figures: vec![
            ratios(figure.name, title, &pairs),
            parts(&pairs),
            ratios("theory-transfer-chains", title, &chains),
            predictions(&windows),
        ],
        claims: claims::claims(&all),
        experiments: Vec::new(),
    }))
}

type Pairs = Vec<(f64, f64)>;

/// The means over seeds at each time of the first seed's series, with the edges of bands of one
/// standard deviation to either side.
fn over_seeds(results: &[TransferResult], of: impl Fn(&Point) -> Option<f64>) -> (Pairs, Pairs) {
    let times = results.iter().take(1).flat_map(|result| &result.series).enumerate();
    let at = |(index, point): (usize, &Point)| {
        let values = results.iter().filter_map(|result| of(result.series.get(index)?));
        let values: Vec<f64> = values.collect();
        let mean = stats::mean(&values)?;
        let spread = stats::std(&values).unwrap_or(0.0);
        // On a logarithmic axis the start is at the left end.
        Some(((point.epoch.max(1) as f64, mean), (mean - spread, mean + spread)))
    };
    times.filter(|(_, point)| point.epoch > 0).filter_map(at).unzip()
}

fn ratios(name: &str, title: &str, cases: &[&Made]) -> Figure {
    let axes = Axes {
        x: EPOCHS.into(),
        y: "T(s, s′)/√(T(s, s) T(s′, s′))".into(),
        x_log: true,
        y_log: false,
    };
    let panel = |(case, results): &&Made| {
        let ids = LABELS.iter().filter(|(id, _)| of_kind(results, id).is_some());
        let series = ids.map(|(id, label)| {
            let (points, bands) =
                over_seeds(results, |point| point.kind(id).map(|kind| kind.ratio));
            let kind = match id.starts_with("unrelated") {
                true => SeriesKind::Dashed,
                false => SeriesKind::Line,
            };
            Series { label: (*label).into(), points, bands, kind }
        });
        Panel { title: case.title.into(), series: series.collect() }
    };
    lines(name, title, &axes, &cases.iter().map(panel).collect::<Vec<_>>())
}

fn of_kind<'r>(results: &'r [TransferResult], id: &str) -> Option<&'r KindTransfer> {
    results.first()?.series.last()?.kind(id)
}

/// The contribution of each part of the model to the transfer to the reverse, less that to the
/// unrelated.
fn parts(cases: &[&Made]) -> Figure {
    let axes =
        Axes { x: EPOCHS.into(), y: "reverse − unrelated".into(), x_log: true, y_log: false };
    let panel = |(case, results): &&Made| {
        let names = results.iter().take(1).flat_map(|result| &result.parts).enumerate();
        let series = names.map(|(part, name)| {
            let of = |point: &Point, id| Some(*point.kind(id)?.ratio_by_part.get(part)?);
            let (points, bands) =
                over_seeds(results, |point| Some(of(point, "reverse")? - of(point, "unrelated")?));
            Series { label: name.clone(), points, bands, kind: SeriesKind::Line }
        });
        Panel { title: case.title.into(), series: series.collect() }
    };
    let title = "Where in the model the reverse is moved more than an unrelated sentence";
    let panels: Vec<Panel> = cases.iter().map(panel).collect();
    lines("theory-transfer-parts", title, &axes, &panels)
}

/// The held-out loss, and the predictions of the linearised model from several starts. One seed.
fn predictions(cases: &[&Made]) -> Figure {
    let axes = Axes {
        x: "full-batch AdamW steps".into(),
        y: "held-out NLL, nats".into(),
        x_log: false,
        y_log: false,
    };
    let panel = |(case, results): &&Made| {
        let mut series = Vec::new();
        let windows = results.iter().take(1).flat_map(|result| &result.series);
        for (point, window) in windows.filter_map(|point| Some((point, point.window.as_ref()?))) {
            let start = point.step;
            let curve = |label: &str, kind, of: fn(&theory::WindowStep) -> f64| Series {
                label: label.into(),
                points: window.steps.iter().map(|at| ((start + at.step) as f64, of(at))).collect(),
                bands: Vec::new(),
                kind,
            };
            series.push(curve("measured", SeriesKind::Line, |at| at.held_out_nll));
            series.push(curve("predicted", SeriesKind::Dashed, |at| at.held_out_predicted));
        }
        Panel { title: case.title.into(), series }
    };
    let title = "Held-out loss over the next 64 steps, predicted with frozen tangents";
    let panels: Vec<Panel> = cases.iter().map(panel).collect();
    lines("theory-transfer-windows", title, &axes, &panels)
}

fn results_of<'m>(all: &'m [Made], name: &str) -> &'m [TransferResult] {
    all.iter().find(|(case, _)| case.name == name).map_or(&[][..], |(_, results)| results)
}
