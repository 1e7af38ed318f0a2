//! The operations: each file holds one, with its shape rule, its forward and backward pass, its
//! cost and its gradient test.

mod activation;
mod attention;
mod broadcast;
mod contrastive;
mod cross_entropy;
mod dropout;
mod embedding;
mod even_attention;
mod gelu;
mod given;
mod in_batch;
mod join;
mod layer_norm;
mod linear;
mod linear_attention;
mod linear_cross_entropy;
mod linear_loss;
mod loss;
mod multiply;
mod penalty;
mod pick;
mod repeat_heads;
mod residual;
mod rms_norm;
mod rotary;
mod scale;
mod scan;
mod select;
mod symmetry;

pub use activation::Activation;
pub use attention::Sees;
pub use linear::Orientation;
pub use loss::{Focal, LabelSmoothing, LossFunction, Margin};
pub use penalty::Penalty;
pub use scan::Decay;

use crate::lanes::{SUM_LANES, WIDE, dot, lanes, lanes_mut, put, sum};
