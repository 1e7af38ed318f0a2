//! Recurrent mixers in place of attention. Sentences have a handful of tokens, so a recurrence is
//! unrolled, one step for each position.

use retrodict_engine::{
    Activation, Decay, Graph, Initial, Orientation, Parameter, ParameterId, Scalar, Value,
};

use super::Decoder;
use crate::network::INITIAL_STD;

/// The initial decay of a diagonal state from one position to the next.
const INITIAL_DECAY: f64 = 0.9;

/// A matrix and its bias, applied by parts.
#[derive(Clone, Copy)]
struct Gates {
    weight: ParameterId,
    bias: ParameterId,
    width: usize,
}

impl Gates {
    /// The part of a value that belongs to gate `i`.
    fn of<T: Scalar>(self, graph: &mut Graph<T>, x: Value, i: usize) -> Value {
        let part = i * self.width..(i + 1) * self.width;
        let (w, b) = (graph.columns(self.weight, part.clone()), graph.columns(self.bias, part));
        graph.linear(x, w, Orientation::InputsFirst, Some(b))
    }
}

impl Decoder {
    fn gates<T: Scalar>(&self, graph: &mut Graph<T>, name: &str, count: usize) -> Gates {
        let shape = [self.dim, count * self.dim];
        let (weight, bias) = self.weight(graph, name, shape, INITIAL_STD);
        Gates { weight, bias, width: self.dim }
    }

    /// One LSTM step: `c = f ⊙ c + i ⊙ g`, `h = o ⊙ tanh c`; i, f, o logistic and g a tanh of `W x
    /// + U h`.
    pub(super) fn lstm<T: Scalar>(&self, graph: &mut Graph<T>, x: Value, name: &str) -> Value {
        let from_input = self.gates(graph, &format!("{name}.input"), 4);
        let from_state = self.gates(graph, &format!("{name}.state"), 4);
        let kinds =
            [Activation::Sigmoid, Activation::Sigmoid, Activation::Tanh, Activation::Sigmoid];
        let driven = [0, 1, 2, 3].map(|i| from_input.of(graph, x, i));
        let mut state: Option<[Value; 2]> = None;
        self.step_by_step(graph, x, |graph, position| {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| {
                let own = graph.select(driven[gate], &[position]);
                let sum = match state {
                    Some([h, _]) => {
                        let recurrent = from_state.of(graph, h, gate);
                        graph.residual(own, recurrent, 0.0)
                    }
                    None => own,
                };
                graph.activation(sum, kinds[gate])
            });
            let written = graph.multiply(i, g);
            let c = match state {
                Some([_, c]) => {
                    let kept = graph.multiply(f, c);
                    graph.residual(kept, written, 0.0)
                }
                None => written,
            };
            let squashed = graph.activation(c, Activation::Tanh);
            let h = graph.multiply(o, squashed);
            state = Some([h, c]);
            h
        })
    }

    /// One GRU step: `h = n + z ⊙ (h − n)`, `n = tanh(W x + r ⊙ U h)`; r and z logistic.
    pub(super) fn gru<T: Scalar>(&self, graph: &mut Graph<T>, x: Value, name: &str) -> Value {
        let from_input = self.gates(graph, &format!("{name}.input"), 3);
        let from_state = self.gates(graph, &format!("{name}.state"), 3);
        let driven = [0, 1, 2].map(|i| from_input.of(graph, x, i));
        let mut state: Option<Value> = None;
        self.step_by_step(graph, x, |graph, position| {
            let own = driven.map(|driven| graph.select(driven, &[position]));
            let h = match state {
                None => {
                    let z = graph.activation(own[1], Activation::Sigmoid);
                    let n = graph.activation(own[2], Activation::Tanh);
                    let taken = graph.multiply(z, n);
                    let taken = graph.scale(taken, -1.0);
                    graph.residual(n, taken, 0.0)
                }
                Some(h) => {
                    let recurrent = [0, 1, 2].map(|i| from_state.of(graph, h, i));
                    let [r, z] = [0, 1].map(|i| {
                        let sum = graph.residual(own[i], recurrent[i], 0.0);
                        graph.activation(sum, Activation::Sigmoid)
                    });
                    let reset = graph.multiply(r, recurrent[2]);
                    let sum = graph.residual(own[2], reset, 0.0);
                    let n = graph.activation(sum, Activation::Tanh);
                    let minus = graph.scale(n, -1.0);
                    let difference = graph.residual(h, minus, 0.0);
                    let kept = graph.multiply(z, difference);
                    graph.residual(n, kept, 0.0)
                }
            };
            state = Some(h);
            h
        })
    }

    pub(super) fn diagonal<T: Scalar>(&self, graph: &mut Graph<T>, x: Value, name: &str) -> Value {
        let driven = self.gates(graph, &format!("{name}.input"), 1).of(graph, x, 0);
        let decay = Initial::Constant(INITIAL_DECAY);
        let decay = Parameter::vector(format!("{name}.decay"), self.dim, decay);
        let decay = graph.parameter(decay);
        graph.scan(driven, Decay::Parameter(decay))
    }

    pub(super) fn linear_recurrent<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        x: Value,
        name: &str,
    ) -> Value {
        let gates = self.gates(graph, &format!("{name}.input"), 3);
        let [kept, taken, driven] = [0, 1, 2].map(|i| gates.of(graph, x, i));
        let [kept, taken] = [kept, taken].map(|x| graph.activation(x, Activation::Sigmoid));
        let driven = graph.multiply(taken, driven);
        graph.scan(driven, Decay::Value(kept))
    }

    /// The values that `step` returns for each position, in order.
    fn step_by_step<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        x: Value,
        mut step: impl FnMut(&mut Graph<T>, usize) -> Value,
    ) -> Value {
        let states: Vec<Value> = (0..graph.positions(x)).map(|p| step(graph, p)).collect();
        graph.join(&states)
    }
}
