//! Small matrices whose rows and columns have names, a number in every cell that has room for it.

use super::{Figure, Text};
use crate::plot::colorbar;
use crate::plot::drawing::{Anchor, Style};
use crate::plot::heatmap::{ColorMap, Colors, HeatmapPanel, ROOM_ABOVE, ROOM_BELOW, ROOM_LEFT};
use crate::plot::theme::{INK, PAPER, SOFT, TICK_SIZE, text_width};
use crate::plot::{Drawing, grid};
use crate::tables::{Table, cell};

/// A matrix with its titles.
#[derive(Clone, Debug)]
pub struct MatrixPanel {
    /// The title; also its key in the table.
    pub title: String,
    /// A note below the title, such as a measure.
    pub note: String,
    /// The names of the rows, from the top.
    pub rows: Vec<String>,
    /// The names of the columns.
    pub columns: Vec<String>,
    /// `[row][column]`; a missing value is drawn grey.
    pub values: Vec<Vec<Option<f64>>>,
}

/// The side of a cell, in user units: a row must hold a line of text.
const LEAST_SIDE: f64 = 220.0;
const ROW: f64 = 16.0;
const GAP: f64 = 28.0;
/// Beyond this part of the scale the colours are too dark for ink.
const DARK: f64 = 0.6;

/// Draws matrices beside each other on one scale from `-limit` to `limit`; values beyond have the
/// colour of the end, and their number shows the value.
pub fn matrices(
    name: &str,
    title: &str,
    caption: &str,
    quantity: &str,
    limit: f64,
    panels: &[MatrixPanel],
) -> Figure {
    let colors = ColorMap::new((-limit, limit), Colors::DIVERGING);
    let draw = |panel: &MatrixPanel| draw(panel, colors, DARK * limit);
    let mut parts: Vec<Drawing> = panels.iter().map(draw).collect();
    if let Some(first) = panels.first() {
        let mut bar = Drawing::new(colorbar::WIDTH, ROOM_ABOVE + side(first) + ROOM_BELOW);
        let above = ROOM_ABOVE - colorbar::ROOM_ABOVE;
        bar.place(0.0, above, colorbar::draw(quantity, colors, side(first)));
        parts.push(bar);
    }
    let columns = parts.len();
    let block = grid::arrange(parts, columns, (GAP, GAP));
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: caption.into(),
        alt: alt(quantity, panels),
        table: table(panels),
    };
    Figure::of_blocks(text, vec![block.clone()], move |_| block.clone())
}

fn side(panel: &MatrixPanel) -> f64 {
    LEAST_SIDE.max(ROW * panel.rows.len() as f64)
}

/// Beyond `dark` numbers are written in the colour of paper.
fn draw(panel: &MatrixPanel, colors: ColorMap, dark: f64) -> Drawing {
    let (rows, columns, side) = (panel.rows.len(), panel.columns.len(), side(panel));
    let values: Vec<f32> =
        panel.values.iter().flatten().map(|v| v.map_or(f32::NAN, |v| v as f32)).collect();
    let cells = HeatmapPanel {
        title: std::slice::from_ref(&panel.title),
        note: &panel.note,
        row_label: "",
        column_label: "",
        rows,
        columns,
        values: &values,
    };
    let widest = panel.rows.iter().map(|row| text_width(row, TICK_SIZE)).fold(0.0, f64::max);
    let left = widest - ROOM_LEFT + 8.0;
    let mut whole = Drawing::new(left + ROOM_LEFT + side, ROOM_ABOVE + side + ROOM_BELOW);
    whole.place(left, 0.0, cells.draw(side, colors));
    let (x, y) = (left + ROOM_LEFT, ROOM_ABOVE);
    let (width, height) = (side / columns.max(1) as f64, side / rows.max(1) as f64);
    let soft = Style::new(TICK_SIZE, SOFT);
    for (at, row) in panel.rows.iter().enumerate() {
        let middle = y + (at as f64 + 0.5) * height + 4.0;
        whole.text(x - 6.0, middle, row, soft.anchor(Anchor::End));
        for (column, value) in panel.values[at].iter().enumerate() {
            let Some(value) = value else { continue };
            let color = if value.abs() > dark { PAPER } else { INK };
            let style = Style::new(TICK_SIZE, color).anchor(Anchor::Middle);
            let number = short(*value);
            if text_width(&number, TICK_SIZE) < width {
                whole.text(x + (column as f64 + 0.5) * width, middle, &number, style);
            }
        }
    }
    for (at, column) in panel.columns.iter().enumerate() {
        let middle = x + (at as f64 + 0.5) * width;
        whole.text(middle, y + side + 14.0, column, soft.anchor(Anchor::Middle));
    }
    whole
}

/// Two decimals, with a true minus sign and no negative zero.
pub(crate) fn short(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0 + 0.0;
    format!("{rounded:.2}").replace('-', "−")
}

fn alt(quantity: &str, panels: &[MatrixPanel]) -> String {
    let panel = |panel: &MatrixPanel| {
        let all = panel.rows.iter().zip(&panel.values).flat_map(|(row, values)| {
            let cell = move |(column, value): (&String, &Option<f64>)| {
                Some(format!("{row}, {column}: {}", short((*value)?)))
            };
            panel.columns.iter().zip(values).filter_map(cell).collect::<Vec<_>>()
        });
        format!("{}: {}", panel.title, all.collect::<Vec<_>>().join("; "))
    };
    let parts: Vec<String> = panels.iter().map(panel).collect();
    format!("{quantity}. {}.", parts.join(". "))
}

fn table(panels: &[MatrixPanel]) -> Table {
    let mut table = Table::new(&["panel", "row", "column", "value"]);
    for panel in panels {
        for (row, values) in panel.rows.iter().zip(&panel.values) {
            for (column, value) in panel.columns.iter().zip(values) {
                let value = cell(value.unwrap_or(f64::NAN));
                table.rows.push(vec![panel.title.clone(), row.clone(), column.clone(), value]);
            }
        }
    }
    table
}
