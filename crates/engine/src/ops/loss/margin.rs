//! The multiclass hinge: the target is to win by a margin, and no more.

use super::{Column, Function, Terms};
use crate::scalar::Scalar;

/// `max(0, m + max_{v ≠ target} logit_v − logit_target)` (Crammer and Singer, 2001).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// m, by how much the target is to win.
    pub margin: f64,
}

impl Function for Margin {
    fn check(&self, vocabulary: usize) {
        assert!(self.margin.is_finite(), "the margin is {}", self.margin);
        assert!(vocabulary > 1, "with one logit there is nothing to win against");
    }

    /// `max(0, m + lead)`, a function of the target's logit and the highest of the others.
    #[inline(always)]
    fn terms<T: Scalar, const FUSED: bool>(&self, column: &Column<T>) -> Terms<T> {
        let loss = T::from_f64(self.margin) + column.lead;
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
}
