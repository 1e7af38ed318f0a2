use std::path::PathBuf;

use retrodict_facts::FactsError;
use retrodict_lab::ExperimentError;
use retrodict_lab::spec::SpecError;
use retrodict_lab::store::StoreError;

use crate::compare::CompareError;
use crate::paper::PaperError;

/// The errors of writing a report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A name that cannot be a file's name.
    #[error(
        "the name `{0}` cannot be a file name of the report: lower-case letters, digits, `-` and \
         `_` can"
    )]
    Name(String),
    /// Two figures or experiments would write the same file.
    #[error("two parts of the report are named `{0}`: a name may stand once")]
    Duplicate(String),
    /// The store has nothing to report.
    #[error("no run in {} is complete; `retrodict reproduce` and `retrodict run` make runs", .0.display())]
    Nothing(PathBuf),
    /// A data set of the store cannot be regenerated.
    #[error(transparent)]
    Facts(#[from] FactsError),
    /// A table's row is not as wide as its header.
    #[error("cannot write a table: {0}")]
    Table(#[from] csv::Error),
    /// An SVG cannot be drawn as PNG or PDF.
    #[error("cannot draw a figure as PNG or PDF: {0}")]
    Raster(String),
    /// The page's template does not fit its data: a bug of this crate.
    #[error("cannot fill in the page: {0}")]
    Page(#[from] minijinja::Error),
    /// The run store cannot be read, or a part of the report cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A spec in the store cannot be read.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A spec in the store cannot be run.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// The paper's experiments cannot be built.
    #[error(transparent)]
    Paper(#[from] PaperError),
    /// A comparison of the store cannot be read.
    #[error(transparent)]
    Compare(#[from] CompareError),
    /// The summary cannot be written as JSON.
    #[error("cannot write summary.json: {0}")]
    Summary(#[from] serde_json::Error),
}
