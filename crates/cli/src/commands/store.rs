//! `retrodict store verify|compact|gc|export`.

use std::path::Path;

use clap::{Args, Subcommand};
use retrodict_lab::expression::Expression;
use retrodict_lab::store::Store;
use retrodict_lab::{maintain, runs};
use serde_json::json;

use super::{Failure, print};
use crate::progress::Counter;

#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// Read every file of every run and check its digest, its owner and its shape.
    Verify {
        /// The folder that holds the store
        #[arg(value_name = "DIR")]
        dir: std::path::PathBuf,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Pack complete runs that have no checkpoints, and merge the files of packed runs.
    Compact {
        /// The folder that holds the store
        #[arg(value_name = "DIR")]
        dir: std::path::PathBuf,
    },
    /// Remove what killed processes left: temporary files, claims, folders without a run.
    Gc {
        /// The folder that holds the store
        #[arg(value_name = "DIR")]
        dir: std::path::PathBuf,
    },
    /// Copy runs into another store, each into a folder of its own.
    Export {
        /// The folder that holds the store
        #[arg(value_name = "DIR")]
        dir: std::path::PathBuf,
        /// The folder to write to
        #[arg(long, value_name = "DIR")]
        to: std::path::PathBuf,
        /// Only runs for which this holds; see `retrodict runs --help`
        #[arg(long = "where", value_name = "CONDITION")]
        condition: Option<String>,
    },
}

pub(crate) fn store(args: &StoreArgs) -> Result<(), Failure> {
    match &args.command {
        StoreCommand::Verify { dir, json } => verify(dir, *json),
        StoreCommand::Compact { dir } => {
            let done = maintain::compact(&view(dir)?).map_err(Failure::failed)?;
            let (before, after) = done.segments;
            print(&format!(
                "{} packed; {} of packed runs before, {after} now\n",
                count(done.folders, "folder"),
                count(before + usize::from(done.folders > 0), "file"),
            ))
        }
        StoreCommand::Gc { dir } => {
            let removed = maintain::collect_garbage(&view(dir)?).map_err(Failure::failed)?;
            print(&format!("{} of runs removed\n", count(removed, "folder")))
        }
        StoreCommand::Export { dir, to, condition } => export(dir, to, condition.as_deref()),
    }
}

fn view(dir: &Path) -> Result<Store, Failure> {
    Store::view(dir).map_err(Failure::usage)
}

fn verify(dir: &Path, json: bool) -> Result<(), Failure> {
    let store = view(dir)?;
    let counter = Counter::new("verify");
    let found = maintain::verify(&store, |at, of| counter.show(at, of)).map_err(Failure::failed)?;
    drop(counter);
    if json {
        let result = json!({
            "runs": found.runs,
            "packed": found.packed,
            "checkpoints": found.checkpoints,
            "damages": found.damages,
        });
        print(&format!("{result}\n"))?;
    } else {
        print(&format!(
            "{} ({} packed) and {} read\n",
            count(found.runs, "run"),
            found.packed,
            count(found.checkpoints, "checkpoint"),
        ))?;
    }
    match &found.damages[..] {
        [] => Ok(()),
        damages => Err(Failure::Failed(format!(
            "{} damaged\n  {}",
            count(damages.len(), "file"),
            damages.join("\n  ")
        ))),
    }
}

fn export(dir: &Path, to: &Path, condition: Option<&str>) -> Result<(), Failure> {
    let condition = match condition {
        None => None,
        Some(text) => {
            let query = runs::Query::parse(Some(text), None, None).map_err(Failure::Usage)?;
            query.condition
        }
    };
    let condition: Option<Expression> = condition;
    let chosen = runs::select(&view(dir)?, condition).map_err(Failure::failed)?;
    let target = Store::open(to).map_err(Failure::failed)?;
    let copied = maintain::export(&chosen, &target).map_err(Failure::failed)?;
    print(&format!("{} of {} copied to {}\n", copied, count(chosen.len(), "run"), to.display()))
}

/// A number with its noun.
fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
