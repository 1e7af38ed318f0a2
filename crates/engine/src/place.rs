//! The places of an operation's operands in the buffers of a program.

use std::ops::Range;

/// A matrix in a flat buffer: its first element, its shape, and the distance between its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) start: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) stride: usize,
}

impl Place {
    /// A row of numbers.
    pub(crate) fn row(start: usize, len: usize) -> Place {
        Place { start, rows: 1, columns: len, stride: len }
    }

    /// The number of its elements.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.columns
    }
}

/// The destination of a gradient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GradientPlace {
    pub(crate) place: Place,
    /// Whether to add to an earlier write of the same step.
    pub(crate) accumulate: bool,
}

/// An input or the output of an operation. Both places are in the arena.
#[derive(Clone, Debug)]
pub(crate) struct Operand {
    pub(crate) positions: Range<usize>,
    pub(crate) value: Place,
    pub(crate) gradient: Option<GradientPlace>,
}

/// A parameter of an operation: its place in the buffer of parameters and, unless it is frozen, in
/// the buffer of gradients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ParameterOperand {
    pub(crate) value: Place,
    pub(crate) gradient: Option<GradientPlace>,
}

/// One operation of a program with all its places.
#[derive(Clone, Debug)]
pub(crate) struct NodePlan {
    /// The index of the graph's node.
    pub(crate) node: usize,
    pub(crate) inputs: Vec<Operand>,
    pub(crate) output: Operand,
    pub(crate) parameters: Vec<ParameterOperand>,
    /// Memory that the operation keeps from its forward to its backward pass.
    pub(crate) saved: Place,
    /// Gradient buffers that the operation writes first, but only in part: they are zeroed before,
    /// since others add to the rest.
    pub(crate) clear: Vec<Range<usize>>,
    /// Multiplications and additions of the forward pass.
    pub(crate) flops: u64,
    pub(crate) runs_backward: bool,
}
