//! The matrix product: one register-blocked kernel, without packing, for every product here.
//!
//! Values are `[feature, column]` with the columns contiguous, so the right-hand side of each
//! product has contiguous rows, and the left-hand side is a weight (or a transposed weight, or an
//! activation), read one number at a time: forward `Y = Wᵀ X`, input gradient `dX = W dY` and
//! weight gradient `dW = X dYᵀ` (with dY transposed first) are the same loop with other strides.
//!
//! Every element of the result is the sum over k in ascending order, one fused multiply-add after
//! the other. Its bits do not depend on the tile, the blocking or the partition over threads.

use std::mem::MaybeUninit;

use crate::isa::{Isa, by_isa};
use crate::scalar::Scalar;
use crate::vector::{Vector, prefetch};

/// Steps of k per block: this many rows of the right-hand side, of a hundred or so numbers each,
/// stay in the second-level cache.
pub(super) const K_BLOCK: usize = 512;

/// Where the rows of A are adjacent, each step of k reads another cache line, and the processor
/// does not prefetch lines at least this many elements apart. With wide registers and few tiles,
/// the kernel prefetches the line of the rows after the next ones. With many tiles, it copies a
/// band's part of A to contiguous memory, since lines so far apart evict each other before the next
/// tile reads them again.
const FAR: usize = 256;
/// The distance of that prefetch in rows.
const NEXT_LINE: usize = 16;
/// Bytes of a cache line.
pub(super) const LINE: usize = 64;

/// The initial values of the sums.
#[derive(Clone, Copy)]
pub(crate) enum Start<T> {
    /// Zero: C is overwritten.
    Zero,
    /// The values that C holds.
    Accumulate,
    /// One number per row.
    Bias(*const T),
}

impl<T> Start<T> {
    /// The same for the rows from `row` on.
    ///
    /// # Safety
    /// There must be at least that many rows.
    pub(super) unsafe fn at_row(self, row: usize) -> Start<T> {
        match self {
            // SAFETY: the caller's promise.
            Start::Bias(bias) => Start::Bias(unsafe { bias.add(row) }),
            start => start,
        }
    }
}

/// Registers of sums that accumulate products of elements `E`: the numbers themselves, or several
/// rounded ones in one word (see [`rounded`](super::rounded)).
pub(super) trait Multiply<T, E>: Vector<T> {
    /// A register of elements.
    type Factors: Copy;

    /// The same element in every lane.
    ///
    /// # Safety
    /// As [`Vector`].
    unsafe fn spread(element: E) -> Self::Factors;
    /// Reads [`LANES`](Vector::LANES) elements.
    ///
    /// # Safety
    /// As [`Vector`].
    unsafe fn read(from: *const E) -> Self::Factors;
    /// `self + left · right`.
    ///
    /// # Safety
    /// As [`Vector`].
    unsafe fn add_product(self, left: Self::Factors, right: Self::Factors) -> Self;
}

impl<T: Scalar, V: Vector<T>> Multiply<T, T> for V {
    type Factors = V;

    #[inline(always)]
    unsafe fn spread(element: T) -> V {
        // SAFETY: the caller's promise.
        unsafe { V::splat(element) }
    }
    #[inline(always)]
    unsafe fn read(from: *const T) -> V {
        // SAFETY: the caller's promise.
        unsafe { V::load(from) }
    }
    #[inline(always)]
    unsafe fn add_product(self, left: V, right: V) -> V {
        // SAFETY: the caller's promise.
        unsafe { left.mul_add(right, self) }
    }
}

/// `C[row][column] = start + Σ_k A(row, k) · B[k][column]`.
///
/// A is read through two strides; B and C have contiguous rows, `b_row` and `c_row` numbers apart.
/// Where `columns` is not a multiple of a register, the rows of B must be readable up to the next
/// multiple of 16; C is written only where it is.
#[derive(Clone, Copy)]
pub(crate) struct Product<T, E = T> {
    pub(crate) a: *const E,
    pub(crate) a_row: usize,
    pub(crate) a_k: usize,
    pub(crate) b: *const E,
    pub(crate) b_row: usize,
    pub(crate) c: *mut T,
    pub(crate) c_row: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) k: usize,
    pub(crate) start: Start<T>,
}

impl<T: Scalar> Product<T> {
    /// Computes it.
    ///
    /// # Safety
    /// The pointers must be valid for the shapes and strides given, C must overlap neither A nor B,
    /// and nobody else may touch C meanwhile.
    pub(crate) unsafe fn run(&self, isa: Isa) {
        let p = self;
        by_isa!(
            isa,
            fn<T>(p: &Product<T>),
            // 32 registers: 24 sums, 4 of B, 1 of A.
            product::<T, T, T::V512, 6, 4>(p, None),
            // 16 registers: 12 sums, 2 of B, 1 of A.
            product::<T, T, T::V256, 6, 2>(p, None),
            product::<T, T, T::VPortable, 4, 2>(p, None),
        );
    }
}

/// Memory to prefetch during a product for use after it: rows of some lines, one line at each step
/// of k of a band's first tile, to spread the requests.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    pub(super) first: *const u8,
    /// Lines left in the first row, and lines in each row after it.
    pub(super) lines: [usize; 2],
    /// Bytes from the end of a row to the beginning of the next.
    pub(super) gap: usize,
}

impl Ahead {
    /// Prefetches the next line.
    #[inline(always)]
    fn prefetch_next(&mut self) {
        prefetch(self.first);
        self.first = self.first.wrapping_add(LINE);
        self.lines[0] -= 1;
        if self.lines[0] == 0 {
            self.lines[0] = self.lines[1];
            self.first = self.first.wrapping_add(self.gap);
        }
    }
}

/// No prefetch.
const NOTHING: Ahead = Ahead { first: std::ptr::null(), lines: [1, 1], gap: 0 };

/// Walks blocks of k, then bands of `R` rows, then tiles of `C` registers.
///
/// # Safety
/// As [`Product::run`]; the processor must have the instructions of `V`.
#[inline(always)]
pub(super) unsafe fn product<
    T: Scalar,
    E: Copy,
    V: Multiply<T, E>,
    const R: usize,
    const C: usize,
>(
    p: &Product<T, E>,
    ahead: Option<Ahead>,
) {
    let mut k0 = 0;
    loop {
        let k1 = p.k.min(k0 + K_BLOCK);
        let start = if k0 == 0 { p.start } else { Start::Accumulate };
        // Bands of nearly equal height: a last one of a row or two would leave registers idle.
        let bands = p.rows.div_ceil(R);
        let mut row = 0;
        for band_index in 0..bands {
            let rows = (p.rows - row).div_ceil(bands - band_index);
            // SAFETY: the bands lie within `rows`.
            unsafe {
                match rows {
                    6 => band::<T, E, V, 6, C>(p, row, k0, k1, start, ahead),
                    5 => band::<T, E, V, 5, C>(p, row, k0, k1, start, ahead),
                    4 => band::<T, E, V, 4, C>(p, row, k0, k1, start, ahead),
                    3 => band::<T, E, V, 3, C>(p, row, k0, k1, start, ahead),
                    2 => band::<T, E, V, 2, C>(p, row, k0, k1, start, ahead),
                    _ => band::<T, E, V, 1, C>(p, row, k0, k1, start, ahead),
                }
            }
            row += rows;
        }
        k0 = k1;
        if k0 >= p.k {
            return;
        }
    }
}

/// One band of `R` rows, all columns.
///
/// # Safety
/// As [`product`].
#[inline(always)]
unsafe fn band<T: Scalar, E: Copy, V: Multiply<T, E>, const R: usize, const C: usize>(
    p: &Product<T, E>,
    row: usize,
    k0: usize,
    k1: usize,
    start: Start<T>,
    ahead: Option<Ahead>,
) {
    // Likewise: five registers are split into three and two, not four and one.
    let registers = p.columns.div_ceil(V::LANES);
    let tiles = registers.div_ceil(C);
    let far = p.a_row == 1 && p.a_k >= FAR;
    let steps = k1 - k0;
    let first = p.a.wrapping_add(row * p.a_row + k0 * p.a_k);
    let mut left = Left { first, row: p.a_row, k: p.a_k };
    let mut copy = [const { MaybeUninit::<[E; R]>::uninit() }; K_BLOCK];
    if far && C < 4 {
        for (k, to) in copy[..steps].iter_mut().enumerate() {
            // SAFETY: the rows of the band lie side by side, at every step of k.
            to.write(unsafe { first.wrapping_add(k * p.a_k).cast::<[E; R]>().read_unaligned() });
        }
        left = Left { first: copy.as_ptr().cast(), row: 1, k: R };
    }
    let mut done = 0;
    for tile_index in 0..tiles {
        let wide = (registers - done).div_ceil(tiles - tile_index);
        let column = done * V::LANES;
        // SAFETY: the tiles lie within `columns`, or end in a part of a register that they mask.
        unsafe {
            let b = p.b.add(k0 * p.b_row + column);
            let sums = p.sums::<V>(row, column, wide, start);
            let ahead = match ahead {
                Some(_) if tile_index > 0 => None,
                // A copied band needs no prefetch.
                None if far && C >= 4 => Some(Ahead {
                    first: left.first.wrapping_add(NEXT_LINE).cast(),
                    lines: [1, 1],
                    gap: left.k * size_of::<E>() - LINE,
                }),
                ahead => ahead,
            };
            match (wide, ahead) {
                (4, Some(ahead)) => {
                    tile::<T, E, V, R, 4, true>(left, b, p.b_row, steps, sums, ahead);
                }
                (4, None) => tile::<T, E, V, R, 4, false>(left, b, p.b_row, steps, sums, NOTHING),
                (3, _) => tile::<T, E, V, R, 3, false>(left, b, p.b_row, steps, sums, NOTHING),
                (2, _) => tile::<T, E, V, R, 2, false>(left, b, p.b_row, steps, sums, NOTHING),
                _ => tile::<T, E, V, R, 1, false>(left, b, p.b_row, steps, sums, NOTHING),
            }
        }
        done += wide;
    }
}

/// A tile's rows of A: the first element, and the strides to the next row and the next step of k.
#[derive(Clone, Copy)]
struct Left<E> {
    first: *const E,
    row: usize,
    k: usize,
}

/// The destination of a tile's sums: the first element, the stride between rows, the lanes of the
/// last register that are written, and the initial values.
#[derive(Clone, Copy)]
struct Sums<T> {
    first: *mut T,
    row: usize,
    last: usize,
    start: Start<T>,
}

impl<T: Scalar, E> Product<T, E> {
    /// The part of C that begins at `row` and `column`, `wide` registers of it.
    ///
    /// # Safety
    /// They must lie within C, except the end of the last register.
    #[inline(always)]
    unsafe fn sums<V: Vector<T>>(
        &self,
        row: usize,
        column: usize,
        wide: usize,
        start: Start<T>,
    ) -> Sums<T> {
        let last = (self.columns - column).saturating_sub((wide - 1) * V::LANES).min(V::LANES);
        // SAFETY: the caller's promise.
        let (first, start) = unsafe { (self.c.add(row * self.c_row + column), start.at_row(row)) };
        Sums { first, row: self.c_row, last, start }
    }
}

/// One tile: `R` rows of `C` registers, which stay in registers over all `steps` of k.
///
/// # Safety
/// As [`product`], for the parts of A, B and C that are given.
#[inline(always)]
unsafe fn tile<
    T: Scalar,
    E: Copy,
    V: Multiply<T, E>,
    const R: usize,
    const C: usize,
    const PREFETCH: bool,
>(
    left: Left<E>,
    b: *const E,
    b_row: usize,
    steps: usize,
    to: Sums<T>,
    mut ahead: Ahead,
) {
    // SAFETY: the caller's promise; the last register is read from C and written to C only in its
    // first lanes.
    unsafe {
        let mut sums = [[V::splat(T::ZERO); C]; R];
        match to.start {
            Start::Zero => {}
            Start::Bias(bias) => {
                for (r, sums) in sums.iter_mut().enumerate() {
                    *sums = [V::splat(*bias.add(r)); C];
                }
            }
            Start::Accumulate => {
                for (r, sums) in sums.iter_mut().enumerate() {
                    for (c, sum) in sums.iter_mut().enumerate() {
                        let at = to.first.add(r * to.row + c * V::LANES);
                        *sum = if c + 1 == C && to.last < V::LANES {
                            V::load_part(at, to.last)
                        } else {
                            V::load(at)
                        };
                    }
                }
            }
        }
        let (mut a, mut b) = (left.first, b);
        for _ in 0..steps {
            if PREFETCH {
                ahead.prefetch_next();
            }
            let mut columns = [V::read(b); C];
            for (c, column) in columns.iter_mut().enumerate().skip(1) {
                *column = V::read(b.add(c * V::LANES));
            }
            for (r, sums) in sums.iter_mut().enumerate() {
                let factor = V::spread(*a.add(r * left.row));
                for (sum, column) in sums.iter_mut().zip(columns) {
                    *sum = sum.add_product(factor, column);
                }
            }
            a = a.wrapping_add(left.k);
            b = b.wrapping_add(b_row);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            for (c, sum) in sums.into_iter().enumerate() {
                let at = to.first.add(r * to.row + c * V::LANES);
                if c + 1 == C && to.last < V::LANES {
                    sum.store_part(at, to.last);
                } else {
                    sum.store(at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small whole numbers: every order of summation gives the same bits.
    fn numbers<T: Scalar>(count: usize, seed: usize) -> Vec<T> {
        (0..count).map(|i| T::from_f64(((i * 7919 + seed * 104_729) % 17) as f64 - 8.0)).collect()
    }

    fn check<T: Scalar>(rows: usize, columns: usize, k: usize, transposed: bool, accumulate: bool) {
        let b_row = columns.next_multiple_of(16) + 16;
        let (a, b) = (numbers::<T>(rows * k, 1), numbers::<T>(k * b_row, 2));
        let bias = numbers::<T>(rows, 3);
        let before = numbers::<T>(rows * columns, 4);
        let (a_row, a_k) = if transposed { (1, rows) } else { (k, 1) };
        for isa in Isa::available() {
            let mut c = before.clone();
            let start = if accumulate { Start::Accumulate } else { Start::Bias(bias.as_ptr()) };
            let product = Product {
                a: a.as_ptr(),
                a_row,
                a_k,
                b: b.as_ptr(),
                b_row,
                c: c.as_mut_ptr(),
                c_row: columns,
                rows,
                columns,
                k,
                start,
            };
            // SAFETY: the vectors have the sizes said.
            unsafe { product.run(isa) };
            for row in 0..rows {
                for column in 0..columns {
                    let at = row * columns + column;
                    let mut sum = if accumulate { before[at] } else { bias[row] };
                    for k in 0..k {
                        sum += a[row * a_row + k * a_k] * b[k * b_row + column];
                    }
                    assert_eq!(c[at], sum, "{isa:?} {rows}×{columns}×{k} at {row},{column}");
                }
            }
        }
    }

    #[test]
    fn equals_the_triple_loop_for_every_shape_and_instruction_set() {
        if cfg!(miri) {
            // Parts of registers, several bands and blocks of rows so far apart that they are copied.
            for [rows, columns] in [[7, 5], [2, 20], [FAR, 3]] {
                check::<f32>(rows, columns, 2, true, true);
                check::<f64>(rows.min(9), columns, 3, false, false);
            }
            return;
        }
        for rows in [1, 2, 3, 5, 6, 7, 12, 20] {
            for columns in [1, 5, 16, 20, 32, 48, 64, 80, 130] {
                for (k, transposed, accumulate) in
                    [(1, false, false), (9, true, false), (20, false, true), (1100, true, true)]
                {
                    check::<f32>(rows, columns, k, transposed, accumulate);
                    check::<f64>(rows, columns, k, transposed, accumulate);
                }
            }
        }
        // Rows of A so far apart that a band copies them.
        for rows in [FAR, FAR + 3] {
            for transposed in [false, true] {
                check::<f32>(rows, 40, K_BLOCK + 3, transposed, true);
                check::<f32>(rows, 1040, 130, transposed, false);
                check::<f64>(rows, 1037, 70, transposed, true);
            }
        }
    }
}
