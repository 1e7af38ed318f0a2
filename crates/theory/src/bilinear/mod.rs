//! The bilinear model (paper, section 3), simulated and checked against theorems 1 and 2.

mod closed_form;
mod config;
mod descent;
mod directions;
mod draw;
mod error;
mod flow;
mod initial;
mod loss;
mod model;
mod probability;
mod study;
mod sweep;
mod verdict;

use retrodict_dynamics::asymmetry;
use serde::{Deserialize, Serialize};

use crate::Theorem;
use crate::matrix::Threads;

pub use closed_form::{exponent, flow_loss};
pub use config::{BilinearConfig, Dynamics, Embeddings, FIRST_TIME};
pub use directions::{Direction, Directions};
pub use error::BilinearError;
pub use probability::{DELTA, at_dim, fraction_above};
pub use study::{Example, Study, examples, reproduce, stored};
pub use sweep::{Cell, Flow, Geometry, Law, Sweep, SweepConfig, sweep, sweep_config};

use descent::{gradient_descent, stochastic_gradient_descent};
use flow::gradient_flow;
use model::{Bilinear, Crossing, Gram, Losses, Request, Sink};

/// The least d/m at which the training loss falls as the theorems assume. Below, embeddings are so
/// far from orthonormal that the loss falls late or stalls, and the flow turns stiff.
pub const LEAST_DIM_OVER_ENTITIES: f64 = 0.5;
/// Training losses at which theorem 2 is evaluated.
pub const LEVELS: [f64; 3] = [0.1, 0.01, 0.001];

/// One logged time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Time; the learning rate times the steps for gd and sgd.
    pub t: f64,
    /// L.
    pub train_loss: f64,
    /// L^rev; `None` where nothing is held out.
    pub reversal_loss: Option<f64>,
    /// ln(L^rev/L^rev₀) / ln(L/L₀): the ε that theorem 1 needs at this time.
    pub exponent: Option<f64>,
    /// Margin of the effective weights of the one-sided pairs in the trained direction.
    pub seen_margin: Option<f64>,
    /// In the held-out direction.
    pub unseen_margin: Option<f64>,
    /// Which part of the trained margin is missing in the held-out one.
    pub asymmetry: Option<f64>,
}

/// The losses when training has come down to a level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reached {
    /// The training loss.
    pub level: f64,
    /// When; for sgd the first logged time.
    pub t: f64,
    /// L^rev then.
    pub reversal_loss: Option<f64>,
}

/// The result of a simulation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BilinearResult {
    /// Its settings.
    pub config: BilinearConfig,
    /// |D|.
    pub trained_directions: usize,
    /// Directions that are asked for and never trained.
    pub held_out_directions: usize,
    /// The exponent of theorem 1 at t → 0, in closed form; `None` where nothing is held out or Θ
    /// does not begin at zero.
    pub initial_exponent: Option<f64>,
    /// The start and log-spaced times.
    pub series: Vec<Point>,
    /// Where the training loss came down to each of [`LEVELS`]; those it did not reach are missing.
    pub reached: Vec<Reached>,
    /// The theorems' bounds and the measured values.
    pub theorems: Vec<Theorem>,
    /// Reasons to distrust the result.
    pub warnings: Vec<String>,
}

/// Simulates, and checks the result against the theorems. `progress` receives each logged time.
///
/// # Errors
/// [`BilinearError`] for settings that make no sense, and a simulation that cannot be followed.
pub fn simulate(
    config: &BilinearConfig,
    progress: &mut dyn FnMut(f64),
) -> Result<BilinearResult, BilinearError> {
    simulate_on(config, Threads::for_entities(config.entities), progress)
}

fn simulate_on(
    config: &BilinearConfig,
    threads: Threads,
    progress: &mut dyn FnMut(f64),
) -> Result<BilinearResult, BilinearError> {
    config.check()?;
    let directions = Directions::of_pairs(config.entities, config.held_out, config.seed.into())?;
    let model = Bilinear::new(config, &directions)?;
    let mut recorder = Recorder::new(&model, &directions);
    recorder.record(0.0, &model.initial);
    let times = config.times();
    let request = Request { times: &times, levels: &LEVELS };
    let mut sink = |t: f64, logits: &[f64]| {
        recorder.record(t, logits);
        progress(t);
    };
    let crossings = match config.dynamics {
        Dynamics::Flow => {
            Some(gradient_flow(&model, config.tolerance, threads, request, &mut sink)?)
        }
        Dynamics::Gd => Some(gradient_descent(&model, config.lr, threads, request, &mut sink)?),
        Dynamics::Sgd => {
            let seed = config.seed.into();
            stochastic_gradient_descent(&model, config.lr, seed, &times, &mut sink)?;
            None
        }
    };
    let series = recorder.series;
    let reached = crossings.map_or_else(|| first_logged(&series), |found| reached(&found));
    Ok(BilinearResult {
        config: *config,
        trained_directions: directions.trained.len(),
        held_out_directions: directions.held_out.len(),
        initial_exponent: (config.init == 0.0)
            .then(|| initial::initial_exponent(&model.gram, config.entities, &directions))
            .flatten(),
        theorems: verdict::theorems(config, &directions, &series, &reached),
        warnings: verdict::warnings(config, &series),
        series,
        reached,
    })
}

fn reached(crossings: &[Crossing]) -> Vec<Reached> {
    let one = |crossing: &Crossing| {
        let Crossing { level, time, losses } = *crossing;
        Reached { level, t: time, reversal_loss: losses.reversal }
    };
    crossings.iter().map(one).collect()
}

fn first_logged(series: &[Point]) -> Vec<Reached> {
    let first = |level| {
        let point = series.iter().find(|point| point.train_loss <= level)?;
        Some(Reached { level, t: point.t, reversal_loss: point.reversal_loss })
    };
    LEVELS.into_iter().filter_map(first).collect()
}

/// Measures at one time after another.
struct Recorder<'a> {
    model: &'a Bilinear,
    /// The one-sided pairs: the trained direction, then the held-out one.
    one_sided: [Vec<Direction>; 2],
    series: Vec<Point>,
}

impl<'a> Recorder<'a> {
    fn new(model: &'a Bilinear, directions: &Directions) -> Recorder<'a> {
        let unseen = directions.held_out.clone();
        let seen = unseen.iter().map(|direction| direction.reversed()).collect();
        Recorder { model, one_sided: [seen, unseen], series: Vec::new() }
    }

    fn record(&mut self, t: f64, logits: &[f64]) {
        let Losses { train, reversal } = self.model.losses(logits);
        let [seen_margin, unseen_margin] =
            [0, 1].map(|side| self.margin(logits, &self.one_sided[side]));
        let exponent = self
            .series
            .first()
            .and_then(|first| exponent(train, first.train_loss, reversal?, first.reversal_loss?));
        self.series.push(Point {
            t,
            train_loss: train,
            reversal_loss: reversal,
            exponent,
            seen_margin,
            unseen_margin,
            asymmetry: seen_margin.zip(unseen_margin).and_then(|(s, u)| asymmetry(s, u)),
        });
    }

    /// The margin of some directions as `WeightMatrix::margin` defines it, in `f64`.
    fn margin(&self, logits: &[f64], of: &[Direction]) -> Option<f64> {
        let others = of.len().checked_sub(1).filter(|&others| others > 0)? as f64;
        let weights = self.model.effective_weights(logits, of)?;
        let margins = weights.chunks_exact(of.len()).enumerate().map(|(at, row)| {
            let right = row[at];
            right - (row.iter().sum::<f64>() - right) / others
        });
        Some(margins.sum::<f64>() / of.len() as f64)
    }
}

#[cfg(test)]
mod tests;
