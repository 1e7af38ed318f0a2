//! Activation functions: the usual ones except GELU, which has [its own file](super::gelu).

use crate::extent::Extents;
use crate::graph::Graph;
use crate::handle::Value;
use crate::isa::for_every_isa;
use crate::operation::{Context, Operation, compiled};
use crate::ops::multiply::products;
use crate::scalar::Scalar;

/// An elementwise function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `max(0, x)`; its slope at 0 is taken to be 0.
    Relu,
    /// `x σ(x)` (Hendrycks and Gimpel, 2016; also called swish).
    Silu,
    /// `σ(x) = 1 / (1 + e⁻ˣ)`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

struct Activate {
    kind: Activation,
}

impl<T: Scalar> Graph<T> {
    /// Applies the function to every number of `x`.
    pub fn activation(&mut self, x: Value, kind: Activation) -> Value {
        let shape = self.shape(x);
        self.push(Activate { kind }, vec![x], vec![], shape)
    }
}

compiled!(Activate);

impl<T: Scalar> Operation<T> for Activate {
    fn name(&self) -> &'static str {
        match self.kind {
            Activation::Relu => "Relu",
            Activation::Silu => "Silu",
            Activation::Sigmoid => "Sigmoid",
            Activation::Tanh => "Tanh",
        }
    }

    fn reads_input(&self, _input: usize) -> bool {
        false
    }

    /// The derivatives: the backward pass is a product with them, and reads neither input nor
    /// output.
    fn saved(&self, extents: &Extents<'_>) -> (usize, usize) {
        (extents.output.features, extents.columns())
    }

    fn flops(&self, extents: &Extents<'_>) -> u64 {
        let each = if self.kind == Activation::Relu { 1 } else { 6 };
        each * (extents.output.features * extents.columns()) as u64
    }

    fn forward(&self, at: &Context<'_, T>) {
        let (x, mut y, mut saved) = (at.input(0), at.output(), at.saved());
        for f in at.worker.share(x.rows, 1) {
            forward(at.isa, self.kind, x.row(f), y.row_mut(f), saved.row_mut(f));
        }
    }

    fn backward(&self, at: &Context<'_, T>) {
        let (dy, kept) = (at.d_output(), at.kept());
        let Some(mut dx) = at.d_input(0) else { return };
        for f in at.worker.share(dy.rows, 1) {
            products(at.isa, dy.row(f), kept.row(f), dx.matrix.row_mut(f), dx.accumulate);
        }
    }
}

/// σ(x): the exponential saturates, so neither end overflows.
#[inline(always)]
fn logistic<T: Scalar, const FUSED: bool>(x: T) -> T {
    T::ONE / (T::ONE + (-x).exp::<FUSED>())
}

for_every_isa! {
    fn forward<T>(kind: Activation, x: &[T], y: &mut [T], slope: &mut [T]) {
        let all = x.iter().zip(y).zip(slope);
        match kind {
            Activation::Relu => {
                for ((x, y), slope) in all {
                    let on = *x > T::ZERO;
                    *y = if on { *x } else { T::ZERO };
                    *slope = if on { T::ONE } else { T::ZERO };
                }
            }
            Activation::Silu => {
                for ((x, y), slope) in all {
                    let gate = logistic::<T, FUSED>(*x);
                    *y = *x * gate;
                    // σ + x σ (1 − σ)
                    *slope = (*y).fused::<FUSED>(T::ONE - gate, gate);
                }
            }
            Activation::Sigmoid => {
                for ((x, y), slope) in all {
                    let gate = logistic::<T, FUSED>(*x);
                    *y = gate;
                    *slope = gate * (T::ONE - gate);
                }
            }
            Activation::Tanh => {
                for ((x, y), slope) in all {
                    // 2σ(2x) − 1
                    let twice = logistic::<T, FUSED>(*x + *x);
                    let bent = twice + twice - T::ONE;
                    *y = bent;
                    *slope = (-bent).fused::<FUSED>(bent, T::ONE);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Activation::{self, Relu, Sigmoid, Silu, Tanh};
    use crate::check::{assert_gradients, with_head, with_stem};
    use crate::graph::Graph;
    use crate::parameter::{Initial, Parameter};
    use crate::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    #[test]
    fn gradient() {
        for kind in [Relu, Silu, Sigmoid, Tanh] {
            for (features, positions, batch) in [(1, 1, 1), (6, 2, 16), (9, 3, 18)] {
                let mut graph = Graph::<f64>::new();
                let x = with_stem(&mut graph, features, positions);
                let y = graph.activation(x, kind);
                with_head(&mut graph, y, 4, 0..positions);
                assert_gradients(&graph, batch);
            }
        }
    }

    /// Each agrees with the mathematical library, for large arguments too.
    #[test]
    fn values() {
        let given = [-1000.0, -2.5, -0.1, 0.0, 0.3, 4.0, 1000.0];
        let logistic = |x: f64| 1.0 / (1.0 + libm::exp(-x));
        let expected = |kind: Activation, x: f64| match kind {
            Relu => x.max(0.0),
            Silu => x * logistic(x),
            Sigmoid => logistic(x),
            Tanh => libm::tanh(x),
        };
        for kind in [Relu, Silu, Sigmoid, Tanh] {
            let mut graph = Graph::<f64>::new();
            let tokens = graph.indices(1);
            let zero = Initial::Constant(0.0);
            let table = graph.parameter(Parameter::matrix("table", [1, given.len()], zero));
            let x = graph.embedding(tokens, table, None);
            let y = graph.activation(x, kind);
            graph.output(y, 0..1);
            let mut parameters = Parameters::zeros(&graph);
            parameters.values_mut(0).copy_from_slice(&given);
            let precision = ProductPrecision::Full;
            let mut program = Program::compile(&graph, 1, Mode::Inference, precision, 1);
            program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut Team::new(1));
            for (i, x) in given.into_iter().enumerate() {
                let (found, right) = (program.output(0).lanes(i, 0)[0], expected(kind, x));
                assert!((found - right).abs() < 1e-14, "{kind:?}({x}) = {found}, not {right}");
            }
        }
    }
}
