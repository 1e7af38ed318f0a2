//! A vector of parameters as a value: the same numbers at every position of every example.

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{Value, View};
use crate::operation::{Context, Operation, compiled};
use crate::ops::linear::bias_gradient;
use crate::scalar::Scalar;

struct Broadcast;

impl<T: Scalar> Graph<T> {
    /// The numbers of a vector at every position: `[columns of the vector, positions]`.
    ///
    /// # Panics
    /// If it has several rows.
    pub fn broadcast(&mut self, vector: View, positions: usize) -> Value {
        let (columns, parameter) = self.viewed(vector);
        assert_eq!(parameter.rows, 1, "a vector has one row");
        let shape = Shape { features: columns.count, positions };
        self.push(Broadcast, vec![], vec![vector], shape)
    }
}

compiled!(Broadcast);

impl<T: Scalar> Operation<T> for Broadcast {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn flops(&self, _: &Extents<'_>) -> u64 {
        0
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (numbers, mut y) = (at.parameter(0), at.output());
        for f in at.worker.share(y.rows, 1) {
            y.row_mut(f).fill(numbers.row(0)[f]);
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        if let Some(target) = at.d_parameter(0) {
            bias_gradient(at, at.d_output(), target);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::parameter::{Initial, Parameter};

    #[test]
    fn gradient() {
        for (features, positions, batch) in [(1, 1, 1), (6, 2, 16), (20, 3, 18)] {
            let mut graph = Graph::<f64>::new();
            let mut x = with_stem(&mut graph, features, positions);
            let normal = Initial::Normal { std: 0.5 };
            let b = graph.parameter(Parameter::vector("b", 2 * features, normal));
            // Two parts of one vector, one of them twice.
            for first in [0, features, 0] {
                let part = graph.columns(b, first..first + features);
                let part = graph.broadcast(part, positions);
                let product = graph.multiply(x, part);
                x = graph.residual(part, product, 0.0);
            }
            with_head(&mut graph, x, 4, 0..positions);
            assert_gradients(&graph, batch);
        }
    }
}
