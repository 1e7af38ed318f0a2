//! Causal self-attention over a few positions.
//!
//! Sentences here have two to ten tokens, so nothing is gained by matrix products: every score is a
//! sum over the features of a head, for all sentences of the batch side by side.

use std::ops::Range;

use crate::graph::{Graph, Value};
use crate::isa::for_every_isa;
use crate::matrix::{Matrix, MatrixMut, Target};
use crate::operation::{Context, Extents, Operation};
use crate::ops::{SUM_LANES, WIDE, lanes, lanes_mut};
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

    /// The `W` lanes from there on.
    fn range<const W: usize>(&self, position: usize, first: usize) -> Range<usize> {
        let start = self.at(position, first);
        start..start + W
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
        match at.lanes.is_multiple_of(WIDE) {
            true => self.attend_all::<T, WIDE>(at),
            false => self.attend_all::<T, SUM_LANES>(at),
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        match at.lanes.is_multiple_of(WIDE) {
            true => self.gradients::<T, WIDE>(at),
            false => self.gradients::<T, SUM_LANES>(at),
        }
    }
}

impl Attention {
    /// The forward pass, `W` lanes at a time.
    fn attend_all<T: Scalar, const W: usize>(&self, at: &Context<'_, T>) {
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
            attend::<T, W>(at.isa, sizes, head, q, k, v, at.saved(), factors, at.output());
        }
    }

    /// The backward pass, likewise.
    fn gradients<T: Scalar, const W: usize>(&self, at: &Context<'_, T>) {
        let sizes = self.sizes(at);
        let rows = sizes.queries * sizes.keys;
        let factors = (at.training && self.threshold > 0).then_some(self.heads * rows);
        let scores = at.scratch();
        for head in self.share(at, sizes) {
            let (q, k, v, dy) = (at.input(0), at.input(1), at.input(2), at.d_output());
            score_gradient::<T, W>(at.isa, sizes, head, v, dy, at.kept(), factors, scores);
            if let Some(target) = at.d_input(0) {
                query_gradient::<T, W>(at.isa, sizes, head, k, scores, target);
            }
            if let Some(target) = at.d_input(1) {
                key_gradient::<T, W>(at.isa, sizes, head, q, scores, target);
            }
            if let Some(target) = at.d_input(2) {
                value_gradient::<T, W>(at.isa, sizes, head, dy, at.kept(), factors, target);
            }
        }
    }
}

for_every_isa! {
    /// Scores, probabilities and output of one head. `factors` is the row where those of dropout
    /// begin.
    fn attend<T, const W: usize>(
        s: Sizes, head: usize, q: Matrix<'_, T>, k: Matrix<'_, T>, v: Matrix<'_, T>,
        saved: MatrixMut<'_, T>, factors: Option<usize>, out: MatrixMut<'_, T>,
    ) {
        let mut saved = saved;
        let mut out = out;
        let scale = T::ONE / T::from_f64(s.width as f64).sqrt();
        let features = head * s.width..(head + 1) * s.width;
        let base = head * s.queries * s.keys;
        for i in 0..s.queries {
            for first in (0..s.lanes).step_by(W) {
                let range = first..first + W;
                let mut highest = [T::from_f64(f64::NEG_INFINITY); W];
                for j in s.seen(i) {
                    let mut score = [T::ZERO; W];
                    for f in features.clone() {
                        let (q, k) = (lanes::<T, W>(q.row(f), s.at(i, first)), lanes::<T, W>(k.row(f), s.at(j, first)));
                        for l in 0..W {
                            score[l] = q[l].fused::<FUSED>(k[l], score[l]);
                        }
                    }
                    for l in 0..W {
                        score[l] *= scale;
                        highest[l] = score[l].larger(highest[l]);
                    }
                    *lanes_mut(saved.part_mut(base + s.row(i, j), range.clone())) = score;
                }
                let mut total = [T::ZERO; W];
                for j in s.seen(i) {
                    let p = lanes_mut::<T, W>(saved.part_mut(base + s.row(i, j), range.clone()));
                    for l in 0..W {
                        p[l] = (p[l] - highest[l]).exp::<FUSED>();
                        total[l] += p[l];
                    }
                }
                for j in s.seen(i) {
                    let p = lanes_mut::<T, W>(saved.part_mut(base + s.row(i, j), range.clone()));
                    for l in 0..W {
                        p[l] = p[l] / total[l];
                    }
                }
                for j in s.seen(i) {
                    let mut kept = *lanes::<T, W>(saved.row_mut(base + s.row(i, j)), first);
                    if let Some(start) = factors {
                        let factor = lanes::<T, W>(saved.row_mut(start + base + s.row(i, j)), first);
                        for l in 0..W {
                            kept[l] *= factor[l];
                        }
                    }
                    for f in features.clone() {
                        let v = lanes::<T, W>(v.row(f), s.at(j, first));
                        let out = lanes_mut::<T, W>(out.part_mut(f, s.range::<W>(i, first)));
                        for l in 0..W {
                            let before = if j == 0 { T::ZERO } else { out[l] };
                            out[l] = kept[l].fused::<FUSED>(v[l], before);
                        }
                    }
                }
            }
        }
    }

    /// `ds = p · (dp − Σ p · dp)` with `dp = Σ_f dy · v`, through dropout and scale.
    fn score_gradient<T, const W: usize>(
        s: Sizes, head: usize, v: Matrix<'_, T>, dy: Matrix<'_, T>, kept: Matrix<'_, T>,
        factors: Option<usize>, scores: &mut [T],
    ) {
        let scale = T::ONE / T::from_f64(s.width as f64).sqrt();
        let features = head * s.width..(head + 1) * s.width;
        let base = head * s.queries * s.keys;
        for i in 0..s.queries {
            for first in (0..s.lanes).step_by(W) {
                let mut mean = [T::ZERO; W];
                for j in s.seen(i) {
                    let mut dp = [T::ZERO; W];
                    for f in features.clone() {
                        let (dy, v) = (lanes::<T, W>(dy.row(f), s.at(i, first)), lanes::<T, W>(v.row(f), s.at(j, first)));
                        for l in 0..W {
                            dp[l] = dy[l].fused::<FUSED>(v[l], dp[l]);
                        }
                    }
                    if let Some(start) = factors {
                        let factor = lanes::<T, W>(kept.row(start + base + s.row(i, j)), first);
                        for l in 0..W {
                            dp[l] *= factor[l];
                        }
                    }
                    let p = lanes::<T, W>(kept.row(base + s.row(i, j)), first);
                    for l in 0..W {
                        mean[l] = p[l].fused::<FUSED>(dp[l], mean[l]);
                    }
                    *lanes_mut(&mut scores[s.range::<W>(s.row(i, j), first)]) = dp;
                }
                for j in s.seen(i) {
                    let p = lanes::<T, W>(kept.row(base + s.row(i, j)), first);
                    let ds = lanes_mut::<T, W>(&mut scores[s.range::<W>(s.row(i, j), first)]);
                    for l in 0..W {
                        ds[l] = p[l] * (ds[l] - mean[l]) * scale;
                    }
                }
            }
        }
    }

    fn query_gradient<T, const W: usize>(
        s: Sizes, head: usize, k: Matrix<'_, T>, scores: &[T], target: Target<'_, T>,
    ) {
        let Target { matrix: mut dq, accumulate } = target;
        for f in head * s.width..(head + 1) * s.width {
            for i in 0..s.queries {
                for first in (0..s.lanes).step_by(W) {
                    let mut sum = [T::ZERO; W];
                    for j in s.seen(i) {
                        let (k, ds) = (lanes::<T, W>(k.row(f), s.at(j, first)), lanes::<T, W>(scores, s.at(s.row(i, j), first)));
                        for l in 0..W {
                            sum[l] = ds[l].fused::<FUSED>(k[l], sum[l]);
                        }
                    }
                    let out = lanes_mut::<T, W>(dq.part_mut(f, s.range::<W>(i, first)));
                    for l in 0..W {
                        out[l] = if accumulate { out[l] + sum[l] } else { sum[l] };
                    }
                }
            }
        }
    }

    fn key_gradient<T, const W: usize>(
        s: Sizes, head: usize, q: Matrix<'_, T>, scores: &[T], target: Target<'_, T>,
    ) {
        let Target { matrix: mut dk, accumulate } = target;
        for f in head * s.width..(head + 1) * s.width {
            for j in 0..s.keys {
                for first in (0..s.lanes).step_by(W) {
                    let mut sum = [T::ZERO; W];
                    for i in (0..s.queries).filter(|i| s.seen(*i).contains(&j)) {
                        let (q, ds) = (lanes::<T, W>(q.row(f), s.at(i, first)), lanes::<T, W>(scores, s.at(s.row(i, j), first)));
                        for l in 0..W {
                            sum[l] = ds[l].fused::<FUSED>(q[l], sum[l]);
                        }
                    }
                    let out = lanes_mut::<T, W>(dk.part_mut(f, s.range::<W>(j, first)));
                    for l in 0..W {
                        out[l] = if accumulate { out[l] + sum[l] } else { sum[l] };
                    }
                }
            }
        }
    }

    fn value_gradient<T, const W: usize>(
        s: Sizes, head: usize, dy: Matrix<'_, T>, kept: Matrix<'_, T>, factors: Option<usize>,
        target: Target<'_, T>,
    ) {
        let Target { matrix: mut dv, accumulate } = target;
        let base = head * s.queries * s.keys;
        for first in (0..s.lanes).step_by(W) {
            for j in 0..s.keys {
                // The first query that sees this key begins the sum.
                let begin = (j + s.queries).saturating_sub(s.keys);
                for i in begin..s.queries {
                    let mut p = *lanes::<T, W>(kept.row(base + s.row(i, j)), first);
                    if let Some(start) = factors {
                        let factor = lanes::<T, W>(kept.row(start + base + s.row(i, j)), first);
                        for l in 0..W {
                            p[l] *= factor[l];
                        }
                    }
                    let add = accumulate || i > begin;
                    for f in head * s.width..(head + 1) * s.width {
                        let dy = lanes::<T, W>(dy.row(f), s.at(i, first));
                        let out = lanes_mut::<T, W>(dv.part_mut(f, s.range::<W>(j, first)));
                        for l in 0..W {
                            let before = if add { out[l] } else { T::ZERO };
                            out[l] = p[l].fused::<FUSED>(dy[l], before);
                        }
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
