//! A model as a folder that `transformers` reads.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use retrodict_engine::{Parameter, Parameters, Scalar};
use serde_json::{Map, Value, json};

use crate::checkpoint::Checkpoint;
use crate::llama::{Biases, Llama};
use crate::{Architecture, Model, PretrainedError};

/// Files of a folder that are copied where they are: the tokenizer, and how text is generated.
const COPIED: [&str; 9] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
    "generation_config.json",
];

impl Model {
    /// Writes the model as a new folder that `transformers` reads: `config.json`, the weights in
    /// single precision in `model.safetensors`, and the tokenizer. The folder appears whole or not at
    /// all.
    ///
    /// # Errors
    /// [`PretrainedError::File`] if there is something of that name, or a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), PretrainedError> {
        let refuse = |problem: &str| Err(PretrainedError::file(folder, problem));
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else {
            return refuse("it is no name of a folder");
        };
        if folder.exists() {
            return refuse("it exists already; name a new folder");
        }
        let part = folder.with_file_name(format!(".{name}.part-{}", std::process::id()));
        let written = self
            .write(&part)
            .and_then(|()| fs::rename(&part, folder).map_err(|error| unwritable(folder, error)));
        if written.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_dir_all(&part);
        }
        written
    }

    fn write(&self, folder: &Path) -> Result<(), PretrainedError> {
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, error))?;
        let Checkpoint { architecture, path, ends, .. } = &self.checkpoint;
        let config = match path.is_dir() {
            true => config_of(path)?,
            false => described(architecture, ends),
        };
        write(&folder.join("config.json"), &pretty(&config))?;
        let weights = folder.join("model.safetensors");
        write_tensors(&weights, architecture, &self.runner.parameters)
            .map_err(|error| unwritable(&weights, error))?;
        if path.is_dir() {
            for name in COPIED.iter().filter(|name| path.join(name).exists()) {
                let to = folder.join(name);
                fs::copy(path.join(name), &to).map_err(|error| unwritable(&to, error))?;
            }
            return Ok(());
        }
        write(&folder.join("tokenizer.json"), &self.tokens.json()?)?;
        let end = ends.first().and_then(|id| self.tokens.name(*id));
        let tokenizer = json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": architecture.context(),
            "eos_token": end,
            "clean_up_tokenization_spaces": false,
        });
        write(&folder.join("tokenizer_config.json"), &pretty(&tokenizer))
    }
}

/// The description of the model in a folder, with weights in single precision.
fn config_of(folder: &Path) -> Result<Value, PretrainedError> {
    let path = folder.join("config.json");
    let text = fs::read(&path).map_err(|error| PretrainedError::unreadable(&path, error))?;
    let mut object: Map<String, Value> = serde_json::from_slice(&text)
        .map_err(|error| PretrainedError::file(&path, format!("it is no JSON object: {error}")))?;
    // Its name since version 5 of transformers, and before.
    let key = if object.contains_key("dtype") { "dtype" } else { "torch_dtype" };
    object.insert(key.to_owned(), json!("float32"));
    Ok(Value::Object(object))
}

/// The description of a model of a GGUF file, which is always a Llama.
fn described(architecture: &Architecture, ends: &[u32]) -> Value {
    let Architecture::Llama(llama) = architecture else { return Value::Null };
    let Llama { vocab, context, layers, dim, heads, kv_heads, head_width, hidden, .. } = llama;
    let (name, kind) = match llama.biases {
        Biases::Inputs => ("Qwen2ForCausalLM", "qwen2"),
        Biases::None | Biases::All => ("LlamaForCausalLM", "llama"),
    };
    json!({
        "architectures": [name],
        "model_type": kind,
        "vocab_size": vocab,
        "max_position_embeddings": context,
        "num_hidden_layers": layers,
        "hidden_size": dim,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": head_width,
        "intermediate_size": hidden,
        "hidden_act": "silu",
        "rms_norm_eps": llama.epsilon,
        "rope_theta": llama.rope_base,
        "rope_parameters": {"rope_type": "default", "rope_theta": llama.rope_base},
        "tie_word_embeddings": llama.tied,
        "attention_bias": llama.biases == Biases::All,
        "mlp_bias": false,
        "use_sliding_window": false,
        "bos_token_id": null,
        "eos_token_id": ends.first(),
        "torch_dtype": "float32",
    })
}

/// Writes the weights with the names and the order of rows of `transformers`.
fn write_tensors(
    path: &Path,
    architecture: &Architecture,
    parameters: &Parameters<f32>,
) -> std::io::Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), json!({"format": "pt"}));
    let mut end = 0;
    for (parameter, values) in parameters.iter() {
        let (start, bytes) = (end, f32::BYTES * values.len());
        end += bytes;
        let entry = json!({
            "dtype": "F32", "shape": parameter.shape(), "data_offsets": [start, end],
        });
        header.insert(parameter.name.clone(), entry);
    }
    let mut header = Value::Object(header).to_string();
    // Numbers begin at a multiple of eight bytes.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let architecture = architecture.in_halves();
    for (parameter, values) in parameters.iter() {
        let (rows, columns) = parameter_rows(parameter);
        let order = architecture.row_order(&parameter.name, rows);
        let mut ours = vec![0; rows];
        for row in 0..rows {
            ours[order.as_ref().map_or(row, |order| order[row])] = row;
        }
        for row in ours {
            for value in &values[row * columns..(row + 1) * columns] {
                out.write_all(&value.to_le_bytes())?;
            }
        }
    }
    out.into_inner()?.sync_all()
}

/// The rows and columns of a parameter as a file has them: a vector's rows are its numbers.
pub(crate) fn parameter_rows(parameter: &Parameter) -> (usize, usize) {
    match parameter.vector {
        true => (parameter.columns, 1),
        false => (parameter.rows, parameter.columns),
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn write(path: &PathBuf, text: &str) -> Result<(), PretrainedError> {
    fs::write(path, text).map_err(|error| unwritable(path, error))
}

fn unwritable(path: &Path, error: std::io::Error) -> PretrainedError {
    PretrainedError::file(path, format!("it cannot be written: {error}"))
}
