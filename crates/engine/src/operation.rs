//! What an operation is, and what it sees of a program when it runs.

use std::any::{Any, TypeId};
use std::ops::Range;
use std::sync::Arc;

use crate::isa::Isa;
use crate::kernels::Product;
use crate::matrix::{Matrix, MatrixMut, Target};
use crate::plan::{Extent, NodePlan};
use crate::program::ProductPrecision;
use crate::random::Noise;
use crate::scalar::Scalar;
use crate::team::Worker;

/// One operation of a graph: its rule for positions, its memory, its forward and backward pass.
///
/// All workers call `forward` and `backward`; each does its [share](Worker::share), over a
/// partition of what is *written*, never of what is summed, so that results do not depend on the
/// number of workers.
pub(crate) trait Operation<T: Scalar>: Send + Sync {
    /// What it is called in a profile.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path)
    }

    /// The positions of input number `input` that are needed for these positions of the output;
    /// there may be none.
    fn positions_needed(&self, _input: usize, output: Range<usize>) -> Range<usize> {
        output
    }

    /// Whether the backward pass reads this input's value.
    fn reads_input(&self, input: usize) -> bool;

    /// Numbers kept from the forward to the backward pass: rows and columns.
    fn saved(&self, _extents: &Extents<'_>) -> (usize, usize) {
        (0, 0)
    }

    /// Numbers that each worker needs for itself while it works.
    fn scratch(&self, _extents: &Extents<'_>) -> usize {
        0
    }

    /// Whether the gradient of input 0 is the gradient of the output, unchanged: the two then share
    /// memory where the plan can arrange it.
    fn passes_gradient(&self) -> bool {
        false
    }

    /// Whether this is a loss: gradients begin here, and it asks for none of its output, which no
    /// other operation may take. What is minimised is the sum of all losses of a graph.
    fn is_loss(&self) -> bool {
        false
    }

    /// Whether a loss writes the gradients of its inputs in its forward pass already, since nothing
    /// that comes later could change them, and has no backward pass.
    fn writes_gradients_early(&self) -> bool {
        false
    }

    /// Multiplications and additions of the forward pass; the backward pass of a product takes
    /// twice as many.
    fn flops(&self, extents: &Extents<'_>) -> u64;

    /// Computes the output.
    fn forward(&self, at: &Context<'_, T>);

    /// Computes the gradients of the inputs and parameters that want one.
    fn backward(&self, at: &Context<'_, T>);
}

/// An operation of which this crate holds the code for both scalars.
///
/// Generic code is compiled where it is used: every crate and every test that builds a graph would
/// compile all kernels of all operations again, for each instruction set.
pub(crate) trait Compiled {
    fn for_f32(self) -> Arc<dyn Operation<f32>>;
    fn for_f64(self) -> Arc<dyn Operation<f64>>;
}

/// Writes [`Compiled`] for an operation.
macro_rules! compiled {
    ($operation:ty) => {
        impl $crate::operation::Compiled for $operation {
            // Inlined into another crate, they would be compiled there.
            #[inline(never)]
            fn for_f32(self) -> std::sync::Arc<dyn $crate::operation::Operation<f32>> {
                std::sync::Arc::new(self)
            }
            #[inline(never)]
            fn for_f64(self) -> std::sync::Arc<dyn $crate::operation::Operation<f64>> {
                std::sync::Arc::new(self)
            }
        }
    };
}
pub(crate) use compiled;

/// The operation for one of the scalars.
pub(crate) fn shared<T: Scalar>(operation: impl Compiled) -> Arc<dyn Operation<T>> {
    let operation: Box<dyn Any> = if TypeId::of::<T>() == TypeId::of::<f32>() {
        Box::new(operation.for_f32())
    } else {
        Box::new(operation.for_f64())
    };
    match operation.downcast() {
        Ok(operation) => *operation,
        Err(_) => unreachable!("a scalar is f32 or f64"),
    }
}

/// The sizes that an operation has in a program.
pub(crate) struct Extents<'a> {
    pub(crate) inputs: &'a [Extent],
    pub(crate) output: Extent,
    /// Sentences in a batch, rounded up to [`LANE_UNIT`](crate::plan::LANE_UNIT).
    pub(crate) lanes: usize,
    pub(crate) precision: ProductPrecision,
}

impl Extents<'_> {
    /// Columns of the output: positions × lanes.
    pub(crate) fn columns(&self) -> usize {
        self.output.positions.len() * self.lanes
    }
}

/// The memory of a program while it runs.
#[derive(Clone, Copy)]
pub(crate) struct Memory<'a, T> {
    pub(crate) arena: *mut T,
    pub(crate) parameters: *const T,
    pub(crate) gradients: *mut T,
    pub(crate) scratch: *mut T,
    pub(crate) scratch_len: usize,
    pub(crate) indices: &'a [Vec<u32>],
    pub(crate) weights: &'a [Vec<T>],
}

// SAFETY: workers write disjoint parts (see `matrix`).
unsafe impl<T: Scalar> Sync for Memory<'_, T> {}

/// One operation at work in one worker.
pub(crate) struct Context<'a, T> {
    pub(crate) plan: &'a NodePlan,
    pub(crate) memory: &'a Memory<'a, T>,
    pub(crate) worker: &'a Worker<'a>,
    pub(crate) isa: Isa,
    pub(crate) precision: ProductPrecision,
    pub(crate) noise: Noise,
    pub(crate) lanes: usize,
    pub(crate) training: bool,
}

impl<'a, T: Scalar> Context<'a, T> {
    /// The positions of input `i` that it sees.
    pub(crate) fn input_positions(&self, i: usize) -> Range<usize> {
        self.plan.inputs[i].positions.clone()
    }

    /// The positions of the output.
    pub(crate) fn output_positions(&self) -> Range<usize> {
        self.plan.output.positions.clone()
    }

    /// Input `i`: `[features, positions · lanes]`, the needed positions.
    pub(crate) fn input(&self, i: usize) -> Matrix<'a, T> {
        let place = &self.plan.inputs[i].value;
        // SAFETY: the plan keeps the buffer in the arena for as long as it is read.
        unsafe {
            Matrix::new(self.memory.arena.add(place.start), place.rows, place.columns, place.stride)
        }
    }

    /// The output, to be written.
    pub(crate) fn output(&self) -> MatrixMut<'a, T> {
        let place = &self.plan.output.value;
        // SAFETY: the plan gives the buffer to this operation alone.
        unsafe { self.matrix_mut(place.start, place.rows, place.columns, place.stride) }
    }

    /// What the operation keeps for its backward pass.
    pub(crate) fn saved(&self) -> MatrixMut<'a, T> {
        let (rows, columns) = self.plan.saved_shape;
        // SAFETY: as above.
        unsafe { self.matrix_mut(self.plan.saved_start, rows, columns, columns) }
    }

    /// What the operation kept, to be read.
    pub(crate) fn kept(&self) -> Matrix<'a, T> {
        let (rows, columns) = self.plan.saved_shape;
        // SAFETY: as above; nobody writes it in the backward pass.
        unsafe { Matrix::new(self.memory.arena.add(self.plan.saved_start), rows, columns, columns) }
    }

    /// This worker's own scratch memory, with whatever was left in it.
    pub(crate) fn scratch(&self) -> &'a mut [T] {
        let len = self.memory.scratch_len;
        // SAFETY: each worker has its own, and an operation asks for it once.
        unsafe {
            let start = self.memory.scratch.add(self.worker.index() * len);
            std::slice::from_raw_parts_mut(start, len)
        }
    }

    /// Computes a product in the program's precision; `scratch` holds what
    /// [`rounding_scratch`](crate::kernels::rounding_scratch) says unless that is full.
    ///
    /// # Safety
    /// As [`Product::run`]; one of the left-hand side's strides must be 1.
    pub(crate) unsafe fn multiply(&self, product: &Product<T>, scratch: &mut [T]) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.precision {
                ProductPrecision::Full => product.run(self.isa),
                ProductPrecision::Bf16 => product.run_rounded(self.isa, scratch),
            }
        }
    }

    /// Parameter `i` of the operation.
    pub(crate) fn parameter(&self, i: usize) -> Matrix<'a, T> {
        let p = &self.plan.parameters[i];
        // SAFETY: the layout of the parameters; they do not change during a pass.
        unsafe { Matrix::new(self.memory.parameters.add(p.start), p.rows, p.columns, p.stride) }
    }

    /// The gradient of the output.
    pub(crate) fn d_output(&self) -> Matrix<'a, T> {
        let place = self.plan.output.gradient.as_ref();
        let place = place.expect("an operation runs backward only if its output has a gradient");
        // SAFETY: the plan keeps the buffer in the arena.
        unsafe {
            Matrix::new(self.memory.arena.add(place.start), place.rows, place.columns, place.stride)
        }
    }

    /// Where the gradient of input `i` goes; `None` if nobody wants it.
    pub(crate) fn d_input(&self, i: usize) -> Option<Target<'a, T>> {
        let input = &self.plan.inputs[i];
        let place = input.gradient.as_ref()?;
        // SAFETY: the plan gives the buffer to this operation at this time.
        let matrix =
            unsafe { self.matrix_mut(place.start, place.rows, place.columns, place.stride) };
        Some(Target { matrix, accumulate: input.accumulate })
    }

    /// Where the gradient of parameter `i` goes; `None` if it is frozen.
    pub(crate) fn d_parameter(&self, i: usize) -> Option<Target<'a, T>> {
        let p = &self.plan.parameters[i];
        let start = p.gradient?;
        // SAFETY: the layout of the gradients, which only the backward pass writes.
        let matrix = unsafe {
            MatrixMut::new(self.memory.gradients.add(start), p.rows, p.columns, p.stride)
        };
        Some(Target { matrix, accumulate: p.accumulate })
    }

    /// An index input, `[positions · lanes]`: the given positions.
    pub(crate) fn indices(&self, input: usize, positions: Range<usize>) -> &'a [u32] {
        &self.memory.indices[input][positions.start * self.lanes..positions.end * self.lanes]
    }

    /// A weight input, `[positions · lanes]`: the given positions.
    pub(crate) fn weights(&self, input: usize, positions: Range<usize>) -> &'a [T] {
        &self.memory.weights[input][positions.start * self.lanes..positions.end * self.lanes]
    }

    /// # Safety
    /// The place must belong to this operation at this time.
    unsafe fn matrix_mut(
        &self,
        start: usize,
        rows: usize,
        columns: usize,
        stride: usize,
    ) -> MatrixMut<'a, T> {
        // SAFETY: in the arena by the plan.
        unsafe { MatrixMut::new(self.memory.arena.add(start), rows, columns, stride) }
    }
}
