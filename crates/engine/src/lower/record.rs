//! The record of a step: what the host decides about it, in 4-byte words.
//!
//! The first [`HEADER`] words are the seeds of dropout and the rates of the optimiser; the inputs
//! follow, each `[positions, lanes]`.

/// Words before the inputs.
pub const HEADER: usize = 16;

/// The word of each entry of the header.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Entry {
    /// The dropout seed, low half.
    SeedLow,
    /// The dropout seed, high half.
    SeedHigh,
    /// The step, low half.
    StepLow,
    /// The step, high half.
    StepHigh,
    /// `1 − rate · weight decay`, an f32 as all that follow.
    Shrink,
    /// `rate / (1 − β₁ᵗ)`.
    CorrectedRate,
    /// `1 / √(1 − β₂ᵗ)`.
    SecondCorrection,
    /// β₁.
    Beta1,
    /// `1 − β₁`.
    LessBeta1,
    /// β₂.
    Beta2,
    /// `1 − β₂`.
    LessBeta2,
    /// ε.
    Epsilon,
}
