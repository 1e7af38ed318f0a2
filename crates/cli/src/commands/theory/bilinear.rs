//! `retrodict theory bilinear`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use retrodict_lab::theory::bilinear::{self as lab, BilinearConfig, BilinearResult};

use super::table::{failure, sample, verdicts};
use crate::commands::{Failure, print};

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
    let config = BilinearConfig {
        entities: args.entities,
        dim: args.dim,
        embeddings: match args.embeddings {
            Embeddings::Gaussian => lab::Embeddings::Gaussian,
            Embeddings::Orthonormal => lab::Embeddings::Orthonormal,
        },
        held_out: args.held_out,
        dynamics: match args.dynamics {
            Dynamics::Flow => lab::Dynamics::Flow,
            Dynamics::Gd => lab::Dynamics::Gd,
            Dynamics::Sgd => lab::Dynamics::Sgd,
        },
        lr: args.lr,
        init: args.init,
        t_max: args.t_max,
        points: args.points,
        tolerance: args.tolerance,
        epsilon: args.epsilon,
        seed: args.seed,
    };
    let mut told = Instant::now();
    let mut progress = |t: f64| {
        if told.elapsed() > Duration::from_secs(5) {
            eprintln!("t = {t:.3e} of {:.3e}", config.t_max);
            told = Instant::now();
        }
    };
    let result = lab::simulate(&config, &mut progress)
        .map_err(|error| failure(error.to_string(), error.key(), error.is_refusal()))?;
    for warning in &result.warnings {
        eprintln!("retrodict: {warning}");
    }
    if args.json {
        let text = serde_json::to_string(&result).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    print(&table(&result))
}

fn table(result: &BilinearResult) -> String {
    let BilinearConfig { entities, dim, .. } = result.config;
    let mut text = format!(
        "bilinear model: m = {entities}, d = {dim}, {} trained directions, {} held out\n\n",
        result.trained_directions, result.held_out_directions
    );
    let _ = writeln!(
        text,
        "{:>11} {:>12} {:>14} {:>11} {:>12} {:>14} {:>10}",
        "t", "train loss", "reversal loss", "exponent", "seen margin", "unseen margin", "asymmetry"
    );
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
    let fine = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.6}"));
    for point in sample(&result.series) {
        let _ = writeln!(
            text,
            "{:>11.3e} {:>12.4e} {:>14} {:>11} {:>12} {:>14} {:>10}",
            point.t,
            point.train_loss,
            fine(point.reversal_loss),
            fine(point.exponent),
            number(point.seen_margin),
            number(point.unseen_margin),
            number(point.asymmetry),
        );
    }
    text.push('\n');
    for reached in &result.reached {
        let _ = writeln!(
            text,
            "L = {} at t = {:.4e}: L^rev = {}",
            reached.level,
            reached.t,
            fine(reached.reversal_loss)
        );
    }
    text + "\n" + &verdicts(&result.theorems)
}
