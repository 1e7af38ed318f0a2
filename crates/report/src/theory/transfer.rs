//! Transfer between sentences while decoders learn, and the predictions of the linearised model.

use std::path::Path;

use retrodict_lab::stats;
use retrodict_theory::TheoryError;
use retrodict_theory::transfer::{self as theory, KindTransfer, Made, Point, TransferResult};

use super::TheoryFigure;
use crate::figure::Figure;
use crate::paper::Scale;
use crate::summary::{Claim, Comparator};
use crate::{Axes, Panel, Part, ReportError, Section, Series, SeriesKind, lines};

const SOURCE: &str = "docs/theory/transfer.md";
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
        see:
            "Pairs: with a free head the two curves stay together, so that learning A → B does to \
              B ← A what it does to any sentence; with a tied head the reverse rises above the \
              unrelated while the model learns. Chains: B → C moves A ⇝ C early, by teaching which \
              tokens are ends of chains, and not when it is learned itself. Windows: dashed lines \
              start on the measured one and follow it for longer the later they start. `retrodict \
              theory transfer` measures any spec."
                .to_owned(),
        finding: finding(&all),
        figures: vec![
            ratios(figure.name, title, &pairs),
            parts(&pairs),
            ratios("theory-transfer-chains", title, &chains),
            predictions(&windows),
        ],
        claims: claims(&all),
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

/// The length of valid windows, over depth and over training.
fn finding(all: &[Made]) -> String {
    let mut text = String::new();
    for (case, results) in all {
        let times = results.iter().take(1).flat_map(|result| &result.series).enumerate();
        let windows: Vec<String> = times
            .filter_map(|(index, point)| {
                let of_seed = |result: &TransferResult| {
                    let window = result.series.get(index)?.window.as_ref()?;
                    Some(window.holds_for as f64)
                };
                let held: Vec<f64> = results.iter().filter_map(of_seed).collect();
                let most = point.window.as_ref()?.steps.len() - 1;
                let mean = stats::mean(&held)?;
                Some(format!("{mean:.0} of {most} steps from step {}", point.step))
            })
            .collect();
        if !windows.is_empty() {
            text += &format!(
                "{}: predicted within {:.0} % for {}. ",
                case.title,
                100.0 * theory::WINDOW_HOLDS,
                windows.join(", ")
            );
        }
    }
    text.trim_end().to_owned()
}

fn claims(all: &[Made]) -> Vec<Claim> {
    let results = |name: &str| -> &[TransferResult] {
        all.iter().find(|(case, _)| case.name == name).map_or(&[][..], |(_, results)| results)
    };
    // The largest excess over training, after the start.
    let largest = |name: &str, id: &str, of: fn(theory::Excess) -> f64| -> Vec<f64> {
        let of_seed = |result: &TransferResult| {
            let points = result.series.iter().filter(|point| point.epoch > 0);
            let values = points.filter_map(|point| Some(of(point.kind(id)?.excess?)));
            values.reduce(f64::max)
        };
        results(name).iter().filter_map(of_seed).collect()
    };
    let last = |name: &str, id: &str, of: fn(theory::Excess) -> f64| -> Vec<f64> {
        let of_seed = |result: &TransferResult| Some(of(result.series.last()?.kind(id)?.excess?));
        results(name).iter().filter_map(of_seed).collect()
    };
    let last_window = |name: &str, of: fn(&theory::Window) -> f64| -> Vec<f64> {
        let of_seed = |result: &TransferResult| Some(of(result.series.last()?.window.as_ref()?));
        results(name).iter().filter_map(of_seed).collect()
    };
    let (most, least) = (Comparator::AtMost, Comparator::AtLeast);
    let mut claims = Vec::new();
    let mut add = |id: &str, text: &str, refuted_by, values: Vec<f64>, comparator, threshold| {
        if !values.is_empty() {
            let id = format!("theory.transfer.{id}");
            let claim = Claim::measured(&id, text, SOURCE, values, comparator, threshold);
            claims.push(claim.refuted_by(refuted_by));
        }
    };
    let difference = |excess: theory::Excess| excess.difference;
    for (name, what) in [("reversal", "1 layer"), ("reversal-4", "4 layers")] {
        let text = format!(
            "free head, {what}: the transfer ratio to the reverse, minus that to unrelated \
             sentences, at its largest over training"
        );
        let id = format!("reverse_excess_{}", if name == "reversal" { 1 } else { 4 });
        let refuted_by = "a step on A → B that moves B ← A more than it moves other sentences";
        add(&id, &text, refuted_by, largest(name, "reverse", difference), most, 0.05);
    }
    add(
        "tied_reverse_above",
        "tied head: how often the reverse is moved more than an unrelated sentence, at its largest",
        "a tied head that moves the reverse no more often than another sentence",
        largest("reversal-tied", "reverse", |excess| excess.above),
        least,
        0.9,
    );
    for (id, text, kind) in [
        ("first_link_excess", "A → B", "first-link"),
        ("second_link_excess", "B → C", "second-link"),
    ] {
        let text = format!(
            "chains at the end of training: the transfer ratio of {text} to A ⇝ C, minus that of \
             unrelated links"
        );
        let refuted_by = "a learned link that moves A ⇝ C more than links of other chains do";
        add(id, &text, refuted_by, last("chain", kind, difference), most, 0.05);
    }
    for depth in ["1", "4"] {
        let name = format!("window-{depth}");
        let off = |window: &theory::Window| (window.slope / window.measured_slope - 1.0).abs();
        let text = format!(
            "depth {depth}, after 300 steps: relative error of the slope of the held-out NLL that \
             the kernel predicts"
        );
        let refuted_by =
            "a held-out loss that moves otherwise than along the gradients of training";
        add(&format!("slope_{depth}"), &text, refuted_by, last_window(&name, off), most, 0.05);
        let text =
            format!("depth {depth}, after 300 steps: steps for which the linearised model holds");
        let held = last_window(&name, |window| window.holds_for as f64);
        let refuted_by = "tangents that change within five steps, so that nothing can be predicted";
        add(&format!("window_{depth}"), &text, refuted_by, held, least, 5.0);
    }
    claims
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Each claim, on results of another model or of another time of training.
    pub(in super::super) fn claims_fail_on_broken_input(all: &[Made]) {
        let results = |name: &str| {
            all.iter()
                .find(|(case, _)| case.name == name)
                .map(|(_, results)| results.clone())
                .unwrap()
        };
        let with = |name: &str, broken: &[TransferResult]| -> Vec<Made> {
            let mut all = all.to_vec();
            let made = all.iter_mut().find(|(case, _)| case.name == name).unwrap();
            made.1 = broken.to_vec();
            all
        };
        #[track_caller]
        fn fails(all: &[Made], id: &str) {
            let claim = claims(all).into_iter().find(|claim| claim.id.ends_with(id)).unwrap();
            assert!(!claim.holds, "{claim:?}");
        }
        // A tied head in place of a free one, and the other way round.
        for (name, id) in [("reversal", "reverse_excess_1"), ("reversal-4", "reverse_excess_4")] {
            fails(&with(name, &results("reversal-tied")), id);
        }
        fails(&with("reversal-tied", &results("reversal")), "tied_reverse_above");
        // Training that ends after two epochs, and with the links exchanged.
        let mut early = results("chain");
        for result in &mut early {
            result.series.retain(|point| point.epoch <= 2);
        }
        fails(&with("chain", &early), "second_link_excess");
        for point in early.iter_mut().flat_map(|result| &mut result.series) {
            for kind in &mut point.kinds {
                kind.id = match kind.id.as_str() {
                    "first-link" => "second-link".to_owned(),
                    "second-link" => "first-link".to_owned(),
                    _ => continue,
                };
            }
        }
        fails(&with("chain", &early), "first_link_excess");
        // Windows that begin at the first step.
        for depth in ["1", "4"] {
            let name = format!("window-{depth}");
            let mut first = results(&name);
            for result in &mut first {
                result.series.truncate(1);
            }
            let broken = with(&name, &first);
            fails(&broken, &format!("slope_{depth}"));
            fails(&broken, &format!("window_{depth}"));
        }
    }
}
