//! The record of a step: what the host decides about it, in 4-byte words.
//!
//! The first [`HEADER`] words are the seeds of dropout and the rates of the optimiser; the inputs
//! follow, each `[positions, lanes]`.

use super::launch::{Area, Region, Span};
use crate::optim::StepRates;
use crate::random::Noise;

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

/// The header's words in the record.
pub(super) fn header() -> Span {
    Area::row(Region::Record, 0, HEADER).span()
}

/// Appends the header of a step; without an update its rates are 0.
pub(crate) fn write_header(noise: Noise, rates: Option<StepRates>, out: &mut Vec<u32>) {
    let mut words = [0; HEADER];
    let halves = |x: u64| [x as u32, (x >> 32) as u32];
    words[Entry::SeedLow as usize..][..2].copy_from_slice(&halves(noise.seed));
    words[Entry::StepLow as usize..][..2].copy_from_slice(&halves(noise.step));
    if let Some(rates) = rates {
        let StepRates { shrink, corrected_rate, second_correction, betas, epsilon } = rates;
        // Rounded where the processor's update rounds them.
        let entries = [
            (Entry::Shrink, shrink),
            (Entry::CorrectedRate, corrected_rate),
            (Entry::SecondCorrection, 1.0 / second_correction),
            (Entry::Beta1, betas[0]),
            (Entry::LessBeta1, 1.0 - betas[0]),
            (Entry::Beta2, betas[1]),
            (Entry::LessBeta2, 1.0 - betas[1]),
            (Entry::Epsilon, epsilon),
        ];
        for (entry, number) in entries {
            words[entry as usize] = (number as f32).to_bits();
        }
    }
    out.extend(words);
}
