//! The error of this crate.

use std::fmt::Display;
use std::path::Path;

use thiserror::Error;

/// Why a model cannot be read or used.
#[derive(Debug, Error)]
pub enum PretrainedError {
    /// A file is missing, damaged, or of an unknown kind.
    #[error("{file}: {problem}")]
    File {
        /// The file.
        file: String,
        /// The problem, and what would be right.
        problem: String,
    },
    /// A text cannot be given to the model.
    #[error("{0}")]
    Text(String),
    /// A training is impossible, or has diverged.
    #[error("{0}")]
    Training(String),
    /// The caller stopped the work.
    #[error("stopped")]
    Stopped,
}

impl PretrainedError {
    pub(crate) fn file(path: &Path, problem: impl Into<String>) -> Self {
        Self::File { file: path.display().to_string(), problem: problem.into() }
    }

    pub(crate) fn unreadable(path: &Path, error: impl Display) -> Self {
        Self::file(path, format!("it cannot be read: {error}"))
    }
}
