//! Cross-entropy against a target that keeps a part of its mass for all symbols alike.

use super::{Column, Terms};
use crate::scalar::Scalar;

/// `(1 − ε) · NLL + ε · mean of all NLLs`; its gradient is `p_v − ε / V − (1 − ε) · [target]`.
#[inline(always)]
pub(super) fn terms<T: Scalar>(epsilon: f64, column: &Column<T>) -> Terms<T> {
    let [kept, spread] = [1.0 - epsilon, epsilon].map(T::from_f64);
    Terms {
        loss: kept * column.nll + spread * column.mean_nll,
        probability: T::ONE,
        uniform: -(spread / column.vocabulary),
        target: -kept,
        rival: T::ZERO,
    }
}
