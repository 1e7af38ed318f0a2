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
/// Across the dot of a mean.
const MEAN: f64 = 9.0;
/// From so many variants of at most two ways on they stand close to each other,
const CLOSE: usize = 6;
/// and from so many on in two columns.
const FOLDED: usize = 10;
/// Of a way where variants stand close.
const CLOSE_ROW: f64 = 13.0;
const CLOSE_BETWEEN: f64 = 6.0;

/// Draws one row per way, grouped by variant, on one axis from 0 to 1: a small dot per seed, a
/// large one for the mean, and a bar of one standard deviation to either side. Many variants of one
/// or two ways stand close to each other under a legend.
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

/// In columns, if it would be higher than a page; rows of few ways in two columns from
/// [`FOLDED`] on.
fn folded(variants: &[Accuracies], canvas: &Canvas) -> Drawing {
    let names = names(variants);
    let whole = draw(variants, &names, canvas.width.unwrap_or(WIDTH).min(MOST_WIDTH));
    let fold = is_close(variants, &names) && variants.len() >= FOLDED;
    let columns = ((whole.height / canvas.page).ceil() as usize).max(if fold { 2 } else { 1 });
    let columns = columns.min(variants.len());
    let gaps = FOLD_GAP * columns.saturating_sub(1) as f64;
    let width = canvas.width.map_or(NARROW, |width| (width - gaps) / columns.max(1) as f64);
    if columns < 2 || width < LEAST_WIDTH {
        return whole;
    }
    let parts = variants.chunks(variants.len().div_ceil(columns));
    let parts = parts.map(|part| rows(part, &names, is_close(variants, &names), width)).collect();
    let parts = grid::arrange(parts, columns, (FOLD_GAP, 0.0));
    if is_close(variants, &names) { under_legend(parts, &names) } else { parts }
}

/// Whether variants stand close to each other, their ways told apart by colour alone: where there
/// are many variants of few ways.
fn is_close(variants: &[Accuracies], names: &[String]) -> bool {
    names.len() <= 2 && variants.len() >= CLOSE
}

/// A figure under the legend of its ways.
fn under_legend(figure: Drawing, names: &[String]) -> Drawing {
    let mut whole = Drawing::new(figure.width, figure.height + LEGEND_HEIGHT);
    let mut x = 0.0;
    for (at, name) in names.iter().enumerate() {
        whole.dot((x + MEAN / 2.0, 9.0), MEAN, SERIES[at % SERIES.len()], 1.0);
        whole.text(x + MEAN + 6.0, 13.0, name, Style::new(LABEL_SIZE, INK));
        x += MEAN + 6.0 + text_width(name, LABEL_SIZE) + 16.0;
    }
    whole.place(0.0, LEGEND_HEIGHT, figure);
    whole
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

const CAPTION: &str = "Accuracy: the share of held-out questions whose right answer comes first in \
    the way named. A small dot is one seed, the large dot their mean, the bar one standard deviation \
    to either side.";

fn draw(variants: &[Accuracies], names: &[String], width: f64) -> Drawing {
    match is_close(variants, names) {
        true => under_legend(rows(variants, names, true, width), names),
        false => rows(variants, names, false, width),
    }
}

/// The widest of some texts, in user units.
fn widest(size: f64, texts: &[String]) -> f64 {
    texts.iter().map(|text| text_width(text, size)).fold(0.0, f64::max)
}

/// The rows of variants over their axis, without a legend.
fn rows(variants: &[Accuracies], names: &[String], close: bool, width: f64) -> Drawing {
    let at = |way: &Way| names.iter().position(|n| *n == way.name).unwrap_or(0);
    let headings: Vec<String> = variants.iter().map(|v| v.variant.clone()).collect();
    // Left of the axis are the variants where they stand close, else the ways.
    let beside = if close { &headings[..] } else { names };
    let left = (widest(LABEL_SIZE, beside) + 12.0).clamp(60.0, 0.4 * width);
    let lines = |text: &String| wrap(text, LABEL_SIZE, left - 10.0);
    let high = |lines: usize| lines as f64 * 14.0 + 6.0;
    let numbers: Vec<String> = variants
        .iter()
        .flat_map(|v| &v.ways)
        .map(|way| text::mean_and_spread(&way.values))
        .collect();
    let right = (widest(TICK_SIZE, &numbers) + 16.0).max(92.0);
    // Of each variant: the lines of its heading, the height of each way, and of all of it.
    let layout: Vec<(Vec<String>, Vec<f64>, f64)> = variants
        .iter()
        .map(|v| match close {
            true => {
                let heading = lines(&v.variant);
                let ways = vec![CLOSE_ROW; v.ways.len()];
                let height = high(heading.len()).max(ways.iter().sum::<f64>());
                (heading, ways, height + CLOSE_BETWEEN)
            }
            false => {
                let heading = wrap(&v.variant, TITLE_SIZE, width);
                let ways: Vec<f64> =
                    v.ways.iter().map(|w| ROW.max(high(lines(&names[at(w)]).len()))).collect();
                let above = heading.len() as f64 * HEADING;
                let height = above + ways.iter().sum::<f64>() + BETWEEN;
                (heading, ways, height)
            }
        })
        .collect();
    let height = layout.iter().map(|(_, _, height)| height).sum();
    let area = Rect { x: left, y: 4.0, width: width - left - right, height };
    let mut drawing = Drawing::new(width, area.bottom() + 2.0 * LEGEND_HEIGHT - 8.0);
    let x = Linear::new((0.0, 1.0), (area.x, area.right()));
    let top = if close { area.y } else { area.y + HEADING };
    draw_axis(&mut drawing, area, top, x);
    let mut y = area.y;
    for (variant, (heading, ways, height)) in variants.iter().zip(&layout) {
        let mut way_y = if close {
            let middle = y + height / 2.0;
            let style = Style::new(LABEL_SIZE, INK).anchor(Anchor::End);
            draw_lines(&mut drawing, (area.x - 10.0, middle), heading, style);
            middle - ways.iter().sum::<f64>() / 2.0
        } else {
            for (i, line) in heading.iter().enumerate() {
                let base = y + 11.0 + HEADING * i as f64;
                drawing.text(0.0, base, line, Style::new(TITLE_SIZE, INK).strong());
            }
            y + heading.len() as f64 * HEADING
        };
        for (way, height) in variant.ways.iter().zip(ways) {
            let row = Rect { x: area.x, y: way_y, width: area.width, height: *height };
            if !close {
                let place = (row.x - 10.0, row.y + row.height / 2.0);
                let style = Style::new(LABEL_SIZE, INK).anchor(Anchor::End);
                draw_lines(&mut drawing, place, &lines(&way.name), style);
            }
            draw_way(&mut drawing, row, way, at(way), x);
            way_y += row.height;
        }
        y += height;
    }
    drawing
}

/// The ticks of the accuracies from `top` to the foot of the area, and below it the label.
fn draw_axis(drawing: &mut Drawing, area: Rect, top: f64, x: Linear) {
    let foot = area.bottom();
    let ticks = x.ticks(5);
    for &value in &ticks.values {
        let style = Style::new(TICK_SIZE, SOFT).anchor(Anchor::Middle);
        drawing.line((x.at(value), top), (x.at(value), foot), Stroke::solid(GRID, 1.0));
        drawing.text(x.at(value), foot + 15.0, &ticks.label(value), style);
    }
    let style = Style::new(LABEL_SIZE, SOFT).anchor(Anchor::Middle);
    drawing.text(area.x + area.width / 2.0, foot + 33.0, "accuracy (0 to 1)", style);
}

/// Lines of text with their middle at a height.
fn draw_lines(drawing: &mut Drawing, (x, middle): (f64, f64), lines: &[String], style: Style) {
    let first = middle + 4.0 - 7.0 * lines.len().saturating_sub(1) as f64;
    for (i, line) in lines.iter().enumerate() {
        drawing.text(x, first + 14.0 * i as f64, line, style);
    }
}

fn draw_way(drawing: &mut Drawing, row: Rect, way: &Way, index: usize, x: Linear) {
    let color = SERIES[index % SERIES.len()];
    let y = row.y + row.height / 2.0;
    drawing.line((row.x, y), (row.right(), y), Stroke::solid(GRID, 1.0));
    for value in way.values.iter().filter(|v| v.is_finite()) {
        drawing.dot((x.at(*value), y), 5.0, color, 0.35);
    }
    if let Some(mean) = stats::mean(&way.values) {
        if let Some(spread) = stats::std(&way.values) {
            let (from, to) = (x.at(mean - spread), x.at(mean + spread));
            drawing.line((from, y), (to, y), Stroke::solid(color, 2.5));
        }
        drawing.dot((x.at(mean), y), MEAN, color, 1.0);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_variants_stand_close_under_one_legend() {
        let ways = ["directly", "in two steps"]
            .map(|name| Way { name: name.to_owned(), values: vec![0.5, 1.0] });
        let of = |count: usize| {
            let variant =
                |n| Accuracies { variant: format!("setting {n:02}"), ways: ways.to_vec() };
            let variants: Vec<Accuracies> = (0..count).map(variant).collect();
            accuracies("n", "t", &variants)
        };
        let count = |svg: &str, text: &str| svg.matches(&format!("\n{text}\n")).count();
        for (variants, ways) in [(4, 4), (25, 1)] {
            let figure = of(variants);
            let pictures = figure.inline_blocks().chain(figure.inline_narrow());
            for svg in pictures.chain([figure.to_svg()]) {
                assert_eq!(count(&svg, "in two steps"), ways, "{variants}: {svg}");
                assert_eq!(count(&svg, "setting 03"), 1, "{variants}");
            }
        }
        // A strip would be too small to read where a page has to hold it.
        let figure = of(25);
        let [block] = &figure.blocks[..] else { panic!("one drawing") };
        assert!(block.height < block.width, "{} × {}", block.width, block.height);
    }
}
