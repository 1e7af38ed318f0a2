//! The configuration of the bilinear model, also the options of the command line.

use clap::{Args, ValueEnum};
use retrodict_lab::memory;
use serde::{Deserialize, Serialize};

use super::BilinearError;

/// The first logged time after the start.
pub const FIRST_TIME: f64 = 1e-2;
const MOST_POINTS: usize = 100_000;
/// Matrices of m × m numbers: the integrator's stages and dense output, embeddings and weights.
const COPIES: usize = 40;

/// The distribution of the embeddings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Embeddings {
    /// N(0, I/d), nearly orthonormal where d is large.
    Gaussian,
    /// Exactly orthonormal; the dimension is at least the number of entities.
    Orthonormal,
}

/// The training dynamics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Dynamics {
    /// Gradient flow.
    Flow,
    /// Gradient descent on all trained directions at once; t is the learning rate times the step.
    Gd,
    /// One trained direction a step; t is the learning rate times the step.
    Sgd,
}

// A doc comment here would become the description of the command that takes these options.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Args)]
#[serde(deny_unknown_fields)]
pub struct BilinearConfig {
    /// Entities m, two for each pair
    #[arg(long, value_name = "M", default_value = "100")]
    pub entities: usize,
    /// Dimension d of the embeddings
    #[arg(long, value_name = "D", default_value = "100")]
    pub dim: usize,
    /// Distribution of the embeddings
    #[arg(long, value_enum, default_value = "gaussian")]
    pub embeddings: Embeddings,
    /// Fraction of pairs trained in one direction only
    #[arg(long, value_name = "F", default_value = "0.3", allow_negative_numbers = true)]
    pub held_out: f64,
    /// Training dynamics
    #[arg(long, value_enum, default_value = "flow")]
    pub dynamics: Dynamics,
    /// Learning rate of gd and sgd
    #[arg(long, value_name = "LR", default_value = "0.1", allow_negative_numbers = true)]
    pub lr: f64,
    /// Standard deviation of the initial weights
    #[arg(long, value_name = "SD", default_value = "0", allow_negative_numbers = true)]
    pub init: f64,
    /// Final time
    #[arg(long, value_name = "T", default_value = "1e6", allow_negative_numbers = true)]
    pub t_max: f64,
    /// Number of log-spaced times from 1e-2 to the final time
    #[arg(long, value_name = "N", default_value = "60")]
    pub points: usize,
    /// Error tolerance of the flow's integration
    #[arg(long, value_name = "E", default_value = "1e-10", allow_negative_numbers = true)]
    pub tolerance: f64,
    /// Theorem 1's ε
    #[arg(long, value_name = "EPS", default_value = "0.1", allow_negative_numbers = true)]
    pub epsilon: f64,
    /// Seed of the embeddings, the held-out directions, the initial weights and the order
    #[arg(long, default_value = "0")]
    pub seed: u32,
}

impl Default for BilinearConfig {
    fn default() -> Self {
        crate::defaults()
    }
}

impl BilinearConfig {
    /// Refuses settings that make no sense, but for those of
    /// [`Directions::of_pairs`](super::Directions::of_pairs).
    pub(super) fn check(&self) -> Result<(), BilinearError> {
        let refuse = |key, was: f64, right: &str| Err(BilinearError::setting(key, was, right));
        let Self { entities, dim, .. } = *self;
        if !(FIRST_TIME..=1e300).contains(&self.t_max) {
            return refuse("t_max", self.t_max, "a time from 1e-2, where the series begins");
        }
        if !(1..=MOST_POINTS).contains(&self.points) {
            return refuse("points", self.points as f64, "from 1 to 100000");
        }
        if !self.epsilon.is_finite() {
            return refuse("epsilon", self.epsilon, "a number");
        }
        if self.dynamics == Dynamics::Flow {
            if !(1e-13..=1e-2).contains(&self.tolerance) {
                let right = "from 1e-13 (double precision) to 1e-2";
                return refuse("tolerance", self.tolerance, right);
            }
        } else if !(self.lr > 0.0 && self.lr.is_finite()) {
            return refuse("lr", self.lr, "a positive, finite learning rate");
        } else if self.t_max / self.lr > 1e15 {
            return refuse("lr", self.lr, "large enough to reach --t-max in 1e15 steps");
        }
        if dim == 0 {
            return refuse("dim", 0.0, "at least 1");
        }
        if self.embeddings == Embeddings::Orthonormal && dim < entities {
            let right =
                format!("at least the number of entities, {entities}, for orthonormal embeddings");
            return refuse("dim", dim as f64, &right);
        }
        if !(self.init >= 0.0 && self.init.is_finite()) {
            return refuse("init", self.init, "a standard deviation: a finite number from 0 on");
        }
        // The state, the embeddings and the initial weights are square in the number of entities.
        let need = memory::product(&[entities, entities, COPIES, size_of::<f64>()]);
        let what = format!("a simulation of {entities} entities");
        Ok(memory::check(&what, need, "lower --entities")?)
    }

    /// The logged times after the start.
    pub(super) fn times(&self) -> Vec<f64> {
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
