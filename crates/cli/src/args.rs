//! The command line's commands, arguments and options.

use std::error::Error;
use std::ffi::OsString;
use std::net::IpAddr;
use std::num::{IntErrorKind, NonZeroUsize, ParseIntError};
use std::path::PathBuf;

use clap::error::{ContextKind, ErrorKind};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use retrodict_lab::store::Kept;
use retrodict_lab::{Isa, Resources};
use retrodict_report::Style;

use crate::commands::{DataArgs, Failure, LaunchArgs, StoreArgs, SweepCommand, TheoryArgs};
use crate::device::DeviceArg;

/// A laboratory for the training dynamics behind the reversal curse.
///
/// A model trained on "A → B" does not learn "B ← A". retrodict trains small models from
/// scratch on synthetic facts, measures their weights as they learn, and redraws the paper that
/// explains why (Zhu et al., NeurIPS 2024).
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Instruction set of the kernels: avx512, avx2 or portable [default: the best available]
    #[arg(long, global = true, value_name = "SET")]
    pub(crate) isa: Option<Isa>,
}

const EXAMPLES: &str = "Examples:
  retrodict reproduce                      redraw the paper at quick scale into retrodict-out/
  retrodict spec reversal-quick > my.toml  a spec to change, a comment on every key
  retrodict run my.toml --seeds 3          train it, and print the results";

/// The whole command line.
pub(crate) fn command() -> clap::Command {
    Arguments::command()
}

/// Parses a command line. Ends the process on an error or for help.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Arguments {
    let mut command = accept_negative(Arguments::command());
    let matches = command.try_get_matches_from_mut(arguments);
    matches
        .map_err(|error| explain_integer(error, &mut command))
        .and_then(|matches| Arguments::from_arg_matches(&matches))
        .unwrap_or_else(|error| error.exit())
}

/// Lets every option take a negative number, so that the error for `--seed -1` is a bad value, not
/// an unknown option.
fn accept_negative(command: clap::Command) -> clap::Command {
    let names: Vec<String> =
        command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command.mut_args(|arg| {
        let takes_value = arg.get_long().is_some() && arg.get_action().takes_values();
        if takes_value { arg.allow_negative_numbers(true) } else { arg }
    });
    names.iter().fold(command, |command, name| command.mut_subcommand(name, accept_negative))
}

/// The error for a wrong integer: the allowed range in place of the standard library's "invalid
/// digit found in string".
fn explain_integer(error: clap::Error, command: &mut clap::Command) -> clap::Error {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let reason = error.source().and_then(|source| source.downcast_ref::<ParseIntError>());
    let Some(reason) = reason.filter(|_| error.kind() == ErrorKind::ValueValidation) else {
        return error;
    };
    let right = match reason.kind() {
        IntErrorKind::PosOverflow => "a smaller whole number",
        IntErrorKind::Zero => "a whole number from 1",
        _ => "a whole number, without a sign",
    };
    let (value, option) = (context(ContextKind::InvalidValue), context(ContextKind::InvalidArg));
    command.error(
        ErrorKind::ValueValidation,
        format!("invalid value '{value}' for '{option}': it must be {right}"),
    )
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Redraw the paper's figures and tables.
    #[command(after_help = "Examples:
  retrodict reproduce fig1 --seeds 3 --out try
  retrodict spec figure > mine.toml && retrodict reproduce mine.toml --out try")]
    Reproduce(ReproduceArgs),
    /// Train one experiment; resumes unfinished runs, and extends finished ones to more epochs.
    #[command(after_help = "Examples:
  retrodict run reversal-quick --seeds 3
  retrodict run my.toml --set model.layers=4 --seeds 5..8    seeds 5, 6 and 7
  retrodict run my.toml --set model.layers=1,2,4 --set train.lr=1e-3,1e-2 --dry-run

Several values of a key are a sweep: every combination runs with all seeds. A value in brackets or
quotes is one value: --set checkpoint.at=[0,5]. A section [sweep] of the spec has more: ranges,
zipped axes, rows, conditions, samples (docs/sweeps.md).")]
    Run(RunArgs),
    /// Compare interventions against the reversal curse: their effect and their cost.
    #[command(after_help = "Example:\n  retrodict compare reversal --seeds 3 --out try")]
    Compare(CompareArgs),
    /// Follow, or end, sweeps that other processes make.
    #[command(after_help = "Examples:
  retrodict run my.toml --set model.layers=1,2,4 --launcher slurm --partition short
  retrodict sweep status retrodict-out
  retrodict sweep follow retrodict-out     as after a new login; Ctrl-C leaves the jobs running
  retrodict sweep cancel retrodict-out")]
    Sweep {
        #[command(subcommand)]
        command: SweepCommand,
    },
    /// List the runs of a folder, one a row.
    #[command(after_help = "Example:
  retrodict runs retrodict-out --where \"model.layers >= 12 and held_out_nll < 1\" \\
      --columns hash,seed,model.layers,held_out_nll --sort held_out_nll

A condition compares names with numbers, texts in quotes, true, false and none (not measured), with
== != < <= > >=, and joins them with and, or, not and parentheses. Names are keys of the spec,
measures (docs/store.md), experiment, hash, seed, status, dir, epoch and step.")]
    Runs(RunsArgs),
    /// Write all runs of a folder as one tidy table: every key of the spec, seed, every measure.
    #[command(
        after_help = "Example:\n  retrodict table retrodict-out --epochs --to epochs.parquet"
    )]
    Table(TableArgs),
    /// Write the metrics of runs for TensorBoard (also Aim), or as CSV (also trackio).
    #[command(after_help = "Example:\n  retrodict export retrodict-out --to logs")]
    Export(ExportArgs),
    /// Draw a phase diagram: a measure over two swept keys, trained where it is not yet known.
    #[command(after_help = "Example:
  retrodict map reversal-quick --set data.vocab_size=40,80,160 \\
      --set 'data.train_fraction=range(0.1, 1.0, 0.2)' --seeds 20 --refine 1 --fit")]
    Map(MapArgs),
    /// Verify, compact, clean or export a store.
    #[command(after_help = "Example:\n  retrodict store verify retrodict-out")]
    Store(StoreArgs),
    /// Serve a page that watches the runs of a folder while they train; it only reads.
    #[command(after_help = "Examples:
  retrodict serve retrodict-out                        on this machine alone
  ssh -L 8417:localhost:8417 HOST                      and on HOST: retrodict serve DIR
  retrodict serve retrodict-out --listen 0.0.0.0       to the network, with a token in the URL")]
    Serve(ServeArgs),
    /// Locate where in a trained decoder an answer is computed, and where it is lost.
    #[command(after_help = "Example:\n  retrodict locate my.toml --set model.layers=4 --seed 1")]
    Locate(LocateArgs),
    /// Write training text of your own facts, by recipes, with questions that it does not answer.
    #[command(after_help = "Examples:
  retrodict augment facts.csv --templates templates.toml --recipe reverse-entities --out text
  retrodict augment facts.csv --templates templates.toml --check train.jsonl

FACTS has the columns subject, relation and object, and if wanted inverse, split, group and weight.
Recipes are those of the laboratory (docs/interventions.md); several are separated by commas. The
second command finds the lines of any training file that state a held-out direction, and exits with
status 1 if there are some; the lines that the recipes given with --recipe write are no leaks.
docs/your-own-facts.md leads from a file of facts to a training file.")]
    Augment(AugmentArgs),
    /// Measure whether a language model knows facts in both directions, without training it.
    #[command(after_help = "Examples:
  retrodict audit http://localhost:8000/v1 facts.csv --templates templates.toml --out audit
  retrodict audit SmolLM2-135M facts.csv --templates templates.toml --out audit
  retrodict audit requests facts.csv --templates templates.toml > requests.jsonl
  retrodict audit scores.jsonl facts.csv --templates templates.toml

MODEL is a model on this machine (a Hugging Face folder of GPT-2, Llama, Mistral or Qwen2, or a GGUF
file; in builds with the feature `models`), the address of a server with OpenAI's interface of
completions that returns log probabilities of a prompt (echo with logprobs, as vLLM does), or a file
of scores that another program computed, one JSON object a line with prompt, answer, log_probability
and tokens. The word `requests` prints the prompts and answers that such a program must score. A key
for the server is read from the environment variable RETRODICT_API_KEY, and written nowhere. Scores
of a server are kept in DIR/scores-MODEL.jsonl: the same command resumes.")]
    Audit(AuditArgs),
    /// Write a file of invented facts, which no model can have read of, with phrasings for them.
    #[command(after_help = "Example:\n  retrodict invent --count 30 --out invented")]
    Invent(InventArgs),
    /// Fine-tune a language model on facts, and measure what each recipe does to the reverse.
    #[command(after_help = "Example:
  retrodict invent --out invented
  retrodict finetune SmolLM2-135M invented/facts.csv --templates invented/templates.toml \\
      --recipe reverse-entities --recipe identities-typed --out finetuned

MODEL is a Hugging Face folder or a GGUF file, as for `audit` (in builds with the feature `models`).
Every --recipe is a condition of its own, beside `none`, which trains the plain sentences; a
condition of several recipes has them separated by commas. All conditions train for the same
epochs, so one with more sentences takes more steps. Every condition and seed starts from the
model's file. What is finished is kept in DIR/runs: the same command resumes, and one with more
recipes or seeds trains only those. docs/your-own-facts.md says how to read the result.")]
    Finetune(FinetuneArgs),
    /// Print a ready spec, every key with a comment.
    #[command(after_help = "Example:\n  retrodict spec chain-quick > chain.toml")]
    Spec(SpecArgs),
    /// Print the sentences of a data set, one JSON object a line.
    #[command(after_help = "Example:\n  retrodict data reversal --vocab-size 80 --entity-length 2")]
    Data(DataArgs),
    /// Simulate the models of the paper's theory and check its theorems.
    Theory(TheoryArgs),
    /// Time the training step of a spec.
    #[command(
        after_help = "Example:\n  retrodict bench --set model.dim=768 --set model.heads=12 --json"
    )]
    Bench(BenchArgs),
    /// Redraw figures, tables and the page from the store, without training.
    #[command(after_help = "Examples:
  retrodict report retrodict-out
  retrodict spec style > column.toml && retrodict report retrodict-out --to draft --style column.toml")]
    Report(ReportArgs),
    /// Write a lesson of three minutes: one page that trains a model in the browser, offline.
    #[command(after_help = "Example:\n  retrodict lesson --out lesson.html")]
    Lesson(LessonArgs),
    /// Print the completions of a shell.
    #[command(after_help = "Examples:
  retrodict completions bash > ~/.local/share/bash-completion/completions/retrodict
  retrodict completions fish > ~/.config/fish/completions/retrodict.fish
  retrodict completions zsh > \"${fpath[1]}/_retrodict\"")]
    Completions(CompletionsArgs),
    /// Write the manual pages.
    #[command(after_help = "Example:\n  retrodict man --to ~/.local/share/man/man1")]
    Man(ManArgs),
}

/// The look of figures.
#[derive(Debug, Args)]
pub(crate) struct StyleArgs {
    /// A file with the width, font and colours of figures' files (`retrodict spec style` prints one)
    #[arg(long, value_name = "STYLE.toml")]
    style: Option<PathBuf>,
}

impl StyleArgs {
    /// The style in the file; the program's own without one.
    ///
    /// # Errors
    /// [`Failure::Usage`] if the file is no style.
    pub(crate) fn read(&self) -> Result<Style, Failure> {
        self.style
            .as_deref()
            .map_or_else(|| Ok(Style::default()), Style::load)
            .map_err(Failure::usage)
    }
}

#[derive(Debug, Args)]
pub(crate) struct ResourceArgs {
    /// Runs at a time [default: chosen by the size of a step]
    #[arg(long, value_name = "N", value_parser = threads)]
    jobs: Option<NonZeroUsize>,
    /// Cores to use in total [default: all]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroUsize>,
    /// Memory to use at most, such as 8GiB [default: what is free]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    memory: Option<u64>,
    /// Where training runs [default: cpu]
    #[arg(long, value_enum, value_name = "DEVICE")]
    device: Option<DeviceArg>,
    /// Resume runs that another version or instruction set began: their bits are of neither, and
    /// the manifest lists the parts
    #[arg(long)]
    allow_mixed: bool,
}

/// The most threads of a process.
const MOST_THREADS: usize = 4096;

/// A number of threads.
pub(crate) fn threads(text: &str) -> Result<NonZeroUsize, Box<dyn Error + Send + Sync>> {
    let number: NonZeroUsize = text.parse()?;
    match number.get() <= MOST_THREADS {
        true => Ok(number),
        false => Err(format!("it must be at most {MOST_THREADS}").into()),
    }
}

/// A size in bytes: a number with a unit.
fn memory(text: &str) -> Result<u64, String> {
    let at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let scale = match unit.to_ascii_lowercase().as_str() {
        "mib" | "m" => 1_u64 << 20,
        "gib" | "g" => 1 << 30,
        "tib" | "t" => 1 << 40,
        _ => return Err("it must be a number with its unit: 512MiB, 8GiB or 1TiB".to_owned()),
    };
    let number = number.trim().parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
    let number = number.ok_or_else(|| format!("`{text}` is no size; 8GiB is one"))?;
    Ok((number * scale as f64) as u64)
}

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

impl ResourceArgs {
    /// The resources, a GPU among them if one is asked for.
    pub(crate) fn resources(&self) -> Result<Resources, Failure> {
        Ok(Resources {
            threads: self.threads,
            jobs: self.jobs,
            mixed: self.allow_mixed,
            memory: self.memory,
            keep: Kept::All,
            gpu: self.device.unwrap_or_default().open()?,
        })
    }

    /// The options that have an effect on this machine only, if they are given.
    pub(crate) fn of_this_machine(&self) -> [(&'static str, bool); 3] {
        [
            ("--jobs", self.jobs.is_some()),
            ("--threads", self.threads.is_some()),
            ("--memory", self.memory.is_some()),
        ]
    }

    /// Those of every process of the sweep, as they stand on a command line.
    pub(crate) fn passed_on(&self) -> String {
        let mixed = if self.allow_mixed { " --allow-mixed" } else { "" };
        let device = self.device.and_then(|device| device.to_possible_value());
        let device = device.map_or(String::new(), |word| format!(" --device {}", word.get_name()));
        format!("{mixed}{device}")
    }
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// An event file for each run
    Tensorboard,
    /// A CSV file for each run: step, timestamp, epoch, measures
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The folder that holds the store
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The folder to write to
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// The files to write
    #[arg(long, value_enum, default_value = "tensorboard")]
    pub(crate) format: ExportFormat,
    /// Only runs for which this holds; see `retrodict runs --help`
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
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
pub(crate) struct RunsArgs {
    /// The folder that holds the store
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Only runs for which this holds, such as "model.layers >= 12 and held_out_nll < 1"
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) condition: Option<String>,
    /// Columns, separated by commas [default: the run, keys that differ, the main measures]
    #[arg(long, value_name = "NAMES")]
    pub(crate) columns: Option<String>,
    /// Columns to sort by, separated by commas; -NAME puts the largest first
    #[arg(long, value_name = "NAMES", allow_hyphen_values = true)]
    pub(crate) sort: Option<String>,
    /// Print the rows as JSON
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,
    /// Print the rows as CSV
    #[arg(long)]
    pub(crate) csv: bool,
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "serve"), allow(dead_code))] // without the feature the command only says so
pub(crate) struct ServeArgs {
    /// The folder that holds the store
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The address to listen on; any but loopback makes a random token necessary, which the printed
    /// URL contains
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,
    /// The port [default: 8417, or a free one]
    #[arg(long, value_name = "N")]
    pub(crate) port: Option<u16>,
    /// A further name of this machine in the URL; may be repeated [default: localhost and addresses
    /// alone]
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    /// Require the token on loopback too, against other users of this machine
    #[arg(long)]
    pub(crate) token: bool,
}

#[derive(Debug, Args)]
pub(crate) struct LessonArgs {
    /// The file to write
    #[arg(long, value_name = "FILE.html", default_value = "lesson.html")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder to write to; it is made if it is missing
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct TableArgs {
    /// The folder that holds the store
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// One row an epoch [default: one row a run]
    #[arg(long)]
    pub(crate) epochs: bool,
    /// The file to write [default: CSV to standard output]
    #[arg(long, value_name = "FILE.parquet|.csv")]
    pub(crate) to: Option<PathBuf>,
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
    /// A ready spec or a file
    #[arg(value_name = "NAME|SPEC.toml", default_value = "reversal-quick")]
    pub(crate) spec: PathBuf,
    /// Override a key, such as model.layers=2
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seed of the run; it is trained if the store does not have it
    #[arg(long, default_value = "0")]
    pub(crate) seed: u32,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "retrodict-out")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// The format of training text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TextFormat {
    /// {"text"}
    Text,
    /// {"prompt", "completion"}: TRL's loss on the answer alone
    PromptCompletion,
    /// {"messages": [{"role", "content"}, …]}
    Chat,
    /// {"instruction", "input", "output"}
    Alpaca,
}

#[derive(Debug, Args)]
pub(crate) struct AugmentArgs {
    /// The file of facts: .csv, .tsv, .jsonl or .parquet
    #[arg(value_name = "FACTS")]
    pub(crate) facts: PathBuf,
    /// The phrasings of each relation [default: made of the names of relations and their inverses]
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) templates: Option<PathBuf>,
    /// Recipes, in order, separated by commas
    #[arg(long, value_name = "RECIPES", value_delimiter = ',')]
    pub(crate) recipe: Vec<String>,
    /// Format of the training text
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: TextFormat,
    /// Fraction of the facts with an empty split that are stated in both directions; of the others
    /// the forward direction is stated
    #[arg(long, value_name = "FRACTION", default_value = "0")]
    pub(crate) train_fraction: f64,
    /// Last phrasings of each direction that are asked, but not trained
    #[arg(long, value_name = "N", default_value = "0")]
    pub(crate) held_phrasings: usize,
    /// Seed of the split and of random recipes
    #[arg(long, value_name = "SEED", default_value = "0")]
    pub(crate) seed: u32,
    /// Find the lines of this training file that state a held-out direction; write nothing
    #[arg(long, value_name = "FILE")]
    pub(crate) check: Option<PathBuf>,
    /// The folder to write to [default: augmented]
    #[arg(long, value_name = "DIR", conflicts_with = "check")]
    pub(crate) out: Option<PathBuf>,
    /// Print the summary, or the leaks, as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// A model's folder or GGUF file, an address such as http://localhost:8000/v1, a file of scores,
    /// or `requests`
    #[arg(value_name = "MODEL")]
    pub(crate) model: String,
    /// The file of facts: .csv, .tsv, .jsonl or .parquet
    #[arg(value_name = "FACTS")]
    pub(crate) facts: PathBuf,
    /// The phrasings of each relation [default: made of the names of relations and their inverses]
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) templates: Option<PathBuf>,
    /// Candidate answers of a question, the right ones included; others are drawn [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) candidates: Option<u32>,
    /// Seed of the drawn candidates
    #[arg(long, value_name = "SEED", default_value = "0")]
    pub(crate) seed: u32,
    /// The model of the server [default: the only one that it has]
    #[arg(long, value_name = "NAME")]
    pub(crate) model_name: Option<String>,
    /// Requests to the server at one time
    #[arg(long, value_name = "N", value_parser = threads, default_value = "4")]
    pub(crate) at_once: NonZeroUsize,
    /// Requests a second at most [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<f64>,
    /// Further tries of a request that fails
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) retries: u32,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "retrodict-audit")]
    pub(crate) out: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InventArgs {
    /// The number of facts
    #[arg(long, value_name = "N", default_value = "30")]
    pub(crate) count: NonZeroUsize,
    /// Seed of the names, and of which facts are stated from the author to the novel
    #[arg(long, value_name = "SEED", default_value = "0")]
    pub(crate) seed: u32,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "invented")]
    pub(crate) out: PathBuf,
}

/// The tokens that fine-tuning learns to predict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LossOn {
    /// The last name of a sentence, and the text after it.
    Answer,
    /// All but the first.
    Text,
}

#[derive(Debug, Args)]
#[cfg_attr(not(feature = "models"), allow(dead_code))] // without the feature the command only says so
pub(crate) struct FinetuneArgs {
    /// A model's folder or GGUF file
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// The file of facts: .csv, .tsv, .jsonl or .parquet
    #[arg(value_name = "FACTS")]
    pub(crate) facts: PathBuf,
    /// The phrasings of each relation [default: made of the names of relations and their inverses]
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) templates: Option<PathBuf>,
    /// A condition: a recipe, or several separated by commas; may be repeated
    #[arg(long, value_name = "RECIPES")]
    pub(crate) recipe: Vec<String>,
    /// Trainings of each condition: seeds 0 to N − 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000), default_value = "3")]
    pub(crate) seeds: u32,
    /// Times that each sentence is trained
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), default_value = "10")]
    pub(crate) epochs: u32,
    /// Peak learning rate of AdamW; it rises over the first tenth of the steps and falls to 0
    #[arg(long, value_name = "RATE", default_value = "1e-4")]
    pub(crate) lr: f64,
    /// Sentences of a step
    #[arg(long, value_name = "N", value_parser = threads, default_value = "32")]
    pub(crate) batch: NonZeroUsize,
    /// Tokens that are learned
    #[arg(long, value_enum, value_name = "PART", default_value = "text")]
    pub(crate) loss: LossOn,
    /// Train low-rank adapters of this rank in place of all weights
    #[arg(long, value_name = "RANK")]
    pub(crate) lora: Option<NonZeroUsize>,
    /// Fraction of the facts with an empty split that are stated in both directions
    #[arg(long, value_name = "FRACTION", default_value = "0")]
    pub(crate) train_fraction: f64,
    /// Last phrasings of each direction that are asked, but not trained
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) held_phrasings: usize,
    /// Candidate answers of a question, among which the right one is ranked
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..), default_value = "10")]
    pub(crate) candidates: u32,
    /// A text whose perplexity is measured before and after, a paragraph a line [default: a short
    /// text on everyday subjects]
    #[arg(long, value_name = "FILE")]
    pub(crate) held_text: Option<PathBuf>,
    /// Runs of small models on the same facts, to compare the order of recipes with; the CSV that
    /// `retrodict runs DIR --csv` prints with the columns data.recipes, rank_held_out and held_out_nll
    #[arg(long, value_name = "RUNS.csv")]
    pub(crate) small: Option<PathBuf>,
    /// Write each tuned model into DIR/models
    #[arg(long)]
    pub(crate) save: bool,
    /// The folder to write to
    #[arg(long, value_name = "DIR", default_value = "retrodict-finetune")]
    pub(crate) out: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SpecArgs {
    /// Name of the spec, such as reversal-quick; `figure`, `compare` or `style` for an example of a
    /// figure or a comparison of your own, or of the look of figures
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
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

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The folder that holds the store
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Write into another folder; DIR is only read [default: DIR]
    #[arg(long, value_name = "DIR2")]
    pub(crate) to: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) style: StyleArgs,
}
