//! `retrodict theory bilinear`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::Args;
use retrodict_theory::bilinear::{self as theory, BilinearConfig, BilinearResult};

use super::table::{failure, or_dash, sample, show, verdicts};
use crate::commands::Failure;

pub(super) const EXAMPLE: &str =
    "Example:\n  retrodict theory bilinear --entities 100 --dim 1000 --json";

#[derive(Debug, Args)]
pub(crate) struct BilinearArgs {
    #[command(flatten)]
    config: BilinearConfig,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn bilinear(BilinearArgs { config, json }: &BilinearArgs) -> Result<(), Failure> {
    let mut told = Instant::now();
    let mut progress = |t: f64| {
        if told.elapsed() > Duration::from_secs(5) {
            eprintln!("t = {t:.3e} of {:.3e}", config.t_max);
            told = Instant::now();
        }
    };
    let result = theory::simulate(config, &mut progress)
        .map_err(|error| failure(error.to_string(), error.key(), error.is_refusal()))?;
    for warning in &result.warnings {
        eprintln!("retrodict: {warning}");
    }
    show(&result, *json, table)
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
    let number = |value| or_dash(value, |value| format!("{value:.4}"));
    let fine = |value| or_dash(value, |value| format!("{value:.6}"));
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
    if let Some(initial) = result.initial_exponent {
        let _ = writeln!(text, "exponent at t → 0, in closed form: {initial:.6}");
    }
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
