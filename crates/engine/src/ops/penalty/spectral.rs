//! The largest singular value, by power iteration: `v ← Pᵀ P v`, normalised.

use std::ops::Range;

use crate::isa::{Isa, for_every_isa};
use crate::matrix::{GradientTarget, Matrix};
use crate::ops::put;
use crate::rows::{add_scaled, inner_product};
use crate::scalar::Scalar;

/// The largest number of iterations: where these cannot separate the two largest singular values,
/// either gives the same value.
const ROUNDS: usize = 1000;

/// Computes the singular vectors in `pair`, the left one first. Each call starts from the same
/// vector, to which no matrix of a model is likely to be orthogonal: a step depends only on the
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

/// Normalises a vector unless it is zero. Returns its former length.
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
    /// Adds `strength · u vᵀ` to the gradient, for some rows.
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
