//! The interface of an operation, and its view of a program that runs it.

use std::ops::Range;
use std::sync::Arc;

use crate::extent::Extents;
use crate::isa::Isa;
use crate::kernels::Product;
use crate::lower::{Lowering, NotLowered};
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::place::{GradientPlace, NodePlan, Place};
use crate::precision::ProductPrecision;
use crate::random::Noise;
use crate::scalar::{PerScalar, Scalar};
use crate::team::Worker;

/// One operation of a graph: its rule for positions, its memory, its forward and backward pass.
///
/// All workers call `forward` and `backward`; each does its [share](Worker::share), over a
/// partition of the *output*, never of the terms of a sum, so that results do not depend on the
/// number of workers.
pub(crate) trait Operation<T: Scalar>: Send + Sync {
    /// Its name in a profile.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path)
    }

    /// The positions of input `input` that these positions of the output need, possibly none.
    fn positions_needed(&self, _input: usize, output: Range<usize>) -> Range<usize> {
        output
    }

    /// Whether the backward pass reads this input's value.
    fn reads_input(&self, input: usize) -> bool;

    /// Numbers kept from the forward to the backward pass: rows and columns.
    fn saved(&self, _extents: &Extents<'_>) -> (usize, usize) {
        (0, 0)
    }

    /// Numbers of scratch memory per worker.
    fn scratch(&self, _extents: &Extents<'_>) -> usize {
        0
    }

    /// Whether the gradient of input 0 is the gradient of the output, unchanged: the two then share
    /// memory where the plan allows it.
    fn passes_gradient(&self) -> bool {
        false
    }

    /// Whether this is a loss: gradients begin here, and no other operation may read its output.
    /// Training minimises the sum of all losses of a graph.
    fn is_loss(&self) -> bool {
        false
    }

    /// Whether a loss writes the gradients of its inputs in its forward pass, since no later
    /// operation can change them, and has no backward pass.
    fn writes_gradients_early(&self) -> bool {
        false
    }

    /// Multiplications and additions of the forward pass; the backward pass of a product takes
    /// twice as many.
    fn flops(&self, extents: &Extents<'_>) -> u64;

    /// Computes the output.
    fn forward(&self, at: &Context<'_, T>);

    /// Computes the gradients of the inputs and parameters that need one.
    fn backward(&self, at: &Context<'_, T>);

    /// Appends the launches of the forward pass.
    ///
    /// # Errors
    /// If there are none for it.
    fn lower_forward(&self, _at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        Err(NotLowered::new(self.name()))
    }

    /// Appends the launches of the backward pass. Launches that read a parameter come before those
    /// that update it.
    ///
    /// # Errors
    /// If there are none for it.
    fn lower_backward(&self, _at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        Err(NotLowered::new(format!("the gradient of {}", self.name())))
    }
}

/// An operation whose code for both scalars is compiled in this crate.
///
/// Generic code is compiled where it is used: every crate and every test that builds a graph would
/// compile all kernels of all operations again, for each instruction set.
pub(crate) trait Compiled: PerScalar {
    /// The operation for one of the scalars.
    fn shared<T: Scalar>(self) -> Arc<dyn Operation<T>>;
}

/// Implements [`Compiled`] for an operation.
macro_rules! compiled {
    ($operation:ty) => {
        impl $crate::scalar::PerScalar for $operation {
            type Of<T: $crate::scalar::Scalar> =
                std::sync::Arc<dyn $crate::operation::Operation<T>>;

            // Inlined into another crate, they would be compiled there.
            #[inline(never)]
            fn for_f32(self) -> Self::Of<f32> {
                std::sync::Arc::new(self)
            }
            #[inline(never)]
            fn for_f64(self) -> Self::Of<f64> {
                std::sync::Arc::new(self)
            }
        }

        impl $crate::operation::Compiled for $operation {
            fn shared<T: $crate::scalar::Scalar>(self) -> Self::Of<T> {
                T::choose(self)
            }
        }
    };
}
pub(crate) use compiled;

/// The memory of a program during a run.
#[derive(Clone, Copy)]
pub(crate) struct Memory<'a, T> {
    pub(crate) arena: *mut T,
    pub(crate) parameters: *const T,
    pub(crate) gradients: *mut T,
    pub(crate) scratch: *mut T,
    pub(crate) scratch_len: usize,
    /// Whether gradients of parameters add to those of an earlier run.
    pub(crate) adds: bool,
    pub(crate) indices: &'a [Vec<u32>],
    pub(crate) weights: &'a [Vec<T>],
}

// SAFETY: what its pointers lead to is only reached through `Context`, whose workers write disjoint
// parts (see `matrix`); the slices can be shared.
unsafe impl<T: Scalar> Sync for Memory<'_, T> {}

/// One operation, run by one worker.
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
    /// The positions of input `i` that it reads.
    pub(crate) fn input_positions(&self, i: usize) -> Range<usize> {
        self.plan.inputs[i].positions.clone()
    }

    /// The positions of the output.
    pub(crate) fn output_positions(&self) -> Range<usize> {
        self.plan.output.positions.clone()
    }

    /// Input `i`: `[features, positions · lanes]`, the needed positions.
    pub(crate) fn input(&self, i: usize) -> Matrix<'a, T> {
        // SAFETY: the plan keeps the buffer in the arena for as long as it is read, and gives it to
        // nobody who writes meanwhile.
        unsafe { matrix(self.memory.arena, self.plan.inputs[i].value) }
    }

    /// The output, mutably.
    pub(crate) fn output(&self) -> MatrixMut<'a, T> {
        // SAFETY: the plan gives the buffer in the arena to this operation alone.
        unsafe { matrix_mut(self.memory.arena, self.plan.output.value) }
    }

    /// The memory that the operation keeps for its backward pass, mutably.
    pub(crate) fn saved(&self) -> MatrixMut<'a, T> {
        // SAFETY: as above.
        unsafe { matrix_mut(self.memory.arena, self.plan.saved) }
    }

    /// The memory that the operation has kept, in the backward pass.
    pub(crate) fn kept(&self) -> Matrix<'a, T> {
        // SAFETY: as above; nobody writes it in the backward pass.
        unsafe { matrix(self.memory.arena, self.plan.saved) }
    }

    /// This worker's own scratch memory, with arbitrary contents.
    pub(crate) fn scratch(&self) -> &'a mut [T] {
        let len = self.memory.scratch_len;
        // SAFETY: the program has so many numbers for each worker of its team, and an operation
        // uses one such slice at a time.
        unsafe {
            let start = self.memory.scratch.add(self.worker.index() * len);
            std::slice::from_raw_parts_mut(start, len)
        }
    }

    /// Computes a product in the program's precision. Unless that is full, `scratch` holds
    /// [`rounding_scratch`](crate::kernels::rounding_scratch) numbers.
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
        // SAFETY: the program has checked that the parameters have the layout of its plan; they do
        // not change during a pass.
        unsafe { matrix(self.memory.parameters, self.plan.parameters[i].value) }
    }

    /// The gradient of the output.
    pub(crate) fn d_output(&self) -> Matrix<'a, T> {
        let gradient = self.plan.output.gradient;
        let gradient =
            gradient.expect("an operation runs backward only if its output has a gradient");
        // SAFETY: the plan keeps the buffer in the arena.
        unsafe { matrix(self.memory.arena, gradient.place) }
    }

    /// The destination of the gradient of input `i`; `None` if it is not needed.
    pub(crate) fn d_input(&self, i: usize) -> Option<GradientTarget<'a, T>> {
        let gradient = self.plan.inputs[i].gradient?;
        // SAFETY: the plan gives the buffer in the arena to this operation at this time; where the
        // output's gradient has the same, the operation writes neither.
        Some(unsafe { target(self.memory.arena, gradient) })
    }

    /// The destination of the gradient of parameter `i`; `None` if it is frozen.
    pub(crate) fn d_parameter(&self, i: usize) -> Option<GradientTarget<'a, T>> {
        let gradient = self.plan.parameters[i].gradient?;
        // SAFETY: the program has checked that the gradients have the layout of its plan; only the
        // backward pass writes them, and no operation takes a column twice.
        let mut target = unsafe { target(self.memory.gradients, gradient) };
        target.accumulate |= self.memory.adds;
        Some(target)
    }

    /// An index input, `[positions · lanes]`: the given positions.
    pub(crate) fn indices(&self, input: usize, positions: Range<usize>) -> &'a [u32] {
        &self.memory.indices[input][positions.start * self.lanes..positions.end * self.lanes]
    }

    /// A weight input, `[positions · lanes]`: the given positions.
    pub(crate) fn weights(&self, input: usize, positions: Range<usize>) -> &'a [T] {
        &self.memory.weights[input][positions.start * self.lanes..positions.end * self.lanes]
    }
}

/// # Safety
/// The place must be in the buffer, and not be written for as long as the matrix is used.
unsafe fn matrix<'a, T>(buffer: *const T, place: Place) -> Matrix<'a, T> {
    // SAFETY: the caller's promise.
    unsafe { Matrix::new(buffer.add(place.start), place.rows, place.columns, place.stride) }
}

/// # Safety
/// The place must be in the buffer, and belong to this operation at this time.
unsafe fn matrix_mut<'a, T>(buffer: *mut T, place: Place) -> MatrixMut<'a, T> {
    // SAFETY: the caller's promise.
    unsafe { MatrixMut::new(buffer.add(place.start), place.rows, place.columns, place.stride) }
}

/// # Safety
/// As [`matrix_mut`].
unsafe fn target<'a, T>(buffer: *mut T, gradient: GradientPlace) -> GradientTarget<'a, T> {
    // SAFETY: the caller's promise.
    let matrix = unsafe { matrix_mut(buffer, gradient.place) };
    GradientTarget { matrix, accumulate: gradient.accumulate }
}
