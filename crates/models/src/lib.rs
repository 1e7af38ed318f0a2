//! The models, as compositions of the engine's operations, and how they are trained on sentences.

pub mod bilinear;
mod decoder;
mod network;
mod objective;
pub mod one_layer;
mod product;
mod schedule;
mod trainer;

pub use decoder::{
    Decoder, Design, Mixer, ModelError, Nonlinearity, Norm, NormPlace, PositionEncoding, Site,
    TOKEN_EMBEDDINGS, ValueOutput, Watch,
};
pub use network::{Attended, BilinearNetwork, Inputs, Network, OneLayerNetwork};
pub use objective::{Lesson, LossOn, Objective, Pairs, PenaltyOn, Reading, Term};
pub use retrodict_engine::LossFunction;
pub use schedule::{Decline, Schedule};
pub use trainer::{
    LastNorm, NoParts, NotADecoder, Part, Parts, Patch, SentenceScore, Tangents, Trainer,
    TrainerOptions,
};
