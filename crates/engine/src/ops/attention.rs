//! Causal self-attention over a few positions.
//!
//! Sentences here have two to ten tokens, so nothing is gained by matrix products: every score is a
//! sum over the features of a head, for all sentences of the batch side by side.

use std::ops::Range;

use crate::graph::{Graph, Value};
use crate::isa::for_every_isa;
use crate::matrix::{Matrix, MatrixMut, Target};
use crate::operation::{Context, Extents, Operation};
use crate::ops::{SUM_LANES, lanes, lanes_mut};
use crate::random::{DROPOUT_BLOCK, dropout_factors, dropout_threshold};
use crate::scalar::Scalar;

struct Attention {
    heads: usize,
    threshold: u32,
    stream: u32,
}

impl<T: Scalar> Graph<T> {
    /// `softmax(qᵀk / √d) v` in each of `heads` heads of d features; a position sees itself and
    /// those before it; dropout acts on the probabilities.
    ///
    /// # Panics
    /// If the shapes differ or the heads do not divide the features.
    pub fn attention(&mut self, [q, k, v]: [Value; 3], heads: usize, dropout: f64) -> Value {
        let shape = self.shape(q);
        assert!(shape == self.shape(k) && shape == self.shape(v), "q, k and v have one shape");
        assert!(shape.features.is_multiple_of(heads), "{heads} heads, {} features", shape.features);
        let (threshold, stream) = (dropout_threshold(dropout), self.next_stream());
        self.push(Attention { heads, threshold, stream }, vec![q, k, v], vec![], shape)
    }
}

/// The sizes of one run.
#[derive(Clone, Copy)]
struct Sizes {
    /// Features of a head.
    width: usize,
    /// Positions of the queries: the last ones of the keys'.
    queries: usize,
    keys: usize,
    lanes: usize,
}

impl Sizes {
    /// The keys that query number `i` sees.
    fn seen(&self, i: usize) -> Range<usize> {
        0..self.keys - self.queries + i + 1
    }

    /// The row of the probabilities of one query and key, counted from the head's first.
    fn row(&self, i: usize, j: usize) -> usize {
        i * self.keys + j
    }

    /// Where lane number `first` of a position stands in its row.
    fn at(&self, position: usize, first: usize) -> usize {
        position * self.lanes + first
    }

    /// The sixteen lanes from there on.
    fn range(&self, position: usize, first: usize) -> Range<usize> {
        let start = self.at(position, first);
        start..start + SUM_LANES
    }
}

impl Attention {
    fn sizes<T: Scalar>(&self, at: &Context<'_, T>) -> Sizes {
        Sizes {
            width: at.plan.output.value.rows / self.heads,
            queries: at.output_positions().len(),
            keys: at.input_positions(1).len(),
            lanes: at.lanes,
        }
    }

    /// The heads of one worker: so many at a time that random draws come in whole blocks.
    fn share<T: Scalar>(&self, at: &Context<'_, T>, sizes: Sizes) -> Range<usize> {
        let per_head = sizes.queries * sizes.keys * sizes.lanes;
        let mut unit = 1;
        while self.threshold > 0 && !(unit * per_head).is_multiple_of(DROPOUT_BLOCK) {
            unit += 1;
        }
        at.worker.share(self.heads, unit)
    }
}

impl<T: Scalar> Operation<T> for Attention {
    fn positions_needed(&self, input: usize, output: Range<usize>) -> Range<usize> {
        if input == 0 { output } else { 0..output.end }
    }

    fn reads_input(&self, _input: usize) -> bool {
        true
    }

    /// The probabilities, `[heads · queries · keys, lanes]`, and below them dropout's factors.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        let (queries, keys) = (extents.output.positions.len(), extents.inputs[1].positions.len());
        let kinds = if self.threshold > 0 { 2 } else { 1 };
        (kinds * self.heads * queries * keys, extents.lanes)
    }

    /// The gradients of one head's scores.
    fn scratch(&self, extents: &Extents<'_>) -> usize {
        extents.output.positions.len() * extents.inputs[1].positions.len() * extents.lanes
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        let pairs = extents.columns() * extents.inputs[1].positions.len();
        4 * (extents.output.features * pairs) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let sizes = self.sizes(at);
        let heads = self.share(at, sizes);
        if heads.is_empty() {
            return;
        }
        let rows = sizes.queries * sizes.keys;
        let mut saved = at.saved();
        let factors = (at.training && self.threshold > 0).then(|| {
            let first = heads.start * rows * sizes.lanes;
            let start = self.heads * rows + heads.start * rows;
            // Rows of `saved` lie one behind the other.
            let out = saved.rows_mut(start..start + heads.len() * rows);
            dropout_factors(at.isa, at.noise, self.stream, self.threshold, first, out);
            self.heads * rows
        });
        for head in heads {
            let (q, k, v) = (at.input(0), at.input(1), at.input(2));
            attend(at.isa, sizes, head, q, k, v, at.saved(), factors, at.output());
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let sizes = self.sizes(at);
        let rows = sizes.queries * sizes.keys;
        let factors = (at.training && self.threshold > 0).then_some(self.heads * rows);
        let scores = at.scratch();
        for head in self.share(at, sizes) {
            let (q, k, v, dy) = (at.input(0), at.input(1), at.input(2), at.d_output());
            score_gradient(at.isa, sizes, head, v, dy, at.kept(), factors, scores);
            if let Some(target) = at.d_input(0) {
                query_gradient(at.isa, sizes, head, k, scores, target);
            }
            if let Some(target) = at.d_input(1) {
                key_gradient(at.isa, sizes, head, q, scores, target);
            }
            if let Some(target) = at.d_input(2) {
                value_gradient(at.isa, sizes, head, dy, at.kept(), factors, target);
            }
        }
    }
}

for_every_isa! {
    /// Scores, probabilities and output of one head. `factors` is the row where those of dropout
    /// begin.
    fn attend<T>(
        s: Sizes, head: usize, q: Matrix<'_, T>, k: Matrix<'_, T>, v: Matrix<'_, T>,
        saved: MatrixMut<'_, T>, factors: Option<usize>, out: MatrixMut<'_, T>,
    ) {
        let mut saved = saved;
        let mut out = out;
        let scale = T::ONE / T::from_f64(s.width as f64).sqrt();
        let features = head * s.width..(head + 1) * s.width;
        let base = head * s.queries * s.keys;
        for i in 0..s.queries {
            for first in (0..s.lanes).step_by(SUM_LANES) {
                let range = first..first + SUM_LANES;
                let mut highest = [T::from_f64(f64::NEG_INFINITY); SUM_LANES];
                for j in s.seen(i) {
                    let mut score = [T::ZERO; SUM_LANES];
                    for f in features.clone() {
                        let (q, k) = (lanes(q.row(f), s.at(i, first)), lanes(k.row(f), s.at(j, first)));
                        for l in 0..SUM_LANES {
                            score[l] += q[l] * k[l];
                        }
                    }
                    for l in 0..SUM_LANES {
                        score[l] *= scale;
                        highest[l] = score[l].larger(highest[l]);
                    }
                    *lanes_mut(saved.part_mut(base + s.row(i, j), range.clone())) = score;
                }
                let mut total = [T::ZERO; SUM_LANES];
                for j in s.seen(i) {
                    let p = lanes_mut(saved.part_mut(base + s.row(i, j), range.clone()));
                    for l in 0..SUM_LANES {
                        p[l] = (p[l] - highest[l]).exp();
                        total[l] += p[l];
                    }
                }
                for j in s.seen(i) {
                    let p = lanes_mut(saved.part_mut(base + s.row(i, j), range.clone()));
                    for l in 0..SUM_LANES {
                        p[l] = p[l] / total[l];
                    }
                }
                for f in features.clone() {
                    let mut sum = [T::ZERO; SUM_LANES];
                    for j in s.seen(i) {
                        let v = lanes(v.row(f), s.at(j, first));
                        let factor = factors.map(|start| {
                            *lanes_mut(saved.part_mut(start + base + s.row(i, j), range.clone()))
                        });
                        let p = lanes_mut(saved.part_mut(base + s.row(i, j), range.clone()));
                        for l in 0..SUM_LANES {
                            let kept = factor.map_or(p[l], |factor| p[l] * factor[l]);
                            sum[l] += kept * v[l];
                        }
                    }
                    *lanes_mut(out.part_mut(f, s.range(i, first))) = sum;
                }
            }
        }
    }

    /// `ds = p · (dp − Σ p · dp)` with `dp = Σ_f dy · v`, through dropout and scale.
    fn score_gradient<T>(
        s: Sizes, head: usize, v: Matrix<'_, T>, dy: Matrix<'_, T>, kept: Matrix<'_, T>,
        factors: Option<usize>, scores: &mut [T],
    ) {
        let scale = T::ONE / T::from_f64(s.width as f64).sqrt();
        let features = head * s.width..(head + 1) * s.width;
        let base = head * s.queries * s.keys;
        for i in 0..s.queries {
            for first in (0..s.lanes).step_by(SUM_LANES) {
                let mut mean = [T::ZERO; SUM_LANES];
                for j in s.seen(i) {
                    let mut dp = [T::ZERO; SUM_LANES];
                    for f in features.clone() {
                        let (dy, v) = (lanes(dy.row(f), s.at(i, first)), lanes(v.row(f), s.at(j, first)));
                        for l in 0..SUM_LANES {
                            dp[l] += dy[l] * v[l];
                        }
                    }
                    if let Some(start) = factors {
                        let factor = lanes(kept.row(start + base + s.row(i, j)), first);
                        for l in 0..SUM_LANES {
                            dp[l] *= factor[l];
                        }
                    }
                    let p = lanes(kept.row(base + s.row(i, j)), first);
                    for l in 0..SUM_LANES {
                        mean[l] += p[l] * dp[l];
                    }
                    *lanes_mut(&mut scores[s.range(s.row(i, j), first)]) = dp;
                }
                for j in s.seen(i) {
                    let p = lanes(kept.row(base + s.row(i, j)), first);
                    let ds = lanes_mut(&mut scores[s.range(s.row(i, j), first)]);
                    for l in 0..SUM_LANES {
                        ds[l] = p[l] * (ds[l] - mean[l]) * scale;
                    }
                }
            }
        }
    }

    fn query_gradient<T>(
        s: Sizes, head: usize, k: Matrix<'_, T>, scores: &[T], target: Target<'_, T>,
    ) {
        let Target { matrix: mut dq, accumulate } = target;
        for f in head * s.width..(head + 1) * s.width {
            for i in 0..s.queries {
                for first in (0..s.lanes).step_by(SUM_LANES) {
                    let mut sum = [T::ZERO; SUM_LANES];
                    for j in s.seen(i) {
                        let (k, ds) = (lanes(k.row(f), s.at(j, first)), lanes(scores, s.at(s.row(i, j), first)));
                        for l in 0..SUM_LANES {
                            sum[l] += ds[l] * k[l];
                        }
                    }
                    let out = lanes_mut(dq.part_mut(f, s.range(i, first)));
                    for l in 0..SUM_LANES {
                        out[l] = if accumulate { out[l] + sum[l] } else { sum[l] };
                    }
                }
            }
        }
    }

    fn key_gradient<T>(
        s: Sizes, head: usize, q: Matrix<'_, T>, scores: &[T], target: Target<'_, T>,
    ) {
        let Target { matrix: mut dk, accumulate } = target;
        for f in head * s.width..(head + 1) * s.width {
            for j in 0..s.keys {
                for first in (0..s.lanes).step_by(SUM_LANES) {
                    let mut sum = [T::ZERO; SUM_LANES];
                    for i in (0..s.queries).filter(|i| s.seen(*i).contains(&j)) {
                        let (q, ds) = (lanes(q.row(f), s.at(i, first)), lanes(scores, s.at(s.row(i, j), first)));
                        for l in 0..SUM_LANES {
                            sum[l] += ds[l] * q[l];
                        }
                    }
                    let out = lanes_mut(dk.part_mut(f, s.range(j, first)));
                    for l in 0..SUM_LANES {
                        out[l] = if accumulate { out[l] + sum[l] } else { sum[l] };
                    }
                }
            }
        }
    }

    fn value_gradient<T>(
        s: Sizes, head: usize, dy: Matrix<'_, T>, kept: Matrix<'_, T>, factors: Option<usize>,
        target: Target<'_, T>,
    ) {
        let Target { matrix: mut dv, accumulate } = target;
        let base = head * s.queries * s.keys;
        for f in head * s.width..(head + 1) * s.width {
            for j in 0..s.keys {
                for first in (0..s.lanes).step_by(SUM_LANES) {
                        let mut sum = [T::ZERO; SUM_LANES];
                    for i in (0..s.queries).filter(|i| s.seen(*i).contains(&j)) {
                        let dy = lanes(dy.row(f), s.at(i, first));
                        let p = lanes(kept.row(base + s.row(i, j)), first);
                        let factor = factors.map(|start| {
                            lanes(kept.row(start + base + s.row(i, j)), first)
                        });
                        for l in 0..SUM_LANES {
                            let kept = factor.map_or(p[l], |factor| p[l] * factor[l]);
                            sum[l] += kept * dy[l];
                        }
                    }
                    let out = lanes_mut(dv.part_mut(f, s.range(j, first)));
                    for l in 0..SUM_LANES {
                        out[l] = if accumulate { out[l] + sum[l] } else { sum[l] };
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::{Graph, Initial, Parameter};
    use crate::ops::Orientation;

    #[test]
    fn gradient() {
        let shapes = [(2, 1, 1, 1, 0), (6, 2, 2, 16, 0), (6, 3, 3, 18, 1), (8, 2, 5, 3, 3)];
        for (features, heads, positions, batch, first) in shapes {
            for dropout in [0.0, 0.25] {
                let mut graph = Graph::<f64>::new();
                let x = with_stem(&mut graph, features, positions);
                let normal = Initial::Normal { std: 1.0 };
                let qkv = ["q", "k", "v"].map(|name| {
                    let w = Parameter::matrix(name, [features, features], normal);
                    let w = graph.parameter(w);
                    graph.linear_whole(x, w, Orientation::InputsFirst, None)
                });
                let y = graph.attention(qkv, heads, dropout);
                with_head(&mut graph, y, 4, first..positions);
                assert_gradients(&graph, batch);
            }
        }
    }
}
