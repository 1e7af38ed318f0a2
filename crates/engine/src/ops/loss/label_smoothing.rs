//! Label smoothing: cross-entropy with a target distribution that has some mass on all symbols.

use retrodict_settings::{BELOW_ONE, settings};

use super::{Column, Function, Terms};
use crate::scalar::Scalar;

settings! {
    /// Cross-entropy against `(1 − ε) · target + ε · uniform` (Szegedy et al., 2016).
    #[derive(Copy)]
    pub struct LabelSmoothing in "objective" {
        /// Part ε of the target that is spread evenly.
        pub loss_parameter: f64 = 0.1, BELOW_ONE;
    }
}

impl Function for LabelSmoothing {
    fn check(&self, _vocabulary: usize) {
        let LabelSmoothing { loss_parameter: epsilon } = *self;
        assert!((0.0..=1.0).contains(&epsilon), "ε is {epsilon}, not from 0 to 1");
    }

    /// `(1 − ε) · NLL + ε · mean of all NLLs`; its gradient is `p_v − ε / V − (1 − ε) · [target]`.
    #[inline(always)]
    fn terms<T: Scalar, const FUSED: bool>(&self, column: &Column<T>) -> Terms<T> {
        let [kept, spread] = [1.0 - self.loss_parameter, self.loss_parameter].map(T::from_f64);
        Terms {
            loss: kept * column.nll + spread * column.mean_nll,
            probability: T::ONE,
            uniform: -(spread / column.vocabulary),
            target: -kept,
            rival: T::ZERO,
        }
    }
}
