//! Errors of fine-tuning.

use std::path::PathBuf;

use retrodict_audit::AuditError;
use retrodict_corpus::augment::AugmentError;
use retrodict_lab::store::StoreError;
use thiserror::Error;

use crate::LearnerError;

/// Why a study has no result.
#[derive(Debug, Error)]
pub enum FinetuneError {
    /// A condition is not one.
    #[error("--recipe {given}: {problem}")]
    Condition {
        /// As it was given.
        given: String,
        /// The problem, and the right form.
        problem: String,
    },
    /// The training text cannot be made.
    #[error(transparent)]
    Text(#[from] AugmentError),
    /// Every fact is stated in both directions.
    #[error(
        "every fact of {0} is stated in both directions, so that no reverse is held out; give some \
         facts the split `forward` or `reverse`, or a lower --train-fraction"
    )]
    NothingHeldOut(String),
    /// Nothing to compare a fact with.
    #[error(
        "line {0}: no other fact of the relation `{1}` has another answer in both directions; the \
         effect on a fact is compared with that on others, so give more facts of it"
    )]
    NoOthers(usize, String),
    /// The model cannot be used, or its training diverged.
    #[error(transparent)]
    Learner(#[from] LearnerError),
    /// The measurement failed.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A result file belongs to another study.
    #[error("{} is of another study ({difference}); give another --out, or delete it", file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// The option that differs, with both values.
        difference: String,
    },
    /// A result file is damaged.
    #[error("{} is not a result of this version ({problem}); delete it to train it again", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// The problem.
        problem: String,
    },
    /// The runs of small models cannot be read.
    #[error("{file}: {problem}")]
    Small {
        /// The file.
        file: String,
        /// The problem, and the right form.
        problem: String,
    },
    /// A file cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}
