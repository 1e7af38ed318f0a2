//! Arguments of the commands that train.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::shared::{FactsArgs, ResourceArgs, StyleArgs};
use crate::commands::LaunchArgs;

/// The files to keep of each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Keep {
    /// Spec, metrics and answers, packed with those of other runs
    Metrics,
    /// Also the effective weights, packed
    Probes,
    /// A folder for each run, with the checkpoints that the spec has
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scale {
    /// The smallest setting that shows the same effects.
    Quick,
    /// The paper's own numbers.
    Paper,
}

#[derive(Debug, Args)]
pub(crate) struct ReproduceArgs {
    /// Figures to draw: names, files of your own (.toml), or `all` [default: all]
    #[arg(value_name = "FIGURE")]
    pub(crate) figures: Vec<String>,
    /// Size of the experiments
    #[arg(long, value_enum, default_value = "quick")]
    pub(crate) scale: Scale,
    /// Seeds of every experiment [default: 10, and fewer at quick scale where a panel says so]
    #[arg(long, value_name = "N")]
    pub(crate) seeds: Option<NonZeroUsize>,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "retrodict-out")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) style: StyleArgs,
    /// List the figures, each with its runs and an estimate of their time on this machine
    #[arg(long)]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// A ready spec (`retrodict spec` names them) or a file
    #[arg(value_name = "NAME|SPEC.toml")]
    pub(crate) spec: PathBuf,
    /// Override a key, such as model.layers=2, or sweep it, such as model.layers=1,2,4
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seeds: a count (10: seeds 0 to 9), a list (1,2,7) or a range (5..8: seeds 5, 6, 7)
    #[arg(long, value_name = "SEEDS", conflicts_with = "seed")]
    pub(crate) seeds: Option<String>,
    /// One seed
    #[arg(long, value_name = "SEED")]
    pub(crate) seed: Option<u32>,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "retrodict-out")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    /// Files to keep of each run [default: metrics for a sweep, all without one]
    #[arg(long, value_enum, value_name = "FILES")]
    pub(crate) keep: Option<Keep>,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
    /// Print every run, how many are complete, and the estimated time, memory and disk space;
    /// train nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print the result as JSON; of a sweep a list of results, each with its swept keys
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MapArgs {
    /// A ready spec (`retrodict spec` names them) or a file
    #[arg(value_name = "NAME|SPEC.toml")]
    pub(crate) spec: PathBuf,
    /// Override a key, or sweep it: the first swept key is the x axis, the second the y axis
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seeds of each setting: a count, a list or a range
    #[arg(long, value_name = "SEEDS")]
    pub(crate) seeds: Option<String>,
    /// The measure to draw; docs/store.md lists them
    #[arg(long, value_name = "ID", default_value = "held_out_top1")]
    pub(crate) measure: String,
    /// Levels of contour lines; the first is that of --finer, --refine and --fit [default: 0.5]
    #[arg(long, value_name = "LEVEL", allow_negative_numbers = true)]
    pub(crate) level: Vec<f64>,
    /// Rounds that halve the grid between neighbours on two sides of the level
    #[arg(long, value_name = "ROUNDS", default_value = "0")]
    pub(crate) finer: u8,
    /// Rounds that double the seeds of the settings whose side of the level is uncertain
    #[arg(long, value_name = "ROUNDS", default_value = "0")]
    pub(crate) refine: u8,
    /// Fit y = a x^b to the boundary in every second column, and check it in the others
    #[arg(long)]
    pub(crate) fit: bool,
    /// The name of the figure's files
    #[arg(long, value_name = "NAME", default_value = "map")]
    pub(crate) name: String,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "retrodict-out")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Files of comparisons, names of built-in comparisons, or names of their tasks [default: all
    /// built-in comparisons]
    #[arg(value_name = "COMPARISON.toml|TASK")]
    pub(crate) what: Vec<String>,
    /// Seeds of each run: a count (5: seeds 0 to 4), a list (1,2,7) or a range (5..8: seeds 5, 6,
    /// 7) [default: the comparison's]
    #[arg(long, value_name = "SEEDS")]
    pub(crate) seeds: Option<String>,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "retrodict-out")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) style: StyleArgs,
    /// List the comparisons, their tasks and interventions, with an estimate of their time on this
    /// machine
    #[arg(long)]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LocateArgs {
    /// A ready spec or a file; with --facts a language model
    #[arg(value_name = "NAME|SPEC.toml|MODEL", default_value = "reversal-quick")]
    pub(crate) spec: PathBuf,
    /// Override a key, such as model.layers=2
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seed of the run; it is trained if the store does not have it
    #[arg(long, default_value = "0")]
    pub(crate) seed: u32,
    #[command(flatten)]
    pub(crate) facts: FactsArgs,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "retrodict-out")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// A ready spec or a file
    #[arg(value_name = "NAME|SPEC.toml", default_value = "reversal-quick")]
    pub(crate) spec: PathBuf,
    /// Override a key, such as model.layers=2
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Runs to time
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seeds: NonZeroUsize,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    /// Steps of each run [default: about a second's worth]
    #[arg(long, value_name = "K")]
    pub(crate) steps: Option<NonZeroUsize>,
    /// Print the time of each kind of operation beside its roofline limit
    #[arg(long)]
    pub(crate) profile: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
