//! A matrix at several times, as a film that a page's script steps through.

use super::Drawing;
use super::drawing::{Stroke, Style};
use super::heatmap::{ColorMap, HeatmapPanel, encode, png_url};
use super::theme::{GRID, SOFT, TICK_SIZE};

/// A panel's matrix at one time.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// Its note, such as a measure.
    pub note: String,
    /// Of the panel's rows and columns; a missing value is drawn as such.
    pub values: &'a [f32],
}

/// Rows and columns beyond these are left out: a page holds every frame, and the first sixty
/// entities show a diagonal as well as all do. Means over cells would wash it out.
pub const MOST_CELLS: usize = 60;
/// Fewer steps than the palette has compress to half the size, without a visible difference.
const STEP: u8 = 4;

/// Draws the panel as [`HeatmapPanel::draw`] does, showing the last frame.
pub fn draw(
    panel: &HeatmapPanel<'_>,
    frames: &[Frame<'_>],
    side: f64,
    colors: ColorMap,
) -> Drawing {
    let (rows, columns) = (panel.rows.min(MOST_CELLS), panel.columns.min(MOST_CELLS));
    let Some(png) = picture(panel, frames, rows, columns, colors) else {
        return panel.draw(side, colors);
    };
    let (mut drawing, area) = panel.surround(side);
    let notes: Vec<String> = frames.iter().map(|frame| frame.note.clone()).collect();
    drawing.text_frames(area.x, panel.note_base(), &notes, Style::new(TICK_SIZE, SOFT));
    drawing.window(area, (columns, rows), frames.len(), png_url(&png));
    drawing.frame(area, Stroke::solid(GRID, 0.75));
    drawing
}

/// All frames below each other, one pixel per cell; `None` without cells.
fn picture(
    panel: &HeatmapPanel<'_>,
    frames: &[Frame<'_>],
    rows: usize,
    columns: usize,
    colors: ColorMap,
) -> Option<Vec<u8>> {
    if rows == 0 || columns == 0 || frames.is_empty() {
        return None;
    }
    let mut pixels = Vec::with_capacity(rows * columns * frames.len());
    for frame in frames {
        for row in 0..rows {
            pixels.extend((0..columns).map(|column| {
                let value = frame.values.get(row * panel.columns + column);
                colors.step(value.map_or(f64::NAN, |v| f64::from(*v)), STEP)
            }));
        }
    }
    encode(&pixels, columns as u32, (rows * frames.len()) as u32, colors.colors())
}
