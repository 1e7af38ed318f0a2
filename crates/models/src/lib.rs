//! The models, as compositions of the engine's operations, and how they are trained on sentences.

mod decoder;
mod lr_schedule;
mod network;
mod objective;
mod trainer;

pub use decoder::{
    Decoder, Design, Hook, Mixer, ModelError, Nonlinearity, Norm, NormPlace, PositionEncoding,
    Site, TOKEN_EMBEDDINGS, ValueOutput,
};
pub use lr_schedule::{LrDecay, LrSchedule};
pub use network::{Attended, BilinearNetwork, Inputs, Network, OneLayerNetwork};
pub use objective::{Example, LossOn, Objective, Pairs, PenaltyOn, Reading, Term};
pub use retrodict_engine::LossFunction;
pub use trainer::{
    LastNorm, NoParts, NotADecoder, Part, Parts, Patch, SentenceScore, Tangents, Trainer,
    TrainerOptions,
};
