//! The part of a square matrix that changes sign under transposition.

use std::ops::Range;

use crate::isa::for_every_isa;
use crate::matrix::{GradientTarget, Matrix};
use crate::ops::put;

for_every_isa! {
    /// `‖P − Pᵀ‖²`: every pair of numbers counts twice.
    pub(super) fn square<T>(p: Matrix<'_, T>, square: &mut T) {
        let mut sum = T::ZERO;
        for i in 0..p.rows {
            for (j, x) in p.row(i)[..i].iter().enumerate() {
                let apart = *x - p.row(j)[i];
                sum += apart * apart;
            }
        }
        *square = sum + sum;
    }

    /// Some rows of `4 · strength · (P − Pᵀ)`.
    pub(super) fn gradient<T>(
        strength: T, p: Matrix<'_, T>, target: GradientTarget<'_, T>, rows: Range<usize>,
    ) {
        let GradientTarget { matrix: mut d, accumulate } = target;
        let scale = T::from_f64(4.0) * strength;
        for i in rows {
            for (j, (d, x)) in d.row_mut(i).iter_mut().zip(p.row(i)).enumerate() {
                put(d, scale * (*x - p.row(j)[i]), accumulate);
            }
        }
    }
}
