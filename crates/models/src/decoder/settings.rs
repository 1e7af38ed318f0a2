//! The shape of a decoder, as keys of a spec.

use std::ops::RangeInclusive;

use retrodict_settings::{BELOW_ONE, POSITIVE, PROPORTION, Problem, Reader, choice, settings};

use super::design::{Design, HAS_HEADS};
use crate::network::INITIAL_STD;

// Bounds that no experiment comes near: beyond them lies a typing error, and an allocation that
// fails.
const LAYERS: RangeInclusive<u64> = 1..=1_000;
/// Features, here and in the other networks.
pub(crate) const DIM: RangeInclusive<u64> = 1..=65_536;

settings! {
    /// The shape of a decoder.
    pub struct DecoderSettings in "model", check heads_divide_dim {
        /// Blocks of attention and MLP.
        pub layers: usize = 2, LAYERS;
        /// Features of the residual stream, the embedding dimension.
        pub dim: usize = 64, DIM;
        /// The exchangeable parts.
        pub design: Design;
        /// Attention heads; they divide the dimension.
        pub heads: usize = 4, DIM, when(HAS_HEADS), hashed;
        /// How positions are encoded.
        pub position: PositionEncoding;
        /// Dropout of embeddings, attention probabilities and branches, in training.
        pub dropout: f64 = 0.1, BELOW_ONE;
        /// Whether the output head is the token table itself; the paper's code ran with a free head.
        pub tie_head: bool = false, ();
        /// Whether token and position embeddings stay at their initial values.
        pub freeze_embeddings: bool = false, ();
        /// Standard deviation of the initial tables and matrices; matrices that write into the
        /// residual stream have it divided by √(2 layers), and biases begin at 0.
        pub init_std: f64 = INITIAL_STD, POSITIVE, later;
    }
}

choice! {
    /// How the model tells positions apart: not at all but for the causal mask, by learned
    /// embeddings, or by rotated queries and keys (the paper's "relative").
    #[derive(Copy)]
    pub enum PositionEncoding: "model"."position" = "absolute" {
        /// Only the causal mask tells positions apart.
        None = "none",
        /// A learned vector for each position is added to the token's.
        Absolute = "absolute",
        /// Queries and keys are rotated by angles that grow with the position.
        Rotary(Rotary) = "rotary",
    }
}

settings! {
    /// Rotary position encoding.
    #[derive(Copy)]
    pub struct Rotary in "model" {
        /// Proportion of each head's features that is rotated, in whole pairs; the authors' 32 of 64.
        pub rotary_fraction: f64 = 0.5, PROPORTION, later;
    }
}

impl PositionEncoding {
    /// Rotary encoding of that proportion of each head's features.
    pub fn rotary(rotary_fraction: f64) -> Self {
        Self::Rotary(Rotary { rotary_fraction })
    }
}

/// Refuses heads that do not divide the dimension, at whichever of the two was written later.
fn heads_divide_dim(settings: &DecoderSettings, reader: &mut Reader) {
    let DecoderSettings { heads, dim, .. } = *settings;
    let written = ["heads", "dim"].map(|key| reader.place("model", key));
    let Some(place) = written.into_iter().flatten().max_by_key(|place| place.position) else {
        return;
    };
    if !settings.design.mixer.has_queries() || dim.is_multiple_of(heads) {
        return;
    }
    let divides = |candidate: &usize| dim.is_multiple_of(*candidate);
    let below = (1..heads.min(dim + 1)).rev().find(divides);
    let above = (heads + 1..=dim).find(divides);
    let hint = match (below, above) {
        (Some(below), Some(above)) => format!("{below} or {above} would"),
        (one, other) => format!("{} would", one.or(other).unwrap_or(1)),
    };
    reader.refuse(
        &place,
        Problem::Other(format!(
            "`model.heads` = {heads} does not divide `model.dim` = {dim}; {hint}"
        )),
    );
}
