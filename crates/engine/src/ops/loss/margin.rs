//! The multiclass hinge loss: the target should win by a margin, and no more.

use retrodict_settings::{POSITIVE, settings};

use super::{Column, Function, Terms};
use crate::scalar::Scalar;

settings! {
    /// `max(0, m + max_{v ≠ target} logit_v − logit_target)` (Crammer and Singer, 2001).
    #[derive(Copy)]
    pub struct Margin in "objective" {
        /// The margin by which the right logit is to win.
        pub loss_parameter: f64 = 1.0, POSITIVE;
    }
}

impl Function for Margin {
    fn check(&self, vocabulary: usize) {
        assert!(self.loss_parameter.is_finite(), "the margin is {}", self.loss_parameter);
        assert!(vocabulary > 1, "with one logit there is nothing to win against");
    }

    /// `max(0, m + lead)`, a function of the target's logit and the highest of the others.
    #[inline(always)]
    fn terms<T: Scalar, const FUSED: bool>(&self, column: &Column<T>) -> Terms<T> {
        let loss = T::from_f64(self.loss_parameter) + column.lead;
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
