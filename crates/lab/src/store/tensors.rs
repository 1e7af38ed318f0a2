//! Named, shaped arrays in `.safetensors` files: probes, weights, moments.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use super::state::digest;
use super::{atomic, error::StoreError, read::read, stamp::Stamp};

/// An array with a name and a shape, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor<'a> {
    /// Its name in the file.
    pub name: Cow<'a, str>,
    /// Its shape, outermost dimension first; empty for a scalar.
    pub shape: Cow<'a, [usize]>,
    /// Its values; their number fits the shape.
    pub values: Values<'a>,
}

/// The values of a [`Tensor`].
#[derive(Debug, Clone, PartialEq)]
pub enum Values<'a> {
    /// Single precision.
    F32(Cow<'a, [f32]>),
    /// Double precision.
    F64(Cow<'a, [f64]>),
}

impl Values<'_> {
    /// The number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values, if they are of single precision.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match self {
            Self::F32(values) => Some(values),
            Self::F64(_) => None,
        }
    }

    /// The values, if they are of double precision.
    pub fn as_f64(&self) -> Option<&[f64]> {
        match self {
            Self::F64(values) => Some(values),
            Self::F32(_) => None,
        }
    }
}

/// The tensors of one file, in the order of their names.
#[derive(Debug, Clone)]
pub struct Tensors {
    path: PathBuf,
    label: Option<Label>,
    list: Vec<Tensor<'static>>,
}

impl Tensors {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The measurement of a probe; `None` in other files, and in those of early versions.
    pub(super) fn label(&self) -> Option<&Label> {
        self.label.as_ref()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Tensor<'static>> {
        self.list.iter()
    }

    /// The tensor `name`, if there is one.
    pub fn find(&self, name: &str) -> Option<&Tensor<'static>> {
        self.list.iter().find(|tensor| tensor.name == name)
    }

    /// The tensor `name`, which must have `shape`.
    pub fn get(&self, name: &str, shape: &[usize]) -> Result<&Tensor<'static>, StoreError> {
        let Some(tensor) = self.find(name) else {
            let what = format!("it has no tensor `{name}`");
            return Err(StoreError::damaged(&self.path, what));
        };
        if *tensor.shape != *shape {
            let what = format!("tensor `{name}` has the shape {:?}, not {shape:?}", tensor.shape);
            return Err(StoreError::damaged(&self.path, what));
        }
        Ok(tensor)
    }
}

impl IntoIterator for Tensors {
    type Item = Tensor<'static>;
    type IntoIter = std::vec::IntoIter<Tensor<'static>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// The probe, epoch and run of a file, in its metadata.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Label {
    /// The name of the probe.
    pub(super) probe: String,
    /// The epoch after which it was taken.
    pub(super) epoch: u64,
    /// The run and the program.
    pub(super) stamp: Stamp,
}

/// A label with the SHA-256 of itself and of all tensors.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    label: Label,
    seal: String,
}

/// Keys of the file's metadata.
const LABEL: &str = "retrodict";
const FORMAT: &str = "format";

/// Writes `tensors` to `path` as one whole file.
pub fn write_tensors(path: &Path, tensors: &[Tensor<'_>]) -> Result<(), StoreError> {
    atomic::write(path, &encode(path, None, tensors)?)
}

/// The tensors of a file that [`write_tensors`] wrote.
pub fn read_tensors(path: &Path) -> Result<Tensors, StoreError> {
    decode(path, &read(path)?)
}

/// SHA-256 of a label and of tensors in the order of their names.
fn seal(label: &Label, tensors: &[&Tensor<'_>]) -> serde_json::Result<String> {
    let mut text = serde_json::to_string(label)?;
    let mut sorted = tensors.to_vec();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    for tensor in sorted {
        let Tensor { name, shape, .. } = tensor;
        let bytes = digest(&View::data(&tensor));
        text.push_str(&format!("\n{name:?} {:?} {shape:?} {bytes}", View::dtype(&tensor)));
    }
    Ok(digest(text.as_bytes()))
}

/// The bytes of a file of `tensors`; `path` is their destination.
pub(super) fn encode(
    path: &Path,
    label: Option<&Label>,
    tensors: &[Tensor<'_>],
) -> Result<Vec<u8>, StoreError> {
    for (i, tensor) in tensors.iter().enumerate() {
        let name = &tensor.name;
        if count(&tensor.shape) != Some(tensor.values.len()) {
            let (length, shape) = (tensor.values.len(), &tensor.shape);
            let what = format!("tensor `{name}` has {length} values and the shape {shape:?}");
            return Err(StoreError::unwritable(path, what));
        }
        if tensors[..i].iter().any(|other| other.name == *name) {
            let what = format!("there are two tensors `{name}`");
            return Err(StoreError::unwritable(path, what));
        }
    }
    let unwritable = |error: serde_json::Error| StoreError::unwritable(path, error);
    // One entry: the order of several would be random.
    let (key, value) = match label {
        // `transformers` only opens files whose metadata names a library.
        None => (FORMAT, "pt".to_owned()),
        Some(label) => {
            let seal = seal(label, &tensors.iter().collect::<Vec<_>>()).map_err(unwritable)?;
            let sealed = Sealed { label: label.clone(), seal };
            (LABEL, serde_json::to_string(&sealed).map_err(unwritable)?)
        }
    };
    let metadata = [(key.to_owned(), value)].into_iter().collect();
    let named = tensors.iter().map(|tensor| (&*tensor.name, tensor));
    safetensors::serialize(named, Some(metadata))
        .map_err(|error| StoreError::unwritable(path, error))
}

/// The tensors in `bytes`, which were read from `path`.
pub(super) fn decode(path: &Path, bytes: &[u8]) -> Result<Tensors, StoreError> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| StoreError::damaged(path, error))?;
    let mut list = Vec::with_capacity(file.len());
    for (name, view) in file.iter() {
        let data = view.data();
        let values = match view.dtype() {
            Dtype::F32 => Values::F32(from_bytes(data, f32::from_le_bytes)),
            Dtype::F64 => Values::F64(from_bytes(data, f64::from_le_bytes)),
            other => {
                let what = format!("tensor `{name}` holds {other:?}, not F32 or F64");
                return Err(StoreError::damaged(path, what));
            }
        };
        list.push(Tensor {
            name: Cow::Owned(name.to_owned()),
            shape: Cow::Owned(view.shape().to_vec()),
            values,
        });
    }
    list.sort_by(|a, b| a.name.cmp(&b.name));
    let label = label(bytes, &list).map_err(|what| StoreError::damaged(path, what))?;
    Ok(Tensors { path: path.to_owned(), label, list })
}

/// The label in a file's metadata, if it fits the tensors.
fn label(bytes: &[u8], list: &[Tensor<'static>]) -> Result<Option<Label>, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    let Some(metadata) = header.metadata() else { return Ok(None) };
    if let Some(other) = metadata.keys().find(|key| ![LABEL, FORMAT].contains(&key.as_str())) {
        return Err(format!("its metadata has an unknown entry `{other}`"));
    }
    let Some(text) = metadata.get(LABEL) else { return Ok(None) };
    let Sealed { label, seal: sealed } =
        serde_json::from_str(text).map_err(|error| format!("its label: {error}"))?;
    let tensors: Vec<&Tensor<'_>> = list.iter().collect();
    match seal(&label, &tensors).map_err(|error| error.to_string())? == sealed {
        true => Ok(Some(label)),
        false => Err("its content is not what was written".to_owned()),
    }
}

fn count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1, |n: usize, d| n.checked_mul(*d))
}

fn from_bytes<T: Clone, const N: usize>(data: &[u8], read: fn([u8; N]) -> T) -> Cow<'static, [T]> {
    let (values, _) = data.as_chunks::<N>();
    Cow::Owned(values.iter().map(|bytes| read(*bytes)).collect())
}

impl View for &Tensor<'_> {
    fn dtype(&self) -> Dtype {
        match self.values {
            Values::F32(_) => Dtype::F32,
            Values::F64(_) => Dtype::F64,
        }
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match &self.values {
            Values::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            Values::F64(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        })
    }

    fn data_len(&self) -> usize {
        let width = match self.values {
            Values::F32(_) => size_of::<f32>(),
            Values::F64(_) => size_of::<f64>(),
        };
        self.values.len() * width
    }
}
