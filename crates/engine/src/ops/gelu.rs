//! The Gaussian error linear unit, in the form with tanh that GPT-2 uses (`gelu_new`).

use std::f64::consts::LOG2_E;

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::Value;
use crate::isa::for_every_isa;
use crate::lower::{Lowering, NotLowered, Put, kernel};
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct Gelu;

impl<T: Scalar> Graph<T> {
    /// `y = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))` (Hendrycks and Gimpel, 2016).
    pub fn gelu(&mut self, x: Value) -> Value {
        let shape = self.shape(x);
        self.push(Gelu, vec![x], vec![], shape)
    }
}

const CUBIC: f64 = 0.044_715;
/// √(2/π).
const SCALE: f64 = 0.797_884_560_802_865_4;

compiled!(Gelu);

impl<T: Scalar> Operation<T> for Gelu {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    /// The derivatives: the backward pass is a product with them, and reads neither input nor
    /// output.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        (extents.output.features, extents.columns())
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        8 * (extents.output.features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, mut y, mut saved) = (at.input(0), at.output(), at.saved());
        for f in at.worker.share(x.rows, 1) {
            forward(at.isa, x.row(f), y.row_mut(f), saved.row_mut(f));
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let (dy, kept) = (at.d_output(), at.kept());
        let Some(mut dx) = at.d_input(0) else { return };
        for f in at.worker.share(dy.rows, 1) {
            backward(at.isa, kept.row(f), dy.row(f), dx.matrix.row_mut(f), dx.accumulate);
        }
    }

    fn lower_forward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let x = at.input(0);
        at.push(kernel::Gelu {
            x,
            y: at.output(),
            saved: Put::over(at.saved()),
            rows: x.place.rows.into(),
            columns: x.place.columns.into(),
        });
        Ok(())
    }

    fn lower_backward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        if let Some(dx) = at.d_input(0) {
            let (factors, dy) = (at.saved(), at.d_output());
            let (rows, columns) = (dy.place.rows.into(), dy.place.columns.into());
            at.push(kernel::Multiply { factors, dy, dx, rows, columns });
        }
        Ok(())
    }
}

for_every_isa! {
    /// ½ (1 + tanh z) is the logistic function σ of 2z: `y = x σ(u)` with `u = a x + b x³`, and
    /// `dy/dx = σ + σ (1 − σ) (a x + 3 b x³)`. The exponential is a power of 2 of u log₂ e.
    fn forward<T>(x: &[T], y: &mut [T], slope: &mut [T]) {
        let [a, b3] = [1.0, 3.0 * CUBIC].map(|c| T::from_f64(2.0 * SCALE * c));
        let [less_a, less_b] = [1.0, CUBIC].map(|c| T::from_f64(-2.0 * SCALE * c * LOG2_E));
        for ((x, y), slope) in x.iter().zip(y).zip(slope) {
            let x = *x;
            let square = x * x;
            let power = (square.fused::<FUSED>(less_b, less_a) * x).exp2::<FUSED>();
            let gate = T::ONE / (T::ONE + power);
            *y = x * gate;
            let rise = square.fused::<FUSED>(b3, a) * x;
            *slope = gate.fused::<FUSED>((-gate).fused::<FUSED>(rise, rise), gate);
        }
    }

    fn backward<T>(slope: &[T], dy: &[T], dx: &mut [T], accumulate: bool) {
        if accumulate {
            for ((slope, dy), dx) in slope.iter().zip(dy).zip(dx) {
                *dx += *dy * *slope;
            }
        } else {
            for ((slope, dy), dx) in slope.iter().zip(dy).zip(dx) {
                *dx = *dy * *slope;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;

    #[test]
    fn gradient() {
        for (features, positions, batch) in [(1, 1, 1), (6, 2, 16), (9, 3, 18)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, features, positions);
            let y = graph.gelu(x);
            with_head(&mut graph, y, 4, 0..positions);
            assert_gradients(&graph, batch);
        }
    }
}
