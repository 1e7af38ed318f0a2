//! A phase diagram: a measure over two keys as colours, with contour lines, and the width of its
//! interval beside it.

use retrodict_lab::map::{Boundary, MapCell, columns, rows};

use super::{BLOCK_GAP, Figure, Text};
use crate::plot::axes::{self, Axis, Written};
use crate::plot::drawing::{Rect, Stroke, Style};
use crate::plot::heatmap::{ColorMap, Colors, cell_color};
use crate::plot::scale::{Scale, Ticks, extent};
use crate::plot::theme::{INK, LABEL_SIZE, PAPER};
use crate::plot::{Drawing, colorbar, grid};
use crate::tables::{Table, cell as number};

/// A map to draw.
#[derive(Clone, Debug)]
pub struct Map<'a> {
    /// The stem of its files.
    pub name: &'a str,
    /// Its title.
    pub title: &'a str,
    /// Its caption.
    pub caption: &'a str,
    /// The first key, along x.
    pub x: &'a str,
    /// The second key, along y.
    pub y: &'a str,
    /// The measure, with its unit.
    pub measure: &'a str,
    /// Its settings.
    pub cells: &'a [MapCell],
    /// The levels of contour lines.
    pub levels: &'a [f64],
    /// A boundary that was fitted.
    pub boundary: Option<&'a Boundary>,
}

const SIDE: f64 = 300.0;
const GAP: f64 = 30.0;

/// Draws a map: the mean of every cell, and the half-width of its interval.
pub fn map(map: &Map<'_>) -> Figure {
    let means: Vec<f64> = map.cells.iter().map(|cell| cell.mean().unwrap_or(f64::NAN)).collect();
    let widths: Vec<f64> = map
        .cells
        .iter()
        .map(|cell| cell.interval().map_or(f64::NAN, |i| (i.high - i.low) / 2.0))
        .collect();
    let domain = extent(means.iter().copied()).unwrap_or((0.0, 1.0));
    // A fraction fills its own range.
    let domain = if domain.0 >= 0.0 && domain.1 <= 1.0 { (0.0, 1.0) } else { domain };
    let widest = extent(widths.iter().copied()).map_or(1.0, |(_, high)| high.max(1e-12));
    let colors = ColorMap::new(domain, Colors::SEQUENTIAL);
    let of_widths = ColorMap::new((0.0, widest), Colors::SEQUENTIAL);
    let blocks = vec![
        block(map, map.measure, &means, colors, true),
        block(map, "half-width of its 95 % interval", &widths, of_widths, false),
    ];
    let text = Text {
        name: map.name.into(),
        title: map.title.into(),
        caption: map.caption.into(),
        alt: format!("{}: {} over {} and {}.", map.title, map.measure, map.x, map.y),
        table: table(map),
    };
    let whole = grid::arrange(blocks.clone(), 2, BLOCK_GAP);
    Figure::of_blocks(text, blocks, move |_| whole.clone())
}

fn block(
    map: &Map<'_>,
    quantity: &str,
    values: &[f64],
    colors: ColorMap,
    with_lines: bool,
) -> Drawing {
    let (left, above) = (axes::ROOM_LEFT + 14.0, axes::ROOM_ABOVE + 18.0);
    let mut drawing = Drawing::new(left + SIDE + 8.0, above + SIDE + axes::ROOM_BELOW);
    let area = Rect { x: left, y: above, width: SIDE, height: SIDE };
    let x = Places::new(columns(map.cells), (area.x, area.right()));
    let y = Places::new(rows(map.cells), (area.bottom(), area.y));
    // First, so that the cells hide the lines across the area.
    let axis = |places: &Places, label: &str| Axis {
        label: label.to_owned(),
        scale: places.scale,
        ticks: Ticks::of(places.marked()),
    };
    axes::draw(&mut drawing, area, &axis(&x, map.x), &axis(&y, map.y), Written::ALL);
    let mut order: Vec<usize> = (0..map.cells.len()).collect();
    // Finer cells lie on the coarse ones that they divide.
    let fineness = |at: &usize| {
        let cell = &map.cells[*at];
        let row = map.cells.iter().filter(|other| other.y == cell.y).count();
        let column = map.cells.iter().filter(|other| other.x == cell.x).count();
        std::cmp::Reverse(row.min(column))
    };
    order.sort_by_key(fineness);
    for at in order {
        let cell = &map.cells[at];
        let of_row = map.cells.iter().filter(|other| other.y == cell.y).map(|other| other.x);
        let of_column = map.cells.iter().filter(|other| other.x == cell.x).map(|other| other.y);
        let (from_x, to_x) = x.around(cell.x, of_row);
        let (from_y, to_y) = y.around(cell.y, of_column);
        let corners = [(from_x, from_y), (to_x, from_y), (to_x, to_y), (from_x, to_y)];
        drawing.filled(&corners, &cell_color(values[at], colors));
    }
    if with_lines {
        let coarse = Coarse::of(map.cells, &x, &y);
        for &level in map.levels {
            for (from, to) in coarse.contour(level) {
                drawing.line(from, to, Stroke::solid(PAPER, 3.5));
                drawing.line(from, to, Stroke::solid(INK, 1.4));
            }
        }
        if let Some(boundary) = map.boundary {
            let (first, last) = (x.values[0], x.values[x.values.len() - 1]);
            let steps = 60;
            let line: Vec<(f64, f64)> = (0..=steps)
                .map(|step| first * (last / first).powf(f64::from(step) / f64::from(steps)))
                .map(|at| (x.scale.at(at), boundary.at(at)))
                .filter(|(_, value)| (y.values[0]..=y.values[y.values.len() - 1]).contains(value))
                .map(|(at, value)| (at, y.scale.at(value)))
                .collect();
            drawing.polyline(&line, Stroke::solid(PAPER, 3.5));
            drawing.polyline(&line, Stroke::dashed(INK, 1.6));
        }
    }
    let style = Style::new(LABEL_SIZE, INK);
    drawing.text(area.x - axes::ROOM_LEFT, 11.0, quantity, style.strong());
    let mut bar = Drawing::new(colorbar::WIDTH, above + SIDE);
    bar.place(0.0, above - colorbar::ROOM_ABOVE, colorbar::draw("", colors, SIDE));
    grid::arrange(vec![drawing, bar], 2, (GAP / 3.0, GAP))
}

/// The values of a key along an axis.
struct Places {
    values: Vec<f64>,
    scale: Scale,
    log: bool,
}

impl Places {
    fn new(values: Vec<f64>, range: (f64, f64)) -> Places {
        let even = |of: fn(f64) -> f64| {
            // How far the gaps are from equal.
            let gaps: Vec<f64> = values.windows(2).map(|w| of(w[1]) - of(w[0])).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len().max(1) as f64;
            gaps.iter().map(|gap| (gap / mean - 1.0).abs()).sum::<f64>()
        };
        let positive = values.first().is_some_and(|first| *first > 0.0);
        let log = positive && values.len() > 2 && even(f64::ln) < even(|value| value);
        let place = |value: f64| if log { value.ln() } else { value };
        let back = |place: f64| if log { place.exp() } else { place };
        let (first, last) = match (values.first(), values.last()) {
            (Some(first), Some(last)) => (place(*first), place(*last)),
            _ => (0.0, 1.0),
        };
        let half = match values.len() {
            0 | 1 => 0.5,
            n => (last - first) / (n - 1) as f64 / 2.0,
        };
        let scale = Scale::new((back(first - half), back(last + half)), range, log);
        Places { values, scale, log }
    }

    /// The positions between which a value's cell lies: half-way to its neighbours `among` others.
    fn around(&self, value: f64, among: impl Iterator<Item = f64>) -> (f64, f64) {
        let (mut below, mut above) = (f64::NEG_INFINITY, f64::INFINITY);
        for other in among {
            if other < value {
                below = below.max(other);
            }
            if other > value {
                above = above.min(other);
            }
        }
        let middle =
            |other: f64| if self.log { (value * other).sqrt() } else { (value + other) / 2.0 };
        let step = |other: f64| if self.log { value * value / other } else { 2.0 * value - other };
        let low = if below.is_finite() { middle(below) } else { middle(step(above)) };
        let high = if above.is_finite() { middle(above) } else { middle(step(below)) };
        let at = |end: f64| if end.is_finite() { end } else { value };
        (self.scale.at(at(low)), self.scale.at(at(high)))
    }

    /// At most ten of the values.
    fn marked(&self) -> Vec<f64> {
        let every = self.values.len().div_ceil(10).max(1);
        self.values.iter().copied().step_by(every).collect()
    }
}

/// The whole grid of a map, without cells that divide others.
struct Coarse {
    x: Vec<f64>,
    y: Vec<f64>,
    /// `[row][column]`; NaN where there is no cell.
    means: Vec<Vec<f64>>,
}

impl Coarse {
    fn of(cells: &[MapCell], x: &Places, y: &Places) -> Coarse {
        let most = |values: &[f64], of: fn(&MapCell) -> f64| -> Vec<f64> {
            let count = |value: f64| cells.iter().filter(|cell| of(cell) == value).count();
            let largest = values.iter().map(|value| count(*value)).max().unwrap_or(0);
            values.iter().copied().filter(|value| 2 * count(*value) >= largest).collect()
        };
        let (columns, rows) = (most(&x.values, |cell| cell.x), most(&y.values, |cell| cell.y));
        let mean = |x: f64, y: f64| {
            let found = cells.iter().find(|cell| (cell.x, cell.y) == (x, y));
            found.and_then(MapCell::mean).unwrap_or(f64::NAN)
        };
        Coarse {
            means: rows.iter().map(|y| columns.iter().map(|x| mean(*x, *y)).collect()).collect(),
            x: columns.into_iter().map(|value| x.scale.at(value)).collect(),
            y: rows.into_iter().map(|value| y.scale.at(value)).collect(),
        }
    }

    /// The lines where the mean is `level`, interpolated between the middles of cells (marching
    /// squares; Lorensen and Cline 1987 in two dimensions).
    fn contour(&self, level: f64) -> Vec<((f64, f64), (f64, f64))> {
        let mut lines = Vec::new();
        for row in 1..self.y.len() {
            for column in 1..self.x.len() {
                let corner = |right: usize, up: usize| {
                    let (column, row) = (column - 1 + right, row - 1 + up);
                    (self.x[column], self.y[row], self.means[row][column] - level)
                };
                let corners = [corner(0, 0), corner(1, 0), corner(1, 1), corner(0, 1)];
                if corners.iter().any(|corner| corner.2.is_nan()) {
                    continue;
                }
                let crossed = (0..4).filter_map(|at| {
                    let (a, b) = (corners[at], corners[(at + 1) % 4]);
                    ((a.2 > 0.0) != (b.2 > 0.0)).then(|| {
                        let part = a.2 / (a.2 - b.2);
                        (a.0 + part * (b.0 - a.0), a.1 + part * (b.1 - a.1))
                    })
                });
                let crossed: Vec<(f64, f64)> = crossed.collect();
                lines.extend(crossed.chunks_exact(2).map(|ends| (ends[0], ends[1])));
            }
        }
        lines
    }
}

fn table(map: &Map<'_>) -> Table {
    let mut table = Table::new(&[map.x, map.y, "mean", "low", "high", "runs"]);
    for cell in map.cells {
        let interval = cell.interval();
        table.rows.push(vec![
            number(cell.x),
            number(cell.y),
            number(cell.mean().unwrap_or(f64::NAN)),
            number(interval.map_or(f64::NAN, |interval| interval.low)),
            number(interval.map_or(f64::NAN, |interval| interval.high)),
            cell.values.len().to_string(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contours_lie_between_the_cells_that_they_part() {
        let cells: Vec<MapCell> = [1.0, 2.0, 4.0, 8.0]
            .iter()
            .flat_map(|&x| {
                [0.0, 1.0, 2.0].map(|y| MapCell {
                    x,
                    y,
                    values: vec![f64::from(u8::from(y > 0.5))],
                })
            })
            .collect();
        let x = Places::new(columns(&cells), (0.0, 400.0));
        assert!(x.log);
        assert!((x.scale.at(2.0) - 150.0).abs() < 1e-9);
        let y = Places::new(rows(&cells), (300.0, 0.0));
        assert!(!y.log);
        let lines = Coarse::of(&cells, &x, &y).contour(0.5);
        assert_eq!(lines.len(), 3);
        // Half-way between the rows at 250 and 150.
        assert!(
            lines.iter().all(|(a, b)| (a.1 - 200.0).abs() < 1e-9 && (b.1 - 200.0).abs() < 1e-9)
        );
        assert!(Coarse::of(&cells, &x, &y).contour(2.0).is_empty());
    }
}
