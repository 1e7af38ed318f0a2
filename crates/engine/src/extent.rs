//! The sizes of an operation in a program.

use std::ops::Range;

use crate::precision::ProductPrecision;

/// The most numbers of one buffer: more than any memory holds, and few enough that sums of sizes and
/// counts of operations do not overflow.
const MOST: usize = 1 << if usize::BITS == 64 { 38 } else { 26 };

/// The product of these sizes: the numbers of a buffer.
///
/// # Panics
/// If they are too many.
pub(crate) fn numbers(sizes: &[usize]) -> usize {
    let product = sizes.iter().try_fold(1_usize, |product, size| product.checked_mul(*size));
    match product {
        Some(product) if product <= MOST => product,
        _ => panic!("the graph is too large: a buffer of {sizes:?} numbers"),
    }
}

/// The part of a value that an operation reads or writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) features: usize,
    pub(crate) positions: Range<usize>,
}

/// The sizes of one operation's inputs and output.
pub(crate) struct Extents<'a> {
    pub(crate) inputs: &'a [Extent],
    pub(crate) output: Extent,
    /// Examples in a batch, rounded up to [`LANE_UNIT`](crate::lanes::LANE_UNIT).
    pub(crate) lanes: usize,
    pub(crate) precision: ProductPrecision,
}

impl Extents<'_> {
    /// Columns of the output: positions × lanes.
    pub(crate) fn columns(&self) -> usize {
        self.output.positions.len() * self.lanes
    }
}
