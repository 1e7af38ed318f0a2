//! The errors of a comparison: the problem and its place.

use std::io;

use retrodict_lab::spec::Problem;
use retrodict_lab::{ExperimentError, spec::UnknownReady};
use thiserror::Error;

/// A comparison that is refused: one problem, at one place.
#[derive(Debug, Error)]
pub enum CompareError {
    /// The file cannot be read.
    #[error("{origin}: cannot read the comparison: {source}")]
    Read {
        /// The file, as the user named it.
        origin: String,
        /// Why not.
        source: io::Error,
    },
    /// The file is far larger than any comparison.
    #[error("{origin}: this is no comparison: it has more than {limit} bytes")]
    TooLarge {
        /// The file, as the user named it.
        origin: String,
        /// The most that is read.
        limit: u64,
    },
    /// Not TOML, or a key that is unknown, missing, or of the wrong type.
    #[error("{at}: {problem}")]
    Toml {
        /// The file and the line.
        at: String,
        /// The problem, and the right form.
        problem: String,
    },
    /// Fields are missing.
    #[error("{problem} (`retrodict spec compare` prints an example)")]
    Missing {
        /// Each with its place.
        problem: String,
    },
    /// A value out of its range.
    #[error("{place}: `{key}` is {found}; it must be {right}")]
    Value {
        /// The file, the task and the intervention.
        place: String,
        /// The key.
        key: &'static str,
        /// The value as it was.
        found: String,
        /// The right form.
        right: String,
    },
    /// Two parts of one name.
    #[error("{place}: `id` is {id:?}, as that of another; every {what} needs an id of its own")]
    Twice {
        /// The file and the task.
        place: String,
        /// A task or an intervention.
        what: &'static str,
        /// The name.
        id: String,
    },
    /// An intervention that is the same experiment as another row.
    #[error("{place}: it is the same experiment as {other}; change something in `set`")]
    Same {
        /// The file, the task and the intervention.
        place: String,
        /// The other row.
        other: String,
    },
    /// The number that a task is drawn over is none in the spec.
    #[error(
        "{place}: `response.key` is {key:?}, which is no number in its spec; name one, such as \"data.train_fraction\""
    )]
    Response {
        /// The file, the task and the intervention.
        place: String,
        /// The key.
        key: String,
    },
    /// The spec that it makes is wrong.
    #[error("{place}: {problem}")]
    Spec {
        /// The file, the task and the intervention.
        place: String,
        /// The problem, and the right form.
        problem: Box<Problem>,
    },
    /// The baseline starts from a spec that is not there.
    #[error("{place}: `base`: {source}")]
    Ready {
        /// The file and the task.
        place: String,
        /// Which, and what there is.
        source: UnknownReady,
    },
    /// The spec reads well but cannot be run.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// There is no comparison and no task of this name.
    #[error("there is no comparison and no task `{name}`; {hint}")]
    Unknown {
        /// As it was asked for.
        name: String,
        /// The nearest, or all.
        hint: String,
    },
}
