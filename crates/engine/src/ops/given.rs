//! Numbers of the caller as a value.

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{Value, Weights};
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct Given {
    numbers: usize,
    /// Positions of the value.
    positions: usize,
}

impl<T: Scalar> Graph<T> {
    /// The numbers of a weight input as a value of so many features: its first positions are those
    /// of feature 0, then come those of feature 1.
    ///
    /// # Panics
    /// If the features do not divide the input's positions.
    pub fn given(&mut self, numbers: Weights, features: usize) -> Value {
        let (numbers, count) = self.weight_input(numbers);
        assert!(count.is_multiple_of(features), "{count} numbers for {features} features");
        let shape = Shape { features, positions: count / features };
        self.push(Given { numbers, positions: shape.positions }, vec![], vec![], shape)
    }
}

compiled!(Given);

impl<T: Scalar> Operation<T> for Given {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn flops(&self, _: &Extents<'_>) -> u64 {
        0
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (mut y, live) = (at.output(), at.output_positions());
        for f in at.worker.share(y.rows, 1) {
            let first = f * self.positions;
            let numbers = at.weights(self.numbers, first + live.start..first + live.end);
            y.row_mut(f).copy_from_slice(numbers);
        }
    }

    fn backward(&self, _: &Context<'_, T>) {}
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    #[test]
    fn features_come_one_after_the_other() {
        let mut graph = Graph::<f64>::new();
        let numbers = graph.weights(6);
        let y = graph.given(numbers, 2);
        // The first position is not needed.
        graph.output(y, 1..3);
        let mut program = Program::compile(&graph, 3, Mode::Inference, ProductPrecision::Full, 2);
        let lanes = program.lanes();
        for (at, number) in program.weights_mut(numbers).iter_mut().enumerate() {
            *number = (10 * (at / lanes) + at % lanes) as f64;
        }
        let parameters = Parameters::initial(&graph, 0);
        program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(2));
        let out = program.output(0);
        assert_eq!(out.lanes(0, 0)[..3], [10.0, 11.0, 12.0]);
        assert_eq!(out.lanes(0, 1)[..3], [20.0, 21.0, 22.0]);
        assert_eq!(out.lanes(1, 1)[..3], [50.0, 51.0, 52.0]);
    }

    #[test]
    fn gradients_pass_by() {
        let mut graph = Graph::<f64>::new();
        let numbers = graph.weights(8);
        let x = with_stem(&mut graph, 4, 2);
        let before = graph.given(numbers, 4);
        let y = graph.multiply(x, before);
        let y = graph.residual(y, x, 0.0);
        with_head(&mut graph, y, 4, 0..2);
        assert_gradients(&graph, 3);
    }
}
