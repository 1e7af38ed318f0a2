//! Recurrent mixers in place of attention. Sentences have a handful of tokens, so a recurrence is
//! unrolled, one step for each position.

use retrodict_engine::{
    Activation, Decay, Graph, Initial, Orientation, Parameter, ParameterId, Scalar, Value, View,
};

use super::Decoder;

/// The initial decay of a diagonal state from one position to the next.
const INITIAL_DECAY: f64 = 0.9;

/// The initial biases, but for those of forget gates.
const ZERO: Initial = Initial::Constant(0.0);

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
        let [w, b] = self.parts(graph, i);
        graph.linear(x, w, Orientation::InputsFirst, Some(b))
    }

    /// The same for a state at one position; of the state before the first, which is zero, the bias
    /// is left.
    fn of_state<T: Scalar>(self, graph: &mut Graph<T>, h: Option<Value>, i: usize) -> Value {
        match h {
            Some(h) => self.of(graph, h, i),
            None => {
                let [_, b] = self.parts(graph, i);
                graph.broadcast(b, 1)
            }
        }
    }

    fn parts<T: Scalar>(self, graph: &Graph<T>, i: usize) -> [View; 2] {
        let part = i * self.width..(i + 1) * self.width;
        [self.weight, self.bias].map(|parameter| graph.columns(parameter, part.clone()))
    }
}

impl Decoder {
    fn gates<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        name: &str,
        count: usize,
        bias: Initial,
    ) -> Gates {
        let (weight, bias) = self.joined(graph, name, count, bias);
        Gates { weight, bias, width: self.dim }
    }

    /// One LSTM step: `c = f ⊙ c + i ⊙ g`, `h = o ⊙ tanh c`; i, f, o logistic and g a tanh of
    /// `W x + b + U h + d`. The first state is zero.
    pub(super) fn lstm<T: Scalar>(&self, graph: &mut Graph<T>, x: Value, name: &str) -> Value {
        let (first, value) = (self.dim, self.design.forget_bias);
        let forget = Initial::Columns { first, count: self.dim, value };
        let from_input = self.gates(graph, &format!("{name}.input"), 4, forget);
        let from_state = self.gates(graph, &format!("{name}.state"), 4, ZERO);
        let kinds =
            [Activation::Sigmoid, Activation::Sigmoid, Activation::Tanh, Activation::Sigmoid];
        let driven = [0, 1, 2, 3].map(|i| from_input.of(graph, x, i));
        let mut state: Option<[Value; 2]> = None;
        self.step_by_step(graph, x, |graph, position| {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| {
                let own = graph.select(driven[gate], &[position]);
                let recurrent = from_state.of_state(graph, state.map(|[h, _]| h), gate);
                let sum = graph.residual(own, recurrent, 0.0);
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

    /// One GRU step: `h = n + z ⊙ (h − n)`, `n = tanh(W x + b + r ⊙ (U h + d))`; r and z logistic.
    /// The first state is zero.
    pub(super) fn gru<T: Scalar>(&self, graph: &mut Graph<T>, x: Value, name: &str) -> Value {
        let from_input = self.gates(graph, &format!("{name}.input"), 3, ZERO);
        let from_state = self.gates(graph, &format!("{name}.state"), 3, ZERO);
        let driven = [0, 1, 2].map(|i| from_input.of(graph, x, i));
        let mut state: Option<Value> = None;
        self.step_by_step(graph, x, |graph, position| {
            let own = driven.map(|driven| graph.select(driven, &[position]));
            let recurrent = [0, 1, 2].map(|i| from_state.of_state(graph, state, i));
            let [r, z] = [0, 1].map(|i| {
                let sum = graph.residual(own[i], recurrent[i], 0.0);
                graph.activation(sum, Activation::Sigmoid)
            });
            let reset = graph.multiply(r, recurrent[2]);
            let sum = graph.residual(own[2], reset, 0.0);
            let n = graph.activation(sum, Activation::Tanh);
            let minus = graph.scale(n, -1.0);
            let difference = state.map_or(minus, |h| graph.residual(h, minus, 0.0));
            let kept = graph.multiply(z, difference);
            let h = graph.residual(n, kept, 0.0);
            state = Some(h);
            h
        })
    }

    pub(super) fn diagonal<T: Scalar>(&self, graph: &mut Graph<T>, x: Value, name: &str) -> Value {
        let driven = self.gates(graph, &format!("{name}.input"), 1, ZERO).of(graph, x, 0);
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
        let gates = self.gates(graph, &format!("{name}.input"), 3, ZERO);
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
