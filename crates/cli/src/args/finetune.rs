//! Arguments of `invent` and `finetune`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::threads;

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
