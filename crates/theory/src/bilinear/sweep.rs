//! Many draws over many sizes: the ε that theorem 1 needs. At t → 0 it has a closed form, so that
//! thousands of draws are cheap; fewer are followed along the whole flow.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::initial::{initial_exponents, law_constants};
use super::verdict::smallest_epsilon;
use super::{BilinearConfig, BilinearError, simulate_on};
use crate::matrix::Threads;

/// Which pairs are said in one direction only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Geometry {
    /// One pair, as in the paper's theorem.
    OnePair,
    /// 30 % of the pairs, as in the experiments.
    ThirtyPercent,
}

impl Geometry {
    /// Both.
    pub const ALL: [Geometry; 2] = [Geometry::OnePair, Geometry::ThirtyPercent];

    /// Its name for people.
    pub fn title(self) -> &'static str {
        match self {
            Geometry::OnePair => "one pair one way",
            Geometry::ThirtyPercent => "30 % one way",
        }
    }

    /// The fraction of the pairs of `entities`.
    pub(super) fn fraction(self, entities: usize) -> f64 {
        match self {
            Geometry::OnePair => 2.0 / entities as f64,
            Geometry::ThirtyPercent => 0.3,
        }
    }
}

/// The settings of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepConfig {
    /// All but m, d, the held-out fraction and the seed.
    pub base: BilinearConfig,
    /// (m, draws in each dimension), for the closed form at t → 0.
    pub entities: Vec<(usize, u32)>,
    /// d/m.
    pub ratios: Vec<usize>,
    /// d of the draws that are followed along the flow, with m of the base.
    pub flow_dims: Vec<usize>,
    /// How many of them in each dimension and geometry.
    pub flows: u32,
}

/// The exponent at t → 0 over the draws of one size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Which pairs are said one way.
    pub geometry: Geometry,
    /// m.
    pub entities: usize,
    /// d.
    pub dim: usize,
    /// Draws.
    pub draws: usize,
    /// Draws whose exponent exceeds the base's ε.
    pub above: usize,
    /// Mean.
    pub mean: f64,
    /// Root mean square.
    pub rms: f64,
    /// Its standard error.
    pub rms_error: f64,
}

impl Cell {
    pub(super) fn new(
        (geometry, entities, dim): (Geometry, usize, usize),
        epsilon: f64,
        exponents: &[f64],
    ) -> Cell {
        let count = exponents.len() as f64;
        let moment = |power| exponents.iter().map(|e| e.powi(power)).sum::<f64>() / count;
        let (square, fourth) = (moment(2), moment(4));
        let rms = square.sqrt();
        Cell {
            geometry,
            entities,
            dim,
            draws: exponents.len(),
            above: exponents.iter().filter(|&&e| e > epsilon).count(),
            mean: moment(1),
            rms,
            // That of the mean square, by the derivative of the root.
            rms_error: ((fourth - square * square).max(0.0) / count).sqrt() / (2.0 * rms),
        }
    }
}

/// rms ε = √(a²/d² + b²/(m² d)), which is max(a/d, b/(m √d)) up to a factor √2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Law {
    /// Which pairs are said one way.
    pub geometry: Geometry,
    /// m.
    pub entities: usize,
    /// [a, b], fitted to the cells of this m and geometry.
    pub fitted: [f64; 2],
    /// Their standard errors.
    pub errors: [f64; 2],
    /// [a, b] as derived to leading order.
    pub derived: [f64; 2],
}

impl Law {
    /// The fitted root mean square of ε at a dimension.
    pub fn at(&self, dim: f64) -> f64 {
        let [a, b] = self.fitted;
        (a / dim).hypot(b / (self.entities as f64 * dim.sqrt()))
    }

    /// The fitted dimension at which both terms are equal, (a m/b)².
    pub fn crossover(&self) -> f64 {
        (self.fitted[0] * self.entities as f64 / self.fitted[1]).powi(2)
    }

    /// The weighted least-squares fit of rms² d² = a² + (b/m)² d, linear in a² and b².
    fn fit(cells: &[&Cell]) -> Option<Law> {
        let first = cells.first()?;
        let m2 = (first.entities as f64).powi(2);
        let mut sums = [0.0; 5];
        for cell in cells {
            let d = cell.dim as f64;
            let (x, y) = (d / m2, (cell.rms * d).powi(2));
            // The standard error of y.
            let weight = (2.0 * cell.rms * cell.rms_error * d * d).powi(-2);
            for (sum, term) in sums.iter_mut().zip([1.0, x, x * x, y, x * y]) {
                *sum += weight * term;
            }
        }
        let [one, x, xx, y, xy] = sums;
        let determinant = one * xx - x * x;
        let squares = [(xx * y - x * xy) / determinant, (one * xy - x * y) / determinant];
        let errors = [(xx / determinant).sqrt(), (one / determinant).sqrt()];
        let fitted = squares.map(|square| square.max(0.0).sqrt());
        let held_out = (first.geometry.fraction(first.entities) * first.entities as f64 / 2.0)
            .round_ties_even() as usize;
        let law = Law {
            geometry: first.geometry,
            entities: first.entities,
            fitted,
            errors: [0, 1].map(|at| errors[at] / (2.0 * fitted[at])),
            derived: law_constants(first.entities, held_out),
        };
        fitted.iter().all(|c| c.is_finite() && *c > 0.0).then_some(law)
    }
}

/// A draw that was followed along the flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Which pairs are said one way.
    pub geometry: Geometry,
    /// d.
    pub dim: usize,
    /// Its seed.
    pub seed: u32,
    /// The smallest ε that works at t → 0 and at all logged times.
    pub epsilon: f64,
    /// The exponent at t → 0.
    pub initial: f64,
    /// (ln L/L₀, ln L^rev/L^rev₀) at each logged time.
    pub curve: Vec<[f64; 2]>,
    /// L^rev when L first is 0.1, 0.01, 0.001; `None` where it was not.
    pub reversal_at_levels: [Option<f64>; 3],
}

impl Flow {
    /// Whether no later time needs a larger ε than t → 0.
    pub fn is_largest_at_start(&self) -> bool {
        self.epsilon <= self.initial
    }
}

/// The result of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// Its settings.
    pub config: SweepConfig,
    /// By m, d and geometry.
    pub cells: Vec<Cell>,
    /// By m and geometry.
    pub laws: Vec<Law>,
    /// By geometry, d and seed.
    pub flows: Vec<Flow>,
}

/// The sweep that the report draws: m = 10, 100, 1,000 and d from m to 10⁵ m. `scale` multiplies
/// the draws.
pub fn sweep_config(scale: u32) -> SweepConfig {
    let base = BilinearConfig { points: 24, t_max: 1e6, ..BilinearConfig::default() };
    SweepConfig {
        base,
        entities: [(10, 2000), (100, 2000), (1000, 100)].map(|(m, n)| (m, n * scale)).to_vec(),
        ratios: vec![1, 10, 100, 1000, 10_000, 100_000],
        flow_dims: vec![100, 1000, 10_000],
        flows: 100 * scale,
    }
}

/// Draws all, on all cores. `progress` is called now and then.
///
/// # Errors
/// [`BilinearError`] of the first draw that fails.
pub fn sweep(config: &SweepConfig, progress: &(dyn Fn() + Sync)) -> Result<Sweep, BilinearError> {
    let mut cells = Vec::new();
    for &(entities, draws) in config.entities.iter().rev() {
        for ratio in &config.ratios {
            let base = BilinearConfig { entities, dim: entities * ratio, ..config.base };
            cells.extend(draw_cells(&base, draws)?);
            progress();
        }
    }
    cells.sort_by_key(|cell| (cell.entities, cell.dim));
    let flows: Vec<(Geometry, usize, u32)> = Geometry::ALL
        .into_iter()
        .flat_map(|geometry| config.flow_dims.iter().map(move |&dim| (geometry, dim)))
        .flat_map(|(geometry, dim)| (0..config.flows).map(move |seed| (geometry, dim, seed)))
        .collect();
    let follow = |&(geometry, dim, seed): &(Geometry, usize, u32)| {
        let held_out = geometry.fraction(config.base.entities);
        let flow = follow(geometry, &BilinearConfig { dim, seed, held_out, ..config.base });
        progress();
        flow
    };
    let flows = flows.par_iter().map(follow).collect::<Result<_, _>>()?;
    Ok(Sweep { config: config.clone(), laws: laws(&cells), cells, flows })
}

/// The cells of one m and d. All geometries share their embeddings.
fn draw_cells(base: &BilinearConfig, draws: u32) -> Result<Vec<Cell>, BilinearError> {
    let fractions = Geometry::ALL.map(|geometry| geometry.fraction(base.entities));
    let exponents = (0..draws)
        .into_par_iter()
        .map(|seed| initial_exponents(&BilinearConfig { seed, ..*base }, &fractions))
        .collect::<Result<Vec<_>, _>>()?;
    let cell = |(at, geometry)| {
        let of: Vec<f64> = exponents.iter().filter_map(|of: &Vec<Option<f64>>| of[at]).collect();
        Cell::new((geometry, base.entities, base.dim), base.epsilon, &of)
    };
    Ok(Geometry::ALL.into_iter().enumerate().map(cell).collect())
}

/// One law for each m and geometry.
pub(super) fn laws(cells: &[Cell]) -> Vec<Law> {
    let mut entities: Vec<usize> = cells.iter().map(|cell| cell.entities).collect();
    entities.dedup();
    let all = entities.into_iter().flat_map(|m| Geometry::ALL.map(|geometry| (m, geometry)));
    let law = |(m, geometry)| {
        let of = cells.iter().filter(|cell| (cell.entities, cell.geometry) == (m, geometry));
        Law::fit(&of.collect::<Vec<_>>())
    };
    all.filter_map(law).collect()
}

fn follow(geometry: Geometry, config: &BilinearConfig) -> Result<Flow, BilinearError> {
    let result = simulate_on(config, Threads::One, &mut |_| ())?;
    let start = result.series[0];
    let curve = result.series[1..].iter().filter_map(|point| {
        let ln = |now: f64, then: f64| (now / then).ln();
        let reversal = ln(point.reversal_loss?, start.reversal_loss?);
        Some([ln(point.train_loss, start.train_loss), reversal])
    });
    let at = |level| result.reached.iter().find(|reached| reached.level == level);
    let initial = result.initial_exponent.unwrap_or(0.0);
    Ok(Flow {
        geometry,
        dim: config.dim,
        seed: config.seed,
        epsilon: smallest_epsilon(&result.series).unwrap_or(0.0).max(initial),
        initial,
        curve: curve.collect(),
        reversal_at_levels: super::LEVELS.map(|level| at(level)?.reversal_loss),
    })
}
