//! The models, as compositions of the engine's operations, and how they are trained on sentences.

pub mod bilinear;
mod decoder;
pub mod one_layer;
mod product;
mod trainer;

pub use decoder::{Decoder, ModelError, PositionEncoding, TOKEN_EMBEDDINGS};
pub use trainer::{LossOn, Objective, SentenceScore, Tangents, Trainer, TrainerOptions};
