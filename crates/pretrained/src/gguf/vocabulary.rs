//! The tokenizer of a GGUF file, as a `tokenizer.json`.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::header::Header;
use crate::PretrainedError;
use crate::fields::Fields;
use crate::tokens::Tokens;

/// Kinds of tokens: those that steer, and those that somebody added.
const CONTROL: i32 = 3;
const ADDED: i32 = 4;

/// The rules that divide a text into words, of models since Llama 3; the number of digits that stay
/// together differs.
const WORDS: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,DIGITS}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The tokenizer of a file whose model has so many tokens.
///
/// # Errors
/// If it is of another kind than byte pairs, or its rules for words are unknown.
pub(super) fn tokens(
    fields: Fields<'_>,
    header: &Header,
    vocab: usize,
) -> Result<Tokens, PretrainedError> {
    let fields = Fields { prefix: "tokenizer.ggml.", ..fields };
    let word = |key| fields.get(key).and_then(Value::as_str).unwrap_or("none");
    const BESIDE: &str = "; put the model's tokenizer.json beside the file";
    if word("model") != "gpt2" {
        let problem = format!("is {:?}, but \"gpt2\" (byte pairs) is read{BESIDE}", word("model"));
        return Err(fields.refuse("model", &problem));
    }
    let byte_level = |regex: bool| {
        json!({"type": "ByteLevel", "add_prefix_space": false,
        "trim_offsets": true, "use_regex": regex})
    };
    let both = |first: Value, second| json!({"type": "Sequence", "pretokenizers": [first, second]});
    let split = |digits: &str| {
        json!({"type": "Split", "pattern": {"Regex": WORDS.replace("DIGITS", digits)},
            "behavior": "Isolated", "invert": false})
    };
    let words = match word("pre") {
        "gpt-2" | "default" => byte_level(true),
        "smollm" => both(json!({"type": "Digits", "individual_digits": true}), byte_level(true)),
        "llama-bpe" => both(split("3"), byte_level(false)),
        "qwen2" => both(split("1"), byte_level(false)),
        other => {
            let problem = format!(
                "is {other:?}, but the rules of \"gpt-2\", \"smollm\", \"llama-bpe\" and \"qwen2\" \
                 are known{BESIDE}"
            );
            return Err(fields.refuse("pre", &problem));
        }
    };
    let list = |key: &str| header.texts.get(&format!("tokenizer.ggml.{key}"));
    let missing = |key| fields.refuse(key, "is missing");
    let names = list("tokens").ok_or_else(|| missing("tokens"))?;
    let merges = list("merges").ok_or_else(|| missing("merges"))?;
    let numbers: HashMap<&str, usize> =
        names.iter().enumerate().map(|(number, name)| (name.as_str(), number)).collect();
    let kinds = header.numbers.get("tokenizer.ggml.token_type").map_or(&[][..], Vec::as_slice);
    let all = names.iter().zip(kinds).enumerate();
    let added = all.filter(|(_, (_, kind))| matches!(**kind, CONTROL | ADDED));
    let added = added.map(|(number, (name, kind))| {
        json!({"id": number, "content": name, "special": *kind == CONTROL, "normalized": false,
            "single_word": false, "lstrip": false, "rstrip": false})
    });
    let begins = word("pre") == "llama-bpe";
    let before = match fields.flag("add_bos_token", begins)? {
        true => {
            let id = fields.number("bos_token_id", None, 0..=vocab as u64 - 1)?;
            let name = names.get(id).ok_or_else(|| fields.refuse("bos_token_id", "has no name"))?;
            begun_by(name, id)
        }
        false => Value::Null,
    };
    let text = json!({
        "version": "1.0",
        "added_tokens": added.collect::<Vec<_>>(),
        "pre_tokenizer": words,
        "decoder": byte_level(true),
        "post_processor": before,
        "model": {"type": "BPE", "vocab": numbers, "merges": merges},
    });
    Tokens::new(fields.path, text.to_string().as_bytes(), vocab)
}

/// The rule that puts a token before each text.
fn begun_by(name: &str, id: usize) -> Value {
    let first = json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = |of| json!({"Sequence": {"id": of, "type_id": 0}});
    json!({
        "type": "TemplateProcessing",
        "single": [first, text("A")],
        "pair": [first, text("A"), text("B")],
        "special_tokens": {name: {"id": name, "ids": [id], "tokens": [name]}},
    })
}
