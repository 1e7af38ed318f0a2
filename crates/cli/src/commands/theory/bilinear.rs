//! `retrodict theory bilinear`.

use clap::{Args, ValueEnum};

use crate::commands::Failure;

pub(super) const EXAMPLE: &str =
    "Example:\n  retrodict theory bilinear --entities 100 --dim 1000 --json";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Embeddings {
    /// N(0, I/d), nearly orthonormal where d is large.
    Gaussian,
    /// Exactly orthonormal; the dimension is at least the number of entities.
    Orthonormal,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dynamics {
    /// Gradient flow.
    Flow,
    /// Gradient descent on all trained directions; t is the learning rate times the step.
    Gd,
    /// One trained direction a step; t is the learning rate times the step.
    Sgd,
}

#[derive(Debug, Args)]
pub(crate) struct BilinearArgs {
    /// Entities m, two for each pair
    #[arg(long, value_name = "M", default_value = "100")]
    entities: usize,
    /// Dimension d of the embeddings
    #[arg(long, value_name = "D", default_value = "100")]
    dim: usize,
    /// How the embeddings are drawn
    #[arg(long, value_enum, default_value = "gaussian")]
    embeddings: Embeddings,
    /// Fraction of the pairs of which one direction only is trained
    #[arg(long, value_name = "F", default_value = "0.3", allow_negative_numbers = true)]
    held_out: f64,
    /// How the weights move
    #[arg(long, value_enum, default_value = "flow")]
    dynamics: Dynamics,
    /// Learning rate of gd and sgd
    #[arg(long, value_name = "LR", default_value = "0.1", allow_negative_numbers = true)]
    lr: f64,
    /// Standard deviation of the initial weights
    #[arg(long, value_name = "SD", default_value = "0", allow_negative_numbers = true)]
    init: f64,
    /// The last time
    #[arg(long, value_name = "T", default_value = "1e6", allow_negative_numbers = true)]
    t_max: f64,
    /// Log-spaced times from 1e-2 to the last one
    #[arg(long, value_name = "N", default_value = "60")]
    points: usize,
    /// Error tolerance of the flow's integration
    #[arg(long, value_name = "E", default_value = "1e-10", allow_negative_numbers = true)]
    tolerance: f64,
    /// Theorem 1's ε
    #[arg(long, value_name = "EPS", default_value = "0.1", allow_negative_numbers = true)]
    epsilon: f64,
    /// Seed of the embeddings, the held-out directions, the initial weights and the order
    #[arg(long, default_value = "0")]
    seed: u32,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn bilinear(args: &BilinearArgs) -> Result<(), Failure> {
    Err(Failure::Failed(format!("not yet: {args:?}")))
}
