//! `config.json` of a checkpoint, as Hugging Face `transformers` reads it.

use retrodict_models::{Decoder, Design, Network, Nonlinearity, PositionEncoding};
use serde_json::{Map, Value, json};

use crate::spec::{Keyword as _, Precision};

/// Whether `GPT2LMHeadModel` computes the same as this decoder: it has GPT-2's learned positions,
/// or none (zero positions), and differs at most in an activation that `transformers` has.
pub(crate) fn is_gpt2(decoder: &Decoder) -> bool {
    let nonlinearity = Nonlinearity::Gelu;
    !matches!(decoder.position, PositionEncoding::Rotary(_))
        && activation(decoder.design.nonlinearity).is_some()
        && Design { nonlinearity, ..decoder.design } == Design::default()
}

/// The name of a nonlinearity in `transformers`.
fn activation(nonlinearity: Nonlinearity) -> Option<&'static str> {
    match nonlinearity {
        Nonlinearity::Gelu => Some("gelu_new"),
        Nonlinearity::Relu => Some("relu"),
        Nonlinearity::Silu => Some("silu"),
        Nonlinearity::Gated => None,
    }
}

/// The text of `config.json`. A model that GPT-2 cannot express has its own architecture name.
pub fn config(network: &Network, precision: Precision) -> Value {
    let mut config = match network {
        Network::Decoder(decoder) => decoder_config(decoder),
        Network::Bilinear(model) => json!({
            "architectures": ["RetrodictBilinear"],
            "model_type": "retrodict-bilinear",
            "vocab_size": model.vocab,
            "n_embd": model.settings.dim,
        }),
        Network::OneLayer(model) => json!({
            "architectures": ["RetrodictOneLayer"],
            "model_type": "retrodict-one-layer",
            "vocab_size": model.vocab,
            "n_embd": model.factors(),
            "context": model.settings.context.word(),
        }),
    };
    let dtype = match precision {
        Precision::F32 | Precision::Bf16 => "float32",
        Precision::F64 => "float64",
    };
    config["torch_dtype"] = json!(dtype);
    config
}

fn decoder_config(decoder: &Decoder) -> Value {
    let mut config = Map::new();
    let mut put = |key: &str, value: Value| config.insert(key.to_owned(), value);
    let design = decoder.design;
    if is_gpt2(decoder) {
        put("architectures", json!(["GPT2LMHeadModel"]));
        put("model_type", json!("gpt2"));
    } else {
        put("architectures", json!(["RetrodictDecoder"]));
        put("model_type", json!("retrodict-decoder"));
    }
    match &decoder.position {
        PositionEncoding::Absolute => None,
        PositionEncoding::None => put("position_encoding", json!("none")),
        PositionEncoding::Rotary(rotary) => {
            put("rotary_fraction", json!(rotary.rotary_fraction));
            put("position_encoding", json!("rotary"))
        }
    };
    if design != Design::default() {
        put("mixer", json!(design.mixer.word()));
        put("residual", json!(design.residual));
        put("norm", json!(design.norm.word()));
        put("norm_place", json!(design.norm_place.word()));
        put("nonlinearity", json!(design.nonlinearity.word()));
        put("value_output", json!(design.value_output.word()));
    }
    put("vocab_size", json!(decoder.vocab));
    put("n_positions", json!(decoder.positions));
    put("n_layer", json!(decoder.layers));
    put("n_head", json!(decoder.heads));
    put("n_embd", json!(decoder.dim));
    put("n_inner", Value::Null);
    put("activation_function", json!(activation(design.nonlinearity)));
    put("layer_norm_epsilon", json!(1e-5));
    put("initializer_range", json!(decoder.init_std));
    put("scale_attn_weights", json!(true));
    for place in ["embd_pdrop", "attn_pdrop", "resid_pdrop"] {
        put(place, json!(decoder.dropout));
    }
    put("tie_word_embeddings", json!(decoder.tie_head));
    // By default they are GPT-2's token 50256, which is not in this vocabulary.
    for token in ["bos_token_id", "eos_token_id", "pad_token_id"] {
        put(token, Value::Null);
    }
    Value::Object(config)
}
