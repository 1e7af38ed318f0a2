//! The bilinear model: one simulation, held against theorems 1 and 2.

mod sweep;
mod verdict;

use retrodict_dynamics::asymmetry;
use retrodict_models::bilinear::{
    self as model, Bilinear, BilinearError, Crossing, Direction, Directions, Flow, Losses, Request,
    Threads, gradient_descent, gradient_flow, stochastic_gradient_descent,
};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Theorem;

pub use sweep::{
    Draw, Example, Spread, Study, Sweep, SweepConfig, examples, reproduce, stored, sweep,
    sweep_config,
};

/// The first time of the series after the start.
pub const FIRST_TIME: f64 = 1e-2;
/// The least d/m at which the training loss falls as the theorems want it. Below, embeddings are so
/// far from orthonormal that the loss falls late or stalls, and the flow turns stiff.
pub const LEAST_DIM_OVER_ENTITIES: f64 = 0.5;
/// Training losses at which theorem 2 is read.
pub const LEVELS: [f64; 3] = [0.1, 0.01, 0.001];
const MOST_POINTS: usize = 100_000;

/// How the embeddings are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Embeddings {
    /// N(0, I/d).
    Gaussian,
    /// Exactly orthonormal.
    Orthonormal,
}

/// How the weights move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dynamics {
    /// Gradient flow.
    Flow,
    /// Gradient descent on all trained directions; t is the learning rate times the step.
    Gd,
    /// One trained direction a step, drawn uniformly; t is the learning rate times the step.
    Sgd,
}

/// What decides a simulation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BilinearConfig {
    /// m, two for each pair.
    pub entities: usize,
    /// d.
    pub dim: usize,
    /// How the embeddings are drawn.
    pub embeddings: Embeddings,
    /// Fraction of the pairs of which one direction only is trained.
    pub held_out: f64,
    /// How the weights move.
    pub dynamics: Dynamics,
    /// Learning rate of gd and sgd.
    pub lr: f64,
    /// Standard deviation of Θ_0.
    pub init: f64,
    /// The last time.
    pub t_max: f64,
    /// Log-spaced times from [`FIRST_TIME`] to the last.
    pub points: usize,
    /// Largest error of a row of logits that a step of the flow's integrator may make.
    pub tolerance: f64,
    /// Theorem 1's ε.
    pub epsilon: f64,
    /// Decides the embeddings, the held-out directions, the initial weights and the order.
    pub seed: u32,
}

impl Default for BilinearConfig {
    fn default() -> Self {
        BilinearConfig {
            entities: 100,
            dim: 100,
            embeddings: Embeddings::Gaussian,
            held_out: 0.3,
            dynamics: Dynamics::Flow,
            lr: 0.1,
            init: 0.0,
            t_max: 1e6,
            points: 60,
            tolerance: 1e-10,
            epsilon: 0.1,
            seed: 0,
        }
    }
}

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
    /// The training loss that was waited for.
    pub level: f64,
    /// When; for sgd the first logged time.
    pub t: f64,
    /// L^rev then.
    pub reversal_loss: Option<f64>,
}

/// What a simulation gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BilinearResult {
    /// What was simulated.
    pub config: BilinearConfig,
    /// |D|.
    pub trained_directions: usize,
    /// Directions that are asked for and never trained.
    pub held_out_directions: usize,
    /// The start and log-spaced times.
    pub series: Vec<Point>,
    /// Where the training loss came down to each of [`LEVELS`]; those it did not reach are missing.
    pub reached: Vec<Reached>,
    /// The theorems' bounds beside what was measured.
    pub theorems: Vec<Theorem>,
    /// What the reader has to know.
    pub warnings: Vec<String>,
}

/// Why there is no result.
#[derive(Debug, PartialEq, Error)]
pub enum SimulationError {
    /// No such model, or it could not be followed.
    #[error(transparent)]
    Model(#[from] BilinearError),
    /// A setting of the series or the theorems.
    #[error("{key} is {was}: it has to be {right}")]
    Setting {
        /// Which.
        key: &'static str,
        /// What it was.
        was: f64,
        /// What would be right.
        right: String,
    },
}

impl SimulationError {
    /// The key that was refused; `None` where it is not one key's fault.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            SimulationError::Setting { key, .. }
            | SimulationError::Model(BilinearError::Setting { key, .. }) => Some(key),
            SimulationError::Model(_) => None,
        }
    }

    /// Whether the settings were refused before anything was simulated.
    pub fn is_refusal(&self) -> bool {
        self.key().is_some()
    }
}

/// Simulates, and holds what came out against the theorems. `progress` is told each logged time.
///
/// # Errors
/// [`SimulationError`] for settings that make no sense, and a simulation that cannot be followed.
pub fn simulate(
    config: &BilinearConfig,
    progress: &mut dyn FnMut(f64),
) -> Result<BilinearResult, SimulationError> {
    simulate_on(config, Threads::for_entities(config.entities), progress)
}

fn simulate_on(
    config: &BilinearConfig,
    threads: Threads,
    progress: &mut dyn FnMut(f64),
) -> Result<BilinearResult, SimulationError> {
    config.check()?;
    let directions = Directions::of_pairs(config.entities, config.held_out, config.seed.into())?;
    let model = Bilinear::new(&config.model(), &directions)?;
    let mut recorder = Recorder::new(&model, &directions);
    recorder.record(0.0, model.initial());
    let times = config.times();
    let request = Request { times: &times, levels: &LEVELS };
    let mut sink = |t: f64, logits: &[f64]| {
        recorder.record(t, logits);
        progress(t);
    };
    let crossings = match config.dynamics {
        Dynamics::Flow => {
            let flow = Flow { tolerance: config.tolerance, threads };
            Some(gradient_flow(&model, flow, request, &mut sink)?.0)
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

impl BilinearConfig {
    fn model(&self) -> model::BilinearConfig {
        model::BilinearConfig {
            entities: self.entities,
            dim: self.dim,
            embeddings: match self.embeddings {
                Embeddings::Gaussian => model::Embeddings::Gaussian,
                Embeddings::Orthonormal => model::Embeddings::Orthonormal,
            },
            init: self.init,
            seed: self.seed.into(),
        }
    }

    fn check(&self) -> Result<(), SimulationError> {
        let refuse = |key, was, right: &str| {
            Err(SimulationError::Setting { key, was, right: right.to_owned() })
        };
        if !(FIRST_TIME..=1e300).contains(&self.t_max) {
            return refuse("t_max", self.t_max, "a time from 1e-2, where the series begins");
        }
        if !(1..=MOST_POINTS).contains(&self.points) {
            return refuse("points", self.points as f64, "from 1 to 100000");
        }
        if !self.epsilon.is_finite() {
            return refuse("epsilon", self.epsilon, "a number");
        }
        let steps = self.t_max / self.lr;
        if self.dynamics != Dynamics::Flow && self.lr > 0.0 && steps > 1e15 {
            let right = "large enough to reach --t-max in 1e15 steps";
            return refuse("lr", self.lr, right);
        }
        Ok(())
    }

    /// The logged times after the start.
    fn times(&self) -> Vec<f64> {
        if self.points == 1 {
            return vec![self.t_max];
        }
        let quotient = self.t_max / FIRST_TIME;
        let last = self.points - 1;
        let time = |at: usize| FIRST_TIME * quotient.powf(at as f64 / last as f64);
        let mut times: Vec<f64> = (0..last).map(time).chain([self.t_max]).collect();
        times.dedup();
        times
    }
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
        let exponent = self.series.first().and_then(|first| {
            retrodict_dynamics::theory::bilinear::exponent(
                train,
                first.train_loss,
                reversal?,
                first.reversal_loss?,
            )
        });
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
