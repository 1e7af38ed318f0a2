//! Two axes around a plotting area.

use super::drawing::{Anchor, Drawing, Rect, Stroke, Style};
use super::scale::{Scale, Ticks};
use super::theme::{GRID, LABEL_SIZE, SOFT, TICK_SIZE, text_width};

/// One axis: its quantity and scale.
#[derive(Clone, Debug)]
pub struct Axis {
    /// The quantity and its unit.
    pub label: String,
    /// Values to positions, in the drawing's own units.
    pub scale: Scale,
    /// Its ticks.
    pub ticks: Ticks,
}

/// Room that ticks and label of the x axis take below the area.
pub const ROOM_BELOW: f64 = 40.0;
/// Room that tick labels of the y axis take left of the area.
pub const ROOM_LEFT: f64 = 30.0;
/// Room that the label of the y axis takes above the area.
pub const ROOM_ABOVE: f64 = 22.0;
/// Room that tick labels alone take below the area.
pub const ROOM_TICKS: f64 = 22.0;

/// The labels to write; the lines are always drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Tick labels left of the area.
    pub y_ticks: bool,
    /// Tick labels below the area.
    pub x_ticks: bool,
    /// The quantities of the axes.
    pub labels: bool,
}

impl Written {
    /// Everything, for a panel that stands alone.
    pub const ALL: Self = Self { y_ticks: true, x_ticks: true, labels: true };
}

/// Draws both axes: light lines across the area at the y ticks, small marks at the x ticks.
///
/// The label of y is horizontal, above the area.
pub fn draw(drawing: &mut Drawing, area: Rect, x: &Axis, y: &Axis, written: Written) {
    let tick_style = Style::new(TICK_SIZE, SOFT);
    let label_style = Style::new(LABEL_SIZE, SOFT);

    for &value in &y.ticks.values {
        let at = y.scale.at(value);
        drawing.line((area.x, at), (area.right(), at), Stroke::solid(GRID, 1.0));
        if written.y_ticks {
            let label = y.ticks.label(value);
            drawing.text(area.x - 7.0, at + 4.0, &label, tick_style.anchor(Anchor::End));
        }
    }
    let floor = area.bottom();
    drawing.line((area.x, floor), (area.right(), floor), Stroke::solid(SOFT, 1.0));
    let mut free = f64::NEG_INFINITY;
    for &value in &x.ticks.values {
        let at = x.scale.at(value);
        drawing.line((at, floor), (at, floor + 4.0), Stroke::solid(SOFT, 1.0));
        let label = x.ticks.label(value);
        let half = text_width(&label, TICK_SIZE) / 2.0;
        // A label that would touch the one before it is left out.
        if written.x_ticks && at - half > free {
            drawing.text(at, floor + 17.0, &label, tick_style.anchor(Anchor::Middle));
            free = at + half + 3.0;
        }
    }
    if written.labels {
        drawing.text(area.x - ROOM_LEFT, area.y - ROOM_ABOVE + 10.0, &y.label, label_style);
        let middle = area.x + area.width / 2.0;
        drawing.text(middle, floor + 34.0, &x.label, label_style.anchor(Anchor::Middle));
    }
}
