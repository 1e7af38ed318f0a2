//! Lines and dots over any two quantities, theory beside measurement.

use super::{Figure, Text};
use crate::plot::curves::{Curve, CurvePanel, Mark, Point, Span};
use crate::plot::multiples::{self, Row};
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

/// Panels that stay together where a page has no room for all of them in one line.
#[derive(Clone, Debug)]
pub struct PanelRow {
    /// Above them, and before their titles in the table; empty where there is only one row.
    pub heading: String,
    /// From left to right.
    pub panels: Vec<Panel>,
}

impl PanelRow {
    /// The keys of its panels in the table.
    fn keys(&self) -> impl Iterator<Item = (String, &Panel)> {
        self.panels.iter().map(|panel| match (self.heading.as_str(), panel.title.as_str()) {
            ("", title) => (title.to_owned(), panel),
            (heading, title) => (format!("{heading}, {title}"), panel),
        })
    }
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// In the legend; series of one label have one colour in all panels, and so has a series whose
    /// label goes on after a comma.
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
    let row = PanelRow { heading: String::new(), panels: panels.to_vec() };
    lines_in_rows(name, title, axes, &[row], &[])
}

/// The same in rows, with marks at given values of x, ascending, such as those of a swept key; at
/// round ones if there are none.
pub fn lines_in_rows(
    name: &str,
    title: &str,
    axes: &Axes,
    rows: &[PanelRow],
    x_ticks: &[f64],
) -> Figure {
    let panels: Vec<&Panel> = rows.iter().flat_map(|row| &row.panels).collect();
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
        domain: padded(extent(drawn_y(&panels, drawable)), axes.y_log),
        log: axes.y_log,
        ticks: Vec::new(),
    };
    // `m = 10, fitted` has the colour of `m = 10`.
    let is_of =
        |label: &str, other: &str| label.strip_prefix(other).is_some_and(|r| r.starts_with(", "));
    let leading: Vec<&str> = labels
        .iter()
        .copied()
        .filter(|label| !labels.iter().any(|other| is_of(label, other)))
        .collect();
    let curve = |series: &Series| {
        let own = |label: &&str| **label == series.label || is_of(&series.label, label);
        let at = leading.iter().position(own).unwrap_or(0);
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
    let panel = |panel: &Panel| CurvePanel {
        title: panel.title.clone(),
        x: x.clone(),
        y: y.clone(),
        curves: panel.series.iter().map(curve).collect(),
        levels: Vec::new(),
    };
    let row = |row: &PanelRow| Row {
        heading: row.heading.clone(),
        panels: row.panels.iter().map(panel).collect(),
    };
    let drawn: Vec<Row> = rows.iter().map(row).collect();
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: format!("{} over {}.", crate::text::capital(&axes.y), axes.x),
        alt: alt(axes, rows),
        table: table(rows),
    };
    let lone = panels.len() == 1;
    let narrow = multiples::draw_narrow(&drawn, None);
    Figure::of_whole(text, narrow, move |canvas| match drawn.as_slice() {
        [Row { panels, .. }] if lone => multiples::draw_lone_on(&panels[0], canvas, None),
        rows => multiples::draw_on(rows, canvas, None),
    })
}

/// The drawn values of y: points, and the edges of bands where the axis can show them.
fn drawn_y(panels: &[&Panel], drawable: impl Fn(&(f64, f64)) -> bool) -> impl Iterator<Item = f64> {
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

fn alt(axes: &Axes, rows: &[PanelRow]) -> String {
    let series = |s: &Series| {
        let last = s.points.iter().rev().find(|p| p.0.is_finite() && p.1.is_finite());
        last.map_or(format!("{} has no values", s.label), |(x, y)| {
            format!("{} ends at {}, {}", s.label, crate::text::number(*x), crate::text::number(*y))
        })
    };
    let panel = |(key, p): (String, &Panel)| {
        format!("{key}: {}", p.series.iter().map(series).collect::<Vec<_>>().join(", "))
    };
    let parts: Vec<String> = rows.iter().flat_map(PanelRow::keys).map(panel).collect();
    format!("{} over {}. {}.", axes.y, axes.x, parts.join("; "))
}

fn table(rows: &[PanelRow]) -> Table {
    let mut table = Table::new(&["panel", "series", "x", "y", "low", "high"]);
    for (key, panel) in rows.iter().flat_map(PanelRow::keys) {
        for series in &panel.series {
            // Empty where there is no band.
            let bands = series.bands.iter().map(|(low, high)| [cell(*low), cell(*high)]);
            let bands = bands.chain(std::iter::repeat_with(Default::default));
            let row = |((x, y), [low, high]): (&(f64, f64), [String; 2])| {
                vec![key.clone(), series.label.clone(), cell(*x), cell(*y), low, high]
            };
            table.rows.extend(series.points.iter().zip(bands).map(row));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_stays_together_under_its_heading_on_a_phone() {
        let panel = |title: &str| Panel {
            title: title.into(),
            series: vec![Series {
                label: "free head".into(),
                points: vec![(1.0, 0.2), (2.0, 0.4)],
                bands: Vec::new(),
                kind: SeriesKind::Line,
            }],
        };
        let row = |heading: &str| PanelRow {
            heading: heading.into(),
            panels: ["rate 1", "rate 2", "rate 3"].map(panel).into(),
        };
        let axes = Axes { x: "layers".into(), y: "rank".into(), x_log: false, y_log: false };
        let rows = [row("rank in its type"), row("rank in vocabulary")];
        let figure = lines_in_rows("n", "t", &axes, &rows, &[1.0, 2.0]);
        let narrow: Vec<String> = figure.inline_narrow().collect();
        let order: Vec<&str> = narrow[0]
            .lines()
            .filter(|line| line.starts_with("rate") || line.starts_with("rank in"))
            .collect();
        let of = |heading| [heading, "rate 1", "rate 2", "rate 3"];
        assert_eq!(order, [of("rank in its type"), of("rank in vocabulary")].concat());
        let keys: Vec<&str> = figure.table.rows.iter().map(|row| row[0].as_str()).collect();
        assert_eq!(keys[0], "rank in its type, rate 1");
        assert_eq!(keys[keys.len() - 1], "rank in vocabulary, rate 3");
    }
}
