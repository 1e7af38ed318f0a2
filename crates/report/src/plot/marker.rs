//! Numbered markers: their outline tells a group by shape as well as by colour, their number one
//! from another.

use super::drawing::{Anchor, Drawing, Style};
use super::theme::{Color, INK, PAPER};

/// The outline of a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A circle.
    Circle,
    /// A square.
    Square,
    /// A square on its corner.
    Diamond,
    /// A triangle on its base.
    Triangle,
    /// A triangle on its point.
    Wedge,
    /// A regular hexagon.
    Hexagon,
}

/// The circle within which a marker stays, but for the tips of triangles, in user units.
pub const ACROSS: f64 = 24.0;
/// Of the outline, in user units.
const OUTLINE: f64 = 1.8;
const NUMBER_SIZE: f64 = 9.0;
/// A triangle holds less of its circle than others do: it is drawn larger by this.
const TRIANGLE: f64 = 1.15;

impl Shape {
    /// The corners around (0, 0), a circle's none, and how far below it the number's middle stands.
    fn corners(self, scale: f64) -> (Vec<(f64, f64)>, f64) {
        let regular = |corners: usize, turn: f64| -> Vec<(f64, f64)> {
            let larger = if corners == 3 { TRIANGLE } else { 1.0 };
            let radius = larger * scale * ACROSS / 2.0;
            let angle = |i: usize| (i as f64 / corners as f64 + turn) * std::f64::consts::TAU;
            (0..corners).map(|i| (radius * angle(i).sin(), -radius * angle(i).cos())).collect()
        };
        match self {
            Shape::Circle => (Vec::new(), 0.0),
            Shape::Square => (regular(4, 0.125), 0.0),
            Shape::Diamond => (regular(4, 0.0), 0.0),
            Shape::Triangle => (regular(3, 0.0), 1.3),
            Shape::Wedge => (regular(3, 0.5), -1.3),
            Shape::Hexagon => (regular(6, 0.0), 0.0),
        }
    }
}

/// Draws a marker around `at`, with `number` in it if it has one.
pub fn draw(
    drawing: &mut Drawing,
    at: (f64, f64),
    shape: Shape,
    color: Color,
    number: Option<usize>,
) {
    // A circle of the same room looks larger than what has corners.
    let circle = ACROSS * 0.86;
    let (_, lower) = shape.corners(1.0);
    match shape {
        Shape::Circle => {
            drawing.dot(at, circle, color, 1.0);
            drawing.dot(at, circle - 2.0 * OUTLINE, PAPER, 1.0);
        }
        _ => {
            // The inner outline lies the line's width within every side.
            let (outer, _) = shape.corners(1.0);
            let side = (0..outer.len()).map(|i| {
                let (a, b) = (outer[i], outer[(i + 1) % outer.len()]);
                ((a.0 + b.0) / 2.0).hypot((a.1 + b.1) / 2.0)
            });
            let inmost = side.fold(f64::INFINITY, f64::min);
            let (inner, _) = shape.corners((inmost - OUTLINE) / inmost);
            let moved = |corners: &[(f64, f64)]| -> Vec<(f64, f64)> {
                corners.iter().map(|(x, y)| (at.0 + x, at.1 + y)).collect()
            };
            drawing.area(&moved(&outer), color, 1.0);
            drawing.area(&moved(&inner), PAPER, 1.0);
        }
    }
    if let Some(number) = number {
        let size = if number < 100 { NUMBER_SIZE } else { 0.8 * NUMBER_SIZE };
        let style = Style::new(size, INK).strong().anchor(Anchor::Middle);
        drawing.text(at.0, at.1 + lower + 0.36 * size, &number.to_string(), style);
    }
}
