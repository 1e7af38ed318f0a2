//! Theorems 3 and 4, and what changes where an assumption is broken.

use std::path::Path;

use retrodict_facts::{Role, Step};
use retrodict_theory::TheoryError;
use retrodict_theory::one_layer::{self as theory, Case, Data, OneLayerResult, Point};

use super::{TheoryFigure, claim};
use crate::figure::Figure;
use crate::summary::{Claim, Comparator};
use crate::{Axes, Panel, ReportError, Section, Series, SeriesKind, lines};

pub(super) fn make(
    out: &Path,
    _draws: u32,
    progress: &(dyn Fn() + Sync),
) -> Result<(), TheoryError> {
    theory::reproduce(out)?;
    progress();
    Ok(())
}

pub(super) fn section(figure: &TheoryFigure, out: &Path) -> Result<Option<Section>, ReportError> {
    let all = theory::stored(out)?;
    if all.is_empty() {
        return Ok(None);
    }
    Ok(Some(Section {
        name: figure.name.to_owned(),
        heading: figure.title.to_owned(),
        source: "paper, section 4".to_owned(),
        see: "The first two panels are the theorems as they stand: what is left to learn of the \
              training sentences falls like 1/t, what was held out stays on the line 1/M. The \
              others break an assumption each. `retrodict theory one-layer --json` gives one of \
              them."
            .to_owned(),
        finding: finding(&all),
        figures: vec![probabilities(figure, &all), weights(&all)],
        claims: claims(&all),
        experiments: Vec::new(),
    }))
}

/// The effects of broken assumptions, in the words of the simulations.
fn finding(all: &[(Case, OneLayerResult)]) -> String {
    let mut text = String::new();
    for (case, result) in all {
        for change in &result.changes {
            text += &format!("{}: {change}. ", case.title);
        }
    }
    text.trim_end().to_owned()
}

fn series(
    label: &str,
    kind: SeriesKind,
    result: &OneLayerResult,
    of: impl Fn(&Point) -> Option<f64>,
) -> Series {
    let points = result.series.iter().filter(|point| point.own_time > 0.0);
    let points = points.filter_map(|point| Some((point.own_time, of(point)?))).collect();
    Series { label: label.into(), points, spread: Vec::new(), kind }
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
    let title = "Asymmetry and intransitivity of effective weights arise";
    lines("theory-one-layer-weights", title, &axes, &panels)
}

/// The theorems without changes: the first case of pairs and of chains.
fn claims(all: &[(Case, OneLayerResult)]) -> Vec<Claim> {
    let mut claims = Vec::new();
    for (case, result) in all.iter().filter(|(case, _)| ["reversal", "chain"].contains(&case.name))
    {
        for theorem in &result.theorems {
            let number = if result.config.data == Data::Reversal { 3 } else { 4 };
            let what = match theorem.id.rsplit_once('-').map_or("", |(_, last)| last) {
                "trained" => "bound",
                "rate" => "rate",
                _ => "held_out",
            };
            let (id, source) =
                (format!("one_layer.{}_{what}", case.name), format!("paper, theorem {number}"));
            // Rounding in the last digits is not a failure; the simulation's verdict allows for it.
            let slack = if theorem.holds == Some(true) { 1e-6 } else { 0.0 };
            let measured = theorem.measured.unwrap_or(f64::NAN);
            let (values, bound) = (vec![measured], theorem.bound + slack * theorem.bound.abs());
            claims.push(claim(&id, &theorem.claim, &source, values, Comparator::AtMost, bound));
        }
    }
    claims
}
