//! `config.json` of a Hugging Face folder.

use std::path::Path;

use retrodict_models::{Decoder, DecoderSettings};
use serde_json::{Map, Value, json};

use crate::PretrainedError;
use crate::architecture::Architecture;
use crate::fields::{Fields, LAYERS, TOKENS, WIDTH};
use crate::llama::{Biases, Llama};

/// The models that are run, as `architectures` names them.
const KNOWN: [&str; 4] =
    ["GPT2LMHeadModel", "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"];

/// A description of a model.
pub(crate) struct Config {
    pub(crate) architecture: Architecture,
    /// Tokens that end a text.
    pub(crate) ends: Vec<u32>,
}

impl Config {
    /// Reads `config.json`.
    ///
    /// # Errors
    /// If a field is missing or wrong, or describes a model that is not run.
    pub(crate) fn read(path: &Path) -> Result<Self, PretrainedError> {
        let text = std::fs::read(path).map_err(|error| PretrainedError::unreadable(path, error))?;
        let object: Map<String, Value> = serde_json::from_slice(&text).map_err(|error| {
            PretrainedError::file(path, format!("it is no JSON object: {error}"))
        })?;
        let fields = Fields { path, object: &object, prefix: "" };
        let name = fields.get("architectures").and_then(|names| names.get(0)?.as_str());
        let architecture = match name {
            Some("GPT2LMHeadModel") => Architecture::Gpt2(gpt2(fields)?),
            Some("LlamaForCausalLM" | "MistralForCausalLM") => {
                let all = fields.flag("attention_bias", false)?;
                let biases = if all { Biases::All } else { Biases::None };
                Architecture::Llama(llama(fields, biases)?)
            }
            Some("Qwen2ForCausalLM") => Architecture::Llama(llama(fields, Biases::Inputs)?),
            _ => {
                let given = fields
                    .get("architectures")
                    .map_or("is missing".to_owned(), |names| format!("is {names}"));
                let problem = format!("{given}; this program runs {}", KNOWN.join(", "));
                return Err(fields.refuse("architectures", &problem));
            }
        };
        let ends = match fields.get("eos_token_id") {
            Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_u64).collect(),
            id => id.and_then(Value::as_u64).into_iter().collect::<Vec<_>>(),
        };
        let ends = ends.into_iter().filter_map(|id| u32::try_from(id).ok()).collect();
        Ok(Self { architecture, ends })
    }
}

fn gpt2(fields: Fields<'_>) -> Result<Decoder, PretrainedError> {
    fields.only("activation_function", &json!("gelu_new"))?;
    fields.only("layer_norm_epsilon", &json!(1e-5))?;
    fields.only("scale_attn_weights", &json!(true))?;
    fields.only("scale_attn_by_inverse_layer_idx", &json!(false))?;
    fields.only("add_cross_attention", &json!(false))?;
    let dim = fields.number("n_embd", None, WIDTH)?;
    fields.only("n_inner", &json!(4 * dim))?;
    let heads = fields.number("n_head", None, WIDTH)?;
    if !dim.is_multiple_of(heads) {
        return Err(fields.refuse("n_head", &format!("is {heads}, which does not divide {dim}")));
    }
    let settings = DecoderSettings {
        layers: fields.number("n_layer", None, LAYERS)?,
        dim,
        heads,
        dropout: 0.0,
        tie_head: fields.flag("tie_word_embeddings", true)?,
        ..DecoderSettings::default()
    };
    let vocab = fields.number("vocab_size", None, TOKENS)?;
    Ok(Decoder { vocab, positions: fields.number("n_positions", None, TOKENS)?, settings })
}

fn llama(fields: Fields<'_>, biases: Biases) -> Result<Llama, PretrainedError> {
    fields.only("hidden_act", &json!("silu"))?;
    fields.only("mlp_bias", &json!(false))?;
    fields.only("use_sliding_window", &json!(false))?;
    let dim = fields.number("hidden_size", None, WIDTH)?;
    let heads = fields.number("num_attention_heads", None, WIDTH)?;
    let context = fields.number("max_position_embeddings", None, TOKENS)?;
    // A window that is as wide as the context is none. Qwen2 has one that is not used.
    if fields.get("use_sliding_window").is_none()
        && fields.get("sliding_window").is_some_and(|w| w.as_u64() < Some(context as u64))
    {
        return Err(
            fields.refuse("sliding_window", "is below the context; such models are not run")
        );
    }
    // Since version 5 of transformers the angles have an object of their own.
    let object = fields.get("rope_parameters").or(fields.get("rope_scaling"));
    let empty = Map::new();
    let object = object.and_then(Value::as_object).unwrap_or(&empty);
    let rope = Fields { object, prefix: "", ..fields };
    for key in ["rope_type", "type"] {
        rope.only(key, &json!("default"))?;
    }
    let rope_base = fields.positive("rope_theta", Some(rope.positive("rope_theta", Some(1e4))?))?;
    let llama = Llama {
        vocab: fields.number("vocab_size", None, TOKENS)?,
        context,
        layers: fields.number("num_hidden_layers", None, LAYERS)?,
        dim,
        heads,
        kv_heads: fields.number("num_key_value_heads", Some(heads), WIDTH)?,
        head_width: fields.number("head_dim", Some(dim / heads), WIDTH)?,
        hidden: fields.number("intermediate_size", None, WIDTH)?,
        epsilon: fields.positive("rms_norm_eps", Some(1e-6))?,
        rope_base,
        tied: fields.flag("tie_word_embeddings", false)?,
        biases,
        in_halves: true,
    };
    llama.check(fields, "num_key_value_heads")?;
    Ok(llama)
}
