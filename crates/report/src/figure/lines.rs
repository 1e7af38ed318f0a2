//! Lines and dots over any two quantities, theory beside measurement.

use super::{Figure, Text};
use crate::plot::curves::{Curve, CurvePanel, Mark, Point, Span};
use crate::plot::multiples;
use crate::plot::scale::extent;
use crate::plot::theme::SERIES;
use crate::tables::{Table, cell};

/// The axes of all panels.
#[derive(Clone, Debug)]
pub struct Axes {
    /// The label of x, with its unit.
    pub x: String,
    /// The label of y, with its unit.
    pub y: String,
    /// Whether x is logarithmic; values without a logarithm are left out.
    pub x_log: bool,
    /// Whether y is logarithmic; values without a logarithm are left out.
    pub y_log: bool,
}

/// One panel.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Above it; also its key in the table.
    pub title: String,
    /// In drawing order.
    pub series: Vec<Series>,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// In the legend; series of one label have one colour in all panels.
    pub label: String,
    /// (x, y), x ascending; one that is not finite breaks a line.
    pub points: Vec<(f64, f64)>,
    /// The lower and the upper edge of a band at each point; empty for none.
    pub bands: Vec<(f64, f64)>,
    /// How they are drawn.
    pub kind: SeriesKind,
}

/// How the points of a series are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesKind {
    /// Joined by a line.
    Line,
    /// Joined by a dashed line, such as a bound.
    Dashed,
    /// A dot each, such as measurements.
    Dots,
}

/// Draws panels on shared axes under one legend.
pub fn lines(name: &str, title: &str, axes: &Axes, panels: &[Panel]) -> Figure {
    lines_with_ticks(name, title, axes, panels, &[])
}

/// The same with marks at given values of x, ascending, such as those of a swept key; at round
/// ones if there are none.
pub fn lines_with_ticks(
    name: &str,
    title: &str,
    axes: &Axes,
    panels: &[Panel],
    x_ticks: &[f64],
) -> Figure {
    let mut labels: Vec<&str> = Vec::new();
    for series in panels.iter().flat_map(|p| &p.series) {
        if !labels.contains(&series.label.as_str()) {
            labels.push(&series.label);
        }
    }
    let points = || panels.iter().flat_map(|p| &p.series).flat_map(|s| &s.points).copied();
    let drawable = |&(x, y): &(f64, f64)| {
        x.is_finite() && y.is_finite() && !(axes.x_log && x <= 0.0) && !(axes.y_log && y <= 0.0)
    };
    let x = Span {
        label: axes.x.clone(),
        domain: extent(points().filter(drawable).map(|p| p.0)).unwrap_or((1.0, 10.0)),
        log: axes.x_log,
        ticks: x_ticks.to_vec(),
    };
    let y = Span {
        label: axes.y.clone(),
        domain: padded(extent(drawn_y(panels, drawable)), axes.y_log),
        log: axes.y_log,
        ticks: Vec::new(),
    };
    let curve = |series: &Series| {
        let at = labels.iter().position(|label| *label == series.label).unwrap_or(0);
        let color = SERIES[at % SERIES.len()];
        let mark = match series.kind {
            SeriesKind::Line => Mark::Line,
            SeriesKind::Dashed => Mark::Dashed,
            SeriesKind::Dots => Mark::Dots,
        };
        let bands = series.bands.iter().copied().map(Some).chain(std::iter::repeat(None));
        let points = series.points.iter().zip(bands);
        let points = points.map(|(&(x, y), band)| Point { x, y, band });
        let (label, points) = (series.label.clone(), points.collect());
        Curve { label, color, label_color: color, mark, points }
    };
    let drawn: Vec<CurvePanel> = panels
        .iter()
        .map(|panel| CurvePanel {
            title: panel.title.clone(),
            x: x.clone(),
            y: y.clone(),
            curves: panel.series.iter().map(curve).collect(),
            levels: Vec::new(),
        })
        .collect();
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: format!("{} over {}.", crate::text::capital(&axes.y), axes.x),
        alt: alt(axes, panels),
        table: table(panels),
    };
    let narrow = multiples::draw(&drawn, multiples::columns(panels.len()).min(2), None);
    Figure::of_whole(text, narrow, move |canvas| match drawn.as_slice() {
        [lone] => multiples::draw_lone_on(lone, canvas, None),
        several => multiples::draw_on(several, canvas, None),
    })
}

/// The drawn values of y: points, and the edges of bands where the axis can show them.
fn drawn_y(panels: &[Panel], drawable: impl Fn(&(f64, f64)) -> bool) -> impl Iterator<Item = f64> {
    let edges = |series: &Series| {
        let points = series.points.iter().copied();
        let bands = series.points.iter().zip(&series.bands);
        let bands = bands.flat_map(|(&(x, _), &(low, high))| [(x, low), (x, high)]);
        points.chain(bands).collect::<Vec<_>>()
    };
    let all: Vec<_> = panels.iter().flat_map(|panel| &panel.series).flat_map(edges).collect();
    all.into_iter().filter(move |point| drawable(point)).map(|point| point.1)
}

/// Adds a margin, so that no line runs along the edge; begins at 0 if all is positive and linear.
fn padded(extent: Option<(f64, f64)>, log: bool) -> (f64, f64) {
    match extent {
        None => (if log { 0.1 } else { 0.0 }, 1.0),
        Some((low, high)) if log => (low / 1.15, high * 1.15),
        Some((low, high)) => (low.min(0.0), high + 0.04 * (high - low.min(0.0))),
    }
}

fn alt(axes: &Axes, panels: &[Panel]) -> String {
    let series = |s: &Series| {
        let last = s.points.iter().rev().find(|p| p.0.is_finite() && p.1.is_finite());
        last.map_or(format!("{} has no values", s.label), |(x, y)| {
            format!("{} ends at {}, {}", s.label, crate::text::number(*x), crate::text::number(*y))
        })
    };
    let panel = |p: &Panel| {
        format!("{}: {}", p.title, p.series.iter().map(series).collect::<Vec<_>>().join(", "))
    };
    let parts: Vec<String> = panels.iter().map(panel).collect();
    format!("{} over {}. {}.", axes.y, axes.x, parts.join("; "))
}

fn table(panels: &[Panel]) -> Table {
    let mut table = Table::new(&["panel", "series", "x", "y", "low", "high"]);
    for panel in panels {
        for series in &panel.series {
            // Empty where there is no band.
            let bands = series.bands.iter().map(|(low, high)| [cell(*low), cell(*high)]);
            let bands = bands.chain(std::iter::repeat_with(Default::default));
            let row = |((x, y), [low, high]): (&(f64, f64), [String; 2])| {
                vec![panel.title.clone(), series.label.clone(), cell(*x), cell(*y), low, high]
            };
            table.rows.extend(series.points.iter().zip(bands).map(row));
        }
    }
    table
}
