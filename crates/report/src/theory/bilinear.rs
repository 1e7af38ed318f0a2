//! Theorems 1 and 2, drawn over dimensions and draws.

use std::path::Path;

use retrodict_theory::bilinear::{
    self as theory, BilinearResult, Cell, Example, Flow, Geometry, Law, Point, Study, Sweep,
    at_dim, fraction_above,
};
use retrodict_theory::{Theorem, TheoryError};

use super::{TheoryFigure, claims};
use crate::figure::Figure;
use crate::paper::Scale;
use crate::{Axes, Panel, Part, ReportError, Section, Series, SeriesKind, lines};

const OURS: &str = "ours, derived (docs/theory/bilinear.md)";

pub(super) fn make(
    out: &Path,
    scale: Scale,
    _seeds: u32,
    progress: &(dyn Fn() + Sync),
) -> Result<(), TheoryError> {
    let more_draws = match scale {
        Scale::Quick => 1,
        Scale::Paper => 3,
    };
    theory::reproduce(out, &theory::sweep_config(more_draws), progress).map(|_| ())
}

pub(super) fn section(figure: &TheoryFigure, out: &Path) -> Result<Option<Section>, ReportError> {
    let Some(study) = theory::stored(out)? else { return Ok(None) };
    let Study { sweep, examples } = &study;
    Ok(Some(Section {
        part: Part::Theory,
        name: figure.name.to_owned(),
        heading: figure.title.to_owned(),
        source: "paper, section 3".to_owned(),
        see: format!(
            "Training goes to the left. A draw that crosses the dashed line needs more than \
             ε = {}. The law figure has the root mean square of ε, the \
             fitted law and its two regimes. `retrodict theory bilinear --dim 1000 --json` gives \
             one draw.",
            sweep.config.base.epsilon
        ),
        finding: finding(sweep),
        figures: vec![
            separation(figure, sweep),
            probabilities(sweep),
            law(sweep),
            margins(examples),
        ],
        claims: claims("bilinear", &study.theorems(), source),
        experiments: Vec::new(),
    }))
}

fn source(theorem: &Theorem) -> &'static str {
    match theorem.id.as_str() {
        "theorem-1" => "paper, theorem 1",
        "theorem-2" => "paper, theorem 2",
        _ => OURS,
    }
}

/// The dimensions of the flows with one pair one way.
fn flow_dims(sweep: &Sweep) -> impl Iterator<Item = usize> {
    let flows = sweep.config.flows.iter();
    flows.filter(|flow| flow.0 == Geometry::OnePair).map(|flow| flow.1)
}

/// To two significant digits.
fn rounded(value: f64) -> f64 {
    let unit = 10f64.powi(value.log10().floor() as i32 - 1);
    (value / unit).round() * unit
}

fn finding(sweep: &Sweep) -> String {
    let base = sweep.config.base;
    let m = base.entities;
    let mut text = format!(
        "Theorem 1 is about probability: m = {m}, one pair one way, ε = {}, gradient flow to \
         t = {}.",
        base.epsilon, base.t_max
    );
    for dim in flow_dims(sweep) {
        let flows = at_dim(sweep, Geometry::OnePair, dim);
        let above = flows.iter().filter(|flow| flow.epsilon > base.epsilon).count();
        text += &format!(" At d = {dim}, {above} of {} draws need more than ε.", flows.len());
    }
    let at_start = |flows: &[&Flow]| flows.iter().filter(|f| f.is_largest_at_start()).count();
    let all: Vec<&Flow> = sweep.flows.iter().collect();
    let positive: Vec<&Flow> = sweep.flows.iter().filter(|flow| flow.initial > 0.0).collect();
    text += &format!(
        " The largest ε is needed at t → 0, where it has a closed form, in {} of {} draws over all \
         dimensions and geometries, and in {} of the {} in which it is positive there.",
        at_start(&all),
        all.len(),
        at_start(&positive),
        positive.len()
    );
    for law in sweep.laws.iter().filter(|law| law.entities == m) {
        let Law { fitted: [a, b], errors: [a_error, b_error], derived, .. } = law;
        text += &format!(
            " Our law, {}: ε ~ max(a/d, b/(m √d)), fitted a = {a:.2} ± {a_error:.2} and b = {b:.3} ± \
             {b_error:.3}, derived {:.2} and {:.3}; both terms are equal at d = {:.0}.",
            law.geometry.title(),
            derived[0],
            derived[1],
            rounded(law.crossover())
        );
    }
    text
}

/// Reversal loss against training loss, both relative to their start, with one pair one way.
fn separation(figure: &TheoryFigure, sweep: &Sweep) -> Figure {
    let axes = Axes {
        x: "ln of training loss over its start".into(),
        y: "ln of reversal loss over its start".into(),
        x_log: false,
        y_log: false,
    };
    // As many as can be told apart.
    const CURVES: usize = 20;
    let of_draw = |flow: &&Flow| Series {
        label: "one draw of embeddings".into(),
        points: flow.curve.iter().rev().map(|[x, y]| (*x, *y)).collect(),
        bands: Vec::new(),
        kind: SeriesKind::Line,
    };
    let epsilon = sweep.config.base.epsilon;
    let panel = |dim: usize| {
        let flows = at_dim(sweep, Geometry::OnePair, dim);
        let mut series: Vec<Series> = flows.iter().take(CURVES).map(of_draw).collect();
        let reached = series.iter().flat_map(|s| &s.points).map(|p| p.0).fold(0.0, f64::min);
        series.push(Series {
            label: format!("theorem 1 with ε = {epsilon}: above this line"),
            points: vec![(reached, epsilon * reached), (0.0, 0.0)],
            bands: Vec::new(),
            kind: SeriesKind::Dashed,
        });
        Panel { title: format!("d = {dim}"), series }
    };
    let panels: Vec<Panel> = flow_dims(sweep).map(panel).collect();
    lines(figure.name, "Reversal loss against training loss", &axes, &panels)
}

/// One panel for each geometry with the cells of each m.
fn over_dims(
    sweep: &Sweep,
    series: impl Fn(&[&Cell], usize, Geometry) -> Vec<Series>,
) -> Vec<Panel> {
    let panel = |geometry: Geometry| {
        let of_entities = |&(m, _): &(usize, u32)| {
            let cells = sweep.cells.iter();
            let cells: Vec<&Cell> =
                cells.filter(|c| (c.geometry, c.entities) == (geometry, m)).collect();
            series(&cells, m, geometry)
        };
        let series = sweep.config.entities.iter().flat_map(of_entities).collect();
        Panel { title: geometry.title().into(), series }
    };
    Geometry::ALL.map(panel).to_vec()
}

/// The probability that ε at t → 0 exceeds the bound. The lines are the ends of exact intervals.
fn probabilities(sweep: &Sweep) -> Figure {
    let axes = Axes {
        x: "dimension d".into(),
        y: format!("probability of ε > {}", sweep.config.base.epsilon),
        x_log: true,
        y_log: false,
    };
    let panels = over_dims(sweep, |cells, m, _| {
        let points = |of: &dyn Fn(&Cell) -> f64| {
            cells.iter().map(|cell| (cell.dim as f64, of(cell))).collect::<Vec<_>>()
        };
        let line = |label: String, kind, points| Series { label, points, bands: Vec::new(), kind };
        let fraction = points(&|cell| cell.above as f64 / cell.draws as f64);
        let high = points(&|cell| fraction_above(cell).high);
        vec![
            line(format!("m = {m}"), SeriesKind::Line, fraction),
            line(format!("m = {m}, upper end of 95 %"), SeriesKind::Dashed, high),
        ]
    });
    lines("theory-bilinear-probability", "Theorem 1 as a probability, at t → 0", &axes, &panels)
}

fn law(sweep: &Sweep) -> Figure {
    let axes = Axes {
        x: "dimension d".into(),
        y: "root mean square of ε at t → 0".into(),
        x_log: true,
        y_log: true,
    };
    let panels = over_dims(sweep, |cells, m, geometry| {
        let series =
            |label: String, kind, points| Series { label, points, bands: Vec::new(), kind };
        let points = cells.iter().map(|cell| (cell.dim as f64, cell.rms)).collect();
        let mut all = vec![series(format!("m = {m}"), SeriesKind::Dots, points)];
        let law = sweep.laws.iter().find(|law| (law.geometry, law.entities) == (geometry, m));
        if let Some(law) = law {
            let at = |cell: &&Cell| (cell.dim as f64, law.at(cell.dim as f64));
            let label = format!("m = {m}, fitted √(a²/d² + b²/(m² d))");
            all.push(series(label, SeriesKind::Dashed, cells.iter().map(at).collect()));
        }
        all
    });
    lines("theory-bilinear-law", "ε over the dimension", &axes, &panels)
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
            bands: Vec::new(),
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
    lines("theory-bilinear-weights", "Margins of the effective weights over time", &axes, &panels)
}
