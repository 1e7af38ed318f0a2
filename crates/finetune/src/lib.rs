//! Fine-tuning of a language model on facts: one training a condition and seed, and what each
//! recipe does to the direction that no sentence states.
//!
//! A [`Study`] trains a [`Learner`] by a [`Condition`] and measures it; [`Runs`] keeps the
//! [`RunResult`]s; [`Summary`] has means and intervals over seeds and questions, and a
//! [`Prediction`] compares the order of recipes with that in small models. [`transfer`] and
//! [`locate`] train nothing: they measure how one step on a fact changes its reverse, and where in
//! the model an answer arises.

mod condition;
mod digest;
mod error;
mod learner;
mod locate;
mod prediction;
mod result;
mod runs;
mod study;
mod summary;
mod transfer;

pub use condition::Condition;
pub use digest::{digest, digest_of_model};
pub use error::FinetuneError;
pub use learner::{Learner, LearnerError, Scored, Step, Text, Tuning};
pub use locate::{Inside, PatchPosition, TokenQuestion, locate};
pub use prediction::{Compare, Compared, Prediction, SmallRun};
pub use result::{AnswerResult, Key, KnownResult, Part, RunResult};
pub use runs::Runs;
pub use study::{HELD_TEXT, Phase, Study};
pub use summary::{Difference, Estimate, Row, Summary};
pub use transfer::{
    Excess, FactGains, Gains, Kind, KindGains, Mean, Tangent, TransferSummary, transfer,
};
