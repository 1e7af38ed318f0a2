//! Focal loss: cross-entropy that counts less where the target is already likely.

use retrodict_settings::{NOT_NEGATIVE, settings};

use super::{Column, Function, Terms};
use crate::scalar::Scalar;

/// Below this NLL, `1 − p` comes from its series: the difference would cancel.
const SMALL: f64 = 1e-3;
/// A lower bound of `1 − p`, so that it has a logarithm.
const LEAST: f64 = 1e-30;

settings! {
    /// The focal loss `−(1 − p)^γ ln p` (Lin et al., 2017): facts that are known already count less.
    #[derive(Copy)]
    pub struct Focal in "objective" {
        /// Exponent γ of the focal loss.
        pub loss_parameter: f64 = 2.0, NOT_NEGATIVE;
    }
}

impl Function for Focal {
    fn check(&self, _vocabulary: usize) {
        let Focal { loss_parameter: gamma } = *self;
        assert!(gamma >= 0.0 && gamma.is_finite(), "γ is {gamma}, not at least 0");
    }

    /// With q = 1 − p the loss is `q^γ · NLL`, and its gradient that of the NLL, `p_v − [target]`,
    /// times `q^γ + γ q^(γ−1) p · NLL`.
    #[inline(always)]
    fn terms<T: Scalar, const FUSED: bool>(&self, column: &Column<T>) -> Terms<T> {
        let (gamma, nll) = (self.loss_parameter, column.nll);
        let p = (-nll).exp::<FUSED>();
        let [half, third] = [0.5, 1.0 / 3.0].map(T::from_f64);
        let series = nll * (T::ONE - half * nll * (T::ONE - third * nll));
        let q = if nll < T::from_f64(SMALL) { series } else { T::ONE - p };
        let ln = q.larger(T::from_f64(LEAST)).ln();
        let [power, lower] = [gamma, gamma - 1.0].map(|n| (T::from_f64(n) * ln).exp::<FUSED>());
        let slope = power + T::from_f64(gamma) * lower * p * nll;
        Terms {
            loss: power * nll,
            probability: slope,
            uniform: T::ZERO,
            target: -slope,
            rival: T::ZERO,
        }
    }
}
