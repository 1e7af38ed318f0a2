//! The multiclass hinge: the target is to win by a margin, and no more.

use super::{Column, Terms};
use crate::scalar::Scalar;

/// `max(0, m + lead)`, which draws on the target's logit and on the highest of the others.
#[inline(always)]
pub(super) fn terms<T: Scalar>(margin: f64, column: &Column<T>) -> Terms<T> {
    let loss = T::from_f64(margin) + column.lead;
    let loses = loss > T::ZERO;
    let slope = if loses { T::ONE } else { T::ZERO };
    Terms {
        loss: if loses { loss } else { T::ZERO },
        probability: T::ZERO,
        uniform: T::ZERO,
        target: -slope,
        rival: slope,
    }
}
