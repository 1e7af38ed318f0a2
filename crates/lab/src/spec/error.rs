//! What can be wrong with a spec, and where.

use std::fmt;

use thiserror::Error;

use super::seeds::SeedsError;
use crate::name::NameError;

/// Where in the input a problem stands.
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
    /// Where it stands.
    pub at: Location,
    /// What is wrong, and what would be right.
    pub problem: Box<Problem>,
}

impl SpecError {
    pub(crate) fn new(at: Location, problem: Problem) -> Self {
        let problem = Box::new(problem);
        Self { at, problem }
    }
}

/// What is wrong with a spec, and what would be right.
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
        /// What would be right.
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
        /// What would be right.
        hint: String,
    },
    /// A key of `[data]` that another kind of data has.
    #[error("`{key}` is a key of {owners} data, not of {kind} data")]
    OtherKind {
        /// The key with its section.
        key: String,
        /// The kinds that have it.
        owners: String,
        /// The kind of this spec.
        kind: &'static str,
    },
    /// A value of the wrong type, out of its range, or of no known name.
    #[error("`{key}` is {found}; it must be {right}")]
    Value {
        /// The key with its section.
        key: String,
        /// The value as it was.
        found: String,
        /// What would be right.
        right: String,
    },
    /// A recipe that does not exist, or not like this.
    #[error("`data.recipes`: {0}")]
    Recipe(retrodict_facts::RecipeError),
    /// A key without a default is left out.
    #[error("`{key}` is missing; it must be {right}")]
    Missing {
        /// The key with its section.
        key: &'static str,
        /// What would be right.
        right: String,
    },
    /// Heads that do not divide the dimension.
    #[error("`model.heads` = {heads} does not divide `model.dim` = {dim}; {hint}")]
    Heads {
        /// `model.heads`.
        heads: usize,
        /// `model.dim`.
        dim: usize,
        /// The nearest numbers of heads that divide it.
        hint: String,
    },
    /// The experiment's name cannot be a folder.
    #[error("`name`: {0}")]
    Name(NameError),
    /// The file's name cannot be the experiment's, and no other is given.
    #[error("{0}; give the experiment a name of its own: name = \"…\"")]
    Stem(NameError),
    /// The list of seeds.
    #[error("`seeds`: {0}")]
    Seeds(SeedsError),
}
