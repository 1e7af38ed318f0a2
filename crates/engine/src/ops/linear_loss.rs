//! A loss that is linear in a value: the caller gives its gradient.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{Value, Weights};
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct LinearLoss {
    weights: usize,
    /// Positions of the whole input.
    positions: usize,
}

impl<T: Scalar> Graph<T> {
    /// The loss `Σ w · x` over all features and positions of `x`, as one term a position:
    /// `[1, positions]`. Its gradient with respect to `x` is `w`, so that a caller who knows the
    /// gradient of a loss of its own passes it on to the parameters.
    ///
    /// # Panics
    /// If `weights` does not have features × positions of `x`; it is ordered by feature.
    pub fn linear_loss(&mut self, x: Value, weights: Weights) -> Value {
        let Shape { features, positions } = self.shape(x);
        let (weights, given) = self.weight_input(weights);
        assert_eq!(given, features * positions, "one weight for each feature and position");
        let shape = Shape { features: 1, positions };
        self.push(LinearLoss { weights, positions }, vec![x], vec![], shape)
    }
}

impl LinearLoss {
    /// The weights of a feature at these positions.
    fn row<'a, T: Scalar>(
        &self,
        at: &Context<'a, T>,
        feature: usize,
        positions: &Range<usize>,
    ) -> &'a [T] {
        let first = feature * self.positions;
        at.weights(self.weights, first + positions.start..first + positions.end)
    }
}

compiled!(LinearLoss);

impl<T: Scalar> Operation<T> for LinearLoss {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn is_loss(&self) -> bool {
        true
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        (extents.inputs[0].features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, mut out, positions) = (at.input(0), at.output(), at.input_positions(0));
        let columns = at.worker.share(x.columns, 1);
        let sums = out.part_mut(0, columns.clone());
        sums.fill(T::ZERO);
        for f in 0..x.rows {
            let terms = x.row(f)[columns.clone()].iter();
            let weights = &self.row(at, f, &positions)[columns.clone()];
            for (sum, (x, w)) in sums.iter_mut().zip(terms.zip(weights)) {
                *sum += *x * *w;
            }
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let Some(mut dx) = at.d_input(0) else { return };
        let positions = at.input_positions(0);
        for f in at.worker.share(dx.matrix.rows, 1) {
            let weights = self.row(at, f, &positions);
            for (d, w) in dx.matrix.row_mut(f).iter_mut().zip(weights) {
                *d = if dx.accumulate { *d + *w } else { *w };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients_of, total, with_stem};
    use crate::graph::Graph;

    #[test]
    fn gradient() {
        for (features, positions, batch) in [(1, 1, 1), (6, 2, 16), (9, 3, 18)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, features, positions);
            let weights = graph.weights(features * positions);
            let loss = graph.linear_loss(x, weights);
            graph.output(loss, 0..positions);
            assert_gradients_of(&graph, batch, |program, _| total(program, 0));
        }
    }

    /// Two losses of one value add up.
    #[test]
    fn gradients_add() {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 4, 2);
        for output in 0..2 {
            let weights = graph.weights(8);
            let loss = graph.linear_loss(x, weights);
            graph.output(loss, output..2);
        }
        // The second one is read at its last position alone.
        assert_gradients_of(&graph, 3, |program, _| total(program, 0) + total(program, 1));
    }
}
