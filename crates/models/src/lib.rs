//! Model architectures, built from the engine's operations, and their training on sentences.

mod decoder;
mod lr_schedule;
mod network;
mod objective;
mod trainer;

pub use decoder::{
    Decoder, DecoderSettings, Design, Hook, Mixer, ModelError, Nonlinearity, Norm, NormPlace,
    PositionEncoding, Rotary, Site, TOKEN_EMBEDDINGS, ValueOutput,
};
pub use lr_schedule::{LrDecay, LrSchedule};
pub use network::{
    Attended, BilinearNetwork, BilinearSettings, Inputs, ModelSettings, Network, OneLayerNetwork,
    OneLayerSettings, Places,
};
pub use objective::{
    Example, LossOn, Masking, Objective, ObjectiveSettings, Pairs, Penalties, PenaltyOn, Reading,
    ReadingName, Term,
};
pub use retrodict_engine::LossFunction;
pub use trainer::{
    Batches, DeviceBytes, LastNorm, NoParts, NotADecoder, Part, Parts, Patch, SentenceScore,
    Tangents, Trainer, TrainerBytes, TrainerOptions, Written,
};
