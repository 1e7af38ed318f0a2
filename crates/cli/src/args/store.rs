//! Arguments of the commands that read a store.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::shared::StyleArgs;

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
