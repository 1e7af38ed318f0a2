//! Pretrained language models from their files, run by the engine: Hugging Face folders of GPT-2 and
//! Llama-style models, and GGUF files.
//!
//! [`Checkpoint`] reads a file's description and finds its tensors, [`Architecture`] is the graph,
//! and [`Model`] has the tokenizer and answers: log probabilities of continuations, and greedy text. It
//! is [trained](Model::tune) on texts, and [saved](Model::save) as a Hugging Face folder.
//! [`Model::transfer`], [`Model::lens`], [`Model::patched`] and [`Model::written`] look into it.

mod architecture;
mod checkpoint;
mod config;
mod context;
mod error;
mod fields;
mod generate;
mod gguf;
mod inside;
mod llama;
mod model;
mod numbers;
mod runner;
mod safetensors;
mod save;
mod score;
mod tensors;
mod tokens;
mod tune;
mod written;

pub use architecture::Architecture;
pub use checkpoint::Checkpoint;
pub use error::PretrainedError;
pub use inside::{PatchPosition, TokenQuestion};
pub use llama::{Biases, Llama};
pub use model::Model;
pub use retrodict_models::{LastNorm, LrDecay, Part, Written};
pub use score::LogProbability;
pub use tune::{
    Lora, ModelPart, PartTransfer, Sequence, TrainingText, Transfer, TuneOptions, TuneStep, Tuner,
};
