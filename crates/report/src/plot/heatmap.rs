//! Heatmaps of matrices.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use colorous::Gradient;
use serde::Deserialize;

use super::drawing::{Anchor, Drawing, Rect, Stroke, Style};
use super::scale::Linear;
use super::theme::{GRID, INK, LABEL_SIZE, SOFT, TICK_SIZE, wrap};

/// The colours of a map; all are readable with every kind of colour vision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Colors {
    /// Perceptually even, dark violet to yellow.
    Viridis,
    /// Perceptually even, dark blue to yellow.
    Cividis,
    /// Perceptually even, black over red to white.
    Magma,
    /// Perceptually even, black over red to yellow.
    Inferno,
    /// Perceptually even, dark blue over red to yellow.
    Plasma,
    /// White to black.
    Greys,
    /// White to dark blue.
    Blues,
    /// Red over white to blue.
    RedBlue,
    /// Brown over white to green.
    BrownGreen,
    /// Violet over white to orange.
    PurpleOrange,
}

impl Colors {
    /// For quantities without a middle, unless a style says otherwise.
    pub const SEQUENTIAL: Colors = Colors::Viridis;
    /// For quantities with a sign, unless a style says otherwise.
    pub const DIVERGING: Colors = Colors::RedBlue;

    fn gradient(self) -> Gradient {
        match self {
            Self::Viridis => colorous::VIRIDIS,
            Self::Cividis => colorous::CIVIDIS,
            Self::Magma => colorous::MAGMA,
            Self::Inferno => colorous::INFERNO,
            Self::Plasma => colorous::PLASMA,
            Self::Greys => colorous::GREYS,
            Self::Blues => colorous::BLUES,
            Self::RedBlue => colorous::RED_BLUE,
            Self::BrownGreen => colorous::BROWN_GREEN,
            Self::PurpleOrange => colorous::PURPLE_ORANGE,
        }
    }

    /// Red, green and blue of every palette index, one after the other; the last stands for a
    /// missing value.
    pub fn palette(self) -> Vec<u8> {
        (0..MISSING)
            .map(|i| self.gradient().eval_rational(usize::from(i), usize::from(MISSING)))
            .flat_map(|color| [color.r, color.g, color.b])
            .chain(MISSING_COLOR)
            .collect()
    }
}

/// Maps values to colours; panels to compare share one map.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColorMap {
    scale: Linear,
    colors: Colors,
}

/// The last palette entry stands for a missing value; all others are the gradient's.
const MISSING: u8 = 255;
const MISSING_COLOR: [u8; 3] = [0xbd, 0xbd, 0xbd];

impl ColorMap {
    /// A map that gives the first colour to `domain.0` and the last to `domain.1`.
    pub fn new(domain: (f64, f64), colors: Colors) -> Self {
        Self { scale: Linear::new(domain, (0.0, 1.0)), colors }
    }

    /// Its colours.
    pub fn colors(&self) -> Colors {
        self.colors
    }

    /// The linear scale under it, from 0 to 1.
    pub fn scale(&self) -> Linear {
        self.scale
    }

    /// The palette index of a value, `MISSING` for NaN.
    fn index(&self, value: f64) -> u8 {
        if value.is_nan() {
            return MISSING;
        }
        (self.scale.unit(value) * f64::from(MISSING - 1)).round() as u8
    }

    /// The palette index of a value to the nearest `step`.
    pub(super) fn step(&self, value: f64, step: u8) -> u8 {
        match self.index(value) {
            MISSING => MISSING,
            index => (index.saturating_add(step / 2) / step * step).min(MISSING - 1),
        }
    }
}

/// The colour of a value, as `#rrggbb`.
pub fn cell_color(value: f64, colors: ColorMap) -> String {
    let index = usize::from(colors.index(value));
    let palette = colors.colors().palette();
    let hex: String = palette[3 * index..][..3].iter().map(|part| format!("{part:02x}")).collect();
    format!("#{hex}")
}

/// A matrix with its titles.
#[derive(Clone, Debug)]
pub struct HeatmapPanel<'a> {
    /// Above the panel, a line each; panels side by side have as many.
    pub title: &'a [String],
    /// A note after the title, such as a measure.
    pub note: &'a str,
    /// Read upwards beside the rows.
    pub row_label: &'a str,
    /// Below the columns.
    pub column_label: &'a str,
    /// Number of rows, drawn from the top.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// `[rows, columns]`, row-major; a missing value is drawn as such.
    pub values: &'a [f32],
}

/// Room for the note and a title of one line above the cells.
pub const ROOM_ABOVE: f64 = 36.0;
/// A further line of a title.
const TITLE_STEP: f64 = 14.0;
/// Room for the label of the rows.
pub const ROOM_LEFT: f64 = 16.0;
/// Room for the label of the columns.
pub const ROOM_BELOW: f64 = 18.0;
/// The base line of a panel's note, above its cells.
const NOTE_BASE: f64 = 8.0;

/// The titles of panels in rows of `columns`, as many lines each: `width` units wide at most, and
/// those at the end of a row `last`, where something else stands beside them.
pub fn titles(panels: &[&str], columns: usize, width: f64, last: f64) -> Vec<Vec<String>> {
    let room = |at: usize| if (at + 1).is_multiple_of(columns.max(1)) { last } else { width };
    let panels = panels.iter().enumerate();
    let mut titles: Vec<Vec<String>> =
        panels.map(|(at, title)| wrap(title, LABEL_SIZE, room(at))).collect();
    let most = titles.iter().map(Vec::len).max().unwrap_or(1);
    // The last line of a title stands nearest to its panel.
    for lines in &mut titles {
        while lines.len() < most {
            lines.insert(0, String::new());
        }
    }
    titles
}

/// Room for titles of so many lines above the cells.
pub fn room_above(lines: usize) -> f64 {
    ROOM_ABOVE + TITLE_STEP * lines.saturating_sub(1) as f64
}

impl HeatmapPanel<'_> {
    /// Draws the panel with its cells in a square of `side` user units.
    pub fn draw(&self, side: f64, colors: ColorMap) -> Drawing {
        let (mut drawing, area) = self.surround(side);
        drawing.text(area.x, self.note_base(), self.note, Style::new(TICK_SIZE, SOFT));
        match cells_png(self, colors) {
            Some(png) => drawing.image(area, png_url(&png)),
            None => {
                let style = Style::new(LABEL_SIZE, SOFT).anchor(Anchor::Middle);
                let (x, y) = (area.x + side / 2.0, area.y + side / 2.0);
                drawing.text(x, y, "no values", style);
            }
        }
        drawing.frame(area, Stroke::solid(GRID, 0.75));
        drawing
    }

    pub(super) fn note_base(&self) -> f64 {
        room_above(self.title.len()) - NOTE_BASE
    }

    /// The titles around the cells, and the place of the cells.
    pub(super) fn surround(&self, side: f64) -> (Drawing, Rect) {
        let above = room_above(self.title.len());
        let mut drawing = Drawing::new(ROOM_LEFT + side, above + side + ROOM_BELOW);
        let area = Rect { x: ROOM_LEFT, y: above, width: side, height: side };
        let (middle_x, middle_y) = (area.x + side / 2.0, area.y + side / 2.0);
        for (at, line) in self.title.iter().enumerate() {
            let base = 12.0 + TITLE_STEP * at as f64;
            if !line.is_empty() {
                drawing.text(area.x, base, line, Style::new(LABEL_SIZE, INK));
            }
        }
        let label = Style::new(TICK_SIZE, SOFT).anchor(Anchor::Middle);
        drawing.text(area.x - 5.0, middle_y, self.row_label, label.upwards());
        drawing.text(middle_x, area.bottom() + 13.0, self.column_label, label);
        (drawing, area)
    }
}

/// The side of the embedded picture in pixels, at least: viewers that smooth a small picture then
/// smooth within a cell's edge only.
const LEAST_SIDE: usize = 560;
/// The largest number of cells per side; a larger heatmap would be unreadable.
const MOST_CELLS: usize = 4096;

/// The cells as a PNG with a palette, every cell a rectangle of equal pixels; none without cells.
fn cells_png(panel: &HeatmapPanel<'_>, colors: ColorMap) -> Option<Vec<u8>> {
    let (rows, columns) = (panel.rows.min(MOST_CELLS), panel.columns.min(MOST_CELLS));
    if rows == 0 || columns == 0 {
        return None;
    }
    // Each side by itself: a picture of 31 rows and 2 columns would be smoothed along its rows.
    let [wide, high] = [columns, rows].map(|cells| LEAST_SIDE.div_ceil(cells));
    let (width, height) = (columns * wide, rows * high);
    let mut pixels = Vec::with_capacity(width * height);
    for row in 0..rows {
        let start = pixels.len();
        for column in 0..columns {
            let value = panel.values.get(row * panel.columns + column);
            let index = colors.index(value.map_or(f64::NAN, |v| f64::from(*v)));
            pixels.resize(pixels.len() + wide, index);
        }
        for _ in 1..high {
            pixels.extend_from_within(start..start + width);
        }
    }
    encode(&pixels, width as u32, height as u32, colors.colors())
}

pub(super) fn encode(pixels: &[u8], width: u32, height: u32, colors: Colors) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(colors.palette());
    // Repeated rows become zeros.
    encoder.set_filter(png::Filter::Up);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(pixels).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

/// A strip of all colours, 1 pixel wide, the last at the top.
pub(super) fn strip_url(colors: Colors) -> Option<String> {
    let pixels: Vec<u8> = (0..MISSING).rev().collect();
    Some(png_url(&encode(&pixels, 1, u32::from(MISSING), colors)?))
}

/// A PNG as a `data:` URL.
pub(super) fn png_url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_matrix_is_as_sharp_as_a_square_one() {
        let values = [0.5; 62];
        let (rows, columns) = (31, 2);
        let panel = HeatmapPanel {
            title: &[],
            note: "",
            row_label: "",
            column_label: "",
            rows,
            columns,
            values: &values,
        };
        let png = cells_png(&panel, ColorMap::new((0.0, 1.0), Colors::SEQUENTIAL)).unwrap();
        // Width and height stand behind the signature and the head of the first chunk.
        let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        assert!(side(16) >= LEAST_SIDE && side(20) >= LEAST_SIDE, "{} × {}", side(16), side(20));
        assert_eq!((side(16) % columns, side(20) % rows), (0, 0));
    }
}
