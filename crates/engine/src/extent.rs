//! The sizes of an operation in a program.

use std::ops::Range;

use crate::precision::ProductPrecision;

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
