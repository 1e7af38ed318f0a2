//! Named points over two quantities, each with its name beside it.

use super::{Figure, Text};
use crate::plot::Drawing;
use crate::plot::axes::{self, Axis, ROOM_ABOVE, ROOM_BELOW, Written};
use crate::plot::drawing::{Anchor, Rect, Stroke, Style};
use crate::plot::scale::{Linear, Scale, extent};
use crate::plot::theme::{INK, LABEL_SIZE, SERIES, SOFT, text_width, wrap};
use crate::tables::{Table, cell};
use crate::text;

/// A point.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its name.
    pub label: String,
    /// Its place; one that is not finite is not drawn.
    pub at: (f64, f64),
}

const WIDTH: f64 = 620.0;
const NARROW: f64 = 360.0;
/// For tick labels such as −10.5.
const ROOM_LEFT: f64 = 40.0;
/// Across a point, in user units.
const POINT: f64 = 9.0;
/// The free margin around the points, as a part of their extent.
const AIR: f64 = 0.12;
const LINE: f64 = 14.0;
/// Between a point and its name.
const GAP: f64 = 5.0;
/// The places tried for a name: on rings around its point, each this much farther away.
const RING: f64 = 7.0;
const RINGS: usize = 60;

/// Draws a point for each name, over the quantities `x` and `y`.
pub fn scatter(name: &str, title: &str, (x, y): (&str, &str), points: &[Named]) -> Figure {
    let text = Text {
        name: name.into(),
        title: title.into(),
        caption: String::new(),
        alt: alt((x, y), points),
        table: table((x, y), points),
    };
    let labels = (x.to_owned(), y.to_owned());
    let (narrow, points) = (draw(&labels, points, NARROW), points.to_vec());
    Figure::of_whole(text, narrow, move |canvas| {
        draw(&labels, &points, canvas.width.unwrap_or(WIDTH).min(WIDTH))
    })
}

fn draw((x, y): &(String, String), points: &[Named], width: f64) -> Drawing {
    let height = (0.55 * width).max(250.0);
    let area = Rect { x: ROOM_LEFT, y: ROOM_ABOVE, width: width - ROOM_LEFT - 6.0, height };
    let mut drawing = Drawing::new(width, area.bottom() + ROOM_BELOW);
    let drawn: Vec<&Named> =
        points.iter().filter(|p| p.at.0.is_finite() && p.at.1.is_finite()).collect();
    let span = |of: fn(&Named) -> f64| padded(extent(drawn.iter().map(|point| of(point))));
    let across = Linear::new(span(|p| p.at.0), (area.x, area.right()));
    let up = Linear::new(span(|p| p.at.1), (area.bottom(), area.y));
    let axis = |map: Linear, label: &str| Axis {
        label: label.into(),
        scale: Scale::Linear(map),
        ticks: map.ticks(4),
    };
    axes::draw(&mut drawing, area, &axis(across, x), &axis(up, y), Written::ALL);
    if drawn.is_empty() {
        let style = Style::new(LABEL_SIZE, SOFT);
        drawing.text(area.x + 12.0, area.y + 20.0, "no finite values", style);
    }
    let dots: Vec<(f64, f64)> =
        drawn.iter().map(|point| (across.at(point.at.0), up.at(point.at.1))).collect();
    let lines: Vec<Vec<String>> =
        drawn.iter().map(|point| wrap(&point.label, LABEL_SIZE, 0.45 * area.width)).collect();
    let sizes: Vec<(f64, f64)> = lines.iter().map(|lines| size(lines)).collect();
    let places = beside(&dots, &sizes, area);
    for (&(x, y), place) in dots.iter().zip(&places) {
        // From the point to the nearest place of its name, where that stands apart.
        let near = (x.clamp(place.x, place.right()), y.clamp(place.y, place.bottom()));
        if (near.0 - x).hypot(near.1 - y) > 2.0 * POINT {
            drawing.line((x, y), near, Stroke::solid(SOFT, 0.7));
        }
    }
    for &at in &dots {
        drawing.dot(at, POINT, SERIES[0], 1.0);
    }
    for ((lines, place), &(x, _)) in lines.iter().zip(&places).zip(&dots) {
        // A width is an estimate: a name ends, or begins, beside its point.
        let (at, anchor) = match place.right() <= x {
            true => (place.right(), Anchor::End),
            false => (place.x, Anchor::Start),
        };
        for (i, line) in lines.iter().enumerate() {
            let base = place.y + LINE * i as f64 + 11.0;
            drawing.text(at, base, line, Style::new(LABEL_SIZE, INK).anchor(anchor));
        }
    }
    drawing
}

fn size(lines: &[String]) -> (f64, f64) {
    let widest = lines.iter().map(|line| text_width(line, LABEL_SIZE)).fold(0.0, f64::max);
    (widest, LINE * lines.len() as f64)
}

/// An extent with air around it; around a single value by a tenth of it.
fn padded(extent: Option<(f64, f64)>) -> (f64, f64) {
    let (low, high) = extent.unwrap_or((0.0, 1.0));
    let air = if high > low { AIR * (high - low) } else { (0.1 * high.abs()).max(0.05) };
    (low - air, high + air)
}

/// Where names of given sizes stand: each as near to its point as those before it, all points and
/// the edges of `within` leave room; right of its point where there is none.
fn beside(points: &[(f64, f64)], sizes: &[(f64, f64)], within: Rect) -> Vec<Rect> {
    let half = POINT / 2.0;
    let dots =
        points.iter().map(|(x, y)| Rect { x: x - half, y: y - half, width: POINT, height: POINT });
    let mut taken: Vec<Rect> = dots.collect();
    let mut places = Vec::with_capacity(points.len());
    for (&point, &size) in points.iter().zip(sizes) {
        let free = |place: &Rect| {
            let inside = place.x >= within.x
                && place.right() <= within.right()
                && place.y >= within.y
                && place.bottom() <= within.bottom();
            inside && !taken.iter().any(|other| overlap(place, other))
        };
        let right = around(point, size).next();
        let place = around(point, size).find(free).or(right);
        taken.extend(place);
        places.extend(place);
    }
    places
}

/// Places around a point: right, left, above, below and between, on ever larger rings.
fn around((x, y): (f64, f64), (width, height): (f64, f64)) -> impl Iterator<Item = Rect> {
    const SIDES: [(f64, f64); 8] = [
        (1.0, 0.0),
        (-1.0, 0.0),
        (0.0, -1.0),
        (0.0, 1.0),
        (1.0, -1.0),
        (1.0, 1.0),
        (-1.0, -1.0),
        (-1.0, 1.0),
    ];
    (0..RINGS).flat_map(move |ring| {
        let away = POINT / 2.0 + GAP + RING * ring as f64;
        SIDES.into_iter().map(move |(right, down)| {
            let middle = (x + right * (away + width / 2.0), y + down * (away + height / 2.0));
            Rect { x: middle.0 - width / 2.0, y: middle.1 - height / 2.0, width, height }
        })
    })
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
}

fn alt((x, y): (&str, &str), points: &[Named]) -> String {
    let part = |point: &Named| {
        let (x, y) = (text::number(point.at.0), text::number(point.at.1));
        format!("{}: {x}, {y}", point.label)
    };
    let parts: Vec<String> = points.iter().map(part).collect();
    format!("{y} over {x}. {}.", parts.join("; "))
}

fn table((x, y): (&str, &str), points: &[Named]) -> Table {
    let mut table = Table::new(&["name", x, y]);
    let row = |point: &Named| vec![point.label.clone(), cell(point.at.0), cell(point.at.1)];
    table.rows.extend(points.iter().map(row));
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Rect = Rect { x: 40.0, y: 20.0, width: 300.0, height: 250.0 };

    #[test]
    fn names_cover_neither_each_other_nor_a_point() {
        // Eight points on one place in the corner, and two beside it.
        let mut points = vec![(330.0, 30.0); 8];
        points.extend([(200.0, 30.0), (325.0, 60.0)]);
        let sizes = vec![(110.0, LINE); points.len()];
        let places = beside(&points, &sizes, WITHIN);
        assert_eq!(places.len(), points.len());
        for (i, place) in places.iter().enumerate() {
            assert!(place.x >= WITHIN.x && place.right() <= WITHIN.right(), "{place:?}");
            assert!(place.y >= WITHIN.y && place.bottom() <= WITHIN.bottom(), "{place:?}");
            assert!(places[..i].iter().all(|other| !overlap(place, other)), "{place:?}");
            for &(x, y) in &points {
                let dot = Rect { x: x - 1.0, y: y - 1.0, width: 2.0, height: 2.0 };
                assert!(!overlap(place, &dot), "{place:?} covers {x}, {y}");
            }
        }
    }

    #[test]
    fn a_name_with_room_stands_right_of_its_point() {
        let places = beside(&[(100.0, 100.0)], &[(80.0, LINE)], WITHIN);
        assert_eq!(places[0].x, 100.0 + POINT / 2.0 + GAP);
        assert_eq!(places[0].y + LINE / 2.0, 100.0);
    }

    #[test]
    fn every_name_is_in_the_drawing_and_what_is_not_finite_is_not() {
        let named = |label: &str, x: f64| Named { label: label.into(), at: (x, 0.5) };
        let points = [named("none", 0.5), named("identities", 0.5), named("lost", f64::NAN)];
        let svg = scatter("s", "S", ("small", "large"), &points).to_svg();
        let written = |name: &str| svg.lines().any(|line| line.trim() == name);
        assert!(written("identities") && written("none"), "{svg}");
        assert!(!written("lost"));
    }
}
