//! A symmetry penalty on logits: the logit of b given a should equal the logit of a given b.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{Indices, Value, Weights};
use crate::isa::for_every_isa;
use crate::lanes::SUM_LANES;
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::operation::{Context, Operation, compiled};
use crate::scalar::Scalar;

struct Symmetry {
    tokens: [usize; 2],
    weights: usize,
    strength: f64,
}

impl<T: Scalar> Graph<T> {
    /// `strength · mean over examples i, j of (A[tokens_b[j], i] − B[tokens_a[i], j])²`, with the
    /// logits A = `a` and B = `b`, `[vocabulary, 1]` each: it draws a relation's matrix of logits
    /// towards the transpose of its inverse's. Examples of weight 0 are left out; other weights do
    /// not matter.
    ///
    /// The loss is the sum of the output, `[1, 1]`, which holds one term per example i.
    ///
    /// # Panics
    /// If a and b are not of one position and one vocabulary, or a token input has no position.
    pub fn symmetry_penalty(
        &mut self,
        [a, b]: [Value; 2],
        [tokens_a, tokens_b]: [Indices; 2],
        weights: Weights,
        strength: f64,
    ) -> Value {
        let from = self.shape(a);
        assert_eq!(from, self.shape(b), "both have one vocabulary");
        assert_eq!(from.positions, 1, "both have one position");
        let tokens = [tokens_a, tokens_b].map(|tokens| self.index_input(tokens));
        assert!(tokens.iter().all(|(_, given)| *given > 0), "a sentence has one token at least");
        let tokens = tokens.map(|(index, _)| index);
        let (weights, given) = self.weight_input(weights);
        assert!(given > 0, "a sentence has a weight");
        let shape = Shape { features: 1, positions: 1 };
        let operation = Symmetry { tokens, weights, strength };
        self.push(operation, vec![a, b], vec![], shape)
    }
}

compiled!(Symmetry);

impl<T: Scalar> Operation<T> for Symmetry {
    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    fn is_loss(&self) -> bool {
        true
    }

    fn writes_gradients_early(&self) -> bool {
        true
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        3 * (extents.lanes * extents.lanes) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let [a, b] = [at.input(0), at.input(1)];
        let [tokens_a, tokens_b] = self.tokens.map(|tokens| at.indices(tokens, 0..1));
        let weights = at.weights(self.weights, 0..1);
        let count = weights.iter().filter(|w| **w > T::ZERO).count().max(1);
        let each = T::from_f64(self.strength / (count * count) as f64);
        let lanes = at.worker.share(at.lanes, SUM_LANES);
        let ours = Side { logits: a, tokens: tokens_b };
        let theirs = Side { logits: b, tokens: tokens_a };
        parts(at.isa, ours, theirs, weights, each, at.output(), lanes.clone());
        if !at.training {
            return;
        }
        for (input, one, other) in [(0, ours, theirs), (1, theirs, ours)] {
            if let Some(target) = at.d_input(input) {
                gradient(at.isa, one, other, weights, each + each, target, lanes.clone());
            }
        }
    }

    fn backward(&self, _: &Context<'_, T>) {
        // The forward pass has written the gradients.
    }
}

/// Logits, and the token at which each example of the other side reads them.
#[derive(Clone, Copy)]
struct Side<'a, T> {
    logits: Matrix<'a, T>,
    tokens: &'a [u32],
}

impl<T: Scalar> Side<'_, T> {
    /// The logit that its example `own` gives to the other side's example `other`.
    #[inline(always)]
    fn says(&self, own: usize, other: usize) -> T {
        self.logits.row(self.tokens[other] as usize)[own]
    }
}

for_every_isa! {
    /// Each lane's term of the loss.
    fn parts<T>(
        ours: Side<'_, T>, theirs: Side<'_, T>, weights: &[T], each: T, out: MatrixMut<'_, T>,
        lanes: Range<usize>,
    ) {
        let mut out = out;
        for i in lanes {
            let mut sum = T::ZERO;
            if weights[i] > T::ZERO {
                for j in (0..weights.len()).filter(|j| weights[*j] > T::ZERO) {
                    let apart = ours.says(i, j) - theirs.says(j, i);
                    sum += apart * apart;
                }
            }
            out.part_mut(0, i..i + 1)[0] = each * sum;
        }
    }

    /// The gradient of some examples' logits: `2 · each · (ours − theirs)` at each token read.
    fn gradient<T>(
        one: Side<'_, T>, other: Side<'_, T>, weights: &[T], twice: T, target: GradientTarget<'_, T>,
        lanes: Range<usize>,
    ) {
        let GradientTarget { matrix: mut d, accumulate } = target;
        if !accumulate {
            for f in 0..d.rows {
                d.part_mut(f, lanes.clone()).fill(T::ZERO);
            }
        }
        for i in lanes.filter(|i| weights[*i] > T::ZERO) {
            for j in (0..weights.len()).filter(|j| weights[*j] > T::ZERO) {
                let apart = one.says(i, j) - other.says(j, i);
                d.part_mut(one.tokens[j] as usize, i..i + 1)[0] += twice * apart;
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
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    #[test]
    fn gradient() {
        for (vocabulary, batch) in [(3, 1), (4, 5), (7, 18)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, 5, 2);
            let normal = Initial::Normal { std: 0.7 };
            let head = graph.parameter(Parameter::matrix("head", [vocabulary, 5], normal));
            let logits = graph.linear_whole(x, head, Orientation::OutputsFirst, None);
            let [a, b] = [0, 1].map(|p| graph.select(logits, &[p]));
            let tokens = [graph.indices(1), graph.indices(1)];
            let weights = graph.weights(1);
            let loss = graph.symmetry_penalty([a, b], tokens, weights, 0.7);
            graph.output(loss, 0..1);
            assert_gradients_of(&graph, batch, |program, _| total(program, 0));
        }
    }

    /// Three examples of which the second has weight 0: the mean is over the four pairs of the
    /// others. It is 0 where B is the transpose of A.
    #[test]
    fn values() {
        let mut graph = Graph::<f64>::new();
        let normal = Initial::Normal { std: 1.0 };
        let said = ["a", "b"].map(|name| {
            let sentence = graph.indices(1);
            let table = graph.parameter(Parameter::matrix(name, [3, 3], normal));
            (sentence, graph.embedding(sentence, table, None))
        });
        let [(ask_a, a), (ask_b, b)] = said;
        let tokens = [graph.indices(1), graph.indices(1)];
        let weights = graph.weights(1);
        let loss = graph.symmetry_penalty([a, b], tokens, weights, 3.0);
        graph.output(loss, 0..1);
        let mut program = Program::compile(&graph, 3, Mode::Inference, ProductPrecision::Full, 1);
        // Example i gives a_i, whose b is token 2 − i, and the other way round.
        for i in 0..3 {
            for (input, token) in [(ask_a, i), (tokens[0], i), (ask_b, 2 - i), (tokens[1], 2 - i)] {
                program.indices_mut(input)[i] = token as u32;
            }
            program.weights_mut(weights)[i] = [0.5, 0.0, 2.0][i];
        }
        let mut parameters = Parameters::initial(&graph, 3);
        let values: Vec<Vec<f64>> = parameters.iter().map(|(_, values)| values.to_vec()).collect();
        let mut team = Team::new(1);
        let noise = Noise { seed: 0, step: 0 };
        program.forward(&parameters, noise, &mut team);
        let mut expected = 0.0;
        for (i, j) in [(0, 0), (0, 2), (2, 0), (2, 2)] {
            let apart = values[0][i * 3 + 2 - j] - values[1][(2 - j) * 3 + i];
            expected += 3.0 / 4.0 * apart * apart;
        }
        let found: f64 = program.output(0).lanes(0, 0).iter().sum();
        assert!((found - expected).abs() < 1e-14, "{found} instead of {expected}");

        for (at, b) in parameters.values_mut(1).iter_mut().enumerate() {
            *b = values[0][at % 3 * 3 + at / 3];
        }
        program.forward(&parameters, noise, &mut team);
        assert!(program.output(0).lanes(0, 0).iter().all(|part| *part == 0.0));
    }
}
