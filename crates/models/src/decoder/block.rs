//! A block of a decoder: a mixer of positions, then an MLP.

use retrodict_engine::{
    Activation, Graph, Initial, Orientation, Parameter, ParameterId, Scalar, Sees, Value,
};

use super::design::{Mixer, Nonlinearity, Norm, NormPlace};
use super::{Decoder, Hook, PositionEncoding, Site};
use crate::network::Inputs;

/// The ε of every norm.
pub(crate) const EPSILON: f64 = 1e-5;
/// Hidden features of an MLP per feature of the residual stream.
const EXPANSION: usize = 4;
/// The name within a block of the mixer's output matrix, `[inputs, outputs]`.
pub(crate) const MIXER_OUTPUT: &str = "attn.c_proj";
/// The base of the rotary angles, as in the authors' library.
const ROTARY_BASE: f64 = 10_000.0;

/// The beginning of the names of a block's parameters.
fn block_name(layer: usize) -> String {
    format!("transformer.h.{layer}")
}

impl Decoder {
    /// In GPT-2: `x + attention(norm(x))`, then `x + mlp(norm(x))`.
    pub(super) fn block<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        x: Value,
        inputs: Inputs,
        layer: usize,
        hook: &mut Hook<'_, T>,
    ) -> Value {
        let name = &block_name(layer);
        let x = self.branch(graph, x, &format!("{name}.ln_1"), |graph, h| {
            let mixed = self.mixed(graph, h, inputs, layer, hook)?;
            let mixed = hook(graph, Site::Mixed(layer), mixed);
            Some(self.mixer_output(graph, mixed, name))
        });
        self.branch(graph, x, &format!("{name}.ln_2"), |graph, h| {
            let added = self.mlp(graph, h, name);
            Some(hook(graph, Site::Mlp(layer), added))
        })
    }

    /// A branch with its norm and its residual connection.
    fn branch<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        x: Value,
        norm: &str,
        work: impl FnOnce(&mut Graph<T>, Value) -> Option<Value>,
    ) -> Value {
        let h = match self.design.norm_place {
            NormPlace::Pre => self.norm(graph, x, norm),
            NormPlace::Post => x,
        };
        let Some(h) = work(graph, h) else { return x };
        let x = match self.design.residual {
            true => graph.residual(x, h, self.dropout),
            false => graph.dropout(h, self.dropout),
        };
        match self.design.norm_place {
            NormPlace::Pre => x,
            NormPlace::Post => self.norm(graph, x, norm),
        }
    }

    /// The mixer's result before the output matrix; `None` where there is no mixer.
    fn mixed<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        h: Value,
        inputs: Inputs,
        layer: usize,
        hook: &mut Hook<'_, T>,
    ) -> Option<Value> {
        let name = block_name(layer);
        let mixed = match self.design.mixer {
            Mixer::None => return None,
            Mixer::Attention | Mixer::Bidirectional | Mixer::Linear => {
                self.attention(graph, h, inputs, layer, hook)
            }
            Mixer::Lstm => self.lstm(graph, h, &format!("{name}.lstm")),
            Mixer::Gru => self.gru(graph, h, &format!("{name}.gru")),
            Mixer::Diagonal => self.diagonal(graph, h, &format!("{name}.diagonal")),
            Mixer::LinearRecurrent => self.linear_recurrent(graph, h, &format!("{name}.recurrent")),
        };
        Some(mixed)
    }

    /// Applies the output matrix to the mixer's result, where the design has one.
    fn mixer_output<T: Scalar>(&self, graph: &mut Graph<T>, mixed: Value, name: &str) -> Value {
        if !self.design.has_output_matrix() {
            return mixed;
        }
        let shape = [self.dim, self.dim];
        self.dense(graph, mixed, &format!("{name}.{MIXER_OUTPUT}"), shape, self.projection_std())
    }

    fn attention<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        h: Value,
        inputs: Inputs,
        layer: usize,
        hook: &mut Hook<'_, T>,
    ) -> Value {
        let (d, name) = (self.dim, format!("{}.attn.c_attn", block_name(layer)));
        let (w, b) = self.joined(graph, &name, 3, Initial::Constant(0.0));
        let [q, k, v] = [0, 1, 2].map(|i| {
            let part = i * d..(i + 1) * d;
            let (w, b) = (graph.columns(w, part.clone()), graph.columns(b, part));
            graph.linear(h, w, Orientation::InputsFirst, Some(b))
        });
        let [q, k] = match &self.position {
            PositionEncoding::None | PositionEncoding::Absolute => [q, k],
            PositionEncoding::Rotary(rotary) => {
                let rotated = self.rotated(rotary.rotary_fraction);
                [q, k].map(|x| inputs.rotary(graph, x, self.heads, rotated, ROTARY_BASE))
            }
        };
        let k = hook(graph, Site::Keys(layer), k);
        let v = hook(graph, Site::Values(layer), v);
        let (heads, padding_mask) = (self.heads, inputs.padding_mask);
        let sees = if self.design.mixer.sees_all() { Sees::All } else { Sees::Past };
        match self.design.mixer {
            Mixer::Linear => graph.linear_attention([q, k, v], heads, sees, padding_mask),
            _ => graph.attention_over([q, k, v], heads, sees, padding_mask, self.dropout),
        }
    }

    fn mlp<T: Scalar>(&self, graph: &mut Graph<T>, h: Value, name: &str) -> Value {
        let (d, hidden) = (self.dim, EXPANSION * self.dim);
        let x = self.dense(graph, h, &format!("{name}.mlp.c_fc"), [d, hidden], self.init_std);
        let x = match self.design.nonlinearity {
            Nonlinearity::Gelu => graph.gelu(x),
            Nonlinearity::Relu => graph.activation(x, Activation::Relu),
            Nonlinearity::Silu => graph.activation(x, Activation::Silu),
            Nonlinearity::Gated => {
                let gate = graph.activation(x, Activation::Silu);
                let name = format!("{name}.mlp.c_gate");
                let x = self.dense(graph, h, &name, [d, hidden], self.init_std);
                graph.multiply(gate, x)
            }
        };
        let (name, std) = (format!("{name}.mlp.c_proj"), self.projection_std());
        self.dense(graph, x, &name, [hidden, d], std)
    }

    /// Weights that write into the residual stream start smaller, by the square root of their
    /// number.
    fn projection_std(&self) -> f64 {
        self.init_std / ((2 * self.layers) as f64).sqrt()
    }

    pub(super) fn norm<T: Scalar>(&self, graph: &mut Graph<T>, x: Value, name: &str) -> Value {
        let vector = |what: &str, c| {
            Parameter::vector(format!("{name}.{what}"), self.dim, Initial::Constant(c))
        };
        match self.design.norm {
            Norm::None => x,
            Norm::Rms => {
                let gain = graph.parameter(vector("weight", 1.0));
                graph.rms_norm(x, gain, EPSILON)
            }
            Norm::Layer => {
                let gain = graph.parameter(vector("weight", 1.0));
                let bias = graph.parameter(vector("bias", 0.0));
                graph.layer_norm(x, gain, bias, EPSILON)
            }
        }
    }

    /// `count` matrices `[dim, dim]` side by side and their biases, such as those of queries, keys
    /// and values.
    pub(super) fn joined<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        name: &str,
        count: usize,
        bias: Initial,
    ) -> (ParameterId, ParameterId) {
        let (shape, normal) =
            ([self.dim, count * self.dim], Initial::Normal { std: self.init_std });
        let weight = Parameter::matrix(format!("{name}.weight"), shape, normal).hidden(count);
        let bias = Parameter::vector(format!("{name}.bias"), shape[1], bias);
        (graph.parameter(weight), graph.parameter(bias))
    }

    /// A linear layer: a matrix `[inputs, outputs]` and a bias.
    fn dense<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        x: Value,
        name: &str,
        shape: [usize; 2],
        std: f64,
    ) -> Value {
        let weight = Parameter::matrix(format!("{name}.weight"), shape, Initial::Normal { std });
        let bias = Parameter::vector(format!("{name}.bias"), shape[1], Initial::Constant(0.0));
        let (w, b) = (graph.parameter(weight.hidden(1)), graph.parameter(bias));
        graph.linear_whole(x, w, Orientation::InputsFirst, Some(b))
    }
}
