//! Attention over a few positions.
//!
//! Examples have two to ten tokens, too few for matrix products to pay: each score is a sum over
//! the features of a head, for all examples of the batch at once.

pub(in crate::ops) mod kernels;

use std::ops::Range;

use self::kernels::{Sizes, attend, key_gradient, query_gradient, score_gradient, value_gradient};
use crate::extent::{Extents, numbers};
use crate::graph::{Graph, Shape};
use crate::handle::{Value, Weights};
use crate::lower::{Area, Lowering, NotLowered, Put, kernel};
use crate::operation::{Context, Operation, compiled};
use crate::random::{DROPOUT_BLOCK, dropout_factors, dropout_threshold};
use crate::scalar::Scalar;

/// The positions that a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sees {
    /// Its own and those before it: a decoder.
    Past,
    /// All: an encoder.
    All,
}

struct Attention {
    heads: usize,
    sees: Sees,
    /// The weight input that masks keys (the padding mask).
    mask: Option<usize>,
    /// Positions of the queries, and of the keys.
    positions: [usize; 2],
    threshold: u32,
    stream: u32,
}

impl<T: Scalar> Graph<T> {
    /// Causal attention: [`attention_over`](Graph::attention_over) the past, with nothing masked.
    ///
    /// # Panics
    /// As that.
    pub fn attention(&mut self, qkv: [Value; 3], heads: usize, dropout: f64) -> Value {
        self.attention_over(qkv, heads, Sees::Past, None, dropout)
    }

    /// `softmax(qᵀk / √d) v` in each of `heads` heads of d features; dropout acts on the
    /// probabilities. With a `padding_mask`, only positions where it is above zero count (1 for
    /// tokens, 0 for padding); a query that sees none gets zeros. There may be more keys and values
    /// than queries: the queries are then those of the last positions.
    ///
    /// # Panics
    /// If the shapes do not fit, the heads do not divide the features, or `padding_mask` has fewer
    /// positions than the keys.
    pub fn attention_over(
        &mut self,
        [q, k, v]: [Value; 3],
        heads: usize,
        sees: Sees,
        padding_mask: Option<Weights>,
        dropout: f64,
    ) -> Value {
        let [shape, keys] = self.attention_shapes([q, k, v], heads, padding_mask);
        let (threshold, stream) = (dropout_threshold(dropout), self.next_stream());
        let mask = padding_mask.map(|mask| self.weight_input(mask).0);
        let positions = [shape.positions, keys.positions];
        let operation = Attention { heads, sees, mask, positions, threshold, stream };
        self.push(operation, vec![q, k, v], vec![], shape)
    }

    /// The shape of the queries, which is also that of the output, and that of keys and values.
    ///
    /// # Panics
    /// As [`Graph::attention_over`].
    pub(super) fn attention_shapes(
        &self,
        [q, k, v]: [Value; 3],
        heads: usize,
        padding_mask: Option<Weights>,
    ) -> [Shape; 2] {
        let [queries, keys] = [q, k].map(|value| self.shape(value));
        assert!(keys == self.shape(v), "keys and values have one shape");
        let fit = queries.features == keys.features && queries.positions <= keys.positions;
        assert!(fit, "q has the shape {queries:?}, and k {keys:?}");
        let features = keys.features;
        assert!(features.is_multiple_of(heads), "{heads} heads, {features} features");
        let masked = padding_mask.map_or(keys.positions, |mask| self.weight_input(mask).1);
        assert!(masked >= keys.positions, "{masked} positions of a mask for {}", keys.positions);
        [queries, keys]
    }
}

impl Sees {
    /// The keys that queries at these positions see. `of` are the positions of all queries, and of
    /// all keys.
    pub(super) fn keys(self, queries: Range<usize>, of: [usize; 2]) -> Range<usize> {
        match self {
            Sees::Past => 0..queries.end + of[1] - of[0],
            Sees::All => 0..of[1],
        }
    }
}

impl Attention {
    fn sizes<T: Scalar>(&self, at: &Context<'_, T>) -> Sizes {
        Sizes {
            width: at.plan.output.value.rows / self.heads,
            sees: self.sees,
            queries: at.output_positions().len(),
            keys: at.input_positions(1).len(),
            lanes: at.lanes,
        }
    }

    /// The probabilities in the memory that it keeps; a device computes dropout's factors again.
    fn probabilities(&self, at: &Lowering<'_>) -> Area {
        let mut saved = at.saved();
        saved.place.rows = self.heads * at.output_positions().len() * at.input_positions(1).len();
        saved
    }

    /// The heads of one worker, so many at a time that random draws fill whole blocks.
    fn share<T: Scalar>(&self, at: &Context<'_, T>, sizes: Sizes) -> Range<usize> {
        let per_head = sizes.queries * sizes.keys * sizes.lanes;
        let mut unit = 1;
        while self.threshold > 0 && !(unit * per_head).is_multiple_of(DROPOUT_BLOCK) {
            unit += 1;
        }
        at.worker.share(self.heads, unit)
    }
}

compiled!(Attention);

impl<T: Scalar> Operation<T> for Attention {
    fn positions_needed(&self, input: usize, output: Range<usize>) -> Range<usize> {
        if input == 0 { output } else { self.sees.keys(output, self.positions) }
    }

    fn reads_input(&self, _input: usize) -> bool {
        true
    }

    /// The probabilities, `[heads · queries · keys, lanes]`, and below them dropout's factors.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        let (queries, keys) = (extents.output.positions.len(), extents.inputs[1].positions.len());
        let kinds = if self.threshold > 0 { 2 } else { 1 };
        (numbers(&[kinds, self.heads, queries, keys]), extents.lanes)
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
            // Rows of `saved` are contiguous.
            let out = saved.rows_mut(start..start + heads.len() * rows);
            dropout_factors(at.isa, at.noise, self.stream, self.threshold, first, out);
            self.heads * rows
        });
        let mask = self.mask.map(|mask| at.weights(mask, 0..sizes.keys));
        let qkv = [0, 1, 2].map(|i| at.input(i));
        for head in heads {
            attend(at.isa, sizes, head, qkv, at.saved(), factors, mask, at.output());
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

    fn lower_forward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let (y, saved) = (at.output(), Put::over(self.probabilities(at)));
        let [q, k, v] = [0, 1, 2].map(|i| at.input(i));
        let [queries, keys] = [at.output_positions().len(), at.input_positions(1).len()];
        let [threshold, stream] = at.dropout(self.threshold, self.stream);
        at.push_with_noise(kernel::Attention {
            q,
            k,
            v,
            mask: self.mask.map(|mask| at.weights(mask, 0..keys)),
            y,
            saved,
            heads: self.heads.into(),
            width: (y.area.place.rows / self.heads).into(),
            queries: queries.into(),
            keys: keys.into(),
            lanes: at.lanes.into(),
            causal: usize::from(self.sees == Sees::Past).into(),
            stream,
            threshold,
        });
        Ok(())
    }

    fn lower_backward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let (dy, saved) = (at.d_output(), self.probabilities(at));
        let [q, k, v] = [0, 1, 2].map(|i| at.input(i));
        let [dq, dk, dv] = [0, 1, 2].map(|i| at.d_input(i));
        let start = |put: &Option<Put>| put.map(|put| put.area.place.start);
        let starts = [&dq, &dk, &dv].map(start);
        let shared = (0..3).any(|i| starts[i].is_some() && starts[..i].contains(&starts[i]));
        if shared {
            let what = "Attention whose queries, keys and values are not three values";
            return Err(NotLowered::new(what));
        }
        let [queries, keys] = [at.output_positions().len(), at.input_positions(1).len()];
        if queries * keys > kernel::ATTENTION_PAIRS {
            let what = format!("training with attention over {queries} × {keys} positions");
            return Err(NotLowered::new(what));
        }
        let [threshold, stream] = at.dropout(self.threshold, self.stream);
        at.push_with_noise(kernel::AttentionGradient {
            q,
            k,
            v,
            dy,
            saved,
            dq,
            dk,
            dv,
            heads: self.heads.into(),
            width: (dy.place.rows / self.heads).into(),
            queries: queries.into(),
            keys: keys.into(),
            lanes: at.lanes.into(),
            causal: usize::from(self.sees == Sees::Past).into(),
            stream,
            threshold,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Sees;
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::handle::Value;
    use crate::ops::Orientation;
    use crate::parameter::{Initial, Parameter};
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    /// Queries, keys and values as random maps of `x`.
    fn heads_of(graph: &mut Graph<f64>, x: Value, features: usize) -> [Value; 3] {
        let normal = Initial::Normal { std: 1.0 };
        ["q", "k", "v"].map(|name| {
            let w = Parameter::matrix(name, [features, features], normal);
            let w = graph.parameter(w);
            graph.linear_whole(x, w, Orientation::InputsFirst, None)
        })
    }

    #[test]
    fn gradient() {
        let shapes = [(2, 1, 1, 1, 0), (6, 2, 2, 16, 0), (6, 3, 3, 18, 1), (8, 2, 5, 3, 3)];
        for (features, heads, positions, batch, first) in shapes {
            for dropout in [0.0, 0.25] {
                for (sees, masked) in
                    [(Sees::Past, false), (Sees::Past, true), (Sees::All, false), (Sees::All, true)]
                {
                    let mut graph = Graph::<f64>::new();
                    let padding_mask = masked.then(|| graph.weights(positions));
                    let x = with_stem(&mut graph, features, positions);
                    let qkv = heads_of(&mut graph, x, features);
                    let y = graph.attention_over(qkv, heads, sees, padding_mask, dropout);
                    with_head(&mut graph, y, 4, first..positions);
                    assert_gradients(&graph, batch);
                }
            }
        }
    }

    /// Keys and values may be those of earlier positions too.
    #[test]
    fn gradient_of_late_queries() {
        for (late, scored) in [(&[3][..], 0..1), (&[2, 3], 0..2), (&[1, 2, 3], 1..3)] {
            for (sees, masked) in [(Sees::Past, false), (Sees::Past, true), (Sees::All, true)] {
                let mut graph = Graph::<f64>::new();
                let padding_mask = masked.then(|| graph.weights(4));
                let x = with_stem(&mut graph, 6, 4);
                let [q, k, v] = heads_of(&mut graph, x, 6);
                let q = graph.select(q, late);
                let y = graph.attention_over([q, k, v], 2, sees, padding_mask, 0.0);
                with_head(&mut graph, y, 4, scored.clone());
                assert_gradients(&graph, 3);
            }
        }
    }

    /// The last queries alone find what they find among all.
    #[test]
    fn late_queries_see_the_same_keys() {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 4, 5);
        let [q, k, v] = heads_of(&mut graph, x, 4);
        let late = graph.select(q, &[3, 4]);
        for (queries, positions) in [(q, 3..5), (late, 0..2)] {
            let y = graph.attention([queries, k, v], 2, 0.0);
            graph.output(y, positions);
        }
        let mut program = Program::compile(&graph, 3, Mode::Inference, ProductPrecision::Full, 1);
        let parameters = Parameters::initial(&graph, 7);
        program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
        let [all, late] = [0, 1].map(|i| program.output(i));
        for (f, p) in (0..4).flat_map(|f| [0, 1].map(|p| (f, p))) {
            assert_eq!(all.lanes(f, p), late.lanes(f, p));
        }
    }

    /// Example 0 sees all, example 1 all but its last position, whatever its token; example 2 sees
    /// nothing and gets zeros.
    #[test]
    fn masked_keys_have_no_say() {
        let mut graph = Graph::<f64>::new();
        let tokens = graph.indices(3);
        let padding_mask = graph.weights(3);
        let normal = Initial::Normal { std: 1.0 };
        let table = graph.parameter(Parameter::matrix("table", [5, 4], normal));
        let x = graph.embedding(tokens, table, None);
        let qkv = heads_of(&mut graph, x, 4);
        let masked = graph.attention_over(qkv, 2, Sees::All, Some(padding_mask), 0.0);
        let short = qkv.map(|x| graph.select(x, &[0, 1]));
        let short = graph.attention_over(short, 2, Sees::All, None, 0.0);
        let whole = graph.attention_over(qkv, 2, Sees::All, None, 0.0);
        for value in [masked, whole] {
            graph.output(value, 0..3);
        }
        graph.output(short, 0..2);
        let mut program = Program::compile(&graph, 3, Mode::Inference, ProductPrecision::Full, 1);
        for (i, token) in program.indices_mut(tokens).iter_mut().enumerate() {
            *token = (i * 3 % 5) as u32;
        }
        for p in 0..3 {
            let seen = [1.0, if p < 2 { 1.0 } else { 0.0 }, 0.0];
            program.weights_mut(padding_mask)[p * 16..p * 16 + 3].copy_from_slice(&seen);
        }
        let parameters = Parameters::initial(&graph, 7);
        program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
        let [masked, whole, short] = [0, 1, 2].map(|i| program.output(i));
        for (f, p) in (0..4).flat_map(|f| [0, 1].map(|p| (f, p))) {
            let found = masked.lanes(f, p);
            assert_eq!(found[0], whole.lanes(f, p)[0]);
            assert_eq!(found[1], short.lanes(f, p)[1]);
            assert!(found[1] != whole.lanes(f, p)[1], "the last position has no say in any case");
            assert!(found[2..].iter().all(|x| *x == 0.0));
        }
    }
}
