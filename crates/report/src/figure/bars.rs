//! Signed quantities of named parts, as bars from a common zero.

use super::{Figure, Text, short};
use crate::plot::drawing::{Anchor, Stroke, Style};
use crate::plot::scale::{Linear, extent};
use crate::plot::theme::{INK, LABEL_SIZE, SERIES, SOFT, TICK_SIZE, text_width};
use crate::plot::{Drawing, grid};
use crate::tables::{Table, cell};

/// One panel of bars.
#[derive(Clone, Debug)]
pub struct BarPanel {
    /// The title; also its key in the table.
    pub title: String,
    /// A note, such as the sum of the bars.
    pub note: String,
    /// A value for each part.
    pub values: Vec<f64>,
}

const WIDTH: f64 = 190.0;
const ROW: f64 = 17.0;
const TOP: f64 = 40.0;
const GAP: (f64, f64) = (22.0, 24.0);
/// Room for a bar's number beyond its end.
const NUMBER: f64 = 40.0;
const MOST_SIDE_BY_SIDE: usize = 4;

/// Draws a panel of bars for each set of values, on one scale, `parts` naming the bars.
pub fn bars(
    name: &str,
    title: &str,
    caption: &str,
    parts: &[String],
    panels: &[BarPanel],
) -> Figure {
    let values = panels.iter().flat_map(|panel| &panel.values).copied();
    let (low, high) = extent(values).unwrap_or((0.0, 1.0));
    let scale = Linear::new((low.min(0.0), high.max(0.0)), (NUMBER, WIDTH - NUMBER));
    let columns = panels.len().clamp(1, MOST_SIDE_BY_SIDE);
    let drawn = panels.iter().enumerate().map(|(at, panel)| {
        // The names appear once per row of panels.
        let names = if at % columns == 0 { parts } else { &[] };
        draw(panel, parts.len(), names, scale)
    });
    let block = grid::arrange(drawn.collect(), columns, GAP);
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: caption.into(),
        alt: alt(parts, panels),
        table: table(parts, panels),
    };
    Figure::of_blocks(text, vec![block.clone()], move |_| block.clone())
}

fn draw(panel: &BarPanel, rows: usize, names: &[String], scale: Linear) -> Drawing {
    let widest = names.iter().map(|name| text_width(name, TICK_SIZE)).fold(0.0, f64::max);
    let left = if names.is_empty() { 0.0 } else { widest + 6.0 };
    let height = TOP + ROW * rows as f64;
    let mut drawing = Drawing::new(left + WIDTH, height);
    drawing.text(left, 12.0, &panel.title, Style::new(LABEL_SIZE, INK));
    drawing.text(left, 28.0, &panel.note, Style::new(TICK_SIZE, SOFT));
    let style = Style::new(TICK_SIZE, SOFT);
    let zero = left + scale.at(0.0);
    for (at, value) in panel.values.iter().enumerate() {
        let top = TOP + ROW * at as f64;
        let (end, base) = (left + scale.at(*value), top + 12.5);
        let color = if *value < 0.0 { SERIES[1] } else { SERIES[0] };
        let outline =
            [(zero, top + 3.0), (end, top + 3.0), (end, top + ROW - 3.0), (zero, top + ROW - 3.0)];
        drawing.area(&outline, color, 1.0);
        let (x, anchor) =
            if *value < 0.0 { (end - 4.0, Anchor::End) } else { (end + 4.0, Anchor::Start) };
        drawing.text(x, base, &short(*value), style.anchor(anchor));
        if let Some(name) = names.get(at) {
            drawing.text(left - 6.0, base, name, style.anchor(Anchor::End));
        }
    }
    drawing.line((zero, TOP), (zero, height), Stroke::solid(SOFT, 1.0));
    drawing
}

fn alt(parts: &[String], panels: &[BarPanel]) -> String {
    let panel = |panel: &BarPanel| {
        let bars = parts.iter().zip(&panel.values);
        let bars: Vec<String> =
            bars.map(|(part, value)| format!("{part} {}", short(*value))).collect();
        format!("{} ({}): {}", panel.title, panel.note, bars.join(", "))
    };
    let all: Vec<String> = panels.iter().map(panel).collect();
    format!("Bars. {}.", all.join("; "))
}

fn table(parts: &[String], panels: &[BarPanel]) -> Table {
    let mut table = Table::new(&["panel", "part", "value"]);
    for panel in panels {
        let bars = parts.iter().zip(&panel.values);
        let row =
            |(part, value): (&String, &f64)| vec![panel.title.clone(), part.clone(), cell(*value)];
        table.rows.extend(bars.map(row));
    }
    table
}
