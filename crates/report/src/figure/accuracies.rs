//! Accuracies of one task done in several ways, such as direct and in two steps.

use retrodict_lab::stats;

use super::{Figure, Text};
use crate::plot::drawing::{Anchor, Rect, Stroke, Style};
use crate::plot::scale::Linear;
use crate::plot::theme::{
    GRID, INK, LABEL_SIZE, SERIES, SOFT, TICK_SIZE, TITLE_SIZE, text_width, wrap,
};
use crate::plot::{Canvas, Drawing, grid};
use crate::tables::{Table, cell};
use crate::text;

/// The accuracies of one variant of an experiment.
#[derive(Clone, Debug)]
pub struct Accuracies {
    /// Its label in the figure: `24 layers`.
    pub variant: String,
    /// In reading order.
    pub ways: Vec<Way>,
}

/// One way to answer.
#[derive(Clone, Debug)]
pub struct Way {
    /// Its label: `in two steps`; ways with one label have one colour throughout.
    pub name: String,
    /// Accuracy per seed, from 0 to 1; NaN where it does not apply.
    pub values: Vec<f64>,
}

const WIDTH: f64 = 620.0;
const NARROW: f64 = 400.0;
const MOST_WIDTH: f64 = 760.0;
/// A column of a folded figure is at least as wide.
const LEAST_WIDTH: f64 = 290.0;
const FOLD_GAP: f64 = 28.0;
const ROW: f64 = 22.0;
const HEADING: f64 = 16.0;
const BETWEEN: f64 = 14.0;
const LEGEND_HEIGHT: f64 = 26.0;

/// Draws one row per way, grouped by variant, on one axis from 0 to 1: a small dot per seed, a
/// large one for the mean, and a bar of one standard deviation to either side.
pub fn accuracies(name: &str, title: &str, variants: &[Accuracies]) -> Figure {
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: CAPTION.into(),
        alt: alt(variants),
        table: table(variants),
    };
    let narrow = draw(variants, &names(variants), NARROW);
    let variants = variants.to_vec();
    Figure::of_whole(text, narrow, move |canvas| folded(&variants, canvas))
}

/// In columns, if it would be higher than a page.
fn folded(variants: &[Accuracies], canvas: &Canvas) -> Drawing {
    let names = names(variants);
    let whole = draw(variants, &names, canvas.width.unwrap_or(WIDTH).min(MOST_WIDTH));
    let columns = ((whole.height / canvas.page).ceil() as usize).min(variants.len());
    let gaps = FOLD_GAP * columns.saturating_sub(1) as f64;
    let width = canvas.width.map_or(NARROW, |width| (width - gaps) / columns.max(1) as f64);
    if columns < 2 || width < LEAST_WIDTH {
        return whole;
    }
    let parts = variants.chunks(variants.len().div_ceil(columns));
    let parts = parts.map(|part| draw(part, &names, width)).collect();
    grid::arrange(parts, columns, (FOLD_GAP, 0.0))
}

/// The ways of all variants, each once.
fn names(variants: &[Accuracies]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for way in variants.iter().flat_map(|v| &v.ways) {
        if !names.contains(&way.name) {
            names.push(way.name.clone());
        }
    }
    names
}

const CAPTION: &str = "Accuracy: the share of held-out questions whose whole answer is the most \
    probable one. A small dot is one seed, the large dot their mean, the bar one standard \
    deviation to either side.";

fn draw(variants: &[Accuracies], names: &[String], width: f64) -> Drawing {
    let widest =
        |size: f64, texts: &[String]| texts.iter().map(|t| text_width(t, size)).fold(0.0, f64::max);
    let left = (widest(LABEL_SIZE, names) + 12.0).clamp(60.0, 0.4 * width);
    let labels: Vec<Vec<String>> =
        names.iter().map(|name| wrap(name, LABEL_SIZE, left - 10.0)).collect();
    let at = |way: &Way| names.iter().position(|n| *n == way.name).unwrap_or(0);
    let high = |way: &Way| ROW.max(labels[at(way)].len() as f64 * 14.0 + 6.0);
    let headings: Vec<Vec<String>> =
        variants.iter().map(|v| wrap(&v.variant, TITLE_SIZE, width)).collect();
    let block = |(v, heading): (&Accuracies, &Vec<String>)| {
        heading.len() as f64 * HEADING + v.ways.iter().map(high).sum::<f64>() + BETWEEN
    };
    let rows: f64 = variants.iter().zip(&headings).map(block).sum();
    let numbers: Vec<String> = variants
        .iter()
        .flat_map(|v| &v.ways)
        .map(|way| text::mean_and_spread(&way.values))
        .collect();
    let right = (widest(TICK_SIZE, &numbers) + 16.0).max(92.0);
    let area = Rect { x: left, y: 4.0, width: width - left - right, height: rows };
    let mut drawing = Drawing::new(width, area.bottom() + 2.0 * LEGEND_HEIGHT - 8.0);
    let x = Linear::new((0.0, 1.0), (area.x, area.right()));
    let ticks = x.ticks(5);
    for &value in &ticks.values {
        let (at, foot) = (x.at(value), area.bottom());
        let style = Style::new(TICK_SIZE, SOFT).anchor(Anchor::Middle);
        drawing.line((at, area.y + HEADING), (at, foot), Stroke::solid(GRID, 1.0));
        drawing.text(at, foot + 15.0, &ticks.label(value), style);
    }
    let middle = area.x + area.width / 2.0;
    let style = Style::new(LABEL_SIZE, SOFT).anchor(Anchor::Middle);
    drawing.text(middle, area.bottom() + 33.0, "accuracy (0 to 1)", style);
    let mut y = area.y;
    for (variant, heading) in variants.iter().zip(&headings) {
        for line in heading {
            drawing.text(0.0, y + 11.0, line, Style::new(TITLE_SIZE, INK).strong());
            y += HEADING;
        }
        for way in &variant.ways {
            let row = Rect { x: area.x, y, width: area.width, height: high(way) };
            draw_way(&mut drawing, row, way, at(way), &labels[at(way)], x);
            y += row.height;
        }
        y += BETWEEN;
    }
    drawing
}

fn draw_way(
    drawing: &mut Drawing,
    row: Rect,
    way: &Way,
    index: usize,
    label: &[String],
    x: Linear,
) {
    let color = SERIES[index % SERIES.len()];
    let y = row.y + row.height / 2.0;
    let first = y + 4.0 - 7.0 * (label.len().saturating_sub(1)) as f64;
    for (i, line) in label.iter().enumerate() {
        let style = Style::new(LABEL_SIZE, INK).anchor(Anchor::End);
        drawing.text(row.x - 10.0, first + 14.0 * i as f64, line, style);
    }
    drawing.line((row.x, y), (row.right(), y), Stroke::solid(GRID, 1.0));
    for value in way.values.iter().filter(|v| v.is_finite()) {
        drawing.dot((x.at(*value), y), 5.0, color, 0.35);
    }
    if let Some(mean) = stats::mean(&way.values) {
        if let Some(spread) = stats::std(&way.values) {
            let (from, to) = (x.at(mean - spread), x.at(mean + spread));
            drawing.line((from, y), (to, y), Stroke::solid(color, 2.5));
        }
        drawing.dot((x.at(mean), y), 9.0, color, 1.0);
    }
    let style = Style::new(TICK_SIZE, SOFT);
    drawing.text(row.right() + 12.0, y + 4.0, &text::mean_and_spread(&way.values), style);
}

fn alt(variants: &[Accuracies]) -> String {
    let way = |w: &Way| format!("{} {}", w.name, text::mean_and_spread(&w.values));
    let part = |v: &Accuracies| {
        format!("{}: {}", v.variant, v.ways.iter().map(way).collect::<Vec<_>>().join(", "))
    };
    let parts: Vec<String> = variants.iter().map(part).collect();
    format!("Accuracies from 0 to 1. {}.", parts.join("; "))
}

fn table(variants: &[Accuracies]) -> Table {
    let mut table = Table::new(&["variant", "way", "seed_index", "accuracy"]);
    for variant in variants {
        for way in &variant.ways {
            table.rows.extend(way.values.iter().enumerate().map(|(i, value)| {
                vec![variant.variant.clone(), way.name.clone(), i.to_string(), cell(*value)]
            }));
        }
    }
    table
}
