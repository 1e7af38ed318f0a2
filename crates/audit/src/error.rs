//! Errors of an audit.

use thiserror::Error;

/// Why an audit has no result.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The address is wrong.
    #[error("{address}: {problem}")]
    Address {
        /// The address as given.
        address: String,
        /// The problem, and the right form.
        problem: String,
    },
    /// The server does not answer, or not with log probabilities of the prompt.
    #[error("{address}: {problem}")]
    Server {
        /// The address as given.
        address: String,
        /// Its reply, and the right one.
        problem: String,
    },
    /// A file of scores is wrong.
    #[error("{file}{}: {problem}", line.map_or_else(String::new, |line| format!(":{line}")))]
    Scores {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: Option<usize>,
        /// The problem, and the right form.
        problem: String,
    },
    /// Log probabilities are missing.
    #[error(
        "{missing} of {all} log probabilities are missing, the first that of “{answer}” after \
             “{prompt}”"
    )]
    Missing {
        /// How many.
        missing: usize,
        /// How many there should be.
        all: usize,
        /// The prompt of the first.
        prompt: String,
        /// Its answer.
        answer: String,
    },
    /// Stopped by the user; what is known is kept.
    #[error("stopped; the same command resumes")]
    Interrupted,
}
