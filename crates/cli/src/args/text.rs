//! Arguments of the commands about the user's own facts.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::shared::threads;

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
    /// `requests` or `published`
    #[arg(value_name = "MODEL")]
    pub(crate) model: String,
    /// The file of facts (.csv, .tsv, .jsonl or .parquet); or prompts and completions (.jsonl),
    /// forward and reverse ones in two files or one; or files of published results
    #[arg(value_name = "FACTS", required = true)]
    pub(crate) facts: Vec<PathBuf>,
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
