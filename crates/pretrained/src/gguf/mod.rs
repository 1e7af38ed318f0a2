//! GGUF files of Llama-style models: description, tokenizer and quantised tensors in one.

mod header;
mod vocabulary;

use std::path::Path;

use serde_json::json;

use self::header::Header;
use crate::PretrainedError;
use crate::architecture::Architecture;
use crate::fields::{Fields, LAYERS, TOKENS, WIDTH};
use crate::llama::{Biases, Llama};
use crate::tensors::Tensors;
use crate::tokens::Tokens;

/// A GGUF file whose header has been read.
pub(crate) struct Described {
    pub(crate) architecture: Architecture,
    /// Tokens that end a text.
    pub(crate) ends: Vec<u32>,
    pub(crate) tensors: Tensors,
}

/// Opens a file, with the tokenizer of a `tokenizer.json` beside it or else its own.
///
/// # Errors
/// If it is damaged, or of a model or tokenizer that is not run.
pub(crate) fn open(path: &Path) -> Result<(Described, Tokens), PretrainedError> {
    let header = Header::read(path)?;
    let fields = Fields { path, object: &header.fields, prefix: "" };
    let architecture = Architecture::Llama(llama(fields, &header)?);
    let beside = path.with_file_name("tokenizer.json");
    let vocab = architecture.vocab();
    let tokens = match beside.exists() {
        true => Tokens::read(&beside, vocab)?,
        false => vocabulary::tokens(fields, &header, vocab)?,
    };
    let end = fields.get("tokenizer.ggml.eos_token_id").and_then(|id| id.as_u64());
    let ends = end.and_then(|id| u32::try_from(id).ok()).into_iter().collect();
    Ok((Described { architecture, ends, tensors: header.tensors }, tokens))
}

/// A tensor's name in the file from that in `LlamaForCausalLM`.
pub(crate) fn name(parameter: &str) -> String {
    const PARTS: [(&str, &str); 13] = [
        ("model.embed_tokens.", "token_embd."),
        ("model.norm.", "output_norm."),
        ("lm_head.", "output."),
        ("model.layers.", "blk."),
        (".input_layernorm.", ".attn_norm."),
        (".post_attention_layernorm.", ".ffn_norm."),
        (".self_attn.q_proj.", ".attn_q."),
        (".self_attn.k_proj.", ".attn_k."),
        (".self_attn.v_proj.", ".attn_v."),
        (".self_attn.o_proj.", ".attn_output."),
        (".mlp.gate_proj.", ".ffn_gate."),
        (".mlp.up_proj.", ".ffn_up."),
        (".mlp.down_proj.", ".ffn_down."),
    ];
    PARTS.iter().fold(parameter.to_owned(), |name, (from, to)| name.replacen(from, to, 1))
}

fn llama(fields: Fields<'_>, header: &Header) -> Result<Llama, PretrainedError> {
    let name = fields.get("general.architecture").and_then(|name| name.as_str());
    // The converter has made the halves of each head neighbours for llama alone.
    let (prefix, in_halves) = match name {
        Some("llama") => ("llama.", false),
        Some("qwen2") => ("qwen2.", true),
        _ => {
            let given = name.map_or("is missing".to_owned(), |name| format!("is {name:?}"));
            let problem = format!("{given}; this program runs GGUF files of llama and qwen2");
            return Err(fields.refuse("general.architecture", &problem));
        }
    };
    let fields = Fields { prefix, ..fields };
    let entries = &header.tensors.entries;
    if entries.contains_key("rope_freqs.weight") {
        let problem = "its rotary angles are scaled (rope_freqs.weight); such models are not run";
        return Err(PretrainedError::file(fields.path, problem));
    }
    fields.only("rope.scaling.type", &json!("none"))?;
    let dim = fields.number("embedding_length", None, WIDTH)?;
    let heads = fields.number("attention.head_count", None, WIDTH)?;
    let head_width = fields.number("attention.key_length", Some(dim / heads), WIDTH)?;
    fields.only("attention.value_length", &json!(head_width))?;
    fields.only("rope.dimension_count", &json!(head_width))?;
    let table = entries.get("token_embd.weight").and_then(|entry| entry.shape.first().copied());
    let vocab = table.filter(|rows| TOKENS.contains(&(*rows as u64))).ok_or_else(|| {
        PretrainedError::file(fields.path, "it has no tensor token_embd.weight with tokens as rows")
    })?;
    let has = |map: &str| entries.contains_key(&format!("blk.0.{map}.bias"));
    let llama = Llama {
        vocab,
        context: fields.number("context_length", None, TOKENS)?,
        layers: fields.number("block_count", None, LAYERS)?,
        dim,
        heads,
        kv_heads: fields.number("attention.head_count_kv", Some(heads), WIDTH)?,
        head_width,
        hidden: fields.number("feed_forward_length", None, WIDTH)?,
        epsilon: fields.positive("attention.layer_norm_rms_epsilon", None)?,
        rope_base: fields.positive("rope.freq_base", Some(1e4))?,
        tied: !entries.contains_key("output.weight"),
        biases: match (has("attn_q"), has("attn_output")) {
            (false, _) => Biases::None,
            (true, false) => Biases::Inputs,
            (true, true) => Biases::All,
        },
        in_halves,
    };
    llama.check(fields, "attention.head_count_kv")?;
    Ok(llama)
}

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        for (theirs, ours) in [
            ("model.embed_tokens.weight", "token_embd.weight"),
            ("model.layers.12.self_attn.q_proj.bias", "blk.12.attn_q.bias"),
            ("model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight"),
            ("model.norm.weight", "output_norm.weight"),
            ("lm_head.weight", "output.weight"),
        ] {
            assert_eq!(super::name(theirs), ours);
        }
    }
}
