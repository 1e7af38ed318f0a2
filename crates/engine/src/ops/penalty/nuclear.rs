//! The nuclear norm `Σ σ = ⟨P, U Vᵀ⟩`, by way of the polar factor `U Vᵀ`.

use std::ops::Range;

use crate::isa::Isa;
use crate::kernels::{CUBIC, Orthogonal};
use crate::matrix::{GradientTarget, Matrix};
use crate::ops::put;
use crate::scalar::Scalar;

/// Steps of the iteration at most: those of a singular value of 10⁻⁹ of the largest. One below
/// that adds nothing to the norm that could be seen.
const STEPS: usize = 60;

/// Leaves the polar factor in `x`. An error of e is e² after a step: the last one is made where
/// that is below a number's precision.
pub(super) fn norm<T: Scalar>(
    isa: Isa,
    shape: Orthogonal,
    p: Matrix<'_, T>,
    x: &mut [T],
    scratch: &mut [T],
) -> T {
    shape.load(isa, p.all(), x);
    let near = T::from_f64(if T::BYTES < 8 { 1e-4 } else { 1e-9 });
    for _ in 0..STEPS {
        if shape.step(isa, CUBIC, x, scratch) < near {
            break;
        }
    }
    let mut sum = T::ZERO;
    for r in 0..p.rows {
        for (c, p) in p.row(r).iter().enumerate() {
            sum += *p * x[shape.at(r, c)];
        }
    }
    sum
}

/// Puts `strength · U Vᵀ` to the gradient, some rows of it.
pub(super) fn gradient<T: Scalar>(
    strength: T,
    shape: Orthogonal,
    x: &[T],
    target: GradientTarget<'_, T>,
    rows: Range<usize>,
) {
    let GradientTarget { matrix: mut d, accumulate } = target;
    for r in rows {
        for (c, d) in d.row_mut(r).iter_mut().enumerate() {
            put(d, strength * x[shape.at(r, c)], accumulate);
        }
    }
}
