//! The key to a heatmap's colours.

use super::drawing::{Drawing, Rect, Stroke, Style};
use super::heatmap::{ColorMap, strip_url};
use super::scale::Linear;
use super::theme::{GRID, SOFT, TICK_SIZE};

const BAR: f64 = 12.0;
/// Width of a colour bar with its tick labels.
pub const WIDTH: f64 = 44.0;
/// Room for the label above the bar.
pub const ROOM_ABOVE: f64 = 18.0;

/// Draws an upright bar `height` units high below its label.
pub fn draw(label: &str, colors: ColorMap, height: f64) -> Drawing {
    let mut drawing = Drawing::new(WIDTH, ROOM_ABOVE + height);
    let bar = Rect { x: 0.0, y: ROOM_ABOVE, width: BAR, height };
    let style = Style::new(TICK_SIZE, SOFT);
    drawing.text(0.0, 10.0, label, style);
    if let Some(url) = strip_url(colors.colors()) {
        drawing.image(bar, url);
    }
    drawing.frame(bar, Stroke::solid(GRID, 0.75));
    let scale = Linear::new(colors.scale().domain(), (bar.bottom(), bar.y));
    let ticks = scale.ticks(6);
    for &value in &ticks.values {
        let at = scale.at(value);
        drawing.line((BAR, at), (BAR + 4.0, at), Stroke::solid(SOFT, 1.0));
        drawing.text(BAR + 7.0, at + 4.0, &ticks.label(value), style);
    }
    drawing
}
