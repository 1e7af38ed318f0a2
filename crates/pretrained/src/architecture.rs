//! The models that are run, as graphs.

use retrodict_engine::{Graph, Indices, Orientation, ParameterId, Scalar, Value};
use retrodict_models::{Decoder, Hook, Inputs, Site, TOKEN_EMBEDDINGS};

use crate::llama::{self, Biases, Llama};

/// The number of a place of the residual stream: 0 before the first block, then after each block.
/// `None` of other sites.
pub(crate) fn place(site: Site) -> Option<usize> {
    match site {
        Site::Embeddings => Some(0),
        Site::Block(block) => Some(block + 1),
        Site::Keys(_) | Site::Values(_) | Site::Mixed(_) | Site::Mlp(_) => None,
    }
}

/// The linear map from the heads of a block's attention to the residual stream.
pub(crate) struct OutputMap {
    /// Query heads, side by side in the map's inputs.
    pub(crate) heads: usize,
    /// The name of the weight.
    pub(crate) weight: String,
    pub(crate) orientation: Orientation,
    /// The name of the bias, where there is one.
    pub(crate) bias: Option<String>,
}

/// A model without its weights.
#[derive(Clone, Debug, PartialEq)]
pub enum Architecture {
    /// GPT-2, as `transformers` has it.
    Gpt2(Decoder),
    /// Llama, Mistral or Qwen2.
    Llama(Llama),
}

impl Architecture {
    /// Tokens.
    pub fn vocab(&self) -> usize {
        match self {
            Self::Gpt2(decoder) => decoder.vocab,
            Self::Llama(llama) => llama.vocab,
        }
    }

    /// The tokens of a text, at most.
    pub fn context(&self) -> usize {
        match self {
            Self::Gpt2(decoder) => decoder.positions,
            Self::Llama(llama) => llama.context,
        }
    }

    /// Features of the residual stream.
    pub fn width(&self) -> usize {
        match self {
            Self::Gpt2(decoder) => decoder.dim,
            Self::Llama(llama) => llama.dim,
        }
    }

    /// Blocks.
    pub fn layers(&self) -> usize {
        match self {
            Self::Gpt2(decoder) => decoder.layers,
            Self::Llama(llama) => llama.layers,
        }
    }

    /// The input of the head, `[features, positions]`, without dropout. Parameters have the names of
    /// the checkpoint.
    pub fn stream<T: Scalar>(&self, graph: &mut Graph<T>, tokens: Indices) -> Value {
        self.stream_with_hook(graph, tokens.into(), &mut |_, _, value| value)
    }

    /// The same, every [`Site`] on the way shown to `hook`, which may exchange what flows there.
    pub(crate) fn stream_with_hook<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        inputs: Inputs,
        hook: &mut Hook<'_, T>,
    ) -> Value {
        match self {
            Self::Gpt2(decoder) => decoder.hidden_with_hook(graph, inputs, hook),
            Self::Llama(llama) => {
                let stream = llama.stream_with_hook(graph, inputs, hook);
                llama.read(graph, stream)
            }
        }
    }

    /// The input of the head, of a residual stream at any place.
    pub(crate) fn read<T: Scalar>(&self, graph: &mut Graph<T>, stream: Value) -> Value {
        match self {
            Self::Gpt2(decoder) => decoder.read(graph, stream),
            Self::Llama(llama) => llama.read(graph, stream),
        }
    }

    /// The logits `[vocab, positions]`.
    pub fn head<T: Scalar>(&self, graph: &mut Graph<T>, x: Value) -> Value {
        match self {
            Self::Gpt2(decoder) => decoder.head(graph, x),
            Self::Llama(llama) => llama.head(graph, x),
        }
    }

    /// The weight of the head, `[vocab, features]`.
    pub fn head_table<T: Scalar>(&self, graph: &mut Graph<T>) -> ParameterId {
        match self {
            Self::Gpt2(decoder) => decoder.head_table(graph),
            Self::Llama(llama) => llama.head_table(graph),
        }
    }

    /// The name of the head's weight.
    pub(crate) fn head_name(&self) -> &'static str {
        match self {
            Self::Gpt2(decoder) if decoder.tie_head => TOKEN_EMBEDDINGS,
            Self::Llama(llama) if llama.tied => llama::TOKENS,
            Self::Gpt2(_) | Self::Llama(_) => "lm_head.weight",
        }
    }

    /// The name of the norm before the head, its ε, and whether it subtracts the mean and has a bias.
    pub(crate) fn last_norm(&self) -> (&'static str, f64, bool) {
        match self {
            Self::Gpt2(_) => ("transformer.ln_f", 1e-5, true),
            Self::Llama(llama) => (llama::LAST_NORM, llama.epsilon, false),
        }
    }

    /// The output map of a block's attention.
    pub(crate) fn output_map(&self, block: usize) -> OutputMap {
        let (heads, name, orientation, biased) = match self {
            Self::Gpt2(decoder) => {
                let name = format!("transformer.h.{block}.attn.c_proj");
                (decoder.heads, name, Orientation::InputsFirst, true)
            }
            Self::Llama(llama) => {
                let name = format!("model.layers.{block}.self_attn.o_proj");
                let biased = llama.biases == Biases::All;
                (llama.heads, name, Orientation::OutputsFirst, biased)
            }
        };
        let bias = biased.then(|| format!("{name}.bias"));
        OutputMap { heads, weight: format!("{name}.weight"), orientation, bias }
    }

    /// The same with the rows of `transformers`: the halves of a head are its rotary pairs.
    pub(crate) fn in_halves(&self) -> Self {
        match self {
            Self::Gpt2(decoder) => Self::Gpt2(decoder.clone()),
            Self::Llama(llama) => Self::Llama(Llama { in_halves: true, ..llama.clone() }),
        }
    }

    /// The row of the checkpoint that each of the `rows` of a parameter is; `None` where they are
    /// the same. The engine rotates neighbouring features, and most checkpoints have the two halves
    /// of each head in their place.
    pub fn row_order(&self, name: &str, rows: usize) -> Option<Vec<usize>> {
        let Self::Llama(llama) = self else { return None };
        let width = rows / llama.rotated_heads(name)?;
        let from = |row: usize| {
            let (head, within) = (row / width, row % width);
            head * width + within / 2 + within % 2 * (width / 2)
        };
        Some((0..rows).map(from).collect())
    }
}
