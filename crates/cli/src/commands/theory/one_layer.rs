//! `retrodict theory one-layer`.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use retrodict_lab::theory::one_layer::{self as lab, OneLayerConfig, OneLayerResult};

use super::table::{failure, sample, verdicts};
use crate::commands::{Failure, print};

pub(super) const EXAMPLE: &str =
    "Example:\n  retrodict theory one-layer --data chain --vocab-size 10000 --steps 2000000";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Data {
    /// Pairs said forward and backward: theorem 3.
    Reversal,
    /// Triples with direct and indirect implications: theorem 4.
    Chain,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Context {
    /// The source alone; the attention weights have no gradient then.
    Contextual,
    /// The source and the relation token.
    All,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Dynamics {
    /// One sentence a step, drawn uniformly.
    Sgd,
    /// All sentences at every step.
    Gd,
    /// Gradient flow, at the time learning rate times step.
    Flow,
}

#[derive(Debug, Args)]
pub(crate) struct OneLayerArgs {
    /// Whose sentences are trained
    #[arg(long, value_enum, default_value = "reversal")]
    data: Data,
    /// Tokens beside the reserved ones
    #[arg(long, value_name = "N", default_value = "800")]
    vocab_size: usize,
    /// Fraction of the facts that is trained whole
    #[arg(long, value_name = "F", default_value = "0.7", allow_negative_numbers = true)]
    train_fraction: f64,
    /// What is attended to
    #[arg(long, value_enum, default_value = "contextual")]
    context: Context,
    /// How the weights move
    #[arg(long, value_enum, default_value = "sgd")]
    dynamics: Dynamics,
    /// Learning rate of the decoder weights Y
    #[arg(long, value_name = "LR", default_value = "0.1", allow_negative_numbers = true)]
    lr_decoder: f64,
    /// Learning rate of the attention weights Z
    #[arg(long, value_name = "LR", default_value = "0", allow_negative_numbers = true)]
    lr_attention: f64,
    /// Standard deviation of the initial weights
    #[arg(long, value_name = "SD", default_value = "0", allow_negative_numbers = true)]
    init: f64,
    /// Steps; the flow ends at the time of as many
    #[arg(long, value_name = "N", default_value = "200000")]
    steps: u64,
    /// Seed of the sentences, the initial weights and the order
    #[arg(long, default_value = "0")]
    seed: u32,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn one_layer(args: &OneLayerArgs) -> Result<(), Failure> {
    let config = OneLayerConfig {
        data: match args.data {
            Data::Reversal => lab::Data::Reversal,
            Data::Chain => lab::Data::Chain,
        },
        vocab_size: args.vocab_size,
        train_fraction: args.train_fraction,
        context: match args.context {
            Context::Contextual => lab::Context::Contextual,
            Context::All => lab::Context::All,
        },
        dynamics: match args.dynamics {
            Dynamics::Sgd => lab::Dynamics::Sgd,
            Dynamics::Gd => lab::Dynamics::Gd,
            Dynamics::Flow => lab::Dynamics::Flow,
        },
        lr_decoder: args.lr_decoder,
        lr_attention: args.lr_attention,
        init: args.init,
        steps: args.steps,
        seed: args.seed,
    };
    let result = lab::simulate(&config)
        .map_err(|error| failure(error.to_string(), error.key(), error.is_refusal()))?;
    if args.json {
        let text = serde_json::to_string(&result).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    print(&table(&result))
}

fn table(result: &OneLayerResult) -> String {
    let mut text = format!(
        "one-layer transformer: M = {}, {} training sentences, {} held out\n\n",
        result.vocab, result.training_sentences, result.held_out_sentences
    );
    let index = match result.config.data {
        lab::Data::Reversal => "asymmetry",
        lab::Data::Chain => "intransitivity",
    };
    let _ = writeln!(
        text,
        "{:>14} {:>11} {:>12} {:>11} {:>11} {:>15} {:>9} {index:>15}",
        "step", "η t/N", "train loss", "min p", "max 1 − p", "held-out max p", "attention"
    );
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
    let small = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.6e}"));
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
