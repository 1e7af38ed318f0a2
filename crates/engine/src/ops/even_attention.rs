//! Even attention with the normalisation of Tian et al. (2023): `f = Xᵀb / ‖Xᵀb‖`, where b is even
//! over the tokens up to a position and X their one-hot vectors. The factor of b cancels, so with
//! n_t the times that token t occurred, `Y f = Σ_t n_t Y_t / √(Σ_t n_t²)`.

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::{Indices, Value};
use crate::operation::{Context, Operation, compiled};
use crate::ops::multiply::products;
use crate::scalar::Scalar;

struct EvenAttention {
    tokens: usize,
}

impl<T: Scalar> Graph<T> {
    /// From the sums `x` over a row for each token up to a position, `x / √(Σ_t n_t²)`. Tokens that
    /// all differ give `x_p / √(p + 1)`.
    ///
    /// # Panics
    /// If there are not as many positions of tokens.
    pub fn even_attention(&mut self, x: Value, tokens: Indices) -> Value {
        let shape = self.shape(x);
        let (tokens, given) = self.index_input(tokens);
        assert_eq!(given, shape.positions, "a token for each position");
        self.push(EvenAttention { tokens }, vec![x], vec![], shape)
    }
}

impl EvenAttention {
    /// The factors `[positions · lanes]` of the output's positions, in the worker's scratch memory.
    fn factors<'a, T: Scalar>(&self, at: &Context<'a, T>) -> &'a [T] {
        let positions = at.output_positions();
        let tokens = at.indices(self.tokens, 0..positions.end);
        let first = positions.start * at.lanes;
        let factors = &mut at.scratch()[..tokens.len() - first];
        for (factor, column) in factors.iter_mut().zip(first..) {
            let own = |column: usize| tokens[column % at.lanes..=column].iter().step_by(at.lanes);
            // Σ_t n_t² is the number of pairs of equal tokens.
            let pairs = own(column).map(|token| own(column).filter(|t| *t == token).count());
            *factor = T::from_f64(1.0 / (pairs.sum::<usize>() as f64).sqrt());
        }
        factors
    }
}

compiled!(EvenAttention);

impl<T: Scalar> Operation<T> for EvenAttention {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    /// The factors.
    fn scratch(&self, extents: &Extents<'_>) -> usize {
        extents.columns()
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        (extents.output.features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, mut y, factors) = (at.input(0), at.output(), self.factors(at));
        for f in at.worker.share(x.rows, 1) {
            products(at.isa, x.row(f), factors, y.row_mut(f), false);
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let (dy, factors) = (at.d_output(), self.factors(at));
        let Some(mut dx) = at.d_input(0) else { return };
        for f in at.worker.share(dy.rows, 1) {
            products(at.isa, dy.row(f), factors, dx.matrix.row_mut(f), dx.accumulate);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head};
    use crate::graph::Graph;
    use crate::ops::Decay;
    use crate::parameter::{Initial, Parameter};
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    #[test]
    fn gradient() {
        for (features, positions, batch, scored) in [(1, 1, 1, 0), (6, 2, 16, 0), (9, 4, 18, 2)] {
            let mut graph = Graph::<f64>::new();
            let tokens = graph.indices(positions);
            let normal = Initial::Normal { std: 1.0 };
            let table = graph.parameter(Parameter::matrix("table", [3, features], normal));
            let x = graph.embedding(tokens, table, None);
            let x = graph.scan(x, Decay::One);
            let y = graph.even_attention(x, tokens);
            with_head(&mut graph, y, 4, scored..positions);
            assert_gradients(&graph, batch);
        }
    }

    /// Of tokens a, b, a: 1, 1/√2, and (2 a + b)/√5.
    #[test]
    fn repeated_tokens_count_as_often() {
        for first in [0, 2] {
            let mut graph = Graph::<f64>::new();
            let tokens = graph.indices(3);
            let ones = Initial::Constant(1.0);
            let table = graph.parameter(Parameter::matrix("table", [2, 1], ones));
            let x = graph.embedding(tokens, table, None);
            let x = graph.scan(x, Decay::One);
            let y = graph.even_attention(x, tokens);
            graph.output(y, first..3);
            let precision = ProductPrecision::Full;
            let mut program = Program::compile(&graph, 1, Mode::Inference, precision, 1);
            let lanes = program.lanes();
            program.indices_mut(tokens)[lanes] = 1;
            let parameters = Parameters::initial(&graph, 0);
            program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
            let expected = [1.0, 2.0 / 2f64.sqrt(), 3.0 / 5f64.sqrt()];
            for (i, expected) in expected[first..].iter().enumerate() {
                assert!((program.output(0).lanes(0, i)[0] - expected).abs() < 1e-15);
            }
        }
    }
}
