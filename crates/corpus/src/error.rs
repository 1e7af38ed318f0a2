//! Errors that name the file, the line and what would be right.

use std::fmt;

use thiserror::Error;

/// A problem with a file of facts, of phrasings or of training text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct CorpusError {
    /// The file, as the user named it.
    pub file: String,
    /// The line, counted from 1; `None` where it concerns the whole file.
    pub line: Option<usize>,
    /// The problem, and the right form.
    pub problem: String,
}

impl CorpusError {
    /// A problem of the whole file.
    pub fn whole(file: &str, problem: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, problem: problem.into() }
    }

    /// A problem of a line.
    pub fn at(file: &str, line: usize, problem: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: Some(line), problem: problem.into() }
    }
}

impl fmt::Display for CorpusError {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        match self.line {
            Some(line) => write!(out, "{}:{line}: {}", self.file, self.problem),
            None => write!(out, "{}: {}", self.file, self.problem),
        }
    }
}
