//! `retrodict theory one-layer`.

use std::fmt::Write as _;

use clap::Args;
use retrodict_theory::one_layer::{self as theory, OneLayerConfig, OneLayerResult};

use super::table::{failure, or_dash, sample, show, verdicts};
use crate::commands::Failure;

pub(super) const EXAMPLE: &str =
    "Example:\n  retrodict theory one-layer --data chain --vocab-size 10000 --steps 2000000";

#[derive(Debug, Args)]
pub(crate) struct OneLayerArgs {
    #[command(flatten)]
    config: OneLayerConfig,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn one_layer(OneLayerArgs { config, json }: &OneLayerArgs) -> Result<(), Failure> {
    let result = theory::simulate(config)
        .map_err(|error| failure(error.to_string(), error.key(), error.is_refusal()))?;
    show(&result, *json, table)
}

fn table(result: &OneLayerResult) -> String {
    let mut text = format!(
        "one-layer transformer: M = {}, {} training sentences, {} held out\n\n",
        result.vocab, result.training_sentences, result.held_out_sentences
    );
    let index = match result.config.data {
        theory::Data::Reversal => "asymmetry",
        theory::Data::Chain => "intransitivity",
    };
    let _ = writeln!(
        text,
        "{:>14} {:>11} {:>12} {:>11} {:>11} {:>15} {:>9} {index:>15}",
        "step", "η t/N", "train loss", "min p", "max 1 − p", "held-out max p", "attention"
    );
    let number = |value| or_dash(value, |value| format!("{value:.4}"));
    let small = |value| or_dash(value, |value| format!("{value:.6e}"));
    for point in sample(&result.series) {
        let _ = writeln!(
            text,
            "{:>14} {:>11.4e} {:>12.4e} {:>11.4e} {:>11.4e} {:>15} {:>9.4} {:>15}",
            point.step,
            point.own_time,
            point.train_loss,
            point.train_probability_min,
            point.train_complement_max,
            small(point.held_out_probability_max),
            point.attention_on_source,
            number(point.asymmetry.or(point.intransitivity)),
        );
    }
    if let Some(rate) = result.rate {
        let _ = writeln!(
            text,
            "\n1 − p ∝ (η t/N)^({:.3} ± {:.3}) over η t/N from {:.3} to {:.3}; gradient flow has \
             {:.3} there, and −1 in the end",
            rate.exponent, rate.standard_error, rate.from, rate.to, rate.flow_exponent
        );
    }
    text.push('\n');
    text += &verdicts(&result.theorems);
    for assumption in result.assumptions.iter().filter(|assumption| !assumption.kept) {
        let (assumed, simulated) = (&assumption.assumed, &assumption.simulated);
        let _ = writeln!(text, "not as the theorems assume: {assumed}; here {simulated}");
    }
    for change in &result.changes {
        let _ = writeln!(text, "what changes: {change}");
    }
    text
}
