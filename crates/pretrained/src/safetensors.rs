//! Tensors in `.safetensors` files: one, or several with an index.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path};

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use serde_json::Value;

use crate::PretrainedError;
use crate::numbers::Kind;
use crate::tensors::{Entry, Tensors};

/// The file of a model in one piece.
const WHOLE: &str = "model.safetensors";
/// The list of the files of a model in several.
const INDEX: &str = "model.safetensors.index.json";
/// The bytes before the header: its length.
const LENGTH: u64 = 8;

impl Tensors {
    /// Those of the model in a folder.
    ///
    /// # Errors
    /// If there is no model, or a file of it is damaged.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, PretrainedError> {
        let mut tensors = Self::default();
        let (whole, index) = (folder.join(WHOLE), folder.join(INDEX));
        if whole.exists() {
            tensors.add(&whole)?;
        } else if index.exists() {
            for name in listed(&index)? {
                tensors.add(&folder.join(name))?;
            }
        } else {
            return Err(PretrainedError::file(
                folder,
                format!(
                    "it has neither {WHOLE} nor {INDEX}; `model.save_pretrained(folder)` of \
                     transformers writes one of them"
                ),
            ));
        }
        Ok(tensors)
    }

    /// Adds the tensors of a file.
    fn add(&mut self, path: &Path) -> Result<(), PretrainedError> {
        let damaged = |problem: String| PretrainedError::file(path, problem);
        let unreadable = |error| PretrainedError::unreadable(path, error);
        let mut file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let mut length = [0; LENGTH as usize];
        file.read_exact(&mut length)
            .map_err(|_| damaged("it is no safetensors file: it has no header".into()))?;
        let header = u64::from_le_bytes(length);
        let Some(room) = (size - LENGTH).checked_sub(header) else {
            return Err(damaged(format!(
                "it is cut off or no safetensors file: its header should have {header} bytes, but \
                 the whole file has {size}"
            )));
        };
        let mut text = vec![0; header as usize];
        file.read_exact(&mut text).map_err(unreadable)?;
        // It checks that tensors neither overlap nor leave gaps, and that sizes fit shapes.
        let metadata: Metadata = serde_json::from_slice(&text)
            .map_err(|error| damaged(format!("its header is damaged: {error}")))?;
        let described = metadata.data_len() as u64;
        if described != room {
            return Err(damaged(format!(
                "its tensors should have {described} bytes, but {room} follow the header; the file \
                 may be cut off"
            )));
        }
        for (name, info) in metadata.tensors() {
            let kind = match info.dtype {
                Dtype::F32 => Kind::F32,
                Dtype::F16 => Kind::F16,
                Dtype::BF16 => Kind::Bf16,
                // Such as masks of early GPT-2 files, which nobody reads.
                _ => continue,
            };
            let (start, end) = info.data_offsets;
            let entry = Entry {
                file: self.files.len(),
                kind,
                shape: info.shape.clone(),
                start: LENGTH + header + start as u64,
                bytes: (end - start) as u64,
            };
            if self.entries.insert(name.clone(), entry).is_some() {
                return Err(damaged(format!("another file has the tensor {name} too")));
            }
        }
        self.files.push((path.to_owned(), file));
        Ok(())
    }
}

/// The files that an index names.
fn listed(index: &Path) -> Result<BTreeSet<String>, PretrainedError> {
    let text = std::fs::read(index).map_err(|error| PretrainedError::unreadable(index, error))?;
    let damaged = |problem: &str| PretrainedError::file(index, problem);
    let value: Value = serde_json::from_slice(&text)
        .map_err(|error| damaged(&format!("it is no JSON: {error}")))?;
    let map = value.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| damaged("it has no object `weight_map` of tensors and files"))?;
    let mut names = BTreeSet::new();
    for file in map.values() {
        let name = file.as_str().unwrap_or_default();
        let mut parts = Path::new(name).components();
        if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
            let problem =
                format!("`weight_map` names the file {file}, which is none of the folder");
            return Err(damaged(&problem));
        }
        names.insert(name.to_owned());
    }
    Ok(names)
}
