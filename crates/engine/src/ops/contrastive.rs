//! A contrastive loss: the two values of an example should be most similar within the batch.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{Value, Weights};
use crate::isa::for_every_isa;
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::operation::{Context, Operation, compiled};
use crate::ops::{dot, put};
use crate::scalar::Scalar;

struct Contrastive {
    weights: usize,
    temperature: f64,
}

impl<T: Scalar> Graph<T> {
    /// Symmetric InfoNCE (van den Oord et al., 2018) with the other examples as negatives, as in
    /// CLIP (Radford et al., 2021). With `s_ij = cos(a_i, b_j) / temperature` the term of example i
    /// is `weight_i · ½ (ln Σ_j exp s_ij + ln Σ_j exp s_ji) − weight_i · s_ii`; the sums are over
    /// examples with a weight above 0, and the others are ignored. A value of length 0 has
    /// similarity 0 with all, and no gradient.
    ///
    /// The loss is the sum of the output, `[1, 1]`, which holds one term per example.
    ///
    /// # Panics
    /// If a and b are not `[features, 1]` both, or the temperature is not above 0.
    pub fn contrastive(&mut self, a: Value, b: Value, weights: Weights, temperature: f64) -> Value {
        let from = self.shape(a);
        assert_eq!(from, self.shape(b), "what is compared has one shape");
        assert_eq!(from.positions, 1, "both have one position");
        assert!(temperature > 0.0 && temperature.is_finite(), "the temperature is {temperature}");
        let (weights, given) = self.weight_input(weights);
        assert!(given > 0, "a sentence has a weight");
        let shape = Shape { features: 1, positions: 1 };
        let operation = Contrastive { weights, temperature };
        self.push(operation, vec![a, b], vec![], shape)
    }
}

/// Rows kept below the similarities: the inverse lengths of a and b, and the logarithms of the
/// sums over rows and columns.
const KEPT: usize = 4;

compiled!(Contrastive);

impl<T: Scalar> Operation<T> for Contrastive {
    fn reads_input(&self, _input: usize) -> bool {
        true
    }

    fn is_loss(&self) -> bool {
        true
    }

    /// The similarities, `[lanes, lanes]`, and [`KEPT`] more rows.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        (extents.lanes + KEPT, extents.lanes)
    }

    /// Two rows of lengths and two of similarities; or one of factors and a gradient.
    fn scratch(&self, extents: &Extents<'_>) -> usize {
        (4 * extents.lanes).max(extents.lanes + extents.inputs[0].features)
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        4 * (extents.inputs[0].features * extents.lanes * extents.lanes) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let weights = at.weights(self.weights, 0..1);
        let cold = T::from_f64(1.0 / self.temperature);
        let lanes = at.worker.share(at.lanes, 1);
        let (a, b, scratch) = (at.input(0), at.input(1), at.scratch());
        compare(at.isa, a, b, weights, cold, at.saved(), at.output(), scratch, lanes);
    }

    fn backward(&self, at: &Context<'_, T>) {
        let weights = at.weights(self.weights, 0..1);
        let cold = T::from_f64(1.0 / self.temperature);
        let (lanes, kept) = (at.worker.share(at.lanes, 1), at.kept());
        for (input, axis) in [(0, Axis::Row), (1, Axis::Column)] {
            if let Some(target) = at.d_input(input) {
                let (own, other, scratch) = (at.input(input), at.input(1 - input), at.scratch());
                let lanes = lanes.clone();
                gradient(at.isa, axis, own, other, weights, cold, kept, target, scratch, lanes);
            }
        }
    }
}

/// Whether an example's similarities are a row or a column.
#[derive(Clone, Copy, PartialEq)]
enum Axis {
    Row,
    Column,
}

/// `ln Σ exp`, over the lanes that have a weight.
#[inline(always)]
fn log_sum<T: Scalar, const FUSED: bool>(similarities: &[T], weights: &[T]) -> T {
    let taken = || similarities.iter().zip(weights).filter(|(_, w)| **w > T::ZERO);
    let lowest = T::from_f64(f64::NEG_INFINITY);
    let highest = taken().fold(lowest, |highest, (s, _)| s.larger(highest));
    let mut total = T::ZERO;
    for (s, _) in taken() {
        total += (*s - highest).exp::<FUSED>();
    }
    highest + total.ln()
}

for_every_isa! {
    /// The similarities of some lanes with all, both ways, and their terms of the loss.
    fn compare<T>(
        a: Matrix<'_, T>, b: Matrix<'_, T>, weights: &[T], cold: T, saved: MatrixMut<'_, T>,
        out: MatrixMut<'_, T>, scratch: &mut [T], lanes: Range<usize>,
    ) {
        let (mut saved, mut out) = (saved, out);
        let n = weights.len();
        let (lengths, both) = scratch[..4 * n].split_at_mut(2 * n);
        for (m, length) in [a, b].into_iter().zip(lengths.chunks_exact_mut(n)) {
            length.fill(T::ZERO);
            for f in 0..m.rows {
                for (length, x) in length.iter_mut().zip(m.row(f)) {
                    *length = x.fused::<FUSED>(*x, *length);
                }
            }
            for length in length {
                let inverse = T::ONE / length.sqrt();
                *length = if *length > T::ZERO { inverse } else { T::ZERO };
            }
        }
        let (over_a, over_b) = lengths.split_at(n);
        let (row, column) = both.split_at_mut(n);
        for i in lanes {
            row.fill(T::ZERO);
            column.fill(T::ZERO);
            let mut part = T::ZERO;
            let mut sums = [T::ZERO; 2];
            if weights[i] > T::ZERO {
                for f in 0..a.rows {
                    let (a, b) = (a.row(f), b.row(f));
                    for j in 0..n {
                        row[j] = a[i].fused::<FUSED>(b[j], row[j]);
                        column[j] = a[j].fused::<FUSED>(b[i], column[j]);
                    }
                }
                for j in 0..n {
                    row[j] = row[j] * over_a[i] * over_b[j] * cold;
                    column[j] = column[j] * over_a[j] * over_b[i] * cold;
                }
                sums = [log_sum::<T, FUSED>(row, weights), log_sum::<T, FUSED>(column, weights)];
                part = weights[i] * (T::from_f64(0.5) * (sums[0] + sums[1]) - row[i]);
            }
            saved.row_mut(i).copy_from_slice(row);
            for (k, number) in [over_a[i], over_b[i], sums[0], sums[1]].into_iter().enumerate() {
                saved.part_mut(n + k, i..i + 1)[0] = number;
            }
            out.part_mut(0, i..i + 1)[0] = part;
        }
    }

    /// The gradient of some lanes of one side. With `e_ij` the gradient of `cos(a_i, b_j)` and â,
    /// b̂ of length 1: `g = Σ_j e_ij b̂_j` is that of `â_i`, and `(g − â_i (g · â_i)) / |a_i|`
    /// that of `a_i`.
    fn gradient<T>(
        axis: Axis, own: Matrix<'_, T>, other: Matrix<'_, T>, weights: &[T], cold: T,
        kept: Matrix<'_, T>, target: GradientTarget<'_, T>, scratch: &mut [T], lanes: Range<usize>,
    ) {
        let GradientTarget { matrix: mut d, accumulate } = target;
        let n = weights.len();
        let (factors, g) = scratch[..n + own.rows].split_at_mut(n);
        let half = T::from_f64(0.5) * cold;
        let [mut over_own, mut over_other, mut own_sum, mut other_sum] =
            [0, 1, 2, 3].map(|k| kept.row(n + k));
        if axis == Axis::Column {
            (over_own, over_other) = (over_other, over_own);
            (own_sum, other_sum) = (other_sum, own_sum);
        }
        for i in lanes {
            if weights[i] > T::ZERO {
                for j in 0..n {
                    let s = if axis == Axis::Row { kept.row(i)[j] } else { kept.row(j)[i] };
                    let mut e = weights[i] * (s - own_sum[i]).exp::<FUSED>();
                    e += weights[j] * (s - other_sum[j]).exp::<FUSED>();
                    if i == j {
                        e -= weights[i] + weights[i];
                    }
                    let taken = weights[j] > T::ZERO;
                    factors[j] = if taken { e * half * over_other[j] } else { T::ZERO };
                }
            } else {
                factors.fill(T::ZERO);
            }
            let mut along = T::ZERO;
            for (f, g) in g.iter_mut().enumerate() {
                *g = dot::<T, FUSED>(factors, other.row(f));
                along = g.fused::<FUSED>(own.row(f)[i], along);
            }
            for (f, g) in g.iter().enumerate() {
                let unit = own.row(f)[i] * over_own[i];
                let term = (*g - unit * along * over_own[i]) * over_own[i];
                put(&mut d.part_mut(f, i..i + 1)[0], term, accumulate);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients_of, total, with_stem};
    use crate::graph::Graph;
    use crate::ops::Orientation;
    use crate::parameter::{Initial, Parameter};
    use crate::{Gradients, Mode, Noise, Parameters, ProductPrecision, Program, Team};

    #[test]
    fn gradient() {
        for (features, batch) in [(2, 1), (3, 4), (6, 18)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, 5, 2);
            let normal = Initial::Normal { std: 0.7 };
            let [a, b] = [0, 1].map(|p| {
                let w = Parameter::matrix(format!("w{p}"), [features, 5], normal);
                let w = graph.parameter(w);
                let x = graph.select(x, &[p]);
                graph.linear_whole(x, w, Orientation::OutputsFirst, None)
            });
            let weights = graph.weights(1);
            let loss = graph.contrastive(a, b, weights, 0.5);
            graph.output(loss, 0..1);
            assert_gradients_of(&graph, batch, |program, _| total(program, 0));
        }
    }

    /// Equals the definition for three examples of which the second has weight 0: its tokens change
    /// nothing, and it gets no gradient.
    #[test]
    fn values_with_a_sentence_left_out() {
        let mut graph = Graph::<f64>::new();
        let sentences = graph.indices(1);
        let normal = Initial::Normal { std: 1.0 };
        let [a, b] = ["a", "b"].map(|name| {
            let table = graph.parameter(Parameter::matrix(name, [3, 4], normal));
            graph.embedding(sentences, table, None)
        });
        let weights = graph.weights(1);
        let loss = graph.contrastive(a, b, weights, 0.25);
        graph.output(loss, 0..1);
        let mut team = Team::new(1);
        let mut program = Program::compile(&graph, 3, Mode::Training, ProductPrecision::Full, 1);
        program.indices_mut(sentences)[..3].copy_from_slice(&[0, 1, 2]);
        let weight = [0.5, 0.0, 2.0];
        program.weights_mut(weights)[..3].copy_from_slice(&weight);
        let mut parameters = Parameters::initial(&graph, 5);
        let mut gradients = Gradients::zeros(&parameters);
        let noise = Noise { seed: 0, step: 0 };
        program.gradients(&parameters, &mut gradients, noise, &mut team);
        let found: f64 = program.output(0).lanes(0, 0).iter().sum();
        let tables: Vec<Vec<f64>> = parameters.iter().map(|(_, table)| table.to_vec()).collect();
        let of = |i: usize, j: usize| -> f64 {
            let (a, b) = (&tables[0][i * 4..i * 4 + 4], &tables[1][j * 4..j * 4 + 4]);
            let inner = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
            inner(a, b) / (inner(a, a) * inner(b, b)).sqrt() / 0.25
        };
        let (mut expected, taken) = (0.0, [0, 2]);
        for i in taken {
            let row: f64 = taken.iter().map(|j| of(i, *j).exp()).sum();
            let column: f64 = taken.iter().map(|j| of(*j, i).exp()).sum();
            expected += weight[i] * (0.5 * (row.ln() + column.ln()) - of(i, i));
        }
        assert!((found - expected).abs() < 1e-13, "{found} instead of {expected}");
        for (_, gradient) in gradients.iter() {
            assert!(gradient[4..8].iter().all(|d| *d == 0.0) && gradient[0] != 0.0);
        }
        // A zero value has no gradient, and the gradients of others stay finite.
        parameters.values_mut(0)[..4].fill(0.0);
        program.gradients(&parameters, &mut gradients, noise, &mut team);
        let (_, gradient) = gradients.iter().next().unwrap();
        assert!(gradient[..4].iter().all(|d| *d == 0.0) && gradient.iter().all(|d| d.is_finite()));
    }
}
