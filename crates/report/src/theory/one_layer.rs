//! Theorems 3 and 4, and what changes where an assumption is broken.

use std::path::Path;

use retrodict_facts::{Role, Step};
use retrodict_theory::TheoryError;
use retrodict_theory::one_layer::{self as theory, Case, Data, HalfTime, OneLayerResult, Point};

use super::{TheoryFigure, claims};
use crate::figure::Figure;
use crate::paper::Scale;
use crate::{Axes, Panel, Part, ReportError, Section, Series, SeriesKind, lines, text};

pub(super) fn make(
    out: &Path,
    _scale: Scale,
    _seeds: u32,
    progress: &(dyn Fn() + Sync),
) -> Result<(), TheoryError> {
    theory::reproduce(out)?;
    progress();
    Ok(())
}

pub(super) fn section(figure: &TheoryFigure, out: &Path) -> Result<Option<Section>, ReportError> {
    let study = theory::stored(out)?;
    let all = &study.cases;
    if all.is_empty() {
        return Ok(None);
    }
    Ok(Some(Section {
        part: Part::Theory,
        name: figure.name.to_owned(),
        heading: figure.title.to_owned(),
        source: "paper, section 4".to_owned(),
        see: format!(
            "The first two panels are the theorems as they stand: what is left to learn of the \
             training sentences falls at least as fast as 1/t{}. The others break an assumption \
             each. The time at which half is learned follows the line that was predicted. \
             `retrodict theory one-layer --json` gives one of them.",
            if held_out_at_chance(all) { ", what was held out stays at 1/M or below" } else { "" }
        ),
        finding: finding(all),
        figures: vec![probabilities(figure, all), weights(all), time_scale(&study.half_times)],
        claims: claims("one_layer", &study.theorems(), |theorem| match theorem.id.as_str() {
            id if id.starts_with("chain") => "paper, theorem 4",
            _ => "paper, theorem 3",
        }),
        experiments: Vec::new(),
    }))
}

/// Whether no held-out sentence of the theorems' own cases ever has more than 1/M.
fn held_out_at_chance(all: &[(Case, OneLayerResult)]) -> bool {
    /// For rounding.
    const CHANCE: f64 = 1.0 + 1e-9;
    all.iter().filter(|(case, _)| ["reversal", "chain"].contains(&case.name)).all(|(_, result)| {
        let held_out = result.series.iter().filter_map(|point| point.held_out_probability_max);
        held_out.map(|p| p * result.vocab as f64).all(|over_chance| over_chance <= CHANCE)
    })
}

/// The effects of broken assumptions, in the words of the simulations, a line each.
fn finding(all: &[(Case, OneLayerResult)]) -> String {
    let changes = all.iter().flat_map(|(case, result)| {
        result.changes.iter().map(|change| format!("{}: {change}.", text::capital(case.title)))
    });
    changes.collect::<Vec<_>>().join("\n")
}

fn series(
    label: &str,
    kind: SeriesKind,
    result: &OneLayerResult,
    of: impl Fn(&Point) -> Option<f64>,
) -> Series {
    let points = result.series.iter().filter(|point| point.own_time > 0.0);
    let points = points.filter_map(|point| Some((point.own_time, of(point)?))).collect();
    Series { label: label.into(), points, bands: Vec::new(), kind }
}

fn probabilities(figure: &TheoryFigure, all: &[(Case, OneLayerResult)]) -> Figure {
    let axes = Axes {
        x: "η t / N, updates of a sentence times learning rate".into(),
        y: "probability".into(),
        x_log: true,
        y_log: true,
    };
    let panel = |(case, result): &(Case, OneLayerResult)| {
        let chance = 1.0 / result.vocab as f64;
        let (line, dashed) = (SeriesKind::Line, SeriesKind::Dashed);
        Panel {
            title: case.title.into(),
            series: vec![
                series("1 − p of learned sentences, mean", line, result, |point| {
                    point.judged_complement_mean
                }),
                series("largest p of held-out sentences", line, result, |point| {
                    point.held_out_probability_max
                }),
                series("1/M", dashed, result, |_| Some(chance)),
            ],
        }
    };
    let panels: Vec<Panel> = all.iter().map(panel).collect();
    lines(figure.name, "Learned and held-out probabilities", &axes, &panels)
}

fn weights(all: &[(Case, OneLayerResult)]) -> Figure {
    let axes = Axes {
        x: "η t / N, updates of a sentence times learning rate".into(),
        y: "margin of effective weights".into(),
        x_log: true,
        y_log: false,
    };
    let panel = |(case, result): &(Case, OneLayerResult)| {
        let link = |step| Role::Chain { whole: false, step };
        let groups: &[(Role, &str)] = match result.config.data {
            Data::Reversal => {
                &[(Role::Seen, "trained direction"), (Role::Unseen, "held-out direction")]
            }
            Data::Chain => &[
                (link(Step::First), "A → B"),
                (link(Step::Second), "B → C"),
                (link(Step::Indirect), "A ⇝ C, held out"),
            ],
        };
        let of_group = |&(role, label): &(Role, &str)| {
            let kind = if role.is_held_out() { SeriesKind::Line } else { SeriesKind::Dashed };
            series(label, kind, result, |point| point.margins.get(role.id()).copied())
        };
        Panel { title: case.title.into(), series: groups.iter().map(of_group).collect() }
    };
    // With so few held out that none has a rival of its type, there is no margin.
    let has_margins = |panel: &Panel| panel.series.iter().any(|series| !series.points.is_empty());
    let panels: Vec<Panel> = all.iter().map(panel).filter(has_margins).collect();
    let title = "Margins of the effective weights over time";
    lines("theory-one-layer-weights", title, &axes, &panels)
}

/// When half is learned, over the vocabulary, beside the prediction.
fn time_scale(half_times: &[HalfTime]) -> Figure {
    let axes = Axes {
        x: "vocabulary M".into(),
        y: "η t / N at which the mean p is ½".into(),
        x_log: true,
        y_log: false,
    };
    let dots = |label: &str, of: Data| {
        let of = half_times.iter().filter(|half| half.config.data == of);
        let points = of.filter_map(|half| Some((half.vocab as f64, half.measured?))).collect();
        Series { label: label.into(), points, bands: Vec::new(), kind: SeriesKind::Dots }
    };
    let mut predicted: Vec<(f64, f64)> =
        half_times.iter().map(|half| (half.vocab as f64, half.predicted)).collect();
    predicted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let predicted = Series {
        label: "predicted, ln M + 1 for large M".into(),
        points: predicted,
        bands: Vec::new(),
        kind: SeriesKind::Dashed,
    };
    let series = vec![
        dots("training sentences, all N and η", Data::Reversal),
        dots("links of held-out chains", Data::Chain),
        predicted,
    ];
    let panel = Panel { title: "SGD from zero weights".into(), series };
    lines("theory-one-layer-time", "The time scale of theorems 3 and 4", &axes, &[panel])
}
