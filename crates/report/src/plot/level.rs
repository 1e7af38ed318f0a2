//! Reference levels for curves, labelled where the label hides least.

use super::drawing::{Anchor, Drawing, Rect, Stroke, Style};
use super::scale::Scale;
use super::theme::{SOFT, TICK_SIZE, text_width};

/// A reference level for curves.
#[derive(Clone, Debug)]
pub struct Level {
    /// Written along the line.
    pub label: String,
    /// Value on the y axis.
    pub y: f64,
}

impl Level {
    /// Draws the level dashed across the area, its label as far from `lines` as possible.
    pub(super) fn draw(
        &self,
        drawing: &mut Drawing,
        area: Rect,
        y: Scale,
        lines: &[Vec<(f64, f64)>],
    ) {
        let at = y.at(self.y);
        if at.is_finite() {
            drawing.line((area.x, at), (area.right(), at), Stroke::dashed(SOFT, 1.2));
            label_level(drawing, self, at, area, lines);
        }
    }
}

/// Pieces of a label whose distance is measured separately.
const PIECES: u32 = 8;

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
    let crowding = |&(x, base, anchor): &(f64, f64, Anchor)| {
        let start = if anchor == Anchor::End { x - width } else { x };
        let middle = base - 4.0;
        if middle - 6.0 < area.y || middle + 6.0 > area.bottom() {
            return f64::INFINITY;
        }
        // How near the curves come, piece by piece: a label that is crossed at one end is better
        // than one that is crossed all along. Beyond 25 units every place is as good as another.
        let piece = width / f64::from(PIECES);
        (0..PIECES)
            .map(|i| start + f64::from(i) * piece)
            .map(|from| {
                let near =
                    lines.iter().filter_map(|line| distance(line, (from, from + piece), middle));
                25.0 - near.fold(25.0, f64::min)
            })
            .sum::<f64>()
    };
    // The first of equal ones.
    let mut best = (candidates[0], crowding(&candidates[0]));
    for candidate in &candidates[1..] {
        let crowded = crowding(candidate);
        if crowded < best.1 {
            best = (*candidate, crowded);
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
