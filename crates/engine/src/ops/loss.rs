//! Losses over logits, of which [cross-entropy](super::cross_entropy) is the plain one.
//!
//! All gradients have one form: a multiple of the probabilities, a constant over the vocabulary,
//! and one extra term for the target and for the highest other logit. A loss is therefore one file,
//! which implements [`Function`] for one column, and one line in the list below; the passes over
//! the vocabulary are shared.

use std::fmt::Debug;
use std::ops::Range;

use retrodict_settings::choice;

use crate::extent::Extents;
use crate::graph::{Graph, Shape};
use crate::handle::{Indices, Value, Weights};
use crate::isa::for_every_isa;
use crate::lanes::SUM_LANES;
use crate::lower::{Lowering, NotLowered, kernel};
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::operation::{Context, Operation, compiled};
use crate::ops::cross_entropy;
use crate::scalar::Scalar;

/// A loss function: its struct holds its parameter.
trait Function: Copy {
    /// Checks the parameter, and the number of logits.
    ///
    /// # Panics
    /// If the function is not defined for them.
    fn check(&self, vocabulary: usize);

    /// The loss and its gradient at one position.
    fn terms<T: Scalar, const FUSED: bool>(&self, column: &Column<T>) -> Terms<T>;
}

/// Writes the enum of all loss functions, each with its module.
macro_rules! functions {
    ($($module:ident::$name:ident = $word:literal)+) => {
        $(
            mod $module;
            pub use $module::$name;
        )+

        choice! {
            /// The loss of one prediction.
            #[derive(Copy)]
            pub enum LossFunction: "objective"."loss" = "cross-entropy", later {
                /// `−ln p`, where p is the probability of the target.
                CrossEntropy = "cross-entropy",
                $(
                    #[doc = stringify!($name)]
                    $name($name) = $word,
                )+
            }
        }

        impl LossFunction {
            fn name(self) -> &'static str {
                match self {
                    LossFunction::CrossEntropy => "CrossEntropy",
                    $(LossFunction::$name(_) => stringify!($name),)+
                }
            }

            fn check(self, vocabulary: usize) {
                match self {
                    LossFunction::CrossEntropy => {}
                    $(LossFunction::$name(function) => function.check(vocabulary),)+
                }
            }

            #[inline(always)]
            fn terms<T: Scalar, const FUSED: bool>(self, column: &Column<T>) -> Terms<T> {
                match self {
                    LossFunction::CrossEntropy => {
                        LabelSmoothing { loss_parameter: 0.0 }.terms::<T, FUSED>(column)
                    }
                    $(LossFunction::$name(function) => function.terms::<T, FUSED>(column),)+
                }
            }
        }
    };
}

functions! {
    label_smoothing::LabelSmoothing = "label-smoothing"
    focal::Focal = "focal"
    margin::Margin = "margin"
}

struct Loss {
    function: LossFunction,
    targets: usize,
    weights: usize,
    scored: Range<usize>,
}

impl<T: Scalar> Graph<T> {
    /// The [loss](Graph::loss) with the negative log probability of the target.
    ///
    /// # Panics
    /// If the inputs have fewer positions.
    pub fn cross_entropy(
        &mut self,
        logits: Value,
        targets: Indices,
        weights: Weights,
        scored: Range<usize>,
    ) -> Value {
        self.loss(LossFunction::CrossEntropy, logits, targets, weights, scored)
    }

    /// A loss at each of the `scored` positions: `[3, scored positions]`. For every loss, feature 0
    /// is the negative log probability of the target, feature 1 the gap between the highest logit
    /// and the target's (0: the target alone ranks first; the least positive number: another logit
    /// is as high), feature 2 the loss itself.
    ///
    /// Gradients are those of the sum of `weights` times feature 2. `targets` and `weights` have
    /// all positions of the logits, or at least the scored ones.
    ///
    /// # Panics
    /// If the inputs have fewer positions, or the function's parameter is out of its range.
    pub fn loss(
        &mut self,
        function: LossFunction,
        logits: Value,
        targets: Indices,
        weights: Weights,
        scored: Range<usize>,
    ) -> Value {
        let from = self.shape(logits);
        function.check(from.features);
        let (targets, of_targets) = self.index_input(targets);
        let (weights, of_weights) = self.weight_input(weights);
        let given = of_targets.min(of_weights).min(from.positions);
        assert!(scored.end <= given, "positions {scored:?} of {given} cannot be scored");
        let shape = Shape { features: 3, positions: scored.len() };
        self.push(Loss { function, targets, weights, scored }, vec![logits], vec![], shape)
    }
}

compiled!(Loss);

impl<T: Scalar> Operation<T> for Loss {
    fn name(&self) -> &'static str {
        self.function.name()
    }

    fn positions_needed(&self, _input: usize, output: Range<usize>) -> Range<usize> {
        self.scored.start + output.start..self.scored.start + output.end
    }

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
        5 * (extents.inputs[0].features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let logits = at.input(0);
        let targets = at.indices(self.targets, at.input_positions(0));
        let weights = at.weights(self.weights, at.input_positions(0));
        let columns = at.worker.share(logits.columns, SUM_LANES);
        let gradient = if at.training { at.d_input(0) } else { None };
        let out = at.output();
        // A gradient that adds to another loss's cannot hold the exponentials.
        let adds = gradient.as_ref().is_some_and(|target| target.accumulate);
        if self.function == LossFunction::CrossEntropy && !adds {
            cross_entropy::score(at.isa, logits, targets, weights, out, gradient, columns);
        } else {
            score(at.isa, self.function, logits, targets, weights, out, gradient, columns);
        }
    }

    fn backward(&self, _: &Context<'_, T>) {
        // The forward pass has written the gradient.
    }

    fn lower_forward(&self, at: &mut Lowering<'_>) -> Result<(), NotLowered> {
        let name = self.function.name();
        if self.function != LossFunction::CrossEntropy {
            return Err(NotLowered::new(name));
        }
        let gradient = at.d_input(0).filter(|_| at.training);
        if gradient.is_some_and(|gradient| gradient.add) {
            let what = format!("{name} of logits that are also used elsewhere");
            return Err(NotLowered::new(what));
        }
        let (logits, positions) = (at.input(0), at.input_positions(0));
        at.push(kernel::CrossEntropy {
            logits,
            targets: at.indices(self.targets, positions.clone()),
            weights: at.weights(self.weights, positions),
            out: at.output(),
            gradient,
            vocabulary: logits.place.rows.into(),
            columns: logits.place.columns.into(),
        });
        Ok(())
    }
}

/// Summaries of the logits of one position, from which a function computes its loss.
struct Column<T> {
    nll: T,
    /// `ln Σ exp(logit)` less the mean of the logits: the mean of all `−ln p`.
    mean_nll: T,
    /// The highest logit but the target's, less the target's.
    lead: T,
    /// The number of logits.
    vocabulary: T,
}

/// The loss of one position, and with `w` the weight of the column its gradient,
/// `w · (probability · p_v + uniform + target · [v is the target] + rival · [v is the highest of
/// the others])`.
struct Terms<T> {
    loss: T,
    probability: T,
    uniform: T,
    target: T,
    rival: T,
}

for_every_isa! {
    /// Scores some columns.
    fn score<T>(
        function: LossFunction, logits: Matrix<'_, T>, targets: &[u32], weights: &[T],
        out: MatrixMut<'_, T>, gradient: Option<GradientTarget<'_, T>>, columns: Range<usize>,
    ) {
        let (mut out, mut gradient) = (out, gradient);
        let vocabulary = T::from_f64(logits.rows as f64);
        for first in columns.step_by(SUM_LANES) {
            let lanes = first..first + SUM_LANES;
            let mut highest = [T::from_f64(f64::NEG_INFINITY); SUM_LANES];
            let mut mean = [T::ZERO; SUM_LANES];
            for f in 0..logits.rows {
                let logit = &logits.row(f)[lanes.clone()];
                for l in 0..SUM_LANES {
                    highest[l] = logit[l].larger(highest[l]);
                    mean[l] += logit[l];
                }
            }
            let mut total = [T::ZERO; SUM_LANES];
            for f in 0..logits.rows {
                let logit = &logits.row(f)[lanes.clone()];
                for l in 0..SUM_LANES {
                    total[l] += (logit[l] - highest[l]).exp::<FUSED>();
                }
            }
            let mut factor = [T::ZERO; SUM_LANES];
            let mut uniform = [T::ZERO; SUM_LANES];
            let mut single = [(0, T::ZERO, 0, T::ZERO); SUM_LANES];
            for l in 0..SUM_LANES {
                let (column, right) = (first + l, targets[first + l] as usize);
                let logit = logits.row(right)[column];
                let rival = rival(logits, right, column);
                let tied = || rival != right && logits.row(rival)[column] == highest[l];
                let gap = cross_entropy::gap(highest[l], logit, total[l], tied);
                let rest = total[l].ln();
                let seen = Column {
                    nll: rest + gap,
                    mean_nll: rest + highest[l] - mean[l] / vocabulary,
                    lead: logits.row(rival)[column] - logit,
                    vocabulary,
                };
                let terms = function.terms::<T, FUSED>(&seen);
                let numbers = [seen.nll, gap, terms.loss];
                for (f, number) in numbers.into_iter().enumerate() {
                    out.part_mut(f, column..column + 1)[0] = number;
                }
                let weight = weights[column];
                factor[l] = weight * terms.probability / total[l];
                uniform[l] = weight * terms.uniform;
                single[l] = (right, weight * terms.target, rival, weight * terms.rival);
            }
            let Some(GradientTarget { matrix, accumulate }) = &mut gradient else { continue };
            for f in 0..logits.rows {
                let logit = &logits.row(f)[lanes.clone()];
                let d = matrix.part_mut(f, lanes.clone());
                for l in 0..SUM_LANES {
                    let power = (logit[l] - highest[l]).exp::<FUSED>();
                    let before = if *accumulate { d[l] } else { T::ZERO };
                    d[l] = before + power.fused::<FUSED>(factor[l], uniform[l]);
                }
            }
            for (l, (right, d_right, rival, d_rival)) in single.into_iter().enumerate() {
                let column = first + l..first + l + 1;
                matrix.part_mut(right, column.clone())[0] += d_right;
                matrix.part_mut(rival, column)[0] += d_rival;
            }
        }
    }
}

/// The highest logit of a column but the target's, the first of equals; the target's where there is
/// no other.
#[inline(always)]
fn rival<T: Scalar>(logits: Matrix<'_, T>, target: usize, column: usize) -> usize {
    let others = (0..logits.rows).filter(|f| *f != target);
    let higher = |best: usize, f: usize| {
        if logits.row(f)[column] > logits.row(best)[column] { f } else { best }
    };
    others.reduce(higher).unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::LossFunction::{self, CrossEntropy};
    use super::{Focal, LabelSmoothing, Margin};
    use crate::check::{assert_gradients_of, weighted, with_stem};
    use crate::graph::Graph;
    use crate::ops::Orientation;
    use crate::parameter::{Initial, Parameter};
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    const FUNCTIONS: [LossFunction; 6] = [
        CrossEntropy,
        LossFunction::LabelSmoothing(LabelSmoothing { loss_parameter: 0.2 }),
        LossFunction::Focal(Focal { loss_parameter: 2.0 }),
        LossFunction::Focal(Focal { loss_parameter: 0.5 }),
        LossFunction::Margin(Margin { loss_parameter: 0.5 }),
        LossFunction::Margin(Margin { loss_parameter: -0.5 }),
    ];

    #[test]
    fn gradient() {
        for function in FUNCTIONS {
            for (vocabulary, positions, batch, first) in
                [(3, 1, 1, 0), (7, 2, 16, 1), (33, 4, 18, 2)]
            {
                let mut graph = Graph::<f64>::new();
                let x = with_stem(&mut graph, 5, positions);
                let head = Parameter::matrix("head", [vocabulary, 5], Initial::Normal { std: 0.7 });
                let head = graph.parameter(head);
                let logits = graph.linear_whole(x, head, Orientation::OutputsFirst, None);
                let (targets, weights) = (graph.indices(positions), graph.weights(positions));
                let loss = graph.loss(function, logits, targets, weights, first..positions);
                graph.output(loss, 0..positions - first);
                assert_gradients_of(&graph, batch, |p, weights| weighted(p, 0, 2, weights));
            }
        }
    }

    /// The definitions, for logits 1, 3, 0 with the first and then the second as the target; NLL
    /// and gap are the same for all.
    #[test]
    fn values() {
        let logits = [1.0f64, 3.0, 0.0];
        let total = logits.map(f64::exp).iter().sum::<f64>().ln();
        let nll = logits.map(|logit| total - logit);
        let expected = |function: LossFunction, target: usize| match function {
            CrossEntropy => nll[target],
            LossFunction::LabelSmoothing(LabelSmoothing { loss_parameter: epsilon }) => {
                (1.0 - epsilon) * nll[target] + epsilon * nll.iter().sum::<f64>() / 3.0
            }
            LossFunction::Focal(Focal { loss_parameter: gamma }) => {
                (1.0 - (-nll[target]).exp()).powf(gamma) * nll[target]
            }
            LossFunction::Margin(Margin { loss_parameter: margin }) => {
                (margin + if target == 0 { 2.0 } else { -2.0 }).max(0.0)
            }
        };
        let more = [
            LossFunction::Focal(Focal { loss_parameter: 0.0 }),
            LossFunction::LabelSmoothing(LabelSmoothing { loss_parameter: 0.0 }),
            LossFunction::Margin(Margin { loss_parameter: 2.5 }),
        ];
        for function in FUNCTIONS.into_iter().chain(more) {
            let mut graph = Graph::<f64>::new();
            let (tokens, targets) = (graph.indices(1), graph.indices(1));
            let weights = graph.weights(1);
            let zero = Initial::Constant(0.0);
            let table = graph.parameter(Parameter::matrix("table", [1, 3], zero));
            let x = graph.embedding(tokens, table, None);
            let loss = graph.loss(function, x, targets, weights, 0..1);
            graph.output(loss, 0..1);
            let mut parameters = Parameters::zeros(&graph);
            parameters.values_mut(0).copy_from_slice(&logits);
            let precision = ProductPrecision::Full;
            let mut program = Program::compile(&graph, 2, Mode::Inference, precision, 1);
            program.indices_mut(targets)[1] = 1;
            program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
            for target in 0..2 {
                let found = [0, 1, 2].map(|f| program.output(0).lanes(f, 0)[target]);
                let right = [nll[target], 3.0 - logits[target], expected(function, target)];
                let far = found.iter().zip(&right).any(|(a, b)| (a - b).abs() > 1e-14);
                assert!(!far, "{function:?}: {found:?} instead of {right:?}");
            }
        }
    }
}
