//! The matrix product of two sides that both run along k, as inner products of their rows.
//!
//! The weight gradient `dW = X dYᵀ` is one: a row of either side is a feature over the whole batch.
//! The [product](super::product) would transpose one side and hold a row of dW in registers; where
//! such a row is 20 numbers long, a third of the lanes would be idle. Here registers run along k,
//! a whole number of registers for every shape, and their lanes are summed at the end.
//!
//! Every element is summed in sixteen lanes, each in ascending order of k, and then as a
//! [tree](crate::lanes::tree). Its bits do not depend on the tile, the register width or the
//! partition over threads.

use crate::isa::{Isa, by_isa};
use crate::lanes::SUM_LANES;
use crate::scalar::Scalar;
use crate::vector::{TOTALS, Vector};

/// Rows, and columns, of the tile whose sums become totals together.
const SIDE: usize = 4;
const _: () = assert!(SIDE * SIDE == TOTALS);

/// `C[row][column] = Σ_k A[row][k] · B[column][k]`, written or added.
///
/// The rows of A, B and C are contiguous, with the strides given; `k` is a multiple of 16.
#[derive(Clone, Copy)]
pub(crate) struct InnerProducts<T> {
    pub(crate) a: *const T,
    pub(crate) a_row: usize,
    pub(crate) b: *const T,
    pub(crate) b_row: usize,
    pub(crate) c: *mut T,
    pub(crate) c_row: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) k: usize,
    pub(crate) accumulate: bool,
}

impl<T: Scalar> InnerProducts<T> {
    /// Whether this is faster than the [product](super::product) for a matrix of `rows` and
    /// `columns`, each number a sum over `k`. It must depend on the shape only, since the product
    /// sums in another order.
    ///
    /// Costs per sixteen numbers, in half cycles: here one for each step of `k`, and 28 for the
    /// totals; in the product one for each step and lane, idle ones included, and 5 per row to
    /// transpose the right-hand side (measured on Zen 5, the same for AVX-512 and AVX2).
    pub(crate) fn pay(rows: usize, columns: usize, k: usize) -> bool {
        let lanes = columns.next_multiple_of(SUM_LANES);
        (k + 28) * rows * columns < k * (lanes * rows + 5 * columns)
    }

    /// Computes them.
    ///
    /// # Safety
    /// The pointers must be valid for the shapes and strides given, C must overlap neither A nor B,
    /// and nobody else may touch C meanwhile.
    pub(crate) unsafe fn run(&self, isa: Isa) {
        let p = self;
        by_isa!(
            isa,
            fn<T>(p: &InnerProducts<T>),
            // 32 registers: 16 sums, 4 of B, 1 of A.
            inner::<T, T::V512, 4>(p),
            // 16 registers: 8 sums, 4 of B, 1 of A.
            inner::<T, T::V256, 2>(p),
            inner::<T, T::VPortable, 2>(p),
        );
    }
}

/// Walks tiles, `R` rows of each at a time.
///
/// # Safety
/// As [`InnerProducts::run`]; the processor must have the instructions of `V`.
#[inline(always)]
unsafe fn inner<T: Scalar, V: Vector<T>, const R: usize>(p: &InnerProducts<T>) {
    for row in (0..p.rows).step_by(SIDE) {
        let high = SIDE.min(p.rows - row);
        let a = rows(p.a.wrapping_add(row * p.a_row), p.a_row, high);
        for column in (0..p.columns).step_by(SIDE) {
            let wide = SIDE.min(p.columns - column);
            let b = rows(p.b.wrapping_add(column * p.b_row), p.b_row, wide);
            // SAFETY: all rows lie in their matrices, and the tile in C except its ends, which are
            // not written.
            unsafe {
                let totals = V::totals(tile::<T, V, R>(a, b, p.k));
                let mut c = p.c.add(row * p.c_row + column);
                for totals in totals.as_chunks::<SIDE>().0.iter().take(high) {
                    if wide == SIDE {
                        add_to(&mut *c.cast::<[T; SIDE]>(), totals, p.accumulate);
                    } else {
                        let c = std::slice::from_raw_parts_mut(c, wide);
                        add_to(c, totals, p.accumulate);
                    }
                    c = c.wrapping_add(p.c_row);
                }
            }
        }
    }
}

/// The starts of a tile's rows. Missing rows repeat the last one, and their totals are dropped.
#[inline(always)]
fn rows<T>(first: *const T, stride: usize, count: usize) -> [*const T; SIDE] {
    std::array::from_fn(|i| first.wrapping_add(i.min(count - 1) * stride))
}

#[inline(always)]
fn add_to<T: Scalar>(c: &mut [T], totals: &[T; SIDE], accumulate: bool) {
    for (c, total) in c.iter_mut().zip(totals) {
        *c = if accumulate { *c + *total } else { *total };
    }
}

/// The sums of a tile, row by row, before their lanes are summed.
///
/// # Safety
/// As [`inner`]; the rows must be readable up to `k`.
#[inline(always)]
unsafe fn tile<T: Scalar, V: Vector<T>, const R: usize>(
    a: [*const T; SIDE],
    b: [*const T; SIDE],
    k: usize,
) -> [V; TOTALS] {
    // SAFETY: the caller's promise.
    unsafe {
        // Narrower registers take turns over the sixteen lanes; the upper levels of the tree then
        // add their sums.
        match SUM_LANES / V::LANES {
            1 => turn::<T, V, R>(a, b, 0, k),
            2 => add(turn::<T, V, R>(a, b, 0, k), turn::<T, V, R>(a, b, V::LANES, k)),
            _ => {
                let even = turn::<T, V, R>(a, b, 0, k);
                let even = add(even, turn::<T, V, R>(a, b, 2 * V::LANES, k));
                let odd = turn::<T, V, R>(a, b, V::LANES, k);
                add(even, add(odd, turn::<T, V, R>(a, b, 3 * V::LANES, k)))
            }
        }
    }
}

/// The sums of a tile over one register of every sixteen numbers.
///
/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn turn<T: Scalar, V: Vector<T>, const R: usize>(
    a: [*const T; SIDE],
    b: [*const T; SIDE],
    first: usize,
    k: usize,
) -> [V; TOTALS] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut all = [V::splat(T::ZERO); TOTALS];
        for r in (0..SIDE).step_by(R) {
            let mut sums = [[V::splat(T::ZERO); SIDE]; R];
            let mut at = first;
            while at < k {
                let mut columns = [V::splat(T::ZERO); SIDE];
                for (column, b) in columns.iter_mut().zip(b) {
                    *column = V::load(b.add(at));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let row = V::load(a[r + i].add(at));
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = row.mul_add(column, *sum);
                    }
                }
                at += SUM_LANES;
            }
            for (i, sums) in sums.into_iter().enumerate() {
                for (c, sum) in sums.into_iter().enumerate() {
                    all[(r + i) * SIDE + c] = sum;
                }
            }
        }
        all
    }
}

/// # Safety
/// As [`inner`].
#[inline(always)]
unsafe fn add<T, V: Vector<T>>(mut left: [V; TOTALS], right: [V; TOTALS]) -> [V; TOTALS] {
    for (left, right) in left.iter_mut().zip(right) {
        // SAFETY: the caller's promise.
        *left = unsafe { left.add(right) };
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::dot;

    /// Numbers whose sums round, so that another order would give other bits.
    fn numbers<T: Scalar>(count: usize, seed: usize) -> Vec<T> {
        (0..count).map(|i| T::from_f64((((i + seed) * 7919) as f64).sin())).collect()
    }

    fn check<T: Scalar>(rows: usize, columns: usize, k: usize, accumulate: bool) {
        let (a_row, b_row, c_row) = (k + 16, k + 5, columns + 3);
        let (a, b) = (numbers::<T>(rows * a_row, 1), numbers::<T>(columns * b_row, 2));
        let before = numbers::<T>(rows * c_row, 3);
        for isa in Isa::available() {
            let mut c = before.clone();
            let products = InnerProducts {
                a: a.as_ptr(),
                a_row,
                b: b.as_ptr(),
                b_row,
                c: c.as_mut_ptr(),
                c_row,
                rows,
                columns,
                k,
                accumulate,
            };
            // SAFETY: the vectors have the sizes said.
            unsafe { products.run(isa) };
            for row in 0..rows {
                for column in 0..c_row {
                    let at = row * c_row + column;
                    let expected = if column < columns {
                        let (a, b) = (&a[row * a_row..][..k], &b[column * b_row..][..k]);
                        let fused = isa != Isa::PORTABLE || crate::isa::PORTABLE_IS_FUSED;
                        let total =
                            if fused { dot::<T, true>(a, b) } else { dot::<T, false>(a, b) };
                        if accumulate { before[at] + total } else { total }
                    } else {
                        before[at]
                    };
                    assert_eq!(c[at], expected, "{isa:?} {rows}×{columns}×{k} at {row},{column}");
                }
            }
        }
    }

    #[test]
    fn equals_the_inner_product_of_rows_bit_for_bit() {
        if cfg!(miri) {
            return check::<f32>(3, 5, 16, true);
        }
        for (rows, columns) in [(1, 1), (3, 5), (4, 4), (6, 7), (20, 20), (9, 30)] {
            for k in [16, 48, 128] {
                for accumulate in [false, true] {
                    check::<f32>(rows, columns, k, accumulate);
                    check::<f64>(rows, columns, k, accumulate);
                }
            }
        }
    }
}
