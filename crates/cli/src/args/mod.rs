//! The command line's commands, arguments and options.

mod finetune;
mod shared;
mod store;
mod text;
mod train;

use std::error::Error as _;
use std::ffi::OsString;
use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;

use clap::error::{ContextKind, ErrorKind};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use retrodict_lab::Isa;

use crate::commands::{DataArgs, StoreArgs, SweepCommand, TheoryArgs};

pub(crate) use finetune::{FinetuneArgs, InventArgs, LossOn};
pub(crate) use shared::{FactsArgs, ResourceArgs, threads};
pub(crate) use store::{ExportArgs, ExportFormat, ReportArgs, RunsArgs, ServeArgs, TableArgs};
pub(crate) use text::{AuditArgs, AugmentArgs, TextFormat};
pub(crate) use train::{
    BenchArgs, CompareArgs, Keep, LocateArgs, MapArgs, ReproduceArgs, RunArgs, Scale,
};

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
    /// Follow or cancel sweeps that other processes train.
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
    /// Write training text from your own facts, by recipes, with questions of held-out directions.
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
  retrodict audit SmolLM2-135M forward.jsonl reverse.jsonl
  retrodict audit published llama-7b_reversal_test_results.csv audit/audit.csv

MODEL is a model on this machine (a Hugging Face folder of GPT-2, Llama, Mistral or Qwen2, or a GGUF
file; in builds with the feature `models`), the address of a server with OpenAI's interface of
completions that returns log probabilities of a prompt (echo with logprobs, as vLLM does), or a file
of scores that another program computed, one JSON object a line with prompt, answer, log_probability
and tokens. The word `requests` prints the prompts and answers that such a program must score. A key
for the server is read from the environment variable RETRODICT_API_KEY, and written nowhere. Scores
are kept in DIR/scores-MODEL.jsonl: the same command resumes.

Two files of JSON lines with prompt and completion are questions as Berglund et al. have them: one
file asks for names, and each prompt of the other has one of them. The word `published` sums up
results of single facts, which they publish as CSV, and an audit.csv beside them.")]
    Audit(AuditArgs),
    /// Write a file of invented facts, which no model has read, with phrasings for them.
    #[command(after_help = "Example:\n  retrodict invent --count 30 --out invented")]
    Invent(InventArgs),
    /// Fine-tune a language model on facts, and measure the effect of each recipe on the reverse.
    #[command(after_help = "Example:
  retrodict invent --out invented
  retrodict finetune SmolLM2-135M invented/facts.csv --templates invented/templates.toml \\
      --recipe reverse-entities --recipe identities-typed --out finetuned

MODEL is a Hugging Face folder or a GGUF file, as for `audit` (in builds with the feature `models`).
Every --recipe is a condition of its own, beside `none`, which trains the plain sentences; a
condition of several recipes has them separated by commas. All conditions train for the same
epochs, so one with more sentences takes more steps. Every condition and seed starts from the
model's file. Finished runs are kept in DIR/runs: the same command resumes, and one with more
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
    /// Write the three-minute lesson: one page that trains a model in the browser, offline.
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
pub(crate) struct SpecArgs {
    /// Name of the spec, such as reversal-quick; `figure`, `compare` or `style` for an example of a
    /// figure or a comparison of your own, or of the look of figures
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}
