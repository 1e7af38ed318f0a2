//! The Newton–Schulz iteration: a matrix converges to the nearest orthogonal one, by products only.
//!
//! With `X = U Σ Vᵀ` a step `X ← (a I + b G + c G²) X`, `G = X Xᵀ`, keeps U and V and
//! maps each singular value σ to `a σ + b σ³ + c σ⁵`. With 3/2, −1/2 and 0 all that begin between 0
//! and √3 converge to 1, and X to the polar factor `U Vᵀ` (Higham, *Functions of Matrices*,
//! 2008, chapter 8).

use super::{Product, Start, transpose};
use crate::isa::{Isa, for_every_isa};
use crate::rows::inner_product;
use crate::scalar::Scalar;

/// Rows are padded to whole registers, since a product reads whole registers of its right-hand
/// side.
const UNIT: usize = 16;

/// a, b and c of the cubic step.
pub(crate) const CUBIC: [f64; 3] = [1.5, -0.5, 0.0];

/// The shape of the iteration's matrix X, transposed where it is taller than wide, which makes G
/// small.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orthogonal {
    /// The shorter side.
    rows: usize,
    /// The longer side.
    columns: usize,
    transposed: bool,
}

impl Orthogonal {
    /// For a matrix `[rows, columns]`.
    pub(crate) fn new(rows: usize, columns: usize) -> Orthogonal {
        let transposed = rows > columns;
        Orthogonal { rows: rows.min(columns), columns: rows.max(columns), transposed }
    }

    /// Numbers of X.
    pub(crate) fn numbers(self) -> usize {
        self.rows * self.stride()
    }

    /// Numbers of scratch memory for a step: Xᵀ, G, the polynomial in G, and the next X.
    pub(crate) fn scratch(self) -> usize {
        (self.columns + 2 * self.rows) * self.rows.next_multiple_of(UNIT) + self.numbers()
    }

    fn stride(self) -> usize {
        self.columns.next_multiple_of(UNIT)
    }

    /// The index in X of the matrix's number at this row and column.
    pub(crate) fn at(self, row: usize, column: usize) -> usize {
        if self.transposed { column * self.stride() + row } else { row * self.stride() + column }
    }

    /// Copies a matrix, whose rows begin `row` numbers apart, into X, with Frobenius norm 1: no
    /// singular value is then above 1. Zero stays zero.
    pub(crate) fn load<T: Scalar>(self, isa: Isa, matrix: &[T], row: usize, x: &mut [T]) {
        let (width, stride) = (self.columns, self.stride());
        if self.transposed {
            transpose(isa, matrix, row, self.columns, self.rows, x, stride);
        } else {
            for (x, row) in x.chunks_exact_mut(stride).zip(matrix.chunks(row)) {
                x[..width].copy_from_slice(&row[..width]);
            }
        }
        let mut square = T::ZERO;
        for x in x.chunks_exact(stride) {
            let mut row = T::ZERO;
            inner_product(isa, &x[..width], &x[..width], &mut row);
            square += row;
        }
        let over = if square > T::ZERO { T::ONE / square.sqrt() } else { T::ZERO };
        for x in x.chunks_exact_mut(stride) {
            x[..width].iter_mut().for_each(|x| *x *= over);
        }
    }

    /// One step. Returns the largest number of `a I + b G + c G² − I`: the distance of X from a
    /// fixed point.
    pub(crate) fn step<T: Scalar>(
        self,
        isa: Isa,
        [a, b, c]: [f64; 3],
        x: &mut [T],
        scratch: &mut [T],
    ) -> T {
        let (rows, columns, stride) = (self.rows, self.columns, self.stride());
        let square = rows.next_multiple_of(UNIT);
        let (x, scratch) = (&mut x[..self.numbers()], &mut scratch[..self.scratch()]);
        let (transposed, scratch) = scratch.split_at_mut(columns * square);
        let (gram, scratch) = scratch.split_at_mut(rows * square);
        let (polynomial, next) = scratch.split_at_mut(rows * square);
        transpose(isa, x, stride, rows, columns, transposed, square);
        multiply(isa, (x, stride), (transposed, square), gram, rows, rows, columns);
        if c != 0.0 {
            multiply(isa, (gram, square), (gram, square), polynomial, rows, rows, rows);
        }
        let mut far = T::ZERO;
        let coefficients = [a, b, c].map(T::from_f64);
        for row in 0..rows {
            let part = row * square..row * square + rows;
            combine(isa, coefficients, row, &gram[part.clone()], &mut polynomial[part], &mut far);
        }
        multiply(isa, (polynomial, square), (x, stride), next, rows, columns, rows);
        x.copy_from_slice(next);
        far
    }
}

/// `c = a b` for `[rows, k]` times `[k, columns]`, each with its stride; c has that of b.
fn multiply<T: Scalar>(
    isa: Isa,
    (a, a_row): (&[T], usize),
    (b, b_row): (&[T], usize),
    c: &mut [T],
    rows: usize,
    columns: usize,
    k: usize,
) {
    assert!(a.len() >= (rows - 1) * a_row + k && columns <= b_row && b_row.is_multiple_of(UNIT));
    assert!(b.len() >= k * b_row && c.len() >= rows * b_row);
    let product = Product {
        a: a.as_ptr(),
        a_row,
        a_k: 1,
        b: b.as_ptr(),
        b_row,
        c: c.as_mut_ptr(),
        c_row: b_row,
        rows,
        columns,
        k,
        start: Start::Zero,
    };
    // SAFETY: the sizes of the slices were asserted; c is borrowed mutably.
    unsafe { product.run(isa) }
}

for_every_isa! {
    /// A row of `a I + b G + c G²`, given those of G and, if c is not 0, of G².
    fn combine<T>(coefficients: [T; 3], row: usize, gram: &[T], out: &mut [T], far: &mut T) {
        let [a, b, c] = coefficients;
        if c == T::ZERO {
            for (out, g) in out.iter_mut().zip(gram) {
                *out = b * *g;
            }
        } else {
            for (out, g) in out.iter_mut().zip(gram) {
                *out = c.fused::<FUSED>(*out, b * *g);
            }
        }
        out[row] += a - T::ONE;
        for out in out.iter() {
            *far = out.larger(-*out).larger(*far);
        }
        out[row] += T::ONE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For any shape, on every instruction set: the rows (or columns) become orthonormal, and X Pᵀ
    /// is symmetric, as for no other orthogonal matrix of that shape.
    #[test]
    fn cubic_steps_lead_to_the_polar_factor() {
        let shapes = [(1, 1), (1, 7), (5, 5), (4, 19), (19, 4), (33, 40)];
        for (rows, columns) in shapes.into_iter().take(if cfg!(miri) { 1 } else { 6 }) {
            let matrix: Vec<f64> = (0..rows * columns)
                .map(|i| ((i * i * 7919 + i * 31) % 101) as f64 / 101.0 - 0.45)
                .collect();
            for isa in Isa::available() {
                let shape = Orthogonal::new(rows, columns);
                let mut x = vec![f64::NAN; shape.numbers()];
                let mut scratch = vec![f64::NAN; shape.scratch()];
                shape.load(isa, &matrix, columns, &mut x);
                let mut steps = 0;
                while shape.step(isa, CUBIC, &mut x, &mut scratch) > 1e-9 {
                    steps += 1;
                    assert!(steps < 60, "{rows}×{columns} does not converge");
                }
                let polar = |row, column| x[shape.at(row, column)];
                let (short, long) = (rows.min(columns), rows.max(columns));
                let side = |i: usize, k: usize, of: &dyn Fn(usize, usize) -> f64| {
                    if rows <= columns { of(i, k) } else { of(k, i) }
                };
                let given = |row: usize, column: usize| matrix[row * columns + column];
                let inner = |i: usize, j: usize, of: &dyn Fn(usize, usize) -> f64| -> f64 {
                    (0..long).map(|k| side(i, k, &polar) * side(j, k, of)).sum()
                };
                for (i, j) in (0..short).flat_map(|i| (0..=i).map(move |j| (i, j))) {
                    let one = if i == j { 1.0 } else { 0.0 };
                    assert!((inner(i, j, &polar) - one).abs() < 1e-12, "{rows}×{columns} {isa}");
                    let apart = inner(i, j, &given) - inner(j, i, &given);
                    assert!(apart.abs() < 1e-11, "{rows}×{columns} {isa}: {apart}");
                }
            }
        }
    }
}
