//! The gain and cost of interventions in one figure: forward against reverse accuracy.

use super::{Figure, Text};
use crate::compare::Family;
use crate::plot::axes::{self, Axis, ROOM_ABOVE, ROOM_BELOW, Written};
use crate::plot::drawing::{Rect, Stroke, Style};
use crate::plot::marker::{self, Shape};
use crate::plot::scale::{Linear, Scale};
use crate::plot::theme::{Color, INK, LABEL_SIZE, SERIES, SOFT, text_width, wrap};
use crate::plot::{Drawing, apart};
use crate::tables::{Table, cell};
use crate::text;

/// An intervention in the picture.
#[derive(Clone, Debug)]
pub struct Dot {
    /// Its row number in the table, written into its marker.
    pub number: usize,
    /// Its name.
    pub label: String,
    /// The part of training that it changes; `None` for the baseline.
    pub family: Option<Family>,
    /// The share of held-out questions answered right.
    pub reverse: Answered,
    /// The share of right answers on the trained side of the held-out facts.
    pub forward: Answered,
}

/// An accuracy over seeds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answered {
    /// `None` without questions.
    pub mean: Option<f64>,
    /// The 95 % interval of the mean.
    pub interval: Option<(f64, f64)>,
}

const WIDTH: f64 = 620.0;
const NARROW: f64 = 360.0;
const ROOM_LEFT: f64 = 40.0;
/// The margin around the accuracies from 0 to 1, which leaves room for markers at the corners.
const AIR: f64 = 46.0;
const LEGEND_ROW: f64 = 25.0;
const FAMILY_ROW: f64 = 27.0;
const LINE: f64 = 14.0;

/// Draws one numbered marker per intervention, with shape and colour by family, and the intervals
/// as whiskers. Markers of one point are placed around it, each connected to it by a line.
pub fn forward_reverse(name: &str, title: &str, dots: &[Dot]) -> Figure {
    let text = Text {
        name: name.into(),
        title: format!("{title}: forward against reverse accuracy"),
        caption: CAPTION.into(),
        alt: alt(dots),
        table: table(dots),
    };
    let (narrow, dots) = (draw(dots, NARROW), dots.to_vec());
    Figure::of_whole(text, narrow, move |canvas| {
        draw(&dots, canvas.width.unwrap_or(WIDTH).min(WIDTH))
    })
}

const CAPTION: &str = "One marker an intervention, numbered as in the table; up and to the right \
    is better. Means over seeds, whiskers 95 % intervals. Markers that would lie on each other \
    stand beside their point, tied to it by a line.";

/// The look of a family, or of the baseline.
fn look(family: Option<Family>) -> (Shape, Color) {
    match family {
        None => (Shape::Hexagon, SERIES[6]),
        Some(Family::Data) => (Shape::Circle, SERIES[0]),
        Some(Family::Objective) => (Shape::Square, SERIES[1]),
        Some(Family::Architecture) => (Shape::Diamond, SERIES[2]),
        Some(Family::Optimiser) => (Shape::Triangle, SERIES[3]),
        Some(Family::Task) => (Shape::Wedge, SERIES[5]),
    }
}

fn draw(dots: &[Dot], width: f64) -> Drawing {
    let families = families(dots, width);
    let area = Rect {
        x: ROOM_LEFT,
        y: families.height + ROOM_ABOVE,
        width: width - ROOM_LEFT - 6.0,
        height: (0.6 * width).max(320.0),
    };
    let legend = legend(dots, width);
    let top = area.bottom() + ROOM_BELOW + 8.0;
    let mut drawing = Drawing::new(width, top + legend.height);
    drawing.place(0.0, 0.0, families);
    panel(&mut drawing, area, dots);
    drawing.place(0.0, top, legend);
    drawing
}

fn panel(drawing: &mut Drawing, area: Rect, dots: &[Dot]) {
    let x = Linear::new((0.0, 1.0), (area.x + AIR, area.right() - AIR));
    let y = Linear::new((0.0, 1.0), (area.bottom() - AIR, area.y + AIR));
    let axis = |map: Linear, label: &str| Axis {
        label: label.into(),
        scale: Scale::Linear(map),
        ticks: map.ticks(4),
    };
    let (across, up) = (axis(x, "reverse accuracy"), axis(y, "forward accuracy"));
    axes::draw(drawing, area, &across, &up, Written::ALL);
    let drawn: Vec<(&Dot, (f64, f64))> = dots
        .iter()
        .filter_map(|dot| Some((dot, (x.at(dot.reverse.mean?), y.at(dot.forward.mean?)))))
        .collect();
    if drawn.is_empty() {
        let style = Style::new(LABEL_SIZE, SOFT);
        drawing.text(area.x + 12.0, area.y + 20.0, "nothing has both accuracies", style);
    }
    for &(dot, at) in &drawn {
        let stroke = Stroke::solid(look(dot.family).1, 1.4);
        if let Some((low, high)) = dot.reverse.interval {
            drawing.line((x.at(low), at.1), (x.at(high), at.1), stroke);
        }
        if let Some((low, high)) = dot.forward.interval {
            drawing.line((at.0, y.at(low)), (at.0, y.at(high)), stroke);
        }
    }
    let points: Vec<(f64, f64)> = drawn.iter().map(|(_, at)| *at).collect();
    let half = marker::ACROSS / 2.0;
    let within = Rect {
        x: area.x + half,
        y: area.y + half,
        width: area.width - marker::ACROSS,
        height: area.height - marker::ACROSS,
    };
    let places = apart::apart(&points, marker::ACROSS + 1.0, within);
    for (place, at) in places.iter().zip(&points).filter(|(place, at)| place != at) {
        drawing.line(*at, *place, Stroke::solid(SOFT, 0.7));
    }
    for &(_, at) in &drawn {
        drawing.dot(at, 4.0, SOFT, 1.0);
    }
    for (&(dot, _), &place) in drawn.iter().zip(&places) {
        let (shape, color) = look(dot.family);
        marker::draw(drawing, place, shape, color, Some(dot.number));
    }
}

/// The legend of shapes and colours, for the families present.
fn families(dots: &[Dot], width: f64) -> Drawing {
    let all = Family::ALL.map(Some);
    let there = std::iter::once(None).chain(all);
    let there: Vec<Option<Family>> =
        there.filter(|family| dots.iter().any(|dot| dot.family == *family)).collect();
    let word = |family: Option<Family>| family.map_or("baseline", Family::word);
    let mut places = Vec::new();
    let (mut x, mut y) = (0.0, 0.0);
    for &family in &there {
        let room = marker::ACROSS + 6.0 + text_width(word(family), LABEL_SIZE) + 14.0;
        if x > 0.0 && x + room > width {
            (x, y) = (0.0, y + FAMILY_ROW);
        }
        places.push((x, y));
        x += room;
    }
    let mut drawing = Drawing::new(width, y + FAMILY_ROW + 6.0);
    for (family, (x, y)) in there.into_iter().zip(places) {
        let (shape, color) = look(family);
        let half = marker::ACROSS / 2.0;
        marker::draw(&mut drawing, (x + half, y + half), shape, color, None);
        let style = Style::new(LABEL_SIZE, INK);
        drawing.text(x + marker::ACROSS + 6.0, y + half + 4.0, word(family), style);
    }
    drawing
}

/// All numbers with their names, in columns.
fn legend(dots: &[Dot], width: f64) -> Drawing {
    let columns = if width > 500.0 { 2 } else { 1 };
    let column = width / columns as f64;
    let room = column - marker::ACROSS - 16.0;
    let lines: Vec<Vec<String>> =
        dots.iter().map(|dot| wrap(&dot.label, LABEL_SIZE, room)).collect();
    let rows = dots.len().div_ceil(columns).max(1);
    let high = |lines: &Vec<String>| LEGEND_ROW.max(lines.len() as f64 * LINE + 8.0);
    let height = |chunk: &[Vec<String>]| chunk.iter().map(high).sum::<f64>();
    let mut drawing = Drawing::new(width, lines.chunks(rows).map(height).fold(0.0, f64::max) + 4.0);
    for (at, (dots, lines)) in dots.chunks(rows).zip(lines.chunks(rows)).enumerate() {
        let (x, mut y) = (at as f64 * column, 0.0);
        for (dot, lines) in dots.iter().zip(lines) {
            let (shape, color) = look(dot.family);
            let middle = y + high(lines) / 2.0;
            let place = (x + marker::ACROSS / 2.0, middle);
            marker::draw(&mut drawing, place, shape, color, Some(dot.number));
            let first = middle + 4.0 - LINE / 2.0 * (lines.len().saturating_sub(1)) as f64;
            for (i, line) in lines.iter().enumerate() {
                let base = first + LINE * i as f64;
                drawing.text(x + marker::ACROSS + 8.0, base, line, Style::new(LABEL_SIZE, INK));
            }
            y += high(lines);
        }
    }
    drawing
}

fn alt(dots: &[Dot]) -> String {
    let number = |answered: &Answered| answered.mean.map_or(text::NONE.into(), text::number);
    let part = |dot: &Dot| {
        let (reverse, forward) = (number(&dot.reverse), number(&dot.forward));
        format!("{} {}: reverse {reverse}, forward {forward}", dot.number, dot.label)
    };
    let parts: Vec<String> = dots.iter().map(part).collect();
    format!("Forward accuracy over reverse accuracy, both from 0 to 1. {}.", parts.join("; "))
}

fn table(dots: &[Dot]) -> Table {
    let mut table = Table::new(&["number", "name", "reverse_accuracy", "forward_accuracy"]);
    let number = |answered: &Answered| answered.mean.map_or_else(String::new, cell);
    table.rows.extend(dots.iter().map(|dot| {
        let (reverse, forward) = (number(&dot.reverse), number(&dot.forward));
        vec![dot.number.to_string(), dot.label.clone(), reverse, forward]
    }));
    table
}
