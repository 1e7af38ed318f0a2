//! Cross-entropy that counts less where the target is likely already.

use super::{Column, Terms};
use crate::scalar::Scalar;

/// Below this NLL, `1 − p` is taken from its series: the difference would have lost its digits.
const SMALL: f64 = 1e-3;
/// What `1 − p` is at least, so that it has a logarithm.
const LEAST: f64 = 1e-30;

/// With q = 1 − p the loss is `q^γ · NLL`, and its gradient that of the NLL, `p_v − [target]`,
/// times `q^γ + γ q^(γ−1) p · NLL`.
#[inline(always)]
pub(super) fn terms<T: Scalar, const FUSED: bool>(gamma: f64, column: &Column<T>) -> Terms<T> {
    let nll = column.nll;
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
