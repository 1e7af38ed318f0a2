//! A problem with a spec, and its place.

use std::fmt;

use thiserror::Error;

/// The place of a problem in the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// The spec as a whole.
    Spec {
        /// The file, as the user named it.
        origin: String,
    },
    /// A line of the spec, counted from 1.
    Line {
        /// The file, as the user named it.
        origin: String,
        /// The line.
        line: usize,
    },
    /// A character of the spec; line and column are counted from 1.
    Column {
        /// The file, as the user named it.
        origin: String,
        /// The line.
        line: usize,
        /// The column, in characters.
        column: usize,
    },
    /// An override, as it was written: `model.layers=2`.
    Override {
        /// The text after `--set`.
        text: String,
    },
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spec { origin } => write!(f, "{origin}"),
            Self::Line { origin, line } => write!(f, "{origin}:{line}"),
            Self::Column { origin, line, column } => write!(f, "{origin}:{line}:{column}"),
            Self::Override { text } => write!(f, "--set {text}"),
        }
    }
}

/// A spec that is refused: one problem, at one place.
#[derive(Debug, Error)]
#[error("{at}: {problem}")]
pub struct SpecError {
    /// Its place.
    pub at: Location,
    /// The problem.
    pub problem: Box<Problem>,
}

impl SpecError {
    /// A problem at a place.
    pub fn new(at: Location, problem: Problem) -> Self {
        let problem = Box::new(problem);
        Self { at, problem }
    }
}

/// An error and its position in the text; the first of several is the one reported.
#[derive(Debug)]
pub struct Located {
    /// Byte in the text; overrides come after it.
    pub position: usize,
    /// The error.
    pub error: SpecError,
}

/// A problem with a spec, and the remedy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Problem {
    /// The file cannot be read.
    #[error("cannot read the spec: {0}")]
    Read(std::io::Error),
    /// The file is far larger than any spec.
    #[error("this is no spec: it has more than {limit} bytes")]
    TooLarge {
        /// The most that is read.
        limit: u64,
    },
    /// Not TOML.
    #[error("not valid TOML: {0}")]
    Syntax(String),
    /// An override without `=`, or with a key of more than two parts.
    #[error("an override is written key=value, such as model.layers=2")]
    Override,
    /// A section that no spec has.
    #[error("unknown section `[{section}]`; {hint}")]
    UnknownSection {
        /// Its name.
        section: String,
        /// The remedy.
        hint: String,
    },
    /// A section's name used for a plain value.
    #[error("`{section}` is a section: write [{section}] and its keys below it")]
    NotASection {
        /// Its name.
        section: String,
    },
    /// A key that no spec has.
    #[error("unknown key `{key}`; {hint}")]
    UnknownKey {
        /// The key with its section.
        key: String,
        /// The remedy.
        hint: String,
    },
    /// A key that would have no effect in this spec.
    #[error("`{key}` has no effect with {found}; it applies with {right}")]
    NoEffect {
        /// The key with its section.
        key: String,
        /// The key that it depends on, with its value.
        found: String,
        /// The value under which it would apply.
        right: String,
    },
    /// A value of the wrong type, out of its range, or of no known name.
    #[error("`{key}` is {found}; it must be {right}")]
    Value {
        /// The key with its section.
        key: String,
        /// The value as it was.
        found: String,
        /// The remedy.
        right: String,
    },
    /// A key without a default is left out.
    #[error("`{key}` is missing; it must be {right}")]
    Missing {
        /// The key with its section.
        key: String,
        /// The remedy.
        right: String,
    },
    /// Anything else, in a sentence that names the key.
    #[error("{0}")]
    Other(String),
}
