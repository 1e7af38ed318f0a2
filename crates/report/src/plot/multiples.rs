//! Small multiples: panels on shared axes, written once at the outer edge, under one legend. A
//! panel whose x axis differs from that of the panel below it has its own tick labels.

use super::axes::{ROOM_LEFT, ROOM_TICKS, Written};
use super::curves::{Curve, CurvePanel, DOT, LINE_WIDTH, Mark, THIN_WIDTH};
use super::drawing::{Anchor, Drawing, Rect, Stroke, Style};
use super::theme::{INK, LABEL_SIZE, SOFT, TITLE_SIZE, text_width, wrap};
use super::{Canvas, PartWidth, grid};

/// The area of a panel, in user units.
const AREA: (f64, f64) = (184.0, 132.0);
/// The same for a panel with the full width of a page.
const LONE_AREA: (f64, f64) = (520.0, 230.0);
/// The same on a phone.
const NARROW_LONE_AREA: (f64, f64) = (300.0, 180.0);
/// Between neighbours; the last tick label of x stands over the edge of its area.
const GAP: (f64, f64) = (6.0, 12.0);
const RIGHT: f64 = 10.0;
const TITLE_STEP: f64 = 15.0;
/// Of legend rows, and of the rows that hold the labels of the axes.
const ROW: f64 = 20.0;
const SWATCH: f64 = 22.0;
/// Panels to a line on a phone, at most.
const NARROW_COLUMNS: usize = 2;

/// Panels to a line: three in up to three lines, four in more.
pub fn columns(panels: usize) -> usize {
    match panels {
        0..=3 => panels.max(1),
        4 | 7 | 8 => 4,
        5 | 6 | 9 => 3,
        _ => 4,
    }
}

/// The areas of panels on a canvas of given width.
const WIDTH: PartWidth = PartWidth { least: 110.0, natural: AREA.0, most: 300.0 };
/// Height of an area to its width, on a canvas of given width.
const RATIO: f64 = 132.0 / 184.0;

/// Panels that stay together where a page has no room for all of them in one line.
#[derive(Clone, Debug)]
pub struct Row {
    /// Above them; empty where there is only one row.
    pub heading: String,
    /// From left to right.
    pub panels: Vec<CurvePanel>,
}

impl Row {
    /// All panels of a figure whose rows mean nothing.
    pub fn only(panels: Vec<CurvePanel>) -> [Row; 1] {
        [Row { heading: String::new(), panels }]
    }
}

/// The panels of the longest row.
fn longest(rows: &[Row]) -> usize {
    rows.iter().map(|row| row.panels.len()).max().unwrap_or(0)
}

/// Draws panels that share the y axis, as many to a line as fit.
///
/// `level` names in the legend what the dashed levels are. Each label and what it stands for is
/// in the legend once; the first panel's axes name the quantities.
pub fn draw_on(rows: &[Row], canvas: &Canvas, level: Option<&str>) -> Drawing {
    // What every panel has beside its area, and what only the first of a line has.
    let (each, first) = (2.0 * GAP.0 + RIGHT, ROOM_LEFT - 2.0 * GAP.0);
    let most = columns(longest(rows));
    let (columns, width) = canvas.arrange(longest(rows), most, WIDTH, each, first + each);
    let height = if canvas.width.is_none() { AREA.1 } else { (RATIO * width).max(90.0) };
    draw_with(rows, columns, level, (width, height))
}

/// The same for a single panel.
pub fn draw_lone_on(panel: &CurvePanel, canvas: &Canvas, level: Option<&str>) -> Drawing {
    let width = canvas.width.map_or(LONE_AREA.0, |width| width - ROOM_LEFT - RIGHT);
    let width = width.min(LONE_AREA.0);
    let height = LONE_AREA.1.min(0.7 * width);
    draw_with(&Row::only(vec![panel.clone()]), 1, level, (width, height))
}

/// Draws panels that share the y axis for a phone: two to a line at most.
///
/// `level` names in the legend what the dashed levels are. Each label and what it stands for is
/// in the legend once; the first panel's axes name the quantities.
pub fn draw_narrow(rows: &[Row], level: Option<&str>) -> Drawing {
    let columns = columns(longest(rows)).min(NARROW_COLUMNS);
    draw_with(rows, columns, level, if columns == 1 { NARROW_LONE_AREA } else { AREA })
}

fn draw_with(rows: &[Row], columns: usize, level: Option<&str>, area: (f64, f64)) -> Drawing {
    let columns = columns.clamp(1, longest(rows).max(1));
    let drawn = rows.iter().enumerate().map(|(at, row)| {
        // Rows of one line each stand below each other like the lines of one row.
        let next = rows.get(at + 1).filter(|_| longest(rows) <= columns);
        row_of(row, next.map_or(&[][..], |next| &next.panels), columns, area)
    });
    let grid = grid::arrange(drawn.collect(), 1, GAP);
    let panels: Vec<&CurvePanel> = rows.iter().flat_map(|row| &row.panels).collect();
    let legend = legend(&panels, level, grid.width);
    let top = legend.height + ROW;
    let mut whole = Drawing::new(grid.width, top + grid.height + ROW);
    let style = Style::new(LABEL_SIZE, SOFT);
    if let Some(panel) = panels.first() {
        whole.text(0.0, legend.height + 10.0, &panel.y.label, style);
        let middle = ROOM_LEFT + (grid.width - ROOM_LEFT - RIGHT) / 2.0;
        let foot = top + grid.height + 12.0;
        whole.text(middle, foot, &panel.x.label, style.anchor(Anchor::Middle));
    }
    whole.place(0.0, 0.0, legend);
    whole.place(0.0, top, grid);
    whole
}

/// The panels of a row in lines of `columns`, under their heading; `below` are those of the next
/// row, where they stand below these.
fn row_of(row: &Row, below: &[CurvePanel], columns: usize, area: (f64, f64)) -> Drawing {
    let titles: Vec<Vec<String>> =
        row.panels.iter().map(|p| wrap(&p.title, TITLE_SIZE, area.0 + GAP.0)).collect();
    let lines = titles.chunks(columns).map(|row| row.iter().map(Vec::len).max().unwrap_or(0));
    let lines: Vec<usize> = lines.collect();
    let parts: Vec<Drawing> = row
        .panels
        .iter()
        .zip(&titles)
        .enumerate()
        .map(|(i, (panel, title))| {
            let written = Written {
                y_ticks: i % columns == 0,
                // Above a panel with the same axis they would stand twice.
                x_ticks: (row.panels.get(i + columns).or(below.get(i)))
                    .is_none_or(|below| below.x.domain != panel.x.domain),
                labels: false,
            };
            let title =
                Title { lines: title, of: lines[i / columns], strong: row.heading.is_empty() };
            part(panel, &title, written, area)
        })
        .collect();
    let panels = grid::arrange(parts, columns, GAP);
    if row.heading.is_empty() {
        return panels;
    }
    let mut whole = Drawing::new(panels.width, panels.height + ROW);
    whole.text(0.0, 13.0, &row.heading, Style::new(TITLE_SIZE, INK).strong());
    whole.place(0.0, ROW, panels);
    whole
}

/// The title of a panel.
struct Title<'a> {
    lines: &'a [String],
    /// The lines that the panels beside it have room for.
    of: usize,
    /// In semi-bold; under a heading it is not.
    strong: bool,
}

fn part(
    panel: &CurvePanel,
    title: &Title<'_>,
    written: Written,
    (width, height): (f64, f64),
) -> Drawing {
    let left = if written.y_ticks { ROOM_LEFT } else { GAP.0 };
    let top = title.of as f64 * TITLE_STEP + 6.0;
    let area = Rect { x: left, y: top, width, height };
    let below = if written.x_ticks { ROOM_TICKS } else { 6.0 };
    let mut drawing = Drawing::new(left + width + RIGHT, top + height + below);
    // The last line of a title stands nearest to its panel.
    let first = title.of - title.lines.len();
    let style = Style::new(LABEL_SIZE, INK);
    let style = if title.strong { style.strong() } else { style };
    for (i, line) in title.lines.iter().enumerate() {
        let base = (first + i) as f64 * TITLE_STEP + 12.0;
        drawing.text(area.x, base, line, style);
    }
    panel.draw_in(&mut drawing, area, written);
    drawing
}

/// Every label once, in rows no wider than `width`.
fn legend(panels: &[&CurvePanel], level: Option<&str>, width: f64) -> Drawing {
    let mut curves: Vec<&Curve> = Vec::new();
    for curve in panels.iter().flat_map(|panel| &panel.curves) {
        if !curves.iter().any(|known| known.label == curve.label) {
            curves.push(curve);
        }
    }
    let level = level.filter(|_| panels.iter().any(|p| !p.levels.is_empty()));
    let mut places: Vec<(f64, f64)> = Vec::new();
    let (mut x, mut y) = (0.0, 0.0);
    for label in curves.iter().map(|c| c.label.as_str()).chain(level) {
        let room = SWATCH + 6.0 + text_width(label, LABEL_SIZE) + 16.0;
        if x > 0.0 && x + room > width {
            (x, y) = (0.0, y + ROW);
        }
        places.push((x, y));
        x += room;
    }
    let mut drawing = Drawing::new(width, if places.is_empty() { 0.0 } else { y + ROW + 4.0 });
    let style = Style::new(LABEL_SIZE, INK);
    for (curve, &(x, y)) in curves.iter().zip(&places) {
        let (from, to) = ((x, y + 8.0), (x + SWATCH, y + 8.0));
        match curve.mark {
            Mark::Line => drawing.line(from, to, Stroke::solid(curve.color, LINE_WIDTH)),
            Mark::Thin => drawing.line(from, to, Stroke::solid(curve.color, THIN_WIDTH)),
            Mark::Dashed => drawing.line(from, to, Stroke::dashed(curve.color, LINE_WIDTH)),
            Mark::Dots => drawing.dot((x + SWATCH / 2.0, y + 8.0), DOT, curve.color, 1.0),
        }
        drawing.text(x + SWATCH + 6.0, y + 12.0, &curve.label, style);
    }
    if let (Some(level), Some(&(x, y))) = (level, places.get(curves.len())) {
        drawing.line((x, y + 8.0), (x + SWATCH, y + 8.0), Stroke::dashed(SOFT, 1.2));
        drawing.text(x + SWATCH + 6.0, y + 12.0, level, style);
    }
    drawing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_is_left_with_one_panel_where_another_count_fills_it() {
        let last = |n: usize| n - (n.div_ceil(columns(n)) - 1) * columns(n);
        assert!((2..=16).filter(|n| last(*n) == 1).eq([13]), "13 leaves one however it is cut");
        assert!((4..=40).all(|n| (3..=4).contains(&columns(n))));
    }
}
