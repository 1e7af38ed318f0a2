//! Damaged and unsuitable models: each gets one message that names the file and the problem.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::fs;
use std::path::{Path, PathBuf};

use retrodict_pretrained::Model;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder of the reference, how it is changed, and a part of the message.
type Case = (&'static str, Box<dyn Fn(&Path)>, &'static str);

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference")
}

/// A copy of a folder of the reference, changed.
fn changed(name: &str, change: impl Fn(&Path)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(reference().join(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    change(folder.path());
    folder
}

fn refused(folder: &Path) -> String {
    let error = Model::open(folder, 1).unwrap_err().to_string();
    assert!(!error.contains('\n'), "{error}");
    error.replace(&folder.display().to_string(), "M")
}

fn set(folder: &Path, file: &str, key: &str, value: Value) {
    let path = folder.join(file);
    let mut object: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    object[key] = value;
    fs::write(&path, object.to_string()).unwrap();
}

#[test]
fn a_description_that_is_not_run_is_refused() {
    for (name, key, value, expected) in [
        (
            "gpt2",
            "architectures",
            json!(["BertModel"]),
            r#"`architectures` is ["BertModel"]; this"#,
        ),
        ("gpt2", "architectures", json!(null), "`architectures` is missing"),
        ("gpt2", "activation_function", json!("relu"), "`activation_function` is \"relu\"; this"),
        ("gpt2", "n_head", json!(5), "`n_head` is 5, which does not divide 12"),
        ("gpt2", "n_layer", json!(1e12), "`n_layer` is 1000000000000.0, but must be a whole"),
        ("gpt2", "n_layer", json!(1000), "there is no tensor transformer.h.2.ln_1.weight"),
        ("gpt2", "n_embd", json!(200_000), "`n_head` is 3, which does not divide"),
        ("gpt2", "n_embd", json!(15), "has the shape [300, 12], but the description of the model"),
        ("gpt2", "vocab_size", json!(299), "its token \""),
        ("gpt2", "vocab_size", json!(9_000_000), "needs [9000000, 12]"),
        ("llama", "num_key_value_heads", json!(3), "is 3, which does not divide the 4 query heads"),
        ("llama", "head_dim", json!(3), "rotary pairs need an even number"),
        ("llama", "rope_parameters", json!({"rope_type": "llama3"}), "`rope_type` is \"llama3\""),
        ("llama", "rms_norm_eps", json!(-1), "`rms_norm_eps` is -1, no number above 0"),
        ("llama", "mlp_bias", json!(true), "`mlp_bias` is true; this program runs models with"),
        ("qwen2", "use_sliding_window", json!(true), "`use_sliding_window` is true"),
    ] {
        let folder = changed(name, |folder| set(folder, "config.json", key, value.clone()));
        let error = refused(folder.path());
        assert!(error.starts_with("M") && error.contains(expected), "{key}: {error}");
    }
}

#[test]
fn missing_and_damaged_files_are_named() {
    let remove =
        |file: &'static str| move |folder: &Path| fs::remove_file(folder.join(file)).unwrap();
    let write = |file: &'static str, bytes: &'static [u8]| {
        move |folder: &Path| fs::write(folder.join(file), bytes).unwrap()
    };
    let weights = "model.safetensors";
    let header = |text: &str, data: usize| {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len() + data, 0);
        move |folder: &Path| fs::write(folder.join(weights), &bytes).unwrap()
    };
    let overlap = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
        "b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    let huge = r#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,8],"data_offsets":[0,8]}}"#;
    let beyond = r#"{"a":{"dtype":"F32","shape":[2305843009213693951],"data_offsets":[0,9223372036854775804]}}"#;
    let cases: Vec<Case> = vec![
        ("gpt2", Box::new(remove("tokenizer.json")), "M/tokenizer.json: it is missing; `AutoTok"),
        ("gpt2", Box::new(remove("config.json")), "M/config.json: it cannot be read"),
        ("gpt2", Box::new(remove(weights)), "M: it has neither model.safetensors nor"),
        ("gpt2", Box::new(write("config.json", b"[1]")), "M/config.json: it is no JSON object"),
        ("gpt2", Box::new(write("tokenizer.json", b"{}")), "M/tokenizer.json: it is no tokenizer"),
        ("gpt2", Box::new(write(weights, b"1234")), "it is no safetensors file: it has no header"),
        (
            "gpt2",
            Box::new(write(weights, &[255; 16])),
            "its header should have 18446744073709551615",
        ),
        ("gpt2", Box::new(header("{}", 0)), "there is no tensor transformer.wte.weight"),
        ("gpt2", Box::new(header("{]", 0)), "its header is damaged"),
        ("gpt2", Box::new(header(overlap, 12)), "its header is damaged"),
        ("gpt2", Box::new(header(huge, 8)), "its header is damaged"),
        ("gpt2", Box::new(header(beyond, 8)), "overflow computing buffer size"),
        (
            "gpt2",
            Box::new(move |folder: &Path| {
                let path = folder.join(weights);
                let bytes = fs::read(&path).unwrap();
                fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
            }),
            "the file may be cut off",
        ),
        (
            "llama",
            Box::new(remove("model-00002-of-00003.safetensors")),
            "M/model-00002-of-00003.safetensors: it cannot be read",
        ),
        (
            "llama",
            Box::new(|folder: &Path| {
                let map = json!({"a": "../../etc/passwd"});
                set(folder, "model.safetensors.index.json", "weight_map", map);
            }),
            "`weight_map` names the file \"../../etc/passwd\", which is none of the folder",
        ),
    ];
    for (name, change, expected) in cases {
        let error = refused(changed(name, change).path());
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn texts_that_do_not_fit_are_refused() {
    let mut model = Model::open(&reference().join("gpt2"), 1).unwrap();
    let long = "Ansolo ".repeat(60);
    let error = model.log_probabilities(&[("x", " y"), (&long, " y")], |_, _| true).unwrap_err();
    let error = error.to_string();
    assert!(
        error.starts_with("the text that begins “Ansolo") && error.ends_with("reads 48 at most"),
        "{error}"
    );
    assert!(model.greedy(&[&long], 3, |_, _| true).is_err());
    // At the end of the context it stops.
    let most = "x".repeat(48);
    assert!(model.greedy(&[&most], 3, |_, _| true).is_ok());
    let error = model.log_probabilities(&[("", " y")], |_, _| true).unwrap_err();
    assert_eq!(error.to_string(), "the prompt “” has no token before the answer");
    let error = model.log_probabilities(&[("x", "")], |_, _| true).unwrap_err();
    assert_eq!(error.to_string(), "the prompt “x” is followed by an answer without tokens");
}

/// A GGUF file that is cut anywhere, or any of whose header's bytes is changed, is refused or read;
/// it neither panics nor takes memory without bound.
#[test]
fn a_damaged_gguf_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    let bytes = fs::read(reference().join("gguf/tiny.gguf")).unwrap();
    let open = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Model::open(&path, 1).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(open(&bytes), Ok(()));
    for cut in [0, 3, 10, 24, 100, 1000, 5000, bytes.len() - 1] {
        let error = open(&bytes[..cut]).unwrap_err();
        assert!(error.contains("GGUF") || error.contains("cut off"), "{cut}: {error}");
    }
    let at = |text: &[u8]| bytes.windows(text.len()).position(|part| part == text).unwrap();
    let with = |place: usize, new: &[u8]| {
        let mut bytes = bytes.clone();
        bytes[place..place + new.len()].copy_from_slice(new);
        open(&bytes).unwrap_err()
    };
    for (place, new, expected) in [
        (4, &9_u32.to_le_bytes()[..], "it is of version 9 of GGUF"),
        (8, &u64::MAX.to_le_bytes(), ""),
        (16, &u64::MAX.to_le_bytes(), ""),
        (24, &u64::MAX.to_le_bytes(), "18446744073709551615 bytes follow"),
        // The kind of a value, and the length of a list.
        (at(b"tokenizer.ggml.tokens") + 21, &77_u32.to_le_bytes(), "a value of kind 77"),
        (at(b"tokenizer.ggml.tokens") + 29, &(1_u64 << 60).to_le_bytes(), "bytes follow"),
        (at(b"blk.0.attn_q.weight") + 19, &9_u32.to_le_bytes(), "has 9 dimensions"),
        (at(b"blk.0.attn_q.weight") + 23, &31_u64.to_le_bytes(), "cannot have the shape"),
        (at(b"blk.0.attn_q.weight") + 31, &(1_u64 << 62).to_le_bytes(), "cannot have the shape"),
        (at(b"blk.0.attn_q.weight") + 39, &14_u32.to_le_bytes(), "is of kind 14; F32, F16"),
        (at(b"blk.0.attn_q.weight") + 43, &0_u64.to_le_bytes(), "overlaps another"),
        (at(b"blk.0.attn_q.weight") + 43, &(1_u64 << 63).to_le_bytes(), "lies beyond its end"),
    ] {
        let error = with(place, new);
        assert!(error.contains(expected), "{place}: {error}, not {expected}");
    }
}
