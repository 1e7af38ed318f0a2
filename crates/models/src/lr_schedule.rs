//! The learning-rate schedule.

use std::f64::consts::PI;

use retrodict_settings::keywords;

keywords! {
    /// The decay of the learning rate after the warm-up.
    #[derive(Default)]
    pub enum LrDecay {
        /// None.
        #[default]
        Constant = "constant",
        /// Linear to 0.
        Linear = "linear",
        /// To 0 along half a cosine (Loshchilov and Hutter, 2017).
        Cosine = "cosine",
    }
}

/// A warm-up and a decay of the learning rate, as a factor for each step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LrSchedule {
    /// Steps over which the rate rises linearly from 0.
    pub warmup: u64,
    /// Steps in all; unused for a constant rate.
    pub steps: u64,
    /// The decay after the warm-up.
    pub decay: LrDecay,
}

impl LrSchedule {
    /// The factor for step `step`, counted from 0. It is above 0 and at most 1.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup {
            return (step + 1) as f64 / (self.warmup + 1) as f64;
        }
        let left = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / left).min(1.0);
        match self.decay {
            LrDecay::Constant => 1.0,
            LrDecay::Linear => 1.0 - done,
            LrDecay::Cosine => 0.5 * (1.0 + libm::cos(PI * done)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_and_decays() {
        let at = |decay, step| LrSchedule { warmup: 3, steps: 11, decay }.factor(step);
        assert_eq!([0, 1, 2, 3].map(|s| at(LrDecay::Constant, s)), [0.25, 0.5, 0.75, 1.0]);
        assert_eq!([3, 7, 10].map(|s| at(LrDecay::Linear, s)), [1.0, 0.5, 0.125]);
        assert_eq!(at(LrDecay::Cosine, 3), 1.0);
        assert!((at(LrDecay::Cosine, 7) - 0.5).abs() < 1e-15);
        assert_eq!(at(LrDecay::Linear, 1000), 0.0, "past its end");
        assert_eq!(LrSchedule::default().factor(12345), 1.0);
    }
}
