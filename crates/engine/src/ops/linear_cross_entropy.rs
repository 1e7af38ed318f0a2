//! Cross-entropy of a linear head, without the logits of all positions in memory.
//!
//! The head of a language model has some ten thousand outputs: the logits of a batch, and their
//! gradients, would take more memory than the rest of a step. This operation holds those of a block
//! of columns, which become their own gradients in place. The backward pass begins with the last
//! block, which is still there, and computes the logits of the others again.

use std::ops::Range;

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{Indices, ParameterId, Value, Weights};
use crate::isa::in_registers;
use crate::kernels::{Product, Start, transpose};
use crate::lanes::LANE_UNIT;
use crate::matrix::{GradientTarget, MatrixMut};
use crate::operation::{Context, Operation, compiled};
use crate::ops::SUM_LANES;
use crate::ops::cross_entropy::gap;
use crate::ops::linear::{ROW_UNIT, odd_lanes};
use crate::scalar::Scalar;
use crate::vector::Vector;
use crate::wide::{Wide, for_lanes};

/// Logits in memory at once, in numbers: 128 MiB in single precision.
const BLOCK: usize = 1 << 25;

struct LinearCrossEntropy {
    targets: usize,
    weights: usize,
    vocabulary: usize,
    /// Logits in memory at once, at most; never less than those of [`LANE_UNIT`] columns.
    block: usize,
}

impl<T: Scalar> Graph<T> {
    /// The [cross-entropy](Graph::cross_entropy) of the logits `head · x` for a head `[vocabulary,
    /// features]`: `[3, positions]`, as [`Graph::loss`] has them. The logits of all positions are
    /// never in memory together.
    ///
    /// # Panics
    /// If the head does not have the features of `x` as columns, or the inputs have fewer positions.
    pub fn linear_cross_entropy(
        &mut self,
        x: Value,
        head: ParameterId,
        targets: Indices,
        weights: Weights,
    ) -> Value {
        self.linear_cross_entropy_in(x, head, targets, weights, BLOCK)
    }

    fn linear_cross_entropy_in(
        &mut self,
        x: Value,
        head: ParameterId,
        targets: Indices,
        weights: Weights,
        block: usize,
    ) -> Value {
        let Shape { features, positions } = self.shape(x);
        let parameter = self.definition(head);
        assert_eq!(parameter.columns, features, "{} takes other features", parameter.name);
        let vocabulary = parameter.rows;
        let (targets, of_targets) = self.index_input(targets);
        let (weights, of_weights) = self.weight_input(weights);
        let given = of_targets.min(of_weights);
        assert!(positions <= given, "{given} targets or weights for {positions} positions");
        let operation = LinearCrossEntropy { targets, weights, vocabulary, block };
        let views = vec![self.whole(head)];
        self.push(operation, vec![x], views, Shape { features: 3, positions })
    }
}

impl LinearCrossEntropy {
    /// The columns of a block, at most: whole lanes.
    fn width(&self, columns: usize) -> usize {
        (self.block / self.vocabulary / LANE_UNIT).max(1).saturating_mul(LANE_UNIT).min(columns)
    }

    /// The columns of each block.
    fn blocks(&self, columns: usize) -> impl DoubleEndedIterator<Item = Range<usize>> {
        let width = self.width(columns);
        (0..columns.div_ceil(width)).map(move |at| at * width..columns.min((at + 1) * width))
    }

    /// Computes the logits of a block, its losses and, in training, the gradients in the place of
    /// the logits. Returns whether this worker continues.
    fn score<T: Scalar>(&self, at: &Context<'_, T>, columns: Range<usize>) -> bool {
        let (x, head, mut logits) = (at.input(0), at.parameter(0), at.saved());
        let rows = at.worker.share(self.vocabulary, ROW_UNIT);
        if !rows.is_empty() {
            let product = Product {
                a: head.at(rows.start, 0),
                a_row: head.stride,
                a_k: 1,
                b: x.at(0, columns.start),
                b_row: x.stride,
                c: logits.at_mut(rows.start, 0),
                c_row: logits.stride,
                rows: rows.len(),
                columns: columns.len(),
                k: x.rows,
                start: Start::Zero,
            };
            // SAFETY: the graph has checked the shape of the head; the rows are this worker's, and
            // the memory that is kept has so many and the columns of a block. Columns are whole
            // lanes.
            unsafe { product.run(at.isa) }
        }
        if !at.worker.barrier() {
            return false;
        }
        let share = at.worker.share(columns.len(), SUM_LANES);
        let targets = &at.indices(self.targets, at.output_positions())[columns.clone()];
        let weights = &at.weights(self.weights, at.output_positions())[columns.clone()];
        let first = columns.start;
        score(at.isa, logits, targets, weights, at.output(), first, share, at.training);
        at.worker.barrier()
    }

    /// The gradient of some features of the input, for the columns of a block.
    fn input_gradient<T: Scalar>(
        &self,
        at: &Context<'_, T>,
        target: GradientTarget<'_, T>,
        columns: Range<usize>,
    ) {
        let GradientTarget { matrix: mut dx, accumulate } = target;
        let (head, gradient) = (at.parameter(0), at.kept());
        let rows = at.worker.share(dx.rows, ROW_UNIT);
        if rows.is_empty() {
            return;
        }
        let product = Product {
            a: head.at(0, rows.start),
            a_row: 1,
            a_k: head.stride,
            b: gradient.as_ptr(),
            b_row: gradient.stride,
            c: dx.at_mut(rows.start, columns.start),
            c_row: dx.stride,
            rows: rows.len(),
            columns: columns.len(),
            k: self.vocabulary,
            start: if accumulate { Start::Accumulate } else { Start::Zero },
        };
        // SAFETY: as in `score`, with the head transposed.
        unsafe { product.run(at.isa) }
    }

    /// The gradient of some rows of the head, from the columns of a block.
    fn head_gradient<T: Scalar>(
        &self,
        at: &Context<'_, T>,
        target: GradientTarget<'_, T>,
        columns: Range<usize>,
    ) {
        let GradientTarget { matrix: mut dw, accumulate } = target;
        let (x, gradient) = (at.input(0), at.kept());
        let rows = at.worker.share(self.vocabulary, ROW_UNIT);
        if rows.is_empty() {
            return;
        }
        let width = odd_lanes(x.rows);
        let transposed = &mut at.scratch()[..width * columns.len()];
        let from = &x.all()[columns.start..];
        transpose(at.isa, from, x.stride, x.rows, columns.len(), transposed, width);
        let product = Product {
            a: gradient.at(rows.start, 0),
            a_row: gradient.stride,
            a_k: 1,
            b: transposed.as_ptr(),
            b_row: width,
            c: dw.at_mut(rows.start, 0),
            c_row: dw.stride,
            rows: rows.len(),
            columns: x.rows,
            k: columns.len(),
            start: if accumulate { Start::Accumulate } else { Start::Zero },
        };
        // SAFETY: as in `score`; rows of `transposed` are whole lanes, one for each column.
        unsafe { product.run(at.isa) }
    }
}

compiled!(LinearCrossEntropy);

impl<T: Scalar> Operation<T> for LinearCrossEntropy {
    fn reads_input(&self, _input: usize) -> bool {
        true
    }

    fn is_loss(&self) -> bool {
        true
    }

    /// The logits of a block, or their gradients.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        (self.vocabulary, odd_lanes(self.width(extents.columns())))
    }

    fn scratch(&self, extents: &Extents<'_>) -> usize {
        odd_lanes(extents.inputs[0].features) * self.width(extents.columns())
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        (2 * extents.inputs[0].features + 5) as u64 * (self.vocabulary * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        for columns in self.blocks(at.input(0).columns) {
            if !self.score(at, columns) {
                return;
            }
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        for (done, columns) in self.blocks(at.input(0).columns).rev().enumerate() {
            if done > 0 && !(at.worker.barrier() && self.score(at, columns.clone())) {
                return;
            }
            if let Some(target) = at.d_input(0) {
                self.input_gradient(at, target, columns.clone());
            }
            if let Some(mut target) = at.d_parameter(0) {
                target.accumulate |= done > 0;
                self.head_gradient(at, target, columns);
            }
        }
    }
}

in_registers! {
    /// The losses of some columns of a block that begins at column `first` of the output, as
    /// [cross-entropy](super::cross_entropy) has them. With `gradient`, the logits become
    /// `weight · (probability − [is the target])`.
    fn score<T, V>(
        logits: MatrixMut<'_, T>, targets: &[u32], weights: &[T], out: MatrixMut<'_, T>,
        first: usize, columns: Range<usize>, gradient: bool,
    ) {
        let (mut logits, mut out) = (logits, out);
        for column in columns.clone() {
            let logit = logits.part_mut(targets[column] as usize, column..column + 1)[0];
            out.part_mut(2, first + column..first + column + 1)[0] = logit;
        }
        for_lanes!(V, N, at in columns, {
            powers::<T, V, N>(&mut logits, weights, &mut out, first, at, gradient);
        });
        for column in columns {
            let one = first + column..first + column + 1;
            let [highest, total, logit] = [0, 1, 2].map(|row| out.part_mut(row, one.clone())[0]);
            let target = targets[column] as usize;
            // The powers of ties are equal, where they have overwritten the logits.
            let tied = || {
                let own = logits.part_mut(target, column..column + 1)[0];
                (0..logits.rows)
                    .any(|f| f != target && logits.part_mut(f, column..column + 1)[0] == own)
            };
            let gap = gap(highest, logit, total, tied);
            let nll = total.ln() + gap;
            for (row, number) in [nll, gap, nll].into_iter().enumerate() {
                out.part_mut(row, one.clone())[0] = number;
            }
            if gradient {
                logits.part_mut(target, column..column + 1)[0] -= weights[column];
            }
        }
    }
}

/// For the columns from `at` on: the highest logit and the sum of the exponentials, in the first two
/// rows of `out`, and with `gradient` `weight · probability` in the place of the logits.
///
/// # Safety
/// The processor must have the instructions of `V`.
#[inline(always)]
unsafe fn powers<T: Scalar, V: Vector<T>, const N: usize>(
    logits: &mut MatrixMut<'_, T>,
    weights: &[T],
    out: &mut MatrixMut<'_, T>,
    first: usize,
    at: usize,
    gradient: bool,
) {
    // SAFETY: the caller's promise.
    let read = |row: &[T], first| unsafe { Wide::<T, V, N>::read(row, first) };
    let range = at..at + Wide::<T, V, N>::LANES;
    let mut highest = read(logits.part_mut(0, range.clone()), 0);
    for f in 1..logits.rows {
        highest = read(logits.part_mut(f, range.clone()), 0).larger(highest);
    }
    let mut total = highest.all(T::ZERO);
    for f in 0..logits.rows {
        let row = logits.part_mut(f, range.clone());
        let power = (read(row, 0) - highest).exp();
        total = total + power;
        if gradient {
            power.write(row, 0);
        }
    }
    if gradient {
        let factor = read(weights, at) / total;
        for f in 0..logits.rows {
            let row = logits.part_mut(f, range.clone());
            (read(row, 0) * factor).write(row, 0);
        }
    }
    highest.write(out.part_mut(0, first + range.start..first + range.end), 0);
    total.write(out.part_mut(1, first + range.start..first + range.end), 0);
}

#[cfg(test)]
mod tests {
    use super::BLOCK;
    use crate::check::{assert_gradients, with_stem};
    use crate::graph::Graph;
    use crate::ops::Orientation;
    use crate::parameter::{Initial, Parameter};
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    fn head(graph: &mut Graph<f64>, vocabulary: usize) -> crate::ParameterId {
        let normal = Initial::Normal { std: 0.7 };
        graph.parameter(Parameter::matrix("head", [vocabulary, 5], normal))
    }

    #[test]
    fn gradient() {
        for (vocabulary, positions, batch) in [(3, 1, 1), (7, 2, 16), (33, 4, 18)] {
            for block in [1, 33 * 48, BLOCK] {
                let mut graph = Graph::<f64>::new();
                let x = with_stem(&mut graph, 5, positions);
                let head = head(&mut graph, vocabulary);
                let (targets, weights) = (graph.indices(positions), graph.weights(positions));
                let loss = graph.linear_cross_entropy_in(x, head, targets, weights, block);
                graph.output(loss, 0..positions);
                assert_gradients(&graph, batch);
            }
        }
    }

    /// The head is the table of the inputs too: its gradient has two parts.
    #[test]
    fn gradient_of_a_tied_head() {
        for block in [1, BLOCK] {
            let mut graph = Graph::<f64>::new();
            let tokens = graph.indices(3);
            let table = head(&mut graph, 9);
            let x = graph.embedding(tokens, table, None);
            let x = graph.gelu(x);
            let (targets, weights) = (graph.indices(3), graph.weights(3));
            let loss = graph.linear_cross_entropy_in(x, table, targets, weights, block);
            graph.output(loss, 0..3);
            assert_gradients(&graph, 18);
        }
    }

    #[test]
    fn equals_a_head_and_a_loss() {
        let mut graph = Graph::<f64>::new();
        let x = with_stem(&mut graph, 5, 4);
        let head = head(&mut graph, 33);
        let (targets, weights) = (graph.indices(4), graph.weights(4));
        let logits = graph.linear_whole(x, head, Orientation::OutputsFirst, None);
        let apart = graph.cross_entropy(logits, targets, weights, 0..4);
        let together = graph.linear_cross_entropy_in(x, head, targets, weights, 1);
        graph.output(apart, 0..4);
        graph.output(together, 0..4);
        let full = ProductPrecision::Full;
        let mut program = Program::compile(&graph, 18, Mode::Inference, full, 2);
        let tokens = crate::Indices::new(graph.id, 0);
        program.indices_mut(tokens).iter_mut().enumerate().for_each(|(i, t)| *t = i as u32 % 3);
        program.indices_mut(targets).iter_mut().enumerate().for_each(|(i, t)| *t = i as u32 % 33);
        let parameters = Parameters::initial(&graph, 4);
        program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(2));
        let (apart, together) = (program.output(0), program.output(1));
        for (feature, position) in (0..3).flat_map(|f| (0..4).map(move |p| (f, p))) {
            let pairs =
                apart.lanes(feature, position).iter().zip(together.lanes(feature, position));
            for (apart, together) in pairs {
                assert!((apart - together).abs() < 1e-12, "{apart}, not {together}");
            }
        }
    }
}
