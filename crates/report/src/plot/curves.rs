//! A panel of curves, each with an optional band, labelled where it ends instead of in a legend.

use super::axes::{self, Axis, ROOM_ABOVE, ROOM_BELOW, ROOM_LEFT, Written};
use super::drawing::{Anchor, Drawing, Rect, Stroke, Style};
use super::level::Level;
use super::scale::{Scale, Ticks};
use super::theme::{Color, INK, LABEL_SIZE, SOFT, TITLE_SIZE, text_width};

/// One curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Written at its right end, or in the legend.
    pub label: String,
    /// Of line and band.
    pub color: Color,
    /// The colour of the label, which needs more contrast than a line.
    pub label_color: Color,
    /// How its points are drawn.
    pub mark: Mark,
    /// In ascending order of x.
    pub points: Vec<Point>,
}

/// How the points of a curve are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Joined by a line.
    Line,
    /// Joined by a thin line.
    Thin,
    /// Joined by a dashed line.
    Dashed,
    /// A dot each.
    Dots,
}

/// A point of a curve; one that is not finite breaks the line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Value on the x axis.
    pub x: f64,
    /// Value on the y axis.
    pub y: f64,
    /// The lower and the upper edge of the band; none where there is no band.
    pub band: Option<(f64, f64)>,
}

/// One axis of a panel, before its length is known.
#[derive(Clone, Debug)]
pub struct Span {
    /// The quantity and its unit.
    pub label: String,
    /// Shared by panels that are to be compared.
    pub domain: (f64, f64),
    /// Whether equal ratios are equal lengths.
    pub log: bool,
    /// The values to mark, ascending; round ones if there are none.
    pub ticks: Vec<f64>,
}

/// A panel of curves over one pair of axes.
#[derive(Clone, Debug)]
pub struct CurvePanel {
    /// Above the panel.
    pub title: String,
    /// The axis below.
    pub x: Span,
    /// The axis to the left.
    pub y: Span,
    /// In drawing order.
    pub curves: Vec<Curve>,
    /// Drawn dashed, over the curves.
    pub levels: Vec<Level>,
}

const BAND_OPACITY: f64 = 0.2;
/// Of a curve, in user units.
pub const LINE_WIDTH: f64 = 1.8;
/// Of a thin curve, in user units.
pub const THIN_WIDTH: f64 = 0.8;
/// Across a dot, in user units.
pub const DOT: f64 = 4.5;
/// Least distance between the base lines of two labels.
const LABEL_STEP: f64 = 15.0;

impl CurvePanel {
    /// Draws the panel, its title, axes and labels, into `width` × `height` user units.
    pub fn draw(&self, width: f64, height: f64) -> Drawing {
        let mut drawing = Drawing::new(width, height);
        let area = self.area(width, height);
        drawing.text(0.0, 13.0, &self.title, Style::new(TITLE_SIZE, INK).strong());
        self.draw_in(&mut drawing, area, Written::ALL);
        self.label_ends(&mut drawing, area);
        drawing
    }

    /// Draws axes, curves and levels into an area, with no title and no labels of curves.
    pub(super) fn draw_in(&self, drawing: &mut Drawing, area: Rect, written: Written) {
        let (x, y) = self.scales(area);
        let axis = |span: &Span, scale: Scale, length: f64| Axis {
            label: span.label.clone(),
            scale,
            ticks: match span.ticks.as_slice() {
                [] => scale.ticks((length / 45.0).clamp(3.0, 5.0) as usize),
                // What has no logarithm has no place on a logarithmic axis.
                given => {
                    Ticks::of(given.iter().copied().filter(|v| scale.at(*v).is_finite()).collect())
                }
            },
        };
        let (x_axis, y_axis) = (axis(&self.x, x, area.width * 0.6), axis(&self.y, y, area.height));
        axes::draw(drawing, area, &x_axis, &y_axis, written);
        for curve in &self.curves {
            draw_bands(drawing, curve, x, y);
        }
        let mut all = Vec::new();
        for curve in &self.curves {
            for line in lines(curve, x, y) {
                draw_line(drawing, curve, &line);
                all.push(line);
            }
        }
        if all.is_empty() {
            let (x, y) = (area.x + area.width / 2.0, area.y + area.height / 2.0);
            let style = Style::new(LABEL_SIZE, SOFT).anchor(Anchor::Middle);
            drawing.text(x, y, "no finite values", style);
        }
        for level in &self.levels {
            level.draw(drawing, area, y, &all);
        }
    }

    fn scales(&self, area: Rect) -> (Scale, Scale) {
        (
            Scale::new(self.x.domain, (area.x, area.right()), self.x.log),
            Scale::new(self.y.domain, (area.bottom(), area.y), self.y.log),
        )
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
    fn label_ends(&self, drawing: &mut Drawing, area: Rect) {
        let (x, y) = self.scales(area);
        let mut ends: Vec<(f64, &Curve)> = self
            .curves
            .iter()
            .filter_map(|curve| Some((positions(curve, x, y).flatten().last()?.1, curve)))
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

/// The positions of a curve's points; `None` for a point without one.
fn positions(curve: &Curve, x: Scale, y: Scale) -> impl Iterator<Item = Option<(f64, f64)>> {
    curve.points.iter().map(move |point| {
        let at = (x.at(point.x), y.at(point.y));
        let drawn = point.x.is_finite() && point.y.is_finite();
        (drawn && at.0.is_finite() && at.1.is_finite()).then_some(at)
    })
}

/// The unbroken stretches of a curve, in user units; a lone point becomes a dot.
fn lines(curve: &Curve, x: Scale, y: Scale) -> Vec<Vec<(f64, f64)>> {
    let points: Vec<_> = positions(curve, x, y).collect();
    points
        .split(Option::is_none)
        .filter(|stretch| !stretch.is_empty())
        .map(|stretch| {
            let mut line: Vec<(f64, f64)> = stretch.iter().flatten().copied().collect();
            if curve.mark != Mark::Dots {
                line = thinned(line);
                if line.len() == 1 {
                    // Round caps make a dot of a line without length.
                    line.push(line[0]);
                }
            }
            line
        })
        .collect()
}

fn draw_line(drawing: &mut Drawing, curve: &Curve, line: &[(f64, f64)]) {
    match curve.mark {
        Mark::Line => drawing.polyline(line, Stroke::solid(curve.color, LINE_WIDTH)),
        Mark::Thin => drawing.polyline(line, Stroke::solid(curve.color, THIN_WIDTH)),
        Mark::Dashed => drawing.polyline(line, Stroke::dashed(curve.color, LINE_WIDTH)),
        Mark::Dots => line.iter().for_each(|&at| drawing.dot(at, DOT, curve.color, 1.0)),
    }
}

/// A width within which two points of a line are indistinguishable.
const COLUMN: f64 = 0.5;

/// The same line with no more than four points to a [`COLUMN`]: the first, the lowest, the highest
/// and the last of it, so that no swing is lost.
fn thinned(line: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let column = |point: &(f64, f64)| (point.0 / COLUMN).floor();
    let mut kept = Vec::with_capacity(line.len());
    for chunk in line.chunk_by(|a, b| column(a) == column(b)) {
        let by = |better: fn(f64, f64) -> bool| {
            (0..chunk.len())
                .fold(0, |best, i| if better(chunk[i].1, chunk[best].1) { i } else { best })
        };
        let mut keep = [0, by(|a, b| a < b), by(|a, b| a > b), chunk.len() - 1];
        keep.sort_unstable();
        kept.extend(
            keep.iter()
                .enumerate()
                .filter(|(i, k)| *i == 0 || keep[i - 1] != **k)
                .map(|(_, k)| chunk[*k]),
        );
    }
    kept
}

fn draw_bands(drawing: &mut Drawing, curve: &Curve, x: Scale, y: Scale) {
    let edges: Vec<_> = positions(curve, x, y)
        .zip(&curve.points)
        .map(|(at, point)| {
            let (low, high) = point.band.filter(|(a, b)| a.is_finite() && b.is_finite())?;
            let (upper, lower) = (y.at(high), y.at(low));
            Some((at?.0, upper, if lower.is_nan() { upper } else { lower }))
        })
        .collect();
    for stretch in edges.split(Option::is_none).filter(|s| s.len() > 1) {
        let upper = thinned(stretch.iter().flatten().map(|&(x, upper, _)| (x, upper)).collect());
        let lower = thinned(stretch.iter().flatten().map(|&(x, _, lower)| (x, lower)).collect());
        let outline: Vec<_> = upper.into_iter().chain(lower.into_iter().rev()).collect();
        drawing.area(&outline, curve.color, BAND_OPACITY);
    }
}
