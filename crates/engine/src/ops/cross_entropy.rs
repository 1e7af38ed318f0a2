//! Softmax with cross-entropy, in one pass less than [the other losses](super::loss) take: the
//! exponentials are kept in the buffer of the gradient.

use std::ops::Range;

use crate::isa::in_registers;
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::scalar::Scalar;
use crate::vector::Vector;
use crate::wide::{Wide, for_lanes};

in_registers! {
    /// `NLL = ln Σ exp(logit − highest) + highest − logit of the target`, and its gradient,
    /// `weight · (probability − [is the target])`, which overwrites the buffer.
    pub(super) fn score<T, V>(
        logits: Matrix<'_, T>, targets: &[u32], weights: &[T], out: MatrixMut<'_, T>,
        gradient: Option<GradientTarget<'_, T>>, columns: Range<usize>,
    ) {
        let mut out = out;
        let mut gradient = gradient.map(|target| target.matrix);
        for_lanes!(V, N, first in columns, {
            powers::<T, V, N>(logits, weights, &mut out, gradient.as_mut(), first);
        });
        for column in columns {
            let target = targets[column] as usize;
            let one = column..column + 1;
            let [highest, total] = [0, 1].map(|row| out.part_mut(row, one.clone())[0]);
            let tied = || (0..logits.rows).any(|f| f != target && logits.row(f)[column] == highest);
            let gap = gap(highest, logits.row(target)[column], total, tied);
            let nll = total.ln() + gap;
            for (row, number) in [nll, gap, nll].into_iter().enumerate() {
                out.part_mut(row, one.clone())[0] = number;
            }
            if let Some(gradient) = &mut gradient {
                gradient.part_mut(target, one)[0] -= weights[column];
            }
        }
    }
}

/// The gap between the highest logit and the target's: 0 where the target alone has the highest, the
/// least positive number where another is as high. `total` is the sum of the exponentials of the
/// logits less the highest, and `tied` tells whether another logit is the highest.
#[inline(always)]
pub(super) fn gap<T: Scalar>(highest: T, logit: T, total: T, tied: impl FnOnce() -> bool) -> T {
    let gap = highest - logit;
    // Two logits that are the highest make the sum at least 2: few columns are looked through.
    if gap == T::ZERO && total >= T::from_f64(2.0) && tied() {
        return T::from_f64(f64::from(f32::MIN_POSITIVE));
    }
    gap
}

/// For the columns from `first` on: the highest logit and the sum of the exponentials, in the first
/// two rows of `out`, and `weight · probability`.
///
/// # Safety
/// The processor must have the instructions of `V`.
#[inline(always)]
unsafe fn powers<T: Scalar, V: Vector<T>, const N: usize>(
    logits: Matrix<'_, T>,
    weights: &[T],
    out: &mut MatrixMut<'_, T>,
    mut gradient: Option<&mut MatrixMut<'_, T>>,
    first: usize,
) {
    // SAFETY: the caller's promise.
    let read = |row: &[T], first| unsafe { Wide::<T, V, N>::read(row, first) };
    let range = first..first + Wide::<T, V, N>::LANES;
    let mut highest = read(logits.row(0), first);
    for f in 1..logits.rows {
        highest = read(logits.row(f), first).larger(highest);
    }
    let mut total = highest.all(T::ZERO);
    for f in 0..logits.rows {
        let power = (read(logits.row(f), first) - highest).exp();
        total = total + power;
        if let Some(gradient) = &mut gradient {
            power.write(gradient.part_mut(f, range.clone()), 0);
        }
    }
    if let Some(gradient) = gradient {
        let factor = read(weights, first) / total;
        for f in 0..logits.rows {
            let row = gradient.part_mut(f, range.clone());
            (read(row, 0) * factor).write(row, 0);
        }
    }
    highest.write(out.part_mut(0, range.clone()), 0);
    total.write(out.part_mut(1, range), 0);
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use crate::check::{assert_gradients, assert_gradients_of, weighted, with_head, with_stem};
    use crate::graph::Graph;
    use crate::ops::{LossFunction, Margin, Orientation};
    use crate::parameter::{Initial, Parameter};
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    #[test]
    fn gradient() {
        for (vocabulary, positions, batch, first) in [(3, 1, 1, 0), (7, 2, 16, 1), (33, 4, 18, 2)] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, 5, positions);
            with_head(&mut graph, x, vocabulary, first..positions);
            assert_gradients(&graph, batch);
        }
    }

    /// Two losses of one value over overlapping positions, one of a value before it, and later
    /// operations on that value: the gradient is that of the sum.
    #[test]
    fn gradient_of_several_losses() {
        for batch in [1, 18] {
            let mut graph = Graph::<f64>::new();
            let x = with_stem(&mut graph, 5, 4);
            let normal = Initial::Normal { std: 0.7 };
            let head = graph.parameter(Parameter::matrix("head", [7, 5], normal));
            let logits = |graph: &mut Graph<f64>, x| {
                graph.linear_whole(x, head, Orientation::OutputsFirst, None)
            };
            let (targets, weights) = (graph.indices(4), graph.weights(4));
            let early = logits(&mut graph, x);
            let first = graph.cross_entropy(early, targets, weights, 1..4);
            let h = graph.linear_whole(early, head, Orientation::InputsFirst, None);
            let h = graph.gelu(h);
            let h = graph.residual(x, h, 0.0);
            let late = logits(&mut graph, h);
            let second = graph.cross_entropy(late, targets, weights, 2..3);
            let margin = LossFunction::Margin(Margin { loss_parameter: 1.0 });
            let third = graph.loss(margin, late, targets, weights, 0..3);
            let fourth = graph.loss(LossFunction::CrossEntropy, late, targets, weights, 3..4);
            let outputs =
                [(first, 1..4, 0), (second, 2..3, 0), (third, 0..3, 2), (fourth, 3..4, 2)];
            for (loss, scored, _) in &outputs {
                graph.output(*loss, 0..scored.len());
            }
            // An output, but of no loss: it has no gradient.
            let idle = graph.gelu(h);
            graph.output(idle, 0..4);
            assert_gradients_of(&graph, batch, |program, weights| {
                let of = |(i, (_, scored, feature)): (usize, &(_, Range<usize>, usize))| {
                    weighted(program, i, *feature, &weights[..scored.end * program.lanes()])
                };
                outputs.iter().enumerate().map(of).sum()
            });
        }
    }

    /// Logits around 1000 neither overflow nor lose the gap.
    #[test]
    fn huge_logits_stay_finite() {
        let mut graph = Graph::<f32>::new();
        let tokens = graph.indices(1);
        let targets = graph.indices(1);
        let weights = graph.weights(1);
        let zero = Initial::Constant(0.0);
        let table = graph.parameter(Parameter::matrix("table", [2, 3], zero));
        let logits = graph.embedding(tokens, table, None);
        let loss = graph.cross_entropy(logits, targets, weights, 0..1);
        graph.output(loss, 0..1);
        let mut parameters = Parameters::zeros(&graph);
        parameters.values_mut(0).copy_from_slice(&[1000.0, -1000.0, 0.0, 0.0, 0.0, 0.0]);
        let mut team = Team::new(1);
        let mut program = Program::compile(&graph, 2, Mode::Inference, ProductPrecision::Full, 1);
        program.indices_mut(tokens)[..2].copy_from_slice(&[0, 1]);
        program.indices_mut(targets)[..2].copy_from_slice(&[1, 2]);
        program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut team);
        let (nll, gap) = (program.output(0).lanes(0, 0), program.output(0).lanes(1, 0));
        assert_eq!((nll[0], gap[0]), (2000.0, 2000.0));
        assert!((nll[1] - 3f32.ln()).abs() < 1e-6 && gap[1] > 0.0);
    }

    /// A target that shares the highest logit with another does not rank first, whichever loss
    /// computes it, and whether or not its gradient overwrites the logits.
    #[test]
    fn a_tie_is_no_first_rank() {
        let rows = [[0.0, 0.0, 0.0], [5.0, 5.0, 1.0], [5.0, 4.0, 5.0], [5.0, 4.0, 4.0]];
        // Each row with the first token as the target.
        let expected = [false, false, false, true];
        for mode in [Mode::Inference, Mode::Training] {
            let mut graph = Graph::<f32>::new();
            let (tokens, targets) = (graph.indices(1), graph.indices(1));
            let weights = graph.weights(1);
            let zero = Initial::Constant(0.0);
            let table = graph.parameter(Parameter::matrix("table", [4, 3], zero));
            let unit = graph.parameter(Parameter::matrix("unit", [3, 3], zero));
            let logits = graph.embedding(tokens, table, None);
            let margin = LossFunction::Margin(Margin { loss_parameter: 1.0 });
            let losses = [
                graph.cross_entropy(logits, targets, weights, 0..1),
                graph.loss(margin, logits, targets, weights, 0..1),
                graph.linear_cross_entropy(logits, unit, targets, weights),
            ];
            losses.iter().for_each(|loss| graph.output(*loss, 0..1));
            let mut parameters = Parameters::zeros(&graph);
            parameters.values_mut(0).copy_from_slice(rows.as_flattened());
            parameters
                .values_mut(1)
                .copy_from_slice(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
            let mut program = Program::compile(&graph, 4, mode, ProductPrecision::Full, 1);
            program.indices_mut(tokens)[..4].copy_from_slice(&[0, 1, 2, 3]);
            program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
            for loss in 0..losses.len() {
                let gaps = &program.output(loss).lanes(1, 0)[..4];
                let first = gaps.iter().map(|gap| *gap == 0.0);
                assert!(first.eq(expected), "{mode:?}, loss {loss}: {gaps:?}");
            }
        }
    }
}
