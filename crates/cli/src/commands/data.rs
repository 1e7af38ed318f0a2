//! `retrodict data KIND`: its options are the keys that each kind of data declares.

use std::io::{self, BufWriter, Write as _};

use clap::{Arg, ArgMatches, Command};
use retrodict_facts::{DataConfig, FactsError};
use retrodict_lab::settings::{Key, Settings as _};
use retrodict_lab::spec::{Problem, Spec, SpecError};

use super::Failure;

const SEED: &str = "seed";
const DEFAULT_SEED: &str = "1234";

/// A kind of data with its options as given.
#[derive(Debug)]
pub(crate) struct DataArgs {
    kind: String,
    /// Keys of `[data]` with their values.
    set: Vec<(String, String)>,
    seed: u32,
}

/// The keys that a kind of data declares.
fn keys(kind: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    DataConfig::keys(&[], &mut keys);
    let of_kind = |key: &Key| key.when.iter().any(|when| *when == condition(kind));
    keys.retain(|key| of_kind(key) && !key.hidden);
    keys
}

fn condition(kind: &str) -> retrodict_lab::settings::Condition {
    let words: &'static [&'static str] = DataConfig::WORDS;
    let at = words.iter().position(|word| *word == kind).unwrap_or_default();
    retrodict_lab::settings::Condition::is("data.kind", &words[at..=at])
}

fn option(key: &Key) -> String {
    key.name.replace('_', "-")
}

impl clap::Args for DataArgs {
    fn augment_args(command: Command) -> Command {
        let kinds = DataConfig::WORDS.iter().map(|kind| {
            let options = keys(kind).into_iter().map(|key| {
                let name = option(&key);
                let default = key.default.unwrap_or_default().trim_matches('"').to_owned();
                Arg::new(name.clone())
                    .long(name)
                    .value_name("VALUE")
                    .help(key.doc)
                    .default_value(default)
                    .allow_negative_numbers(true)
            });
            let seed = Arg::new(SEED)
                .long(SEED)
                .value_name("SEED")
                .help("Seed of NumPy's legacy generator")
                .value_parser(clap::value_parser!(u32))
                .default_value(DEFAULT_SEED);
            let about = DataConfig::about(kind);
            Command::new(*kind).about(about).args(options).arg(seed)
        });
        command.subcommands(kinds).subcommand_required(true).arg_required_else_help(true)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::FromArgMatches for DataArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let (kind, options) = matches.subcommand().unwrap_or(("", matches));
        let value = |key: Key| {
            let typed = options.get_one::<String>(&option(&key)).cloned().unwrap_or_default();
            (key.path(), typed)
        };
        Ok(Self {
            kind: kind.to_owned(),
            set: keys(kind).into_iter().map(value).collect(),
            seed: options.get_one(SEED).copied().unwrap_or_default(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Prints the sentences of a data set, one JSON object a line.
pub(crate) fn data(args: &DataArgs) -> Result<(), Failure> {
    let kind = [("data.kind", args.kind.as_str())];
    let set = args.set.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let set: Vec<(&str, &str)> = kind.into_iter().chain(set).collect();
    let spec = Spec::parse_with("", "data", &set).map_err(refused)?;
    let dataset = spec.data.kind.generate(args.seed).map_err(impossible)?;
    let mut out = BufWriter::new(io::stdout().lock());
    dataset.write_jsonl(&mut out)?;
    Ok(out.flush()?)
}

/// The error for a wrong value, by its option.
fn refused(error: SpecError) -> Failure {
    Failure::Usage(match *error.problem {
        Problem::Value { key, found, right } => {
            let option = key.trim_start_matches("data.").replace('_', "-");
            format!("--{option} is {found}, but must be {right}")
        }
        problem => problem.to_string(),
    })
}

/// The library names the key of a spec; here it is an option.
fn impossible(error: FactsError) -> Failure {
    let key = error.key();
    let option = format!("--{}", key.replace('_', "-"));
    Failure::Usage(error.to_string().replacen(key, &option, 1))
}
