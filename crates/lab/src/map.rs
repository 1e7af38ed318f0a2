//! Phase diagrams: a measure over two keys of a spec, and the boundary where its mean crosses a
//! level.

use retrodict_engine::{Purpose, Stream};

use crate::bootstrap::{Interval, SEED, interval_of_mean, interval_of_resamples};
use crate::stats::mean;

/// One setting of a map: the values of its two keys, and a measure of every run that has it.
#[derive(Debug, Clone, PartialEq)]
pub struct MapCell {
    /// The value of the first key.
    pub x: f64,
    /// The value of the second key.
    pub y: f64,
    /// The measure, one for each complete run.
    pub values: Vec<f64>,
}

impl MapCell {
    /// The mean over runs; `None` without any.
    pub fn mean(&self) -> Option<f64> {
        mean(&self.values)
    }

    /// The 95 % interval of the mean over runs; `None` of fewer than two.
    pub fn interval(&self) -> Option<Interval> {
        interval_of_mean(&self.values)
    }

    /// Whether the interval of the mean holds `level`: it is not known on which side the cell is.
    pub fn straddles(&self, level: f64) -> bool {
        self.interval().is_none_or(|interval| interval.low <= level && level <= interval.high)
    }
}

/// The first keys' values, ascending.
pub fn columns(cells: &[MapCell]) -> Vec<f64> {
    sorted(cells.iter().map(|cell| cell.x))
}

/// The second keys' values, ascending.
pub fn rows(cells: &[MapCell]) -> Vec<f64> {
    sorted(cells.iter().map(|cell| cell.y))
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}

/// Pairs of neighbouring values between which the mean crosses `level`, for a finer grid: of cells
/// that differ in x alone, and of cells that differ in y alone.
pub fn crossings(cells: &[MapCell], level: f64) -> Vec<((f64, f64), (f64, f64))> {
    let mut found = Vec::new();
    let mut between = |a: &MapCell, b: &MapCell| {
        let [Some(one), Some(other)] = [a.mean(), b.mean()] else { return };
        if (one > level) != (other > level) {
            found.push(((a.x, a.y), (b.x, b.y)));
        }
    };
    for along_x in [true, false] {
        let key = |cell: &MapCell| if along_x { (cell.y, cell.x) } else { (cell.x, cell.y) };
        let mut ordered: Vec<&MapCell> = cells.iter().collect();
        ordered.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        for pair in ordered.windows(2).filter(|pair| key(pair[0]).0 == key(pair[1]).0) {
            between(pair[0], pair[1]);
        }
    }
    found
}

/// The y at which the mean of a column crosses `level`, by isotonic regression over y and linear
/// interpolation; `None` where all of it lies on one side.
pub fn crossing(column: &[(f64, f64, f64)], level: f64) -> Option<f64> {
    let mut points = column.to_vec();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let weights: f64 = points.iter().map(|point| point.2).sum();
    let center = |of: fn(&(f64, f64, f64)) -> f64| {
        points.iter().map(|point| of(point) * point.2).sum::<f64>() / weights
    };
    let (y, value) = (center(|p| p.0), center(|p| p.1));
    let slope: f64 = points.iter().map(|p| (p.0 - y) * (p.1 - value) * p.2).sum();
    let sign = if slope < 0.0 { -1.0 } else { 1.0 };
    let smooth = isotonic(&points.iter().map(|p| (sign * p.1, p.2)).collect::<Vec<_>>());
    let level = sign * level;
    let at = smooth.iter().position(|value| *value > level)?;
    let before = at.checked_sub(1)?;
    let part = (level - smooth[before]) / (smooth[at] - smooth[before]);
    Some(points[before].0 + part * (points[at].0 - points[before].0))
}

/// The non-decreasing values nearest to weighted ones by least squares: pool adjacent violators
/// (Barlow et al., *Statistical inference under order restrictions*, 1972).
fn isotonic(values: &[(f64, f64)]) -> Vec<f64> {
    let mut blocks: Vec<(f64, f64, usize)> = Vec::new();
    for &(value, weight) in values {
        let mut block = (value, weight, 1);
        while let Some(&(below, weight, count)) = blocks.last()
            && below >= block.0
        {
            let sum = weight + block.1;
            block = ((below * weight + block.0 * block.1) / sum, sum, count + block.2);
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks.iter().flat_map(|(value, _, count)| std::iter::repeat_n(*value, *count)).collect()
}

/// A boundary y = a x^b, fitted to the crossings of some columns, with 95 % intervals over runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Boundary {
    /// The level of the measure.
    pub level: f64,
    /// The crossing of every column that has one: x, y, and its interval.
    pub crossings: Vec<(f64, f64, Option<Interval>)>,
    /// The factor a.
    pub factor: f64,
    /// Its interval.
    pub factor_interval: Option<Interval>,
    /// The exponent b.
    pub exponent: f64,
    /// Its interval.
    pub exponent_interval: Option<Interval>,
    /// Columns of the fit.
    pub fitted: Vec<f64>,
    /// Cells of the other columns whose interval excludes the level: how many, and how many of them
    /// the fit puts on the right side.
    pub unseen: (usize, usize),
}

/// Resamples of the runs of every cell.
const RESAMPLES: u32 = 1000;

impl Boundary {
    /// Fits the crossings of `level` in every second column, and checks the fit in the others.
    /// `None` where fewer than two of the fitted columns have a crossing above 0.
    pub fn fit(cells: &[MapCell], level: f64) -> Option<Boundary> {
        let all = columns(cells);
        let fitted: Vec<f64> = all.iter().copied().step_by(2).collect();
        let means = |cell: &MapCell| cell.mean();
        let found = crossings_of(cells, &all, level, means);
        let of_fit = |found: &[(f64, Option<f64>)]| -> Vec<(f64, f64)> {
            let fitted = found.iter().filter(|(x, _)| fitted.contains(x));
            fitted.filter_map(|(x, y)| Some((*x, (*y)?))).collect()
        };
        let (factor, exponent) = power(&of_fit(&found))?;
        let mut resampled: Vec<Vec<f64>> = vec![Vec::new(); all.len()];
        let (mut factors, mut exponents) = (Vec::new(), Vec::new());
        for number in 0..RESAMPLES {
            let stream = Stream::new(SEED, Purpose::Resample, number);
            let mut slot = 0;
            let found = crossings_of(cells, &all, level, |cell: &MapCell| {
                let n = cell.values.len();
                let drawn: f64 =
                    (0..n as u64).map(|at| cell.values[stream.below(n, slot + at)]).sum();
                slot += n as u64;
                (n > 0).then(|| drawn / n as f64)
            });
            for (resampled, (_, y)) in resampled.iter_mut().zip(&found) {
                resampled.extend(y);
            }
            if let Some((factor, exponent)) = power(&of_fit(&found)) {
                factors.push(factor);
                exponents.push(exponent);
            }
        }
        let crossings = found
            .iter()
            .zip(resampled)
            .filter_map(|(&(x, y), resampled)| Some((x, y?, interval_of_resamples(resampled))));
        let mut boundary = Boundary {
            level,
            crossings: crossings.collect(),
            factor,
            factor_interval: interval_of_resamples(factors),
            exponent,
            exponent_interval: interval_of_resamples(exponents),
            fitted,
            unseen: (0, 0),
        };
        boundary.unseen = boundary.check(cells)?;
        Some(boundary)
    }

    /// The y of the boundary at x.
    pub fn at(&self, x: f64) -> f64 {
        self.factor * x.powf(self.exponent)
    }

    fn check(&self, cells: &[MapCell]) -> Option<(usize, usize)> {
        let unseen = || cells.iter().filter(|cell| !self.fitted.contains(&cell.x));
        // The side on which the measure is above the level: that of most cells of the fit.
        let fitted = cells.iter().filter(|cell| self.fitted.contains(&cell.x));
        let agree = fitted.filter_map(|cell| {
            let above = cell.mean()? > self.level;
            Some(if above == (cell.y > self.at(cell.x)) { 1_i64 } else { -1 })
        });
        let up = agree.sum::<i64>() >= 0;
        let decided = unseen().filter(|cell| !cell.straddles(self.level));
        let right = decided.clone().filter(|cell| {
            let above = cell.mean().is_some_and(|mean| mean > self.level);
            above == ((cell.y > self.at(cell.x)) == up)
        });
        Some((decided.clone().count(), right.count()))
    }
}

/// The crossing of every column.
fn crossings_of(
    cells: &[MapCell],
    columns: &[f64],
    level: f64,
    mut value: impl FnMut(&MapCell) -> Option<f64>,
) -> Vec<(f64, Option<f64>)> {
    let mut of_columns: Vec<Vec<(f64, f64, f64)>> = vec![Vec::new(); columns.len()];
    for cell in cells {
        let at = columns.iter().position(|x| *x == cell.x);
        if let (Some(at), Some(value)) = (at, value(cell)) {
            of_columns[at].push((cell.y, value, cell.values.len() as f64));
        }
    }
    columns.iter().zip(of_columns).map(|(x, column)| (*x, crossing(&column, level))).collect()
}

/// The factor and exponent of the power law through points, by least squares of the logarithms.
fn power(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .filter(|(x, y)| *x > 0.0 && *y > 0.0)
        .map(|(x, y)| (libm::log(*x), libm::log(*y)))
        .collect();
    if logs.len() < 2 {
        return None;
    }
    let n = logs.len() as f64;
    let x = logs.iter().map(|p| p.0).sum::<f64>() / n;
    let y = logs.iter().map(|p| p.1).sum::<f64>() / n;
    let above: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let below: f64 = logs.iter().map(|p| (p.0 - x).powi(2)).sum();
    let exponent = above / below;
    exponent.is_finite().then(|| (libm::exp(y - exponent * x), exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells of a map whose value is 1 above y = 2 x^(−1/2), with noise in every third run.
    fn cells() -> Vec<MapCell> {
        let mut cells = Vec::new();
        for x in [4.0, 9.0, 16.0, 25.0, 36.0, 49.0] {
            for y in (0..=20).map(|y| f64::from(y) * 0.05) {
                let distance: f64 = (y - 2.0 / f64::sqrt(x)) / 0.2;
                let p = 1.0 / (1.0 + (-4.0 * distance).exp());
                let values = (0..20).map(|run| (p + f64::from(run - 10) / 100.0).clamp(0.0, 1.0));
                cells.push(MapCell { x, y, values: values.collect() });
            }
        }
        cells
    }

    #[test]
    fn a_power_law_is_found_and_predicts_unseen_columns() {
        let boundary = Boundary::fit(&cells(), 0.5).unwrap();
        assert!((boundary.exponent + 0.5).abs() < 0.03, "{boundary:?}");
        assert!((boundary.factor - 2.0).abs() < 0.15, "{boundary:?}");
        let interval = boundary.exponent_interval.unwrap();
        assert!(interval.low <= boundary.exponent && boundary.exponent <= interval.high);
        assert_eq!(boundary.fitted, [4.0, 16.0, 36.0]);
        let (cells, right) = boundary.unseen;
        assert!(cells > 40 && right == cells, "{boundary:?}");
    }

    #[test]
    fn a_wrong_boundary_fails_the_check() {
        let mut cells = cells();
        // The unseen columns have another boundary.
        for cell in cells.iter_mut().filter(|cell| [9.0, 25.0, 49.0].contains(&cell.x)) {
            let value = f64::from(u8::from(cell.y > 0.9));
            cell.values.iter_mut().for_each(|v| *v = value);
        }
        let (decided, right) = Boundary::fit(&cells, 0.5).unwrap().unseen;
        assert!((right as f64) < 0.9 * decided as f64, "{right} of {decided}");
    }

    #[test]
    fn crossings_interpolate_and_fall_as_well_as_rise() {
        let column = [(0.0, 0.0, 1.0), (1.0, 0.2, 1.0), (2.0, 0.6, 1.0), (3.0, 1.0, 1.0)];
        assert!((crossing(&column, 0.4).unwrap() - 1.5).abs() < 1e-12);
        let falling = column.map(|(y, value, n)| (y, 1.0 - value, n));
        assert!((crossing(&falling, 0.6).unwrap() - 1.5).abs() < 1e-12);
        assert_eq!(crossing(&column, 2.0), None);
        assert_eq!(crossing(&column, -1.0), None);
        assert_eq!(isotonic(&[(1.0, 1.0), (0.0, 3.0), (2.0, 1.0)]), [0.25, 0.25, 2.0]);
    }

    #[test]
    fn cells_with_an_uncertain_side_are_found() {
        let cell = |values: &[f64]| MapCell { x: 0.0, y: 0.0, values: values.to_vec() };
        assert!(cell(&[0.0, 1.0, 0.0, 1.0]).straddles(0.5));
        assert!(!cell(&[0.9, 1.0, 0.95, 1.0]).straddles(0.5));
        assert!(cell(&[1.0]).straddles(0.5));
        let grid: Vec<MapCell> =
            [(0.0, 0.0, 0.0), (1.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 1.0, 0.0)]
                .map(|(x, y, value)| MapCell { x, y, values: vec![value, value] })
                .to_vec();
        let found = crossings(&grid, 0.5);
        assert_eq!(found, [((0.0, 0.0), (1.0, 0.0)), ((1.0, 0.0), (1.0, 1.0))]);
    }
}
