//! Llama-style decoders (Touvron et al., 2023): RMS norm, rotary positions, grouped queries, a gated
//! MLP.

use retrodict_engine::{
    Activation, Graph, Initial, Orientation, Parameter, ParameterId, Scalar, Sees, Value,
};
use retrodict_models::{Hook, Inputs, Site};

use crate::PretrainedError;
use crate::fields::Fields;

/// The name of the token table, `[vocab, dim]`.
pub(crate) const TOKENS: &str = "model.embed_tokens.weight";
/// The name of the norm before the head.
pub(crate) const LAST_NORM: &str = "model.norm";

/// The linear maps of attention that have a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Biases {
    /// None, as in Llama.
    None,
    /// Those of queries, keys and values, as in Qwen2.
    Inputs,
    /// The output map too.
    All,
}

/// The shape of a Llama-style decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Llama {
    /// Tokens.
    pub vocab: usize,
    /// Positions that it was trained on, at most.
    pub context: usize,
    /// Blocks.
    pub layers: usize,
    /// Features of the residual stream.
    pub dim: usize,
    /// Query heads.
    pub heads: usize,
    /// Heads of keys and values; they divide the query heads.
    pub kv_heads: usize,
    /// Features of a head.
    pub head_width: usize,
    /// Hidden features of the MLP.
    pub hidden: usize,
    /// The ε of every norm.
    pub epsilon: f64,
    /// The base of the rotary angles.
    pub rope_base: f64,
    /// Whether the head is the token table.
    pub tied: bool,
    /// Biases of attention.
    pub biases: Biases,
    /// Whether the file's rotary pairs are a head's halves; otherwise they are neighbours, as the
    /// engine has them.
    pub in_halves: bool,
}

impl Llama {
    /// Refuses heads that cannot be grouped or rotated.
    pub(crate) fn check(&self, fields: Fields<'_>, kv_heads: &str) -> Result<(), PretrainedError> {
        let Self { heads, kv_heads: kv, head_width: width, .. } = self;
        if !heads.is_multiple_of(*kv) {
            let problem = format!("is {kv}, which does not divide the {heads} query heads");
            return Err(fields.refuse(kv_heads, &problem));
        }
        if *width == 0 || !width.is_multiple_of(2) {
            let problem =
                format!("heads have {width} features, but rotary pairs need an even number");
            return Err(PretrainedError::file(fields.path, problem));
        }
        Ok(())
    }

    /// The residual stream after the last block, `[dim, positions]`; every [`Site`] on the way is
    /// shown to `hook`. Parameters have the names of `LlamaForCausalLM`.
    pub(crate) fn stream_with_hook<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        inputs: Inputs,
        hook: &mut Hook<'_, T>,
    ) -> Value {
        let table = self.table(graph);
        let x = graph.embedding(inputs.tokens, table, None);
        let mut x = hook(graph, Site::Embeddings, x);
        for layer in 0..self.layers {
            let name = format!("model.layers.{layer}");
            let h = self.norm(graph, x, &format!("{name}.input_layernorm"));
            let h = self.attention(graph, h, inputs, layer, hook);
            x = graph.residual(x, h, 0.0);
            let h = self.norm(graph, x, &format!("{name}.post_attention_layernorm"));
            let h = self.mlp(graph, h, &format!("{name}.mlp"));
            let h = hook(graph, Site::Mlp(layer), h);
            x = graph.residual(x, h, 0.0);
            x = hook(graph, Site::Block(layer), x);
        }
        x
    }

    /// The input of the head, of a residual stream.
    pub(crate) fn read<T: Scalar>(&self, graph: &mut Graph<T>, stream: Value) -> Value {
        self.norm(graph, stream, LAST_NORM)
    }

    /// The logits `[vocab, positions]`.
    pub(crate) fn head<T: Scalar>(&self, graph: &mut Graph<T>, x: Value) -> Value {
        let head = self.head_table(graph);
        graph.linear_whole(x, head, Orientation::OutputsFirst, None)
    }

    /// The weight of the head, `[vocab, dim]`.
    pub(crate) fn head_table<T: Scalar>(&self, graph: &mut Graph<T>) -> ParameterId {
        match self.tied {
            true => self.table(graph),
            false => graph.parameter(matrix("lm_head.weight", [self.vocab, self.dim])),
        }
    }

    /// The heads of a parameter whose rows the engine has in another order: its pairs are neighbours.
    pub(crate) fn rotated_heads(&self, name: &str) -> Option<usize> {
        let is = |map: &str| name.contains(map) && self.in_halves;
        match () {
            () if is(".q_proj.") => Some(self.heads),
            () if is(".k_proj.") => Some(self.kv_heads),
            () => None,
        }
    }

    fn table<T: Scalar>(&self, graph: &mut Graph<T>) -> ParameterId {
        graph.parameter(matrix(TOKENS, [self.vocab, self.dim]))
    }

    fn norm<T: Scalar>(&self, graph: &mut Graph<T>, x: Value, name: &str) -> Value {
        let gain = Parameter::vector(format!("{name}.weight"), self.dim, Initial::Constant(1.0));
        let gain = graph.parameter(gain);
        graph.rms_norm(x, gain, self.epsilon)
    }

    fn attention<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        h: Value,
        inputs: Inputs,
        layer: usize,
        hook: &mut Hook<'_, T>,
    ) -> Value {
        let Self { heads, kv_heads, head_width: width, .. } = *self;
        let name = format!("model.layers.{layer}.self_attn");
        let bias = self.biases != Biases::None;
        let [q, k, v] =
            [("q_proj", heads), ("k_proj", kv_heads), ("v_proj", kv_heads)].map(|(map, heads)| {
                dense(graph, h, &format!("{name}.{map}"), [heads * width, self.dim], bias)
            });
        let q = inputs.rotary(graph, q, heads, width, self.rope_base);
        let k = inputs.rotary(graph, k, kv_heads, width, self.rope_base);
        let k = hook(graph, Site::Keys(layer), k);
        let v = hook(graph, Site::Values(layer), v);
        let [k, v] = match heads / kv_heads {
            1 => [k, v],
            times => [k, v].map(|x| graph.repeat_heads(x, kv_heads, times)),
        };
        let mixed = graph.attention_over([q, k, v], heads, Sees::Past, inputs.padding_mask, 0.0);
        let mixed = hook(graph, Site::Mixed(layer), mixed);
        let bias = self.biases == Biases::All;
        dense(graph, mixed, &format!("{name}.o_proj"), [self.dim, heads * width], bias)
    }

    fn mlp<T: Scalar>(&self, graph: &mut Graph<T>, h: Value, name: &str) -> Value {
        let shape = [self.hidden, self.dim];
        let gate = dense(graph, h, &format!("{name}.gate_proj"), shape, false);
        let gate = graph.activation(gate, Activation::Silu);
        let up = dense(graph, h, &format!("{name}.up_proj"), shape, false);
        let x = graph.multiply(gate, up);
        dense(graph, x, &format!("{name}.down_proj"), [self.dim, self.hidden], false)
    }
}

fn matrix(name: &str, shape: [usize; 2]) -> Parameter {
    Parameter::matrix(name, shape, Initial::Constant(0.0))
}

/// A linear map: a matrix `[outputs, inputs]`, and a bias where there is one.
fn dense<T: Scalar>(
    graph: &mut Graph<T>,
    x: Value,
    name: &str,
    shape: [usize; 2],
    bias: bool,
) -> Value {
    let weight = graph.parameter(matrix(&format!("{name}.weight"), shape).hidden(1));
    let bias = bias.then(|| {
        let zeros = Initial::Constant(0.0);
        graph.parameter(Parameter::vector(format!("{name}.bias"), shape[0], zeros))
    });
    graph.linear_whole(x, weight, Orientation::OutputsFirst, bias)
}
