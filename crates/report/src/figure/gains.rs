//! The effect of one step of training on questions, one kind a row, by part of the model.

use super::{Figure, Text};
use crate::plot::Drawing;
use crate::plot::drawing::{Anchor, Rect, Stroke, Style};
use crate::plot::scale::{Linear, extent};
use crate::plot::theme::{GRID, INK, LABEL_SIZE, SERIES, SOFT, TICK_SIZE, text_width, wrap};
use crate::tables::{Table, cell};
use crate::text;

/// A mean with the ends of its interval, where it has one.
pub type Gain = (f64, Option<[f64; 2]>);

/// A row: a kind of question.
#[derive(Clone, Debug)]
pub struct GainRow {
    /// Its name.
    pub label: String,
    /// The gain where the whole model moves, then where each part does alone.
    pub gains: Vec<Gain>,
}

const WIDTH: f64 = 620.0;
const NARROW: f64 = 360.0;
const LINE: f64 = 11.0;
const ROW_GAP: f64 = 14.0;
const LEGEND: f64 = 24.0;
const FOOT: f64 = 42.0;
const AXIS: &str = "gain for each nat of the trained answer";
const CAPTION: &str = "A small step of gradient descent raises the log probability of one fact's \
    answer. For each nat of that: how much the answers to other questions gain. Means over facts \
    with 95 % intervals, for the whole model and where one part of it moves alone; the parts sum to \
    the whole.";

/// Draws a row for each kind of question. `parts` are the names of the parts of the model.
pub fn gains(name: &str, title: &str, parts: &[&str], rows: &[GainRow]) -> Figure {
    let names: Vec<String> =
        ["whole model"].iter().chain(parts).map(|name| (*name).to_owned()).collect();
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: CAPTION.into(),
        alt: alt(rows),
        table: table(&names, rows),
    };
    let (narrow, rows) = (draw(&names, rows, NARROW), rows.to_vec());
    Figure::of_whole(text, narrow, move |canvas| {
        draw(&names, &rows, canvas.width.unwrap_or(WIDTH).min(WIDTH))
    })
}

fn draw(names: &[String], rows: &[GainRow], width: f64) -> Drawing {
    let widest = rows.iter().map(|row| text_width(&row.label, LABEL_SIZE)).fold(60.0, f64::max);
    let left = (widest + 12.0).min(if width > 500.0 { 0.34 * width } else { 0.4 * width });
    let row_height = ROW_GAP + LINE * names.len() as f64;
    let height = row_height * rows.len() as f64;
    let mut drawing = Drawing::new(width, LEGEND + height + FOOT);
    let mut x = left;
    for (name, color) in names.iter().zip(SERIES) {
        drawing.dot((x + 4.5, 9.0), 9.0, color, 1.0);
        drawing.text(x + 15.0, 13.0, name, Style::new(LABEL_SIZE, INK));
        x += 15.0 + text_width(name, LABEL_SIZE) + 18.0;
    }
    let area = Rect { x: left, y: LEGEND, width: width - left, height };
    let ends = |(mean, interval): &Gain| {
        [*mean].into_iter().chain(interval.iter().flatten().copied()).collect::<Vec<f64>>()
    };
    let all = rows.iter().flat_map(|row| row.gains.iter().flat_map(ends));
    let domain = extent(all.chain([0.0])).filter(|(low, high)| low < high).unwrap_or((0.0, 1.0));
    let x = Linear::new(domain, (area.x + 10.0, area.right() - 14.0));
    let ticks = x.ticks(if width > 500.0 { 6 } else { 4 });
    for &value in &ticks.values {
        let style = Style::new(TICK_SIZE, SOFT).anchor(Anchor::Middle);
        drawing.line((x.at(value), area.y), (x.at(value), area.bottom()), Stroke::solid(GRID, 1.0));
        drawing.text(x.at(value), area.bottom() + 14.0, &ticks.label(value), style);
    }
    drawing.line((x.at(0.0), area.y), (x.at(0.0), area.bottom()), Stroke::dashed(SOFT, 1.0));
    let axis = Style::new(LABEL_SIZE, INK).anchor(Anchor::Middle);
    drawing.text(area.x + area.width / 2.0, area.bottom() + 34.0, AXIS, axis);
    for (at, row) in rows.iter().enumerate() {
        let top = area.y + row_height * at as f64;
        let lines = wrap(&row.label, LABEL_SIZE, left - 10.0);
        let middle = top + row_height / 2.0 + 4.0;
        let first = middle - 6.5 * lines.len().saturating_sub(1) as f64;
        for (number, line) in lines.iter().enumerate() {
            let style = Style::new(LABEL_SIZE, INK).anchor(Anchor::End);
            drawing.text(left - 8.0, first + 13.0 * number as f64, line, style);
        }
        for (number, ((mean, interval), color)) in row.gains.iter().zip(SERIES).enumerate() {
            let y = top + ROW_GAP / 2.0 + LINE * (number as f64 + 0.5);
            if let Some([low, high]) = interval {
                drawing.line((x.at(*low), y), (x.at(*high), y), Stroke::solid(color, 2.0));
            }
            drawing.dot((x.at(*mean), y), 8.0, color, 1.0);
        }
    }
    drawing
}

fn alt(rows: &[GainRow]) -> String {
    let whole = |row: &GainRow| row.gains.first().map_or(f64::NAN, |(mean, _)| *mean);
    let row = |row: &GainRow| format!("{}: {}", row.label, text::number(whole(row)));
    let rows: Vec<String> = rows.iter().map(row).collect();
    format!("Gains for each nat of the trained answer, whole model. {}.", rows.join(". "))
}

fn table(names: &[String], rows: &[GainRow]) -> Table {
    let mut table = Table::new(&["question", "part", "mean", "low", "high"]);
    for row in rows {
        for (name, (mean, interval)) in names.iter().zip(&row.gains) {
            let [low, high] = interval.map_or([String::new(), String::new()], |i| i.map(cell));
            table.rows.push(vec![row.label.clone(), name.clone(), cell(*mean), low, high]);
        }
    }
    table
}
