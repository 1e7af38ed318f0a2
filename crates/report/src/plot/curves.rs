//! A panel of curves, each with an optional band, labelled where it ends instead of in a legend.

use super::axes::{self, Axis, ROOM_ABOVE, ROOM_BELOW, ROOM_LEFT};
use super::drawing::{Anchor, Drawing, Rect, Stroke, Style};
use super::scale::Linear;
use super::theme::{Color, INK, LABEL_SIZE, SOFT, TICK_SIZE, TITLE_SIZE, text_width};

/// One curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Written at its right end.
    pub label: String,
    /// Of line and band.
    pub color: Color,
    /// Of the label, which asks for more contrast than a line.
    pub label_color: Color,
    /// In ascending order of x.
    pub points: Vec<Point>,
}

/// A point of a curve; one that is not finite breaks the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Value on the x axis.
    pub x: f64,
    /// Value on the y axis.
    pub y: f64,
    /// How far the band reaches to either side of `y`; none where there is no band.
    pub spread: Option<f64>,
}

/// A level to hold the curves against.
#[derive(Clone, Debug)]
pub struct Level {
    /// Written along the line.
    pub label: String,
    /// Value on the y axis.
    pub y: f64,
}

/// A panel of curves over one pair of axes.
#[derive(Clone, Debug)]
pub struct CurvePanel {
    /// Above the panel.
    pub title: String,
    /// Label of the x axis.
    pub x_label: String,
    /// Label of the y axis.
    pub y_label: String,
    /// Shared by panels that are to be compared.
    pub x_domain: (f64, f64),
    /// Shared by panels that are to be compared.
    pub y_domain: (f64, f64),
    /// In drawing order.
    pub curves: Vec<Curve>,
    /// Drawn dashed, over the curves.
    pub levels: Vec<Level>,
}

const BAND_OPACITY: f64 = 0.2;
const LINE_WIDTH: f64 = 1.8;
/// Least distance between the base lines of two labels.
const LABEL_STEP: f64 = 15.0;

impl CurvePanel {
    /// Draws the panel, its axes and labels, into `width` × `height` user units.
    pub fn draw(&self, width: f64, height: f64) -> Drawing {
        let mut drawing = Drawing::new(width, height);
        let area = self.area(width, height);
        let x = Linear::new(self.x_domain, (area.x, area.right()));
        let y = Linear::new(self.y_domain, (area.bottom(), area.y));
        let axis = |label: &String, scale: Linear, ticks| Axis {
            label: label.clone(),
            scale,
            ticks: scale.ticks(ticks),
        };
        drawing.text(0.0, 13.0, &self.title, Style::new(TITLE_SIZE, INK).strong());
        axes::draw(&mut drawing, area, &axis(&self.x_label, x, 4), &axis(&self.y_label, y, 5));

        for curve in &self.curves {
            draw_bands(&mut drawing, curve, x, y);
        }
        let lines: Vec<_> = self
            .curves
            .iter()
            .flat_map(|curve| lines(curve, x, y))
            .map(|(color, line)| {
                drawing.polyline(&line, Stroke::solid(color, LINE_WIDTH));
                line
            })
            .collect();
        if lines.is_empty() {
            let (x, y) = (area.x + area.width / 2.0, area.y + area.height / 2.0);
            let style = Style::new(LABEL_SIZE, SOFT).anchor(Anchor::Middle);
            drawing.text(x, y, "no finite values", style);
        }
        for level in self.levels.iter().filter(|level| level.y.is_finite()) {
            let at = y.at(level.y);
            let stroke = Stroke::dashed(SOFT, 1.2);
            drawing.line((area.x, at), (area.right(), at), stroke);
            label_level(&mut drawing, level, at, area, &lines);
        }
        self.label_ends(&mut drawing, area, y);
        drawing
    }

    fn area(&self, width: f64, height: f64) -> Rect {
        let top = 20.0 + ROOM_ABOVE;
        let labels = self.curves.iter().map(|curve| text_width(&curve.label, LABEL_SIZE));
        let right = labels.fold(0.0, f64::max) + 10.0;
        Rect {
            x: ROOM_LEFT,
            y: top,
            width: (width - ROOM_LEFT - right).max(1.0),
            height: (height - top - ROOM_BELOW).max(1.0),
        }
    }

    /// Writes each curve's label at the height where it ends, pushed apart where they would touch.
    fn label_ends(&self, drawing: &mut Drawing, area: Rect, y: Linear) {
        let mut ends: Vec<(f64, &Curve)> = self
            .curves
            .iter()
            .filter_map(|curve| {
                let last = curve.points.iter().rev().find(|point| is_drawn(point))?;
                Some((y.at(last.y), curve))
            })
            .collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        // From the lowest up: a label keeps its distance from the one below it.
        let mut limit = area.bottom();
        for (at, curve) in ends.into_iter().rev() {
            let at = at.min(limit);
            limit = at - LABEL_STEP;
            let style = Style::new(LABEL_SIZE, curve.label_color).strong();
            drawing.text(area.right() + 6.0, at + 4.0, &curve.label, style);
        }
    }
}

fn is_drawn(point: &Point) -> bool {
    point.x.is_finite() && point.y.is_finite()
}

/// The unbroken stretches of a curve, in user units; a lone point becomes a dot.
fn lines(curve: &Curve, x: Linear, y: Linear) -> Vec<(Color, Vec<(f64, f64)>)> {
    curve
        .points
        .split(|point| !is_drawn(point))
        .filter(|stretch| !stretch.is_empty())
        .map(|stretch| {
            let mut line: Vec<_> = stretch.iter().map(|p| (x.at(p.x), y.at(p.y))).collect();
            if line.len() == 1 {
                // Round caps make a dot of a line without length.
                line.push(line[0]);
            }
            (curve.color, line)
        })
        .collect()
}

fn draw_bands(drawing: &mut Drawing, curve: &Curve, x: Linear, y: Linear) {
    let edges = |point: &Point| {
        let spread = point.spread.filter(|s| s.is_finite() && is_drawn(point))?;
        Some((x.at(point.x), y.at(point.y + spread), y.at(point.y - spread)))
    };
    let edges: Vec<_> = curve.points.iter().map(edges).collect();
    for stretch in edges.split(Option::is_none).filter(|s| s.len() > 1) {
        let upper = stretch.iter().flatten().map(|&(x, upper, _)| (x, upper));
        let lower = stretch.iter().flatten().map(|&(x, _, lower)| (x, lower));
        let outline: Vec<_> = upper.chain(lower.rev()).collect();
        drawing.area(&outline, curve.color, BAND_OPACITY);
    }
}

/// Writes a level's label above or below its line, left or right, where it is farthest from the
/// curves.
fn label_level(
    drawing: &mut Drawing,
    level: &Level,
    at: f64,
    area: Rect,
    lines: &[Vec<(f64, f64)>],
) {
    let width = text_width(&level.label, TICK_SIZE);
    let left = area.x + 6.0;
    let right = area.right() - 4.0;
    let (above, below) = (at - 5.0, at + 13.0);
    let candidates = [
        (right, above, Anchor::End),
        (right, below, Anchor::End),
        (left, above, Anchor::Start),
        (left, below, Anchor::Start),
    ];
    let clearance = |&(x, base, anchor): &(f64, f64, Anchor)| {
        let start = if anchor == Anchor::End { x - width } else { x };
        let middle = base - 4.0;
        if middle - 6.0 < area.y || middle + 6.0 > area.bottom() {
            return -1.0;
        }
        // Beyond 25 units every place is as good as another: the first of them is taken.
        lines
            .iter()
            .filter_map(|line| distance(line, (start, start + width), middle))
            .fold(25.0, f64::min)
    };
    let mut best = (candidates[0], clearance(&candidates[0]));
    for candidate in &candidates[1..] {
        let clear = clearance(candidate);
        if clear > best.1 {
            best = (*candidate, clear);
        }
    }
    let (x, base, anchor) = best.0;
    drawing.text(x, base, &level.label, Style::new(TICK_SIZE, SOFT).anchor(anchor));
}

/// The least vertical distance between a line and the height `y` within a span of x.
fn distance(line: &[(f64, f64)], span: (f64, f64), y: f64) -> Option<f64> {
    let within = |segment: &[(f64, f64)]| {
        let ((x0, y0), (x1, y1)) = (segment[0], segment[1]);
        let (from, to) = (span.0.max(x0), span.1.min(x1));
        if from > to {
            return None;
        }
        let slope = if x1 > x0 { (y1 - y0) / (x1 - x0) } else { 0.0 };
        let (a, b) = (y0 + slope * (from - x0) - y, y0 + slope * (to - x0) - y);
        Some(if a * b <= 0.0 { 0.0 } else { a.abs().min(b.abs()) })
    };
    line.windows(2).filter_map(within).reduce(f64::min)
}
