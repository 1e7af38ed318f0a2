//! Multiplying by a constant.

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::Value;
use crate::isa::for_every_isa;
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct Scale {
    factor: f64,
}

impl<T: Scalar> Graph<T> {
    /// `factor · x`.
    pub fn scale(&mut self, x: Value, factor: f64) -> Value {
        let shape = self.shape(x);
        self.push(Scale { factor }, vec![x], vec![], shape)
    }
}

compiled!(Scale);

impl<T: Scalar> Operation<T> for Scale {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        (extents.output.features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, mut y) = (at.input(0), at.output());
        for f in at.worker.share(x.rows, 1) {
            scale(at.isa, x.row(f), T::from_f64(self.factor), y.row_mut(f), false);
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let dy = at.d_output();
        let Some(mut dx) = at.d_input(0) else { return };
        for f in at.worker.share(dy.rows, 1) {
            let (factor, accumulate) = (T::from_f64(self.factor), dx.accumulate);
            scale(at.isa, dy.row(f), factor, dx.matrix.row_mut(f), accumulate);
        }
    }
}

for_every_isa! {
    fn scale<T>(x: &[T], factor: T, y: &mut [T], accumulate: bool) {
        for (x, y) in x.iter().zip(y) {
            let term = *x * factor;
            *y = if accumulate { *y + term } else { term };
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
            let y = graph.scale(x, -1.7);
            let y = graph.residual(x, y, 0.0);
            with_head(&mut graph, y, 4, 0..positions);
            assert_gradients(&graph, batch);
        }
    }
}
