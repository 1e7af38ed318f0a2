//! Attention without a softmax: scores are inner products of positive features.
//!
//! The result is that of linear attention, but it is computed from the scores: over a few positions
//! they are fewer numbers than the recurrent state.

use std::ops::Range;

use crate::extent::{Extents, numbers};
use crate::graph::Graph;
use crate::handle::{Value, Weights};
use crate::isa::for_every_isa;
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::operation::{Context, Operation, compiled};
use crate::ops::attention::kernels::{Sizes, value_gradient};
use crate::ops::{SUM_LANES, Sees, WIDE, lanes, lanes_mut, put};
use crate::scalar::Scalar;

struct LinearAttention {
    heads: usize,
    sees: Sees,
    mask: Option<usize>,
    positions: usize,
}

impl<T: Scalar> Graph<T> {
    /// `y_i = Σ_j s_ij v_j / Σ_j s_ij` with `s_ij = φ(q_i)ᵀ φ(k_j)` and `φ(x) = elu(x) + 1`, in
    /// each of `heads` heads (Katharopoulos et al., 2020). What a query sees is as in
    /// [`attention_over`](Graph::attention_over).
    ///
    /// # Panics
    /// As that, or if there are more keys than queries.
    pub fn linear_attention(
        &mut self,
        qkv: [Value; 3],
        heads: usize,
        sees: Sees,
        padding_mask: Option<Weights>,
    ) -> Value {
        let [shape, keys] = self.attention_shapes(qkv, heads, padding_mask);
        assert!(shape == keys, "q, k and v have one shape");
        let mask = padding_mask.map(|mask| self.weight_input(mask).0);
        let positions = shape.positions;
        self.push(LinearAttention { heads, sees, mask, positions }, qkv.to_vec(), vec![], shape)
    }
}

/// Offsets of the saved parts, in rows of `lanes` numbers; the normalised scores come first.
#[derive(Clone, Copy)]
struct Rows {
    /// The inverse of each query's sum of scores.
    inverses: usize,
    queries: usize,
    keys: usize,
    end: usize,
}

impl Rows {
    fn new(features: usize, heads: usize, queries: usize, keys: usize) -> Rows {
        let inverses = heads * queries * keys;
        let first = inverses + heads * queries;
        let second = first + features * queries;
        Rows { inverses, queries: first, keys: second, end: second + features * keys }
    }
}

impl LinearAttention {
    fn sizes<T: Scalar>(&self, at: &Context<'_, T>) -> (Sizes, Rows) {
        let features = at.plan.output.value.rows;
        let (queries, keys) = (at.output_positions().len(), at.input_positions(1).len());
        let width = features / self.heads;
        let sizes = Sizes { width, sees: self.sees, queries, keys, lanes: at.lanes };
        (sizes, Rows::new(features, self.heads, queries, keys))
    }

    fn forward_lanes<T: Scalar, const W: usize>(&self, at: &Context<'_, T>) {
        let (s, rows) = self.sizes(at);
        let mask = self.mask.map(|mask| at.weights(mask, 0..s.keys));
        for head in at.worker.share(self.heads, 1) {
            for (input, first, positions) in [(0, rows.queries, s.queries), (1, rows.keys, s.keys)]
            {
                let mut saved = at.saved();
                for f in head * s.width..(head + 1) * s.width {
                    let start = first + f * positions;
                    map(at.isa, at.input(input).row(f), saved.rows_mut(start..start + positions));
                }
            }
            attend::<T, W>(at.isa, s, rows, head, at.input(2), mask, at.saved(), at.output());
        }
    }

    fn backward_lanes<T: Scalar, const W: usize>(&self, at: &Context<'_, T>) {
        let (s, rows) = self.sizes(at);
        let mask = self.mask.map(|mask| at.weights(mask, 0..s.keys));
        let (dy, kept, scores) = (at.d_output(), at.kept(), at.scratch());
        for head in at.worker.share(self.heads, 1) {
            score_gradient::<T, W>(at.isa, s, rows, head, at.input(2), dy, mask, kept, scores);
            if let Some(target) = at.d_input(0) {
                query_gradient::<T, W>(at.isa, s, rows, head, kept, scores, target);
            }
            if let Some(target) = at.d_input(1) {
                key_gradient::<T, W>(at.isa, s, rows, head, kept, scores, target);
            }
            if let Some(target) = at.d_input(2) {
                value_gradient(at.isa, s, head, dy, kept, None, target);
            }
        }
    }
}

compiled!(LinearAttention);

impl<T: Scalar> Operation<T> for LinearAttention {
    fn positions_needed(&self, input: usize, output: Range<usize>) -> Range<usize> {
        if input == 0 { output } else { self.sees.keys(output, [self.positions; 2]) }
    }

    /// The features of queries and keys are kept.
    fn reads_input(&self, input: usize) -> bool {
        input == 2
    }

    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        let (queries, keys) = (extents.output.positions.len(), extents.inputs[1].positions.len());
        numbers(&[self.heads, queries, keys]);
        (Rows::new(extents.output.features, self.heads, queries, keys).end, extents.lanes)
    }

    /// The gradients of one head's scores.
    fn scratch(&self, extents: &Extents<'_>) -> usize {
        let (queries, keys) = (extents.output.positions.len(), extents.inputs[1].positions.len());
        numbers(&[queries, keys, extents.lanes])
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        let pairs = extents.columns() * extents.inputs[1].positions.len();
        4 * (extents.output.features * pairs) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        match at.lanes.is_multiple_of(WIDE) {
            true => self.forward_lanes::<T, WIDE>(at),
            false => self.forward_lanes::<T, SUM_LANES>(at),
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        match at.lanes.is_multiple_of(WIDE) {
            true => self.backward_lanes::<T, WIDE>(at),
            false => self.backward_lanes::<T, SUM_LANES>(at),
        }
    }
}

/// The slope of φ, from its value: eˣ below zero and 1 above it.
#[inline(always)]
fn slope<T: Scalar>(feature: T) -> T {
    if feature < T::ONE { feature } else { T::ONE }
}

for_every_isa! {
    /// `φ(x) = eˣ` below zero and `x + 1` above it.
    fn map<T>(x: &[T], out: &mut [T]) {
        for (x, out) in x.iter().zip(out) {
            let power = (*x).exp::<FUSED>();
            *out = if *x > T::ZERO { *x + T::ONE } else { power };
        }
    }

    /// The scores of one head, normalised to sum to 1, and the output.
    fn attend<T, const W: usize>(
        s: Sizes, rows: Rows, head: usize, v: Matrix<'_, T>, mask: Option<&[T]>,
        saved: MatrixMut<'_, T>, out: MatrixMut<'_, T>,
    ) {
        let (mut saved, mut out) = (saved, out);
        let features = head * s.width..(head + 1) * s.width;
        let base = head * s.queries * s.keys;
        for i in 0..s.queries {
            for first in (0..s.lanes).step_by(W) {
                let range = first..first + W;
                let mut total = [T::ZERO; W];
                for j in s.seen(i) {
                    let mut score = [T::ZERO; W];
                    for f in features.clone() {
                        let q = *lanes::<T, W>(saved.row_mut(rows.queries + f * s.queries + i), first);
                        let k = lanes::<T, W>(saved.row_mut(rows.keys + f * s.keys + j), first);
                        for l in 0..W {
                            score[l] = q[l].fused::<FUSED>(k[l], score[l]);
                        }
                    }
                    if let Some(mask) = mask.map(|mask| lanes::<T, W>(mask, s.at(j, first))) {
                        for l in 0..W {
                            score[l] = if mask[l] > T::ZERO { score[l] } else { T::ZERO };
                        }
                    }
                    for l in 0..W {
                        total[l] += score[l];
                    }
                    *lanes_mut(saved.part_mut(base + s.row(i, j), range.clone())) = score;
                }
                let mut inverse = [T::ZERO; W];
                for l in 0..W {
                    let inverted = T::ONE / total[l];
                    inverse[l] = if total[l] > T::ZERO { inverted } else { T::ZERO };
                }
                let inverses = rows.inverses + head * s.queries + i;
                *lanes_mut(saved.part_mut(inverses, range.clone())) = inverse;
                for f in features.clone() {
                    out.part_mut(f, s.range::<W>(i, first)).fill(T::ZERO);
                }
                for j in s.seen(i) {
                    let p = lanes_mut::<T, W>(saved.part_mut(base + s.row(i, j), range.clone()));
                    for l in 0..W {
                        p[l] *= inverse[l];
                    }
                    for f in features.clone() {
                        let v = lanes::<T, W>(v.row(f), s.at(j, first));
                        let out = lanes_mut::<T, W>(out.part_mut(f, s.range::<W>(i, first)));
                        for l in 0..W {
                            out[l] = p[l].fused::<FUSED>(v[l], out[l]);
                        }
                    }
                }
            }
        }
    }

    /// `ds_ij = (dp_ij − Σ_j p_ij dp_ij) / Σ_j s_ij` for normalised scores p,
    /// `dp_ij = Σ_f dy_i v_j`.
    fn score_gradient<T, const W: usize>(
        s: Sizes, rows: Rows, head: usize, v: Matrix<'_, T>, dy: Matrix<'_, T>,
        mask: Option<&[T]>, kept: Matrix<'_, T>, scores: &mut [T],
    ) {
        let features = head * s.width..(head + 1) * s.width;
        let base = head * s.queries * s.keys;
        for i in 0..s.queries {
            for first in (0..s.lanes).step_by(W) {
                let mut mean = [T::ZERO; W];
                for j in s.seen(i) {
                    let mut dp = [T::ZERO; W];
                    for f in features.clone() {
                        let dy = lanes::<T, W>(dy.row(f), s.at(i, first));
                        let v = lanes::<T, W>(v.row(f), s.at(j, first));
                        for l in 0..W {
                            dp[l] = dy[l].fused::<FUSED>(v[l], dp[l]);
                        }
                    }
                    let p = lanes::<T, W>(kept.row(base + s.row(i, j)), first);
                    for l in 0..W {
                        mean[l] = p[l].fused::<FUSED>(dp[l], mean[l]);
                    }
                    *lanes_mut(&mut scores[s.range::<W>(s.row(i, j), first)]) = dp;
                }
                let inverse = lanes::<T, W>(kept.row(rows.inverses + head * s.queries + i), first);
                for j in s.seen(i) {
                    let ds = lanes_mut::<T, W>(&mut scores[s.range::<W>(s.row(i, j), first)]);
                    for l in 0..W {
                        ds[l] = (ds[l] - mean[l]) * inverse[l];
                    }
                    if let Some(mask) = mask.map(|mask| lanes::<T, W>(mask, s.at(j, first))) {
                        for l in 0..W {
                            ds[l] = if mask[l] > T::ZERO { ds[l] } else { T::ZERO };
                        }
                    }
                }
            }
        }
    }

    /// `dq_i = φ'(q_i) ⊙ Σ_j ds_ij φ(k_j)`.
    fn query_gradient<T, const W: usize>(
        s: Sizes, rows: Rows, head: usize, kept: Matrix<'_, T>, scores: &[T], target: GradientTarget<'_, T>,
    ) {
        let GradientTarget { matrix: mut dq, accumulate } = target;
        for f in head * s.width..(head + 1) * s.width {
            for i in 0..s.queries {
                for first in (0..s.lanes).step_by(W) {
                    let mut sum = [T::ZERO; W];
                    for j in s.seen(i) {
                        let k = lanes::<T, W>(kept.row(rows.keys + f * s.keys + j), first);
                        let ds = lanes::<T, W>(scores, s.at(s.row(i, j), first));
                        for l in 0..W {
                            sum[l] = ds[l].fused::<FUSED>(k[l], sum[l]);
                        }
                    }
                    let q = lanes::<T, W>(kept.row(rows.queries + f * s.queries + i), first);
                    let out = lanes_mut::<T, W>(dq.part_mut(f, s.range::<W>(i, first)));
                    for l in 0..W {
                        put(&mut out[l], sum[l] * slope(q[l]), accumulate);
                    }
                }
            }
        }
    }

    /// `dk_j = φ'(k_j) ⊙ Σ_i ds_ij φ(q_i)`, over the queries that see it.
    fn key_gradient<T, const W: usize>(
        s: Sizes, rows: Rows, head: usize, kept: Matrix<'_, T>, scores: &[T], target: GradientTarget<'_, T>,
    ) {
        let GradientTarget { matrix: mut dk, accumulate } = target;
        for f in head * s.width..(head + 1) * s.width {
            for j in 0..s.keys {
                for first in (0..s.lanes).step_by(W) {
                    let mut sum = [T::ZERO; W];
                    for i in s.first_to_see(j)..s.queries {
                        let q = lanes::<T, W>(kept.row(rows.queries + f * s.queries + i), first);
                        let ds = lanes::<T, W>(scores, s.at(s.row(i, j), first));
                        for l in 0..W {
                            sum[l] = ds[l].fused::<FUSED>(q[l], sum[l]);
                        }
                    }
                    let k = lanes::<T, W>(kept.row(rows.keys + f * s.keys + j), first);
                    let out = lanes_mut::<T, W>(dk.part_mut(f, s.range::<W>(j, first)));
                    for l in 0..W {
                        put(&mut out[l], sum[l] * slope(k[l]), accumulate);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::ops::{Orientation, Sees};
    use crate::parameter::{Initial, Parameter};
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    #[test]
    fn gradient() {
        let shapes = [(2, 1, 1, 1, 0), (2, 1, 2, 64, 1), (6, 3, 3, 18, 1), (8, 2, 5, 3, 3)];
        for (features, heads, positions, batch, first) in shapes {
            for (sees, masked) in
                [(Sees::Past, false), (Sees::Past, true), (Sees::All, false), (Sees::All, true)]
            {
                let mut graph = Graph::<f64>::new();
                let keys = masked.then(|| graph.weights(positions));
                let x = with_stem(&mut graph, features, positions);
                let normal = Initial::Normal { std: 1.0 };
                let qkv = ["q", "k", "v"].map(|name| {
                    let w = Parameter::matrix(name, [features, features], normal);
                    let w = graph.parameter(w);
                    graph.linear_whole(x, w, Orientation::InputsFirst, None)
                });
                let y = graph.linear_attention(qkv, heads, sees, keys);
                with_head(&mut graph, y, 4, first..positions);
                assert_gradients(&graph, batch);
            }
        }
    }

    /// One feature: `Σ φ(q) φ(k_j) v_j / Σ φ(q) φ(k_j)`, where φ(q) cancels, over the positions
    /// that each query sees.
    #[test]
    fn one_feature_is_a_weighted_mean() {
        let given = [-1.5, 0.5, 2.0];
        let feature = |x: f64| if x > 0.0 { x + 1.0 } else { x.exp() };
        for (sees, masked) in [(Sees::Past, false), (Sees::All, false), (Sees::All, true)] {
            let mut graph = Graph::<f64>::new();
            let tokens = graph.indices(3);
            let keys = graph.weights(3);
            let zero = Initial::Constant(0.0);
            let table = graph.parameter(Parameter::matrix("table", [3, 1], zero));
            let x = graph.embedding(tokens, table, None);
            let y = graph.linear_attention([x, x, x], 1, sees, masked.then_some(keys));
            graph.output(y, 0..3);
            let mut parameters = Parameters::zeros(&graph);
            parameters.values_mut(0).copy_from_slice(&given);
            let precision = ProductPrecision::Full;
            let mut program = Program::compile(&graph, 1, Mode::Inference, precision, 1);
            for p in 0..3 {
                program.indices_mut(tokens)[p * 16] = p as u32;
                program.weights_mut(keys)[p * 16] = if p == 1 { 0.0 } else { 1.0 };
            }
            program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
            for p in 0..3 {
                let seen = given[..if sees == Sees::Past { p + 1 } else { 3 }].iter().enumerate();
                let seen: Vec<f64> =
                    seen.filter(|(j, _)| !masked || *j != 1).map(|(_, x)| *x).collect();
                let total: f64 = seen.iter().map(|x| feature(*x)).sum();
                let mean = seen.iter().map(|x| feature(*x) * x).sum::<f64>() / total;
                assert!((program.output(0).lanes(0, p)[0] - mean).abs() < 1e-14);
                // Zeros where all is masked.
                assert!(!masked || program.output(0).lanes(0, p)[1] == 0.0);
            }
        }
    }
}
