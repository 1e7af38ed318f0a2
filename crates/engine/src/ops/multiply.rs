//! The elementwise product of two values, for gates.

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::Value;
use crate::isa::for_every_isa;
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct Multiply;

impl<T: Scalar> Graph<T> {
    /// `a ⊙ b`; the two may be one value.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn multiply(&mut self, a: Value, b: Value) -> Value {
        let shape = self.shape(a);
        assert_eq!(shape, self.shape(b), "factors have one shape");
        self.push(Multiply, vec![a, b], vec![], shape)
    }
}

compiled!(Multiply);

impl<T: Scalar> Operation<T> for Multiply {
    fn reads_input(&self, _input: usize) -> bool {
        true
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        (extents.output.features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (a, b, mut y) = (at.input(0), at.input(1), at.output());
        for f in at.worker.share(a.rows, 1) {
            products(at.isa, a.row(f), b.row(f), y.row_mut(f), false);
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let dy = at.d_output();
        for (input, other) in [(0, 1), (1, 0)] {
            let Some(mut dx) = at.d_input(input) else { continue };
            let factor = at.input(other);
            for f in at.worker.share(dy.rows, 1) {
                products(at.isa, dy.row(f), factor.row(f), dx.matrix.row_mut(f), dx.accumulate);
            }
        }
    }
}

for_every_isa! {
    /// Writes or adds `a ⊙ b`.
    pub(super) fn products<T>(a: &[T], b: &[T], out: &mut [T], accumulate: bool) {
        if accumulate {
            for ((a, b), out) in a.iter().zip(b).zip(out) {
                *out += *a * *b;
            }
        } else {
            for ((a, b), out) in a.iter().zip(b).zip(out) {
                *out = *a * *b;
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
            let gate = graph.gelu(x);
            let y = graph.multiply(x, gate);
            with_head(&mut graph, y, 4, 0..positions);
            assert_gradients(&graph, batch);
        }
    }

    /// Both factors add to one gradient: d(x²) = 2x.
    #[test]
    fn gradient_of_a_square() {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 5, 2);
        let y = graph.multiply(x, x);
        with_head(&mut graph, y, 4, 1..2);
        assert_gradients(&graph, 18);
    }
}
