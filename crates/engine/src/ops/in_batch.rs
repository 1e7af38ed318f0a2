//! The loss of predicting a representation among those of a batch.

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{Indices, Value, Weights};
use crate::isa::for_every_isa;
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::operation::{Context, Operation, compiled};
use crate::ops::{dot, put};
use crate::scalar::Scalar;

struct InBatch {
    tokens: Vec<usize>,
    weights: usize,
}

impl<T: Scalar> Graph<T> {
    /// Cross-entropy of the right representation by inner products, with every representation of the
    /// batch as a candidate (arXiv 2504.01928). Example i predicts `a_i`; its representations are
    /// `b_pi`, each of the token in `tokens[p]`, and the last is the right one, r. Its term is
    /// `weight_i · (ln Σ_pj exp(a_i · b_pj) − a_i · b_ri)`, the sum over representations of examples
    /// with a weight above 0, without others of the right one's token.
    ///
    /// The loss is the sum of the output, `[1, 1]`, which holds one term per example.
    ///
    /// # Panics
    /// If the values are not `[features, 1]` all, or there is not one input of tokens for each b.
    pub fn in_batch_prediction(
        &mut self,
        a: Value,
        b: &[Value],
        tokens: &[Indices],
        weights: Weights,
    ) -> Value {
        let from = self.shape(a);
        assert!(b.iter().all(|b| self.shape(*b) == from), "all have one shape");
        assert_eq!(from.positions, 1, "all have one position");
        assert!(!b.is_empty() && b.len() == tokens.len(), "each has a token");
        let tokens: Vec<_> = tokens.iter().map(|tokens| self.index_input(*tokens)).collect();
        assert!(tokens.iter().all(|(_, given)| *given > 0), "a sentence has one token at least");
        let (weights, given) = self.weight_input(weights);
        assert!(given > 0, "a sentence has a weight");
        let shape = Shape { features: 1, positions: 1 };
        let tokens = tokens.into_iter().map(|(index, _)| index).collect();
        let inputs = std::iter::once(a).chain(b.iter().copied()).collect();
        self.push(InBatch { tokens, weights }, inputs, vec![], shape)
    }
}

compiled!(InBatch);

impl InBatch {
    fn tokens<'a, T: Scalar>(&self, at: &Context<'a, T>, p: usize) -> &'a [u32] {
        at.indices(self.tokens[p], 0..1)
    }
}

impl<T: Scalar> Operation<T> for InBatch {
    fn reads_input(&self, _input: usize) -> bool {
        true
    }

    fn is_loss(&self) -> bool {
        true
    }

    /// The probabilities, `[b, lanes, lanes]`: row i of a b holds those that example i gives.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        (self.tokens.len() * extents.lanes, extents.lanes)
    }

    /// The factors of a gradient.
    fn scratch(&self, extents: &Extents<'_>) -> usize {
        extents.lanes
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        let pairs = self.tokens.len() * extents.lanes * extents.lanes;
        2 * (extents.inputs[0].features * pairs) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let weights = at.weights(self.weights, 0..1);
        let (right, n) = (self.tokens.len() - 1, at.lanes);
        let (answers, mut saved, mut out) = (self.tokens(at, right), at.saved(), at.output());
        for i in at.worker.share(n, 1) {
            let mut part = T::ZERO;
            if weights[i] > T::ZERO {
                for p in 0..=right {
                    let row = saved.row_mut(p * n + i);
                    products(at.isa, at.input(0), at.input(1 + p), i, row);
                    for (j, token) in self.tokens(at, p).iter().enumerate() {
                        let again = *token == answers[i] && (p, j) != (right, i);
                        if again || weights[j] <= T::ZERO {
                            row[j] = T::from_f64(f64::NEG_INFINITY);
                        }
                    }
                }
                surprise(at.isa, &mut saved, n, right, i, &mut part);
                part *= weights[i];
            }
            out.part_mut(0, i..i + 1)[0] = part;
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let weights = at.weights(self.weights, 0..1);
        let (right, kept) = (self.tokens.len() - 1, at.kept());
        // Other operations may need more scratch memory.
        let factors = &mut at.scratch()[..at.lanes];
        let lanes = at.worker.share(at.lanes, 1);
        let wrong = |p: usize, i: usize, j: usize| match weights[i] > T::ZERO {
            true if (p, i) == (right, j) => weights[i] * (kept.row(p * at.lanes + i)[j] - T::ONE),
            true => weights[i] * kept.row(p * at.lanes + i)[j],
            false => T::ZERO,
        };
        if let Some(GradientTarget { matrix: mut d, accumulate }) = at.d_input(0) {
            for i in lanes.clone() {
                for p in 0..=right {
                    (0..at.lanes).for_each(|j| factors[j] = wrong(p, i, j));
                    let add = accumulate || p > 0;
                    gradient(at.isa, factors, at.input(1 + p), &mut d, add, i);
                }
            }
        }
        for p in 0..=right {
            if let Some(GradientTarget { matrix: mut d, accumulate }) = at.d_input(1 + p) {
                for j in lanes.clone() {
                    (0..at.lanes).for_each(|i| factors[i] = wrong(p, i, j));
                    gradient(at.isa, factors, at.input(0), &mut d, accumulate, j);
                }
            }
        }
    }
}

for_every_isa! {
    /// The inner products of a's lane `i` with all lanes of b.
    fn products<T>(a: Matrix<'_, T>, b: Matrix<'_, T>, i: usize, row: &mut [T]) {
        row.fill(T::ZERO);
        for f in 0..a.rows {
            let own = a.row(f)[i];
            for (sum, x) in row.iter_mut().zip(b.row(f)) {
                *sum = own.fused::<FUSED>(*x, *sum);
            }
        }
    }

    /// −ln of the probability of lane `i` in its row of `right`. The products in the lane's rows
    /// become probabilities.
    fn surprise<T>(
        saved: &mut MatrixMut<'_, T>, n: usize, right: usize, i: usize, part: &mut T,
    ) {
        let mut highest = T::from_f64(f64::NEG_INFINITY);
        for p in 0..=right {
            for x in saved.row_mut(p * n + i).iter() {
                highest = x.larger(highest);
            }
        }
        let own = saved.row_mut(right * n + i)[i] - highest;
        let mut total = T::ZERO;
        for p in 0..=right {
            for x in saved.row_mut(p * n + i) {
                *x = (*x - highest).exp::<FUSED>();
                total += *x;
            }
        }
        for p in 0..=right {
            for x in saved.row_mut(p * n + i) {
                *x = *x / total;
            }
        }
        *part = total.ln() - own;
    }

    /// Writes, or adds, `Σ_j factor_j · other_j` to lane `at` of a gradient.
    fn gradient<T>(
        factors: &[T], other: Matrix<'_, T>, d: &mut MatrixMut<'_, T>, add: bool, at: usize,
    ) {
        for f in 0..other.rows {
            let term = dot::<T, FUSED>(factors, other.row(f));
            put(&mut d.part_mut(f, at..at + 1)[0], term, add);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients_of, total, with_stem};
    use crate::graph::Graph;
    use crate::ops::Orientation;
    use crate::parameter::{Initial, Parameter};
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    #[test]
    fn gradient() {
        for (features, batch) in [(2, 1), (3, 4), (6, 18)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, 5, 3);
            let normal = Initial::Normal { std: 0.7 };
            let [a, b, c] = [0, 1, 2].map(|p| {
                let w = Parameter::matrix(format!("w{p}"), [features, 5], normal);
                let w = graph.parameter(w);
                let x = graph.select(x, &[p]);
                graph.linear_whole(x, w, Orientation::OutputsFirst, None)
            });
            let tokens = [graph.indices(1), graph.indices(1)];
            let weights = graph.weights(1);
            let loss = graph.in_batch_prediction(a, &[b, c], &tokens, weights);
            graph.output(loss, 0..1);
            assert_gradients_of(&graph, batch, |program, _| total(program, 0));
        }
    }

    /// Three examples, of which the second has weight 0 and the third's first token is the first's
    /// answer: neither is a candidate of the first.
    #[test]
    fn values_are_cross_entropies_over_the_batch_without_copies_of_the_answer() {
        let mut graph = Graph::<f64>::new();
        let normal = Initial::Normal { std: 1.0 };
        let said = ["a", "b", "c"].map(|name| {
            let sentence = graph.indices(1);
            let table = graph.parameter(Parameter::matrix(name, [4, 5], normal));
            (sentence, graph.embedding(sentence, table, None))
        });
        let tokens = [said[1].0, said[2].0];
        let weights = graph.weights(1);
        let loss = graph.in_batch_prediction(said[0].1, &[said[1].1, said[2].1], &tokens, weights);
        graph.output(loss, 0..1);
        let mut program = Program::compile(&graph, 3, Mode::Inference, ProductPrecision::Full, 1);
        let read = [[0, 1, 2], [0, 1, 3], [3, 2, 1]];
        for ((input, _), read) in said.iter().zip(read) {
            program.indices_mut(*input)[..3].copy_from_slice(&read);
        }
        program.weights_mut(weights)[..3].copy_from_slice(&[0.5, 0.0, 2.0]);
        let parameters = Parameters::initial(&graph, 3);
        program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
        let tables: Vec<Vec<f64>> = parameters.iter().map(|(_, table)| table.to_vec()).collect();
        let product = |a: u32, table: usize, b: u32| -> f64 {
            let row = |table: usize, at: u32| tables[table][at as usize * 5..][..5].to_vec();
            row(0, a).iter().zip(row(table, b)).map(|(x, y)| x * y).sum()
        };
        let term = |own: f64, all: &[f64]| all.iter().map(|s| s.exp()).sum::<f64>().ln() - own;
        let first = [product(0, 1, 0), product(0, 2, 3), product(0, 2, 1)];
        let third = [product(2, 1, 0), product(2, 1, 3), product(2, 2, 3), product(2, 2, 1)];
        let expected = [0.5 * term(first[1], &first), 0.0, 2.0 * term(third[3], &third)];
        for (found, expected) in program.output(0).lanes(0, 0).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-13, "{found}, not {expected}");
        }
    }
}
