//! The nuclear norm `Σ σ = ⟨P, U Vᵀ⟩`, from the polar factor `U Vᵀ`.

use std::ops::Range;

use crate::isa::Isa;
use crate::kernels::{CUBIC, Orthogonal};
use crate::matrix::{GradientTarget, Matrix};
use crate::ops::put;
use crate::scalar::Scalar;

/// The largest number of iterations: enough for a singular value of 10⁻⁹ of the largest. Smaller
/// ones do not change the norm.
const STEPS: usize = 60;

/// Computes the polar factor in `x`. A step squares the error: the iteration ends where that is
/// below the precision of a number.
pub(super) fn norm<T: Scalar>(
    isa: Isa,
    shape: Orthogonal,
    p: Matrix<'_, T>,
    x: &mut [T],
    scratch: &mut [T],
) -> T {
    shape.load(isa, p.all(), p.stride, x);
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

/// Adds `strength · U Vᵀ` to the gradient, for some rows.
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
