//! Recipes in one figure: how many facts a model says, and how it ranks them, in the direction that
//! its training text states and in the other.

use super::forward_reverse::Answered;
use super::{Figure, Text};
use crate::plot::drawing::{Anchor, Rect, Stroke, Style};
use crate::plot::scale::Linear;
use crate::plot::theme::{
    GRID, INK, LABEL_SIZE, SERIES, SOFT, TICK_SIZE, TITLE_SIZE, text_width, wrap,
};
use crate::plot::{Drawing, grid};
use crate::tables::{Table, cell};
use crate::text;

/// A row: a condition.
#[derive(Clone, Debug)]
pub struct RecipeRow {
    /// Its name.
    pub label: String,
    /// The share of exact answers, forward and in reverse.
    pub exact: [Answered; 2],
    /// The level of the right answer among the candidates, forward and in reverse.
    pub level: [Answered; 2],
}

const WIDTH: f64 = 660.0;
const NARROW: f64 = 360.0;
const ROW: f64 = 30.0;
const HEADING: f64 = 22.0;
const FOOT: f64 = 40.0;
const LEGEND: f64 = 24.0;
const GAP: f64 = 22.0;
/// The distance of a direction's dot from the middle of its row.
const APART: f64 = 5.0;
const DIRECTIONS: [&str; 2] = ["forward", "reverse"];
const CAPTION: &str = "Exact answers: the share of questions that the model answers exactly. Level: \
    that of the right answer among the candidates (1 first, 0.5 as by chance). Forward is the \
    direction that the training text states, reverse the other. Means with 95 % intervals over \
    seeds and questions; dashed: chance.";

/// Draws a row for each condition, with a dot and an interval for each direction. `chance` is the
/// accuracy of a guess among the names.
pub fn recipes(name: &str, title: &str, rows: &[RecipeRow], chance: f64) -> Figure {
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: CAPTION.into(),
        alt: alt(rows),
        table: table(rows),
    };
    let (narrow, rows) = (draw(rows, chance, NARROW), rows.to_vec());
    Figure::of_whole(text, narrow, move |canvas| {
        draw(&rows, chance, canvas.width.unwrap_or(WIDTH).min(WIDTH))
    })
}

fn draw(rows: &[RecipeRow], chance: f64, width: f64) -> Drawing {
    let beside = width > 500.0;
    let widest = rows.iter().map(|row| text_width(&row.label, LABEL_SIZE)).fold(60.0, f64::max);
    let left = (widest + 12.0).min(if beside { 0.3 * width } else { 0.45 * width });
    let panel = if beside { (width - left - GAP) / 2.0 } else { width - left };
    let exact = draw_panel(rows, "exact answers (share)", chance, left, panel, |row| &row.exact);
    // Side by side, the names stand once.
    let margin = if beside { 0.0 } else { left };
    let level = draw_panel(rows, "level (0 to 1)", 0.5, margin, panel, |row| &row.level);
    let columns = if beside { 2 } else { 1 };
    let panels = grid::arrange(vec![exact, level], columns, (GAP, 12.0));
    let mut drawing = Drawing::new(width, LEGEND + panels.height);
    let mut x = left;
    for (word, color) in DIRECTIONS.into_iter().zip(SERIES) {
        drawing.dot((x + 4.5, 9.0), 9.0, color, 1.0);
        drawing.text(x + 15.0, 13.0, word, Style::new(LABEL_SIZE, INK));
        x += 15.0 + text_width(word, LABEL_SIZE) + 18.0;
    }
    drawing.place(0.0, LEGEND, panels);
    drawing
}

/// One quantity of all rows, its names to the left if `left` leaves room.
fn draw_panel(
    rows: &[RecipeRow],
    label: &str,
    chance: f64,
    left: f64,
    width: f64,
    of: impl Fn(&RecipeRow) -> &[Answered; 2],
) -> Drawing {
    let height = HEADING + ROW * rows.len() as f64;
    let mut drawing = Drawing::new(left + width, height + FOOT - 20.0);
    let area = Rect { x: left, y: HEADING, width, height: height - HEADING };
    let x = Linear::new((0.0, 1.0), (area.x + 8.0, area.right() - 12.0));
    drawing.text(left, 12.0, label, Style::new(TITLE_SIZE, INK).strong());
    let ticks = x.ticks(4);
    for &value in &ticks.values {
        let style = Style::new(TICK_SIZE, SOFT).anchor(Anchor::Middle);
        drawing.line((x.at(value), area.y), (x.at(value), area.bottom()), Stroke::solid(GRID, 1.0));
        drawing.text(x.at(value), area.bottom() + 14.0, &ticks.label(value), style);
    }
    drawing.line((x.at(chance), area.y), (x.at(chance), area.bottom()), Stroke::dashed(SOFT, 1.0));
    for (at, row) in rows.iter().enumerate() {
        let middle = area.y + ROW * (at as f64 + 0.5);
        if left > 0.0 {
            let lines = wrap(&row.label, LABEL_SIZE, left - 10.0);
            let first = middle + 4.0 - 6.5 * (lines.len().saturating_sub(1)) as f64;
            for (number, line) in lines.iter().enumerate() {
                let style = Style::new(LABEL_SIZE, INK).anchor(Anchor::End);
                drawing.text(left - 8.0, first + 13.0 * number as f64, line, style);
            }
        }
        for ((answered, color), offset) in of(row).iter().zip(SERIES).zip([-APART, APART]) {
            let Some(mean) = answered.mean else { continue };
            let y = middle + offset;
            if let Some((low, high)) = answered.interval {
                drawing.line((x.at(low), y), (x.at(high), y), Stroke::solid(color, 2.0));
            }
            drawing.dot((x.at(mean), y), 8.0, color, 1.0);
        }
    }
    drawing
}

fn alt(rows: &[RecipeRow]) -> String {
    let number = |of: &Answered| of.mean.map_or(text::NONE.into(), text::number);
    let both =
        |of: &[Answered; 2]| format!("forward {}, reverse {}", number(&of[0]), number(&of[1]));
    let row = |row: &RecipeRow| {
        format!("{}: exact {}; level {}", row.label, both(&row.exact), both(&row.level))
    };
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!("Exact answers and levels by recipe, from 0 to 1. {}.", rows.join(". "))
}

fn table(rows: &[RecipeRow]) -> Table {
    let mut table = Table::new(&["condition", "measure", "direction", "mean", "low", "high"]);
    let optional = |value: Option<f64>| value.map_or_else(String::new, cell);
    for row in rows {
        for (measure, values) in [("exact", &row.exact), ("level", &row.level)] {
            table.rows.extend(DIRECTIONS.iter().zip(values).map(|(direction, answered)| {
                let ends = answered.interval;
                vec![
                    row.label.clone(),
                    measure.to_owned(),
                    (*direction).to_owned(),
                    optional(answered.mean),
                    optional(ends.map(|(low, _)| low)),
                    optional(ends.map(|(_, high)| high)),
                ]
            }));
        }
    }
    table
}
