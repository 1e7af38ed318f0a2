//! Many draws over many dimensions: the ε that theorem 1 needs in each.

use std::path::Path;

use rayon::prelude::*;
use retrodict_lab::stats;
use retrodict_lab::store::StoreError;
use serde::{Deserialize, Serialize};

use super::verdict::smallest_epsilon;
use super::{
    BilinearConfig, BilinearError, BilinearResult, Embeddings, LEAST_DIM_OVER_ENTITIES, simulate,
    simulate_on,
};
use crate::matrix::Threads;
use crate::power_law::{PowerLaw, fit_power_law};
use crate::{TheoryError, stored};

/// The folder of this model's results below `theory/`, and the sweep's name there.
const MODEL: &str = "bilinear";
const NAME: &str = "sweep";

/// The settings of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepConfig {
    /// All but the dimension and the seed.
    pub base: BilinearConfig,
    /// d.
    pub dims: Vec<usize>,
    /// Draws in each; seeds from 0.
    pub draws: u32,
}

/// One draw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draw {
    /// Its dimension.
    pub dim: usize,
    /// Its seed.
    pub seed: u32,
    /// The smallest ε that works over the logged times.
    pub epsilon: f64,
    /// (ln L/L₀, ln L^rev/L^rev₀) at each.
    pub curve: Vec<[f64; 2]>,
    /// L^rev when L first is 0.1, 0.01, 0.001; `None` where it was not.
    pub reversal_at_levels: [Option<f64>; 3],
}

/// The draws in one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// d.
    pub dim: usize,
    /// Mean of ε.
    pub mean: f64,
    /// Its standard deviation over draws.
    pub std: f64,
    /// Root mean square of ε.
    pub rms: f64,
    /// The largest.
    pub max: f64,
    /// Fraction of the draws with ε < 0: their reversal loss rises.
    pub negative: f64,
}

/// The result of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// Its settings.
    pub config: SweepConfig,
    /// Every draw.
    pub draws: Vec<Draw>,
    /// Of each dimension.
    pub spread: Vec<Spread>,
    /// How the root mean square of ε falls with d ≥ m/2: exponent and standard error.
    pub rms_exponent: Option<(f64, f64)>,
}

/// The sweep that the report draws: m = 100, d from 100 to 100,000, half decades.
pub fn sweep_config(draws: u32) -> SweepConfig {
    let base = BilinearConfig { points: 40, ..BilinearConfig::default() };
    SweepConfig { base, dims: vec![100, 316, 1000, 3162, 10_000, 31_623, 100_000], draws }
}

/// Draws and simulates all, on all cores. `progress` is called after each draw.
///
/// # Errors
/// [`BilinearError`] of the first draw that fails.
pub fn sweep(config: &SweepConfig, progress: &(dyn Fn() + Sync)) -> Result<Sweep, BilinearError> {
    // The most expensive first, so that no core ends with one alone.
    let dims = config.dims.iter().rev();
    let all: Vec<(usize, u32)> =
        dims.flat_map(|&dim| (0..config.draws).map(move |seed| (dim, seed))).collect();
    let one = |&(dim, seed): &(usize, u32)| {
        let drawn = draw(&BilinearConfig { dim, seed, ..config.base });
        progress();
        drawn
    };
    let mut draws: Vec<Draw> = all.par_iter().map(one).collect::<Result<_, _>>()?;
    draws.sort_by_key(|draw| (draw.dim, draw.seed));
    let spread: Vec<Spread> = config.dims.iter().map(|&dim| spread(dim, &draws)).collect();
    let far = LEAST_DIM_OVER_ENTITIES * config.base.entities as f64;
    let law: Vec<(f64, f64)> = spread
        .iter()
        .filter(|of| of.dim as f64 >= far && of.rms > 0.0)
        .map(|of| ((of.dim as f64).ln(), of.rms.ln()))
        .collect();
    let rms_exponent =
        fit_power_law(&law).map(|PowerLaw { exponent, standard_error }| (exponent, standard_error));
    Ok(Sweep { config: config.clone(), draws, spread, rms_exponent })
}

fn draw(config: &BilinearConfig) -> Result<Draw, BilinearError> {
    let result = simulate_on(config, Threads::One, &mut |_| ())?;
    let start = result.series[0];
    let curve = result.series[1..].iter().filter_map(|point| {
        let ln = |now: f64, then: f64| (now / then).ln();
        let reversal = ln(point.reversal_loss?, start.reversal_loss?);
        Some([ln(point.train_loss, start.train_loss), reversal])
    });
    let at = |level| result.reached.iter().find(|reached| reached.level == level);
    Ok(Draw {
        dim: config.dim,
        seed: config.seed,
        epsilon: smallest_epsilon(&result.series).unwrap_or(0.0),
        curve: curve.collect(),
        reversal_at_levels: super::LEVELS.map(|level| at(level)?.reversal_loss),
    })
}

fn spread(dim: usize, draws: &[Draw]) -> Spread {
    let of: Vec<f64> = draws.iter().filter(|d| d.dim == dim).map(|d| d.epsilon).collect();
    let count = of.len() as f64;
    Spread {
        dim,
        mean: stats::mean(&of).unwrap_or(0.0),
        std: stats::std(&of).unwrap_or(0.0),
        rms: (of.iter().map(|e| e * e).sum::<f64>() / count).sqrt(),
        max: of.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        negative: of.iter().filter(|&&e| e < 0.0).count() as f64 / count,
    }
}

/// One simulation whose effective weights the report draws over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Example {
    /// Its file's name.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// Its settings.
    pub config: BilinearConfig,
}

/// Few dimensions, many, and the limit of infinitely many, which orthonormal embeddings are.
pub fn examples() -> [Example; 3] {
    let few = BilinearConfig::default();
    let many = BilinearConfig { dim: 10_000, ..few };
    let limit = BilinearConfig { embeddings: Embeddings::Orthonormal, ..few };
    let example = |name, title, config| Example { name, title, config };
    [
        example("gaussian-100", "d = 100", few),
        example("gaussian-10000", "d = 10,000", many),
        example("orthonormal", "orthonormal embeddings", limit),
    ]
}

/// The content of the report's section on the bilinear model.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// Many draws.
    pub sweep: Sweep,
    /// One result for each of [`examples`].
    pub examples: Vec<(Example, BilinearResult)>,
}

/// Makes what is missing below `out`, and returns all. `progress` is called after each draw.
///
/// # Errors
/// [`TheoryError`] where something cannot be made or written.
pub fn reproduce(
    out: &Path,
    config: &SweepConfig,
    progress: &(dyn Fn() + Sync),
) -> Result<Study, TheoryError> {
    let wanted = |kept: &Sweep| kept.config == *config;
    let sweep = stored::kept_or_made(out, MODEL, NAME, wanted, || sweep(config, progress))?;
    let one = |example: Example| {
        let wanted = |kept: &BilinearResult| kept.config == example.config;
        let make = || simulate(&example.config, &mut |_| ());
        Ok((example, stored::kept_or_made(out, MODEL, example.name, wanted, make)?))
    };
    let examples = examples().into_iter().map(one).collect::<Result<_, TheoryError>>()?;
    Ok(Study { sweep, examples })
}

/// Reads the study below `out` without simulating; `None` if any of it is missing.
///
/// # Errors
/// [`StoreError`] for a file that cannot be read.
pub fn stored(out: &Path) -> Result<Option<Study>, StoreError> {
    let Some(sweep) = stored::read::<Sweep>(out, MODEL, NAME)? else { return Ok(None) };
    let mut all = Vec::new();
    for example in examples() {
        let kept = stored::read::<BilinearResult>(out, MODEL, example.name)?;
        let Some(kept) = kept.filter(|kept| kept.config == example.config) else { return Ok(None) };
        all.push((example, kept));
    }
    Ok(Some(Study { sweep, examples: all }))
}
