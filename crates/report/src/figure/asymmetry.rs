//! Facts in one figure: how much better than by chance each is known, forward against in reverse.

use super::{Figure, Text};
use crate::plot::Drawing;
use crate::plot::axes::{self, Axis, ROOM_ABOVE, ROOM_BELOW, Written};
use crate::plot::drawing::{Rect, Stroke, Style};
use crate::plot::scale::{Linear, Scale, extent};
use crate::plot::theme::{Color, GRID, INK, LABEL_SIZE, SERIES, SOFT, text_width};
use crate::tables::{Table, cell};

/// A fact in the picture.
#[derive(Clone, Debug)]
pub struct FactDot {
    /// Its relation.
    pub relation: String,
    /// Its name.
    pub label: String,
    /// The log-odds forward against permuted pairs, in nats.
    pub forward: f64,
    /// The same in reverse.
    pub reverse: f64,
}

const WIDTH: f64 = 520.0;
const NARROW: f64 = 340.0;
const ROOM_LEFT: f64 = 40.0;
const AIR: f64 = 10.0;
const LEGEND_ROW: f64 = 20.0;
const ACROSS: f64 = 7.0;

const CAPTION: &str = "One dot a fact, by relation. 0: the right answer is as likely after this \
    question as after questions about other entities; to the right the model knows it forward, \
    upwards in reverse. On the slanted line both directions are known equally well; the curse lies \
    below it.";

/// Draws one dot a fact, coloured by relation.
pub fn asymmetry(name: &str, title: &str, dots: &[FactDot]) -> Figure {
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: CAPTION.into(),
        alt: alt(dots),
        table: table(dots),
    };
    let (narrow, dots) = (draw(dots, NARROW), dots.to_vec());
    Figure::of_whole(text, narrow, move |canvas| {
        draw(&dots, canvas.width.unwrap_or(WIDTH).min(WIDTH))
    })
}

/// The relations in the order of their first fact; those beyond the last colour share it.
fn relations(dots: &[FactDot]) -> Vec<&str> {
    let mut relations: Vec<&str> = Vec::new();
    for dot in dots {
        if !relations.contains(&dot.relation.as_str()) {
            relations.push(&dot.relation);
        }
    }
    relations
}

fn color(place: usize) -> Color {
    SERIES[place.min(SERIES.len() - 1)]
}

fn draw(dots: &[FactDot], width: f64) -> Drawing {
    let relations = relations(dots);
    let legend = legend(&relations, width);
    let side = width - ROOM_LEFT - 8.0;
    let area = Rect { x: ROOM_LEFT, y: legend.height + ROOM_ABOVE, width: side, height: side };
    let mut drawing = Drawing::new(width, area.bottom() + ROOM_BELOW);
    drawing.place(0.0, 0.0, legend);
    // One scale for both, with 0 in it, so that the slanted line is the diagonal.
    let values = dots.iter().flat_map(|dot| [dot.forward, dot.reverse]);
    let domain = extent(values.chain([0.0])).unwrap_or((0.0, 1.0));
    let domain = if domain.1 > domain.0 { domain } else { (domain.0 - 1.0, domain.1 + 1.0) };
    let x = Linear::new(domain, (area.x + AIR, area.right() - AIR));
    let y = Linear::new(domain, (area.bottom() - AIR, area.y + AIR));
    let axis = |map: Linear, label: &str| Axis {
        label: label.into(),
        scale: Scale::Linear(map),
        ticks: map.ticks(5),
    };
    let (across, up) =
        (axis(x, "forward, nats above chance"), axis(y, "reverse, nats above chance"));
    axes::draw(&mut drawing, area, &across, &up, Written::ALL);
    drawing.line((x.at(0.0), area.y), (x.at(0.0), area.bottom()), Stroke::solid(GRID, 1.0));
    drawing.line((area.x, y.at(0.0)), (area.right(), y.at(0.0)), Stroke::solid(SOFT, 0.7));
    let (low, high) = domain;
    drawing.line((x.at(low), y.at(low)), (x.at(high), y.at(high)), Stroke::dashed(SOFT, 1.0));
    let opacity = if dots.len() > 60 { 0.6 } else { 0.85 };
    for dot in dots {
        let place = relations.iter().position(|name| *name == dot.relation).unwrap_or(0);
        drawing.dot((x.at(dot.forward), y.at(dot.reverse)), ACROSS, color(place), opacity);
    }
    if dots.is_empty() {
        let style = Style::new(LABEL_SIZE, SOFT);
        drawing.text(area.x + 12.0, area.y + 20.0, "no fact has both values", style);
    }
    drawing
}

fn legend(relations: &[&str], width: f64) -> Drawing {
    let mut places = Vec::new();
    let (mut x, mut y) = (0.0, 0.0);
    let shown: Vec<String> = match relations.len() > SERIES.len() {
        true => {
            let own = relations[..SERIES.len() - 1].iter().map(|name| (*name).to_owned());
            let rest = format!("{} other relations", relations.len() + 1 - SERIES.len());
            own.chain([rest]).collect()
        }
        false => relations.iter().map(|name| (*name).to_owned()).collect(),
    };
    for name in &shown {
        let room = ACROSS + 6.0 + text_width(name, LABEL_SIZE) + 16.0;
        if x > 0.0 && x + room > width {
            (x, y) = (0.0, y + LEGEND_ROW);
        }
        places.push((x, y));
        x += room;
    }
    let mut drawing = Drawing::new(width, y + LEGEND_ROW + 4.0);
    for (at, (name, (x, y))) in shown.iter().zip(places).enumerate() {
        drawing.dot((x + ACROSS / 2.0, y + 9.0), ACROSS, color(at), 1.0);
        drawing.text(x + ACROSS + 6.0, y + 13.0, name, Style::new(LABEL_SIZE, INK));
    }
    drawing
}

fn alt(dots: &[FactDot]) -> String {
    let below = dots.iter().filter(|dot| dot.reverse < dot.forward).count();
    format!(
        "Log-odds of the right answer against permuted pairs, reverse over forward, of {} facts; \
         {below} lie below the line of equal knowledge.",
        dots.len()
    )
}

fn table(dots: &[FactDot]) -> Table {
    let mut table = Table::new(&["relation", "fact", "forward_gain", "reverse_gain"]);
    table.rows.extend(dots.iter().map(|dot| {
        vec![dot.relation.clone(), dot.label.clone(), cell(dot.forward), cell(dot.reverse)]
    }));
    table
}
