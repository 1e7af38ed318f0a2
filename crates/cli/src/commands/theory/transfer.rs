//! `retrodict theory transfer`.

mod facts;

use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use retrodict_lab::Experiment;
use retrodict_theory::transfer::{self as theory, Point, TransferConfig, TransferResult, Window};

use super::table::{failure, sample, show};
use crate::args::FactsArgs;
use crate::commands::{Failure, load_spec, refuse_model};

pub(super) const EXAMPLES: &str = "Examples:
  retrodict theory transfer --set model.tie_head=true
  retrodict theory transfer --window 64 --set data.vocab_size=24 --set model.dim=32 \\
      --set model.dropout=0 --set train.batch_size=full
  retrodict theory transfer SmolLM2-135M --facts facts.csv --templates templates.toml";

#[derive(Debug, Args)]
pub(crate) struct TransferArgs {
    /// A ready spec or a file; with --facts a language model
    #[arg(value_name = "NAME|SPEC.toml|MODEL", default_value = "reversal-quick")]
    spec: PathBuf,
    /// Override a key, such as model.layers=1
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    config: TransferConfig,
    #[command(flatten)]
    facts: FactsArgs,
    /// Other facts that each fact is compared with, at most
    #[arg(long, value_name = "N", default_value = "5", requires = "facts")]
    others: NonZeroUsize,
    /// The folder to write a picture and all numbers to
    #[arg(long, value_name = "DIR", default_value = "retrodict-transfer", requires = "facts")]
    out: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn transfer(args: &TransferArgs) -> Result<(), Failure> {
    if let Some(file) = &args.facts.facts {
        return facts::transfer(args, file);
    }
    refuse_model(&args.spec, "theory transfer")?;
    let spec = load_spec(&args.spec, &args.set)?;
    let origin = args.spec.display().to_string();
    let experiment = Experiment::new(spec, &origin).map_err(Failure::usage)?;
    let epochs = experiment.spec.train.epochs;
    let mut told = Instant::now();
    let mut progress = |epoch: u64| {
        if told.elapsed() > Duration::from_secs(5) {
            eprintln!("epoch {epoch} of {epochs}");
            told = Instant::now();
        }
    };
    let result = theory::simulate(&experiment, &args.config, &mut progress)
        .map_err(|error| failure(error.to_string(), error.key(), error.is_refusal()))?;
    for warning in &result.warnings {
        eprintln!("retrodict: {warning}");
    }
    show(&result, args.json, table)
}

fn table(result: &TransferResult) -> String {
    let mut text = format!(
        "transfer onto {} held-out sentences, {} parameters{}\n\n\
         T(s, s′)/√(T(s, s) T(s′, s′)), mean ± standard deviation over pairs\n",
        result.sentences,
        result.parameters,
        if result.config.preconditioned { ", weighed as the optimiser does" } else { "" },
    );
    let kinds: Vec<&str> = result.series.last().map_or_else(Vec::new, |last| {
        last.kinds.iter().filter(|kind| kind.id != "self").map(|kind| kind.id.as_str()).collect()
    });
    let _ = write!(
        text,
        "{:>6} {:>7} {:>10} {:>10} {:>11}",
        "epoch", "step", "train", "held-out", "T(s′, s′)"
    );
    for kind in &kinds {
        let _ = write!(text, " {kind:>22}");
    }
    text.push('\n');
    for point in &result.series {
        let own = point.kind("self").map_or(0.0, |kind| kind.transfer);
        let Point { epoch, step, train_nll, held_out_nll, .. } = point;
        let _ = write!(
            text,
            "{epoch:>6} {step:>7} {train_nll:>10.4} {held_out_nll:>10.4} {own:>11.4e}"
        );
        for id in &kinds {
            let cell = point.kind(id).map_or_else(String::new, |kind| {
                let spread = kind.ratio_std.map_or_else(String::new, |std| format!(" ± {std:.4}"));
                format!("{:.4}{spread}", kind.ratio + 0.0)
            });
            let _ = write!(text, " {cell:>22}");
        }
        text.push('\n');
    }
    text += "\nrelated minus unrelated, mean ± standard error; above: how often it is the larger\n";
    for point in &result.series {
        for (kind, excess) in point.kinds.iter().filter_map(|k| Some((k, k.excess?))) {
            let error = excess.standard_error.map_or_else(String::new, |e| format!(" ± {e:.4}"));
            let _ = writeln!(
                text,
                "epoch {:>6} {:>12}: {:.4}{error}, above {:.2}",
                point.epoch, kind.id, excess.difference, excess.above
            );
        }
    }
    if let Some(last) = result.series.last() {
        text += "\nat the end, part by part\n";
        for kind in last.kinds.iter().filter(|kind| kind.id != "self") {
            for (part, ratio) in result.parts.iter().zip(&kind.ratio_by_part) {
                let _ = writeln!(text, "{:>22} {part:>12}: {:>8.4}", kind.id, ratio + 0.0);
            }
        }
    }
    for point in &result.series {
        if let Some(window) = &point.window {
            text += &prediction(point, window);
        }
    }
    text
}

fn prediction(point: &Point, window: &Window) -> String {
    let mut text = format!(
        "\nfrom epoch {}: the next step was to move the held-out NLL by {:.4e}, and moved it by \
         {:.4e};\nthe linearised model holds for {} of {} steps\n{:>6} {:>12} {:>12} {:>12} {:>12}\n",
        point.epoch,
        window.slope,
        window.measured_slope,
        window.holds_for,
        window.steps.len() - 1,
        "step",
        "held-out",
        "predicted",
        "train",
        "predicted",
    );
    for at in sample(&window.steps) {
        let _ = writeln!(
            text,
            "{:>6} {:>12.5} {:>12.5} {:>12.5} {:>12.5}",
            at.step, at.held_out_nll, at.held_out_predicted, at.train_nll, at.train_predicted
        );
    }
    text
}
