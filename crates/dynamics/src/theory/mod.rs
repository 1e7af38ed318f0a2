//! What the paper proves of its two models of theory: closed forms and bounds, as arithmetic on
//! numbers that were measured. One file a model.

pub mod bilinear;
pub mod linearised;
pub mod one_layer;
