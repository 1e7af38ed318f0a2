//! Rows of whole lanes, and sums over them in the same order on every processor.

use crate::scalar::Scalar;

/// A batch is padded to a multiple of this many lanes, with copies of weight zero: no kernel needs a
/// mask, and every sum over the batch has the same order on every processor.
pub(crate) const LANE_UNIT: usize = 16;

/// Partial sums side by side: the lanes of the widest register.
pub(crate) const SUM_LANES: usize = 16;

/// Numbers processed at a time where there are enough: four registers, to hide latency.
pub(crate) const WIDE: usize = 4 * SUM_LANES;

/// `W` numbers of a row: an array, whose length the compiler knows.
#[inline(always)]
pub(crate) fn lanes<T, const W: usize>(row: &[T], first: usize) -> &[T; W] {
    match row[first..].first_chunk() {
        Some(lanes) => lanes,
        None => unreachable!("rows are padded to whole lanes"),
    }
}

/// The same, mutably.
#[inline(always)]
pub(crate) fn lanes_mut<T, const W: usize>(row: &mut [T]) -> &mut [T; W] {
    match row.first_chunk_mut() {
        Some(lanes) => lanes,
        None => unreachable!("rows are padded to whole lanes"),
    }
}

/// The sum, in the same order on every processor: sixteen sums side by side, then a tree.
#[inline(always)]
pub(crate) fn sum<T: Scalar>(numbers: &[T]) -> T {
    let mut sums = [T::ZERO; SUM_LANES];
    debug_assert!(numbers.len().is_multiple_of(SUM_LANES), "rows are padded to whole lanes");
    for numbers in numbers.chunks_exact(SUM_LANES) {
        for (sum, x) in sums.iter_mut().zip(numbers) {
            *sum += *x;
        }
    }
    tree(sums)
}

/// The inner product of two rows of whole lanes, in the same order.
#[inline(always)]
pub(crate) fn dot<T: Scalar, const FUSED: bool>(left: &[T], right: &[T]) -> T {
    let mut sums = [T::ZERO; SUM_LANES];
    debug_assert!(left.len() == right.len() && left.len().is_multiple_of(SUM_LANES));
    for (left, right) in left.chunks_exact(SUM_LANES).zip(right.chunks_exact(SUM_LANES)) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum = left.fused::<FUSED>(*right, *sum);
        }
    }
    tree(sums)
}

/// The sum of sixteen numbers, as a tree.
#[inline(always)]
pub(crate) fn tree<T: Scalar>(mut sums: [T; SUM_LANES]) -> T {
    let mut width = SUM_LANES / 2;
    while width > 0 {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
        width /= 2;
    }
    sums[0]
}

/// Writes or adds a term.
#[inline(always)]
pub(crate) fn put<T: Scalar>(out: &mut T, term: T, accumulate: bool) {
    *out = if accumulate { *out + term } else { term };
}
