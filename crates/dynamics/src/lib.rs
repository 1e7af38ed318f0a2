//! Measures of a model: effective weights, margins, asymmetry, answers, embeddings.
//!
//! The measures are pure functions of a data set's groups and of matrices of logits; they never see
//! a model. [`measure`] requests the logits, the rest is arithmetic.

mod answers;
mod asymmetry;
mod controls;
mod cosines;
mod directions;
mod effective_weights;
mod intransitivity;
pub mod locate;
mod logits;
mod mean;
mod outranked;
mod ranks;
mod weight_matrix;

pub use answers::{Answers, ByQuestion, Reach, answers};
pub use asymmetry::{LEARNED, asymmetry};
pub use controls::controls_by_question;
pub use cosines::{cosines, evenly_spread, mean_absolute_cosine};
pub use directions::{Directions, directions};
pub use effective_weights::{Context, measure};
pub use intransitivity::intransitivity;
pub use logits::Logits;
pub use mean::mean;
pub use outranked::{Outranked, outranked};
pub use ranks::{CandidateCount, Ranking, Ranks, Standing};
pub use weight_matrix::{NotSquare, WeightMatrix};
