//! How the learning rate changes over training.

use std::f64::consts::PI;

/// What becomes of the rate behind the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decline {
    /// It stays.
    #[default]
    Constant,
    /// It goes to 0 in a straight line.
    Linear,
    /// It goes to 0 along half a cosine (Loshchilov and Hutter, 2017).
    Cosine,
}

/// The part of the learning rate that a step uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Steps in which the rate rises from 0 in a straight line.
    pub warmup: u64,
    /// Steps in all; of no account for a constant rate.
    pub steps: u64,
    /// What comes then.
    pub decline: Decline,
}

impl Schedule {
    /// The factor of step number `step`, counted from 0: above 0, at most 1.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup {
            return (step + 1) as f64 / (self.warmup + 1) as f64;
        }
        let left = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / left).min(1.0);
        match self.decline {
            Decline::Constant => 1.0,
            Decline::Linear => 1.0 - done,
            Decline::Cosine => 0.5 * (1.0 + libm::cos(PI * done)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_and_declines() {
        let at = |decline, step| Schedule { warmup: 3, steps: 11, decline }.factor(step);
        assert_eq!([0, 1, 2, 3].map(|s| at(Decline::Constant, s)), [0.25, 0.5, 0.75, 1.0]);
        assert_eq!([3, 7, 10].map(|s| at(Decline::Linear, s)), [1.0, 0.5, 0.125]);
        assert_eq!(at(Decline::Cosine, 3), 1.0);
        assert!((at(Decline::Cosine, 7) - 0.5).abs() < 1e-15);
        assert_eq!(at(Decline::Linear, 1000), 0.0, "past its end");
        assert_eq!(Schedule::default().factor(12345), 1.0);
    }
}
