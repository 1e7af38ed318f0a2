//! The largest singular value, by power iteration: `v ← Pᵀ P v`, made to have length 1.

use std::ops::Range;

use crate::isa::{Isa, for_every_isa};
use crate::matrix::{GradientTarget, Matrix};
use crate::ops::put;
use crate::rows::{add_scaled, inner_product};
use crate::scalar::Scalar;

/// Rounds at most: where the two largest are closer than these can tell apart, their order does
/// not matter to the value.
const ROUNDS: usize = 1000;

/// Leaves the singular vectors in `pair`, first that of the rows. Each call begins anew, from
/// numbers that no matrix of a model will be orthogonal to: a step depends on nothing but the
/// parameters.
pub(super) fn norm<T: Scalar>(isa: Isa, p: Matrix<'_, T>, pair: &mut [T], scratch: &mut [T]) -> T {
    let (u, v) = pair.split_at_mut(p.rows);
    let next = &mut scratch[..v.len()];
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    for (j, v) in v.iter_mut().enumerate() {
        *v = T::from_f64(1.0 + (golden * j as f64).fract());
    }
    scale_to_one(isa, v);
    let near = T::from_f64(if T::BYTES < 8 { 1e-5 } else { 1e-12 });
    for _ in 0..ROUNDS {
        next.fill(T::ZERO);
        for (r, u) in u.iter_mut().enumerate() {
            inner_product(isa, p.row(r), v, u);
            add_scaled(isa, *u, p.row(r), next);
        }
        scale_to_one(isa, next);
        let mut moved = T::ZERO;
        for (v, next) in v.iter_mut().zip(&*next) {
            moved += (*next - *v) * (*next - *v);
            *v = *next;
        }
        if moved < near * near {
            break;
        }
    }
    for (r, u) in u.iter_mut().enumerate() {
        inner_product(isa, p.row(r), v, u);
    }
    scale_to_one(isa, u)
}

/// Makes a vector have length 1, unless it is zero; gives the length that it had.
fn scale_to_one<T: Scalar>(isa: Isa, vector: &mut [T]) -> T {
    let mut square = T::ZERO;
    inner_product(isa, vector, vector, &mut square);
    let length = square.sqrt();
    if length > T::ZERO {
        vector.iter_mut().for_each(|x| *x = *x / length);
    }
    length
}

for_every_isa! {
    /// Puts `strength · u vᵀ` to the gradient, some rows of it.
    pub(super) fn gradient<T>(
        strength: T, pair: &[T], target: GradientTarget<'_, T>, rows: Range<usize>,
    ) {
        let GradientTarget { matrix: mut d, accumulate } = target;
        let (u, v) = pair.split_at(d.rows);
        for r in rows {
            let scale = strength * u[r];
            for (d, v) in d.row_mut(r).iter_mut().zip(v) {
                put(d, scale * *v, accumulate);
            }
        }
    }
}
