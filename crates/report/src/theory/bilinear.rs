//! Theorems 1 and 2, drawn over dimensions and draws.

use std::path::Path;

use retrodict_theory::TheoryError;
use retrodict_theory::bilinear::{
    self as theory, BilinearResult, Draw, Example, LEVELS, Point, Study, Sweep,
};

use super::{TheoryFigure, claim};
use crate::figure::Figure;
use crate::summary::{Claim, Comparator};
use crate::{Axes, Panel, ReportError, Section, Series, SeriesKind, lines};

const THEOREM_1: &str = "paper, theorem 1";
const THEOREM_2: &str = "paper, theorem 2";

pub(super) fn make(
    out: &Path,
    draws: u32,
    progress: &(dyn Fn() + Sync),
) -> Result<(), TheoryError> {
    theory::reproduce(out, &theory::sweep_config(draws), progress).map(|_| ())
}

pub(super) fn section(figure: &TheoryFigure, out: &Path) -> Result<Option<Section>, ReportError> {
    let Some(Study { sweep, examples }) = theory::stored(out)? else { return Ok(None) };
    Ok(Some(Section {
        name: figure.name.to_owned(),
        heading: figure.title.to_owned(),
        source: "paper, section 3".to_owned(),
        see: format!(
            "Training goes to the left: no draw crosses the dashed line of theorem 1 with ε = {}, \
             and the curves flatten as d grows. `retrodict theory bilinear --dim 1000 --json` gives \
             one of them.",
            sweep.config.base.epsilon
        ),
        finding: finding(&sweep),
        figures: vec![
            separation(figure, &sweep),
            epsilons(&sweep),
            law(&sweep),
            at_levels(&sweep),
            margins(&examples),
        ],
        claims: claims(&sweep, &examples),
        experiments: Vec::new(),
    }))
}

fn finding(sweep: &Sweep) -> String {
    let m = sweep.config.base.entities;
    let of = |dim: usize| sweep.spread.iter().find(|spread| spread.dim == dim);
    let mut text = format!(
        "m = {m}, {} draws in each dimension, gradient flow to t = {:.0e}.",
        sweep.config.draws, sweep.config.base.t_max
    );
    if let Some(law) = sweep.rms_exponent {
        text += &format!(
            " The root mean square of the smallest ε that works falls as d^({:.2} ± {:.2}).",
            law.0, law.1
        );
    }
    for dim in [sweep.config.dims.first(), sweep.config.dims.last()].into_iter().flatten() {
        if let Some(spread) = of(*dim) {
            text += &format!(
                " At d = {dim} it is {:.1e} ± {:.1e}, at most {:.1e}, and negative in {:.0} % of \
                 the draws.",
                spread.mean,
                spread.std,
                spread.max,
                100.0 * spread.negative
            );
        }
    }
    text
}

fn named(dim: usize) -> String {
    format!("d = {dim}")
}

/// Reversal loss against training loss, both relative to their start.
fn separation(figure: &TheoryFigure, sweep: &Sweep) -> Figure {
    let axes = Axes {
        x: "ln of training loss over its start".into(),
        y: "ln of reversal loss over its start".into(),
        x_log: false,
        y_log: false,
    };
    let of_draw = |draw: &Draw| Series {
        label: "one draw of embeddings".into(),
        points: draw.curve.iter().rev().map(|[x, y]| (*x, *y)).collect(),
        spread: Vec::new(),
        kind: SeriesKind::Line,
    };
    let epsilon = sweep.config.base.epsilon;
    let panel = |&dim: &usize| {
        let draws = sweep.draws.iter().filter(|draw| draw.dim == dim);
        let mut series: Vec<Series> = draws.map(of_draw).collect();
        let reached = series.iter().flat_map(|s| &s.points).map(|p| p.0).fold(0.0, f64::min);
        series.push(Series {
            label: format!("theorem 1 with ε = {epsilon}: above this line"),
            points: vec![(reached, epsilon * reached), (0.0, 0.0)],
            spread: Vec::new(),
            kind: SeriesKind::Dashed,
        });
        Panel { title: named(dim), series }
    };
    // Four of the dimensions show it; all are in the other figures.
    let panels: Vec<Panel> = sweep.config.dims.iter().step_by(2).map(panel).collect();
    lines(figure.name, "Reversal loss against training loss", &axes, &panels)
}

fn dots(label: &str, points: Vec<(f64, f64)>) -> Series {
    Series { label: label.into(), points, spread: Vec::new(), kind: SeriesKind::Dots }
}

fn epsilons(sweep: &Sweep) -> Figure {
    let axes = Axes {
        x: "dimension d".into(),
        y: "smallest ε that works".into(),
        x_log: true,
        y_log: false,
    };
    let points = sweep.draws.iter().map(|draw| (draw.dim as f64, draw.epsilon)).collect();
    let m = sweep.config.base.entities;
    let panel = Panel { title: format!("m = {m}"), series: vec![dots("one draw", points)] };
    lines("theory-bilinear-epsilon", "Theorem 1's ε over draws", &axes, &[panel])
}

fn law(sweep: &Sweep) -> Figure {
    let axes = Axes {
        x: "dimension d".into(),
        y: "root mean square of ε".into(),
        x_log: true,
        y_log: true,
    };
    let points: Vec<(f64, f64)> = sweep.spread.iter().map(|s| (s.dim as f64, s.rms)).collect();
    let mut series = vec![dots("over draws", points.clone())];
    if let Some((exponent, error)) = sweep.rms_exponent {
        let count = points.len() as f64;
        let middle = |of: fn(&(f64, f64)) -> f64| {
            points.iter().map(|point| of(point).ln()).sum::<f64>() / count
        };
        let (x, y) = (middle(|p| p.0), middle(|p| p.1));
        let at = |d: f64| (d, (y + exponent * (d.ln() - x)).exp());
        series.push(Series {
            label: format!("fit: d^({exponent:.2} ± {error:.2})").replace('-', "−"),
            points: points.iter().map(|point| at(point.0)).collect(),
            spread: Vec::new(),
            kind: SeriesKind::Dashed,
        });
    }
    let panel = Panel { title: format!("m = {}", sweep.config.base.entities), series };
    lines("theory-bilinear-law", "How ε falls with the dimension", &axes, &[panel])
}

fn at_levels(sweep: &Sweep) -> Figure {
    let axes = Axes {
        x: "dimension d".into(),
        y: "reversal loss / ln m".into(),
        x_log: true,
        y_log: false,
    };
    let start = (sweep.config.base.entities as f64).ln();
    let panel = |(at, level): (usize, f64)| {
        let of = |draw: &Draw| Some((draw.dim as f64, draw.reversal_at_levels[at]? / start));
        let points = sweep.draws.iter().filter_map(of).collect();
        Panel { title: format!("when L is {level}"), series: vec![dots("one draw", points)] }
    };
    let panels: Vec<Panel> = LEVELS.into_iter().enumerate().map(panel).collect();
    lines("theory-bilinear-levels", "Theorem 2: reversal loss when trained", &axes, &panels)
}

/// Margins of the effective weights over time.
fn margins(examples: &[(Example, BilinearResult)]) -> Figure {
    let axes = Axes {
        x: "time t".into(),
        y: "margin of effective weights".into(),
        x_log: true,
        y_log: false,
    };
    let panel = |(example, result): &(Example, BilinearResult)| {
        let series = |label: &str, of: fn(&Point) -> Option<f64>| Series {
            label: label.into(),
            points: result.series.iter().filter_map(|p| Some((p.t, of(p)?))).collect(),
            spread: Vec::new(),
            kind: SeriesKind::Line,
        };
        Panel {
            title: example.title.into(),
            series: vec![
                series("trained direction", |point| point.seen_margin),
                series("held-out direction", |point| point.unseen_margin),
            ],
        }
    };
    let panels: Vec<Panel> = examples.iter().map(panel).collect();
    lines("theory-bilinear-weights", "Asymmetry arises", &axes, &panels)
}

fn claims(sweep: &Sweep, examples: &[(Example, BilinearResult)]) -> Vec<Claim> {
    let base = sweep.config.base;
    let of_dim = |dim: usize| sweep.draws.iter().filter(move |draw| draw.dim == dim);
    let mut claims = Vec::new();
    for dim in [base.entities, 10 * base.entities] {
        let values: Vec<f64> = of_dim(dim).map(|draw| draw.epsilon).collect();
        if !values.is_empty() {
            let text = format!(
                "m = {}, d = {dim}: the smallest ε with which L^rev/L^rev₀ ≥ (L/L₀)^ε at all times",
                base.entities
            );
            let id = format!("bilinear.epsilon_d{dim}");
            claims.push(claim(&id, &text, THEOREM_1, values, Comparator::AtMost, base.epsilon));
        }
    }
    if let Some((exponent, error)) = sweep.rms_exponent {
        let text = format!(
            "the root mean square of that ε falls with the dimension: exponent of d (± {error:.2})"
        );
        let values = vec![exponent];
        claims.push(claim("bilinear.epsilon_law", &text, THEOREM_1, values, Comparator::Less, 0.0));
    }
    let start = (base.entities as f64).ln();
    for (at, level) in LEVELS.into_iter().enumerate() {
        let values: Vec<f64> = of_dim(base.entities)
            .map(|draw| draw.reversal_at_levels[at].map_or(f64::NAN, |loss| loss / start))
            .collect();
        let threshold = (level / start).powf(base.epsilon);
        let text = format!(
            "when the training loss first is {level}, the reversal loss is still at least \
             ({level}/L₀)^{} of its start (d = m)",
            base.epsilon
        );
        let id = format!("bilinear.reversal_at_{level}");
        claims.push(claim(&id, &text, THEOREM_2, values, Comparator::AtLeast, threshold));
    }
    let closed = examples
        .iter()
        .flat_map(|(_, result)| &result.theorems)
        .find(|theorem| theorem.id == "closed-form");
    if let Some(theorem) = closed {
        let text = "orthonormal embeddings: largest relative distance of L from the closed form";
        let (values, bound) = (vec![theorem.measured.unwrap_or(f64::NAN)], theorem.bound);
        let source = "derived (docs/theory/bilinear.md)";
        claims.push(claim("bilinear.closed_form", text, source, values, Comparator::AtMost, bound));
    }
    claims
}
