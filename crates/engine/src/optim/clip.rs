//! Clipping of the gradient by its global norm, as `torch.nn.utils.clip_grad_norm_` does.

use crate::isa::{Isa, for_every_isa};
use crate::scalar::Scalar;
use crate::team::Worker;

/// Numbers of the gradient per partial sum: the sums do not depend on the number of workers.
const PART: usize = 4096;
/// Lanes of a partial sum, which vectorise.
const LANES: usize = 16;
/// PyTorch's: keeps the quotient finite where the gradient is 0.
const EPSILON: f64 = 1e-6;

/// The clipping of one step.
pub(super) struct Clip {
    limit: f64,
    /// The sum of squares of each part.
    squares: *mut f64,
    parts: usize,
}

impl Clip {
    /// With this largest norm, of `trainable` numbers; `None` without a limit. `squares` is memory
    /// that steps share.
    pub(super) fn new(limit: f64, trainable: usize, squares: &mut Vec<f64>) -> Option<Clip> {
        if limit == 0.0 {
            return None;
        }
        let parts = trainable.div_ceil(PART);
        squares.resize(parts, 0.0);
        Some(Clip { limit, squares: squares.as_mut_ptr(), parts })
    }

    /// Scales the gradient down to the limit; all workers of the step take part. Returns whether
    /// this worker continues, as [`Worker::barrier`].
    ///
    /// # Safety
    /// `gradients` has `trainable` numbers, which nobody else touches, and `squares` lives.
    pub(super) unsafe fn apply<T: Scalar>(
        &self,
        isa: Isa,
        worker: &Worker<'_>,
        gradients: *mut T,
        trainable: usize,
    ) -> bool {
        // SAFETY: the caller's promise; parts are disjoint, and so are shares, which workers take
        // after all have read their parts.
        let numbers = |range: std::ops::Range<usize>| unsafe {
            std::slice::from_raw_parts_mut(gradients.add(range.start), range.len())
        };
        for part in worker.share(self.parts, 1) {
            let mut sum = 0.0;
            let first = part * PART;
            square_sum(isa, numbers(first..trainable.min(first + PART)), &mut sum);
            // SAFETY: `new` made memory for all parts, each of which is of one worker.
            unsafe { self.squares.add(part).write(sum) };
        }
        if !worker.barrier() {
            return false;
        }
        // SAFETY: all were written before the barrier, and are only read after it.
        let squares = unsafe { std::slice::from_raw_parts(self.squares, self.parts) };
        let factor = self.limit / (squares.iter().sum::<f64>().sqrt() + EPSILON);
        if factor < 1.0 {
            scale(isa, T::from_f64(factor), numbers(worker.share(trainable, PART)));
        }
        // A matrix may belong to another worker than its numbers did here.
        worker.barrier()
    }
}

for_every_isa! {
    fn square_sum<T>(numbers: &[T], sum: &mut f64) {
        let (chunks, rest) = numbers.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for chunk in chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += x.to_f64() * x.to_f64();
            }
        }
        *sum = lanes.iter().copied().chain(rest.iter().map(|x| x.to_f64() * x.to_f64())).sum();
    }

    fn scale<T>(factor: T, numbers: &mut [T]) {
        numbers.iter_mut().for_each(|x| *x *= factor);
    }
}
