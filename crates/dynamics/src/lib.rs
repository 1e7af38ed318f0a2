//! What is measured of a model: effective weights, margins, asymmetry.
//!
//! The measures are pure: they see a data set's groups and matrices of logits,
//! never a model. [`measure`] asks for the logits, the rest is arithmetic.

mod asymmetry;
mod effective_weights;
mod intransitivity;
mod weight_matrix;

pub use asymmetry::asymmetry;
pub use effective_weights::{Context, measure};
pub use intransitivity::intransitivity;
pub use weight_matrix::{NotSquare, WeightMatrix};
