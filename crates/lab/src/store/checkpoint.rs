//! Checkpoints: folders that `transformers` opens and from which training resumes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use retrodict_models::{Decoder, Network, PositionEncoding};

use super::atomic;
use super::config::{config, is_gpt2};
use super::error::StoreError;
use super::read::{read, read_if_there};
use super::state::{self, State, digest};
use super::tensors::{self, Tensor, Tensors, Values};
use crate::spec::Precision;

const CONFIG: &str = "config.json";
const MODEL: &str = "model.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "state.json";

/// The head that GPT-2 files leave out when it is the token embedding.
const HEAD: &str = "lm_head.weight";
const POSITIONS: &str = "transformer.wpe.weight";

/// A checkpoint, read and verified.
#[derive(Debug)]
pub struct Checkpoint {
    /// Its folder.
    pub folder: PathBuf,
    /// `config.json`.
    pub config: serde_json::Value,
    /// Weights, under Hugging Face's names and shapes.
    pub model: Tensors,
    /// The optimizer's state.
    pub optimizer: Tensors,
    /// The state of training.
    pub state: State,
}

/// Writes the checkpoint of `state.step` into `checkpoints`, whole or not at
/// all, and returns its folder. The `model` tensors have Hugging Face's names
/// and shapes; `lm_head.weight` is left out where the head is tied, and zeros replace the table
/// of positions where GPT-2 has one and the model has none.
pub fn write_checkpoint(
    checkpoints: &Path,
    network: &Network,
    precision: Precision,
    model: &[Tensor<'_>],
    optimizer: &[Tensor<'_>],
    state: &State,
) -> Result<PathBuf, StoreError> {
    let folder = checkpoints.join(folder_name(state.step));
    let mut stored = model.to_vec();
    if let Network::Decoder(decoder) = network {
        stored.retain(|tensor| !decoder.tie_head || tensor.name != HEAD);
        let stored_already = stored.iter().any(|tensor| tensor.name == POSITIONS);
        if is_gpt2(decoder) && decoder.position == PositionEncoding::None && !stored_already {
            stored.push(no_positions(decoder, precision));
        }
    }
    let config = format!("{:#}\n", config(network, precision));
    let model = tensors::encode(&folder.join(MODEL), None, &stored)?;
    let optimizer = tensors::encode(&folder.join(OPTIMIZER), None, optimizer)?;
    let files = [(CONFIG, config.as_bytes()), (MODEL, &model), (OPTIMIZER, &optimizer)];
    let state = state::encode(&folder.join(STATE), state, &files)?;
    fs::create_dir_all(checkpoints).map_err(StoreError::io("create", checkpoints))?;
    atomic::write_folder(&folder, |inside| {
        for (name, bytes) in files {
            atomic::write_synced(&inside.join(name), bytes)?;
        }
        atomic::write_synced(&inside.join(STATE), &state)
    })?;
    Ok(folder)
}

/// GPT-2 always has a table of positions: where the model has none, it is zero.
fn no_positions(decoder: &Decoder, precision: Precision) -> Tensor<'static> {
    let numbers = decoder.positions * decoder.dim;
    Tensor {
        name: POSITIONS.into(),
        shape: vec![decoder.positions, decoder.dim].into(),
        values: match precision {
            Precision::F32 | Precision::Bf16 => Values::F32(vec![0.0; numbers].into()),
            Precision::F64 => Values::F64(vec![0.0; numbers].into()),
        },
    }
}

/// The checkpoint in `folder`, if no file in it is damaged.
pub fn read_checkpoint(folder: &Path) -> Result<Checkpoint, StoreError> {
    let read = |name: &str| {
        let path = folder.join(name);
        match read_if_there(&path)? {
            Some(bytes) => Ok((path, bytes)),
            None => Err(StoreError::damaged(&path, "it is missing")),
        }
    };
    let (path, bytes) = read(STATE)?;
    let (state, digests) = decode_state(folder, &path, &bytes)?;
    let read_checked = |name: &str| {
        let (path, bytes) = read(name)?;
        if digests.get(name) != Some(&digest(&bytes)) {
            return Err(StoreError::damaged(&path, "its content is not what was written"));
        }
        Ok((path, bytes))
    };
    let (path, bytes) = read_checked(CONFIG)?;
    let config =
        serde_json::from_slice(&bytes).map_err(|error| StoreError::damaged(&path, error))?;
    let (path, bytes) = read_checked(MODEL)?;
    let model = tensors::decode(&path, &bytes)?;
    let (path, bytes) = read_checked(OPTIMIZER)?;
    let optimizer = tensors::decode(&path, &bytes)?;
    Ok(Checkpoint { folder: folder.to_owned(), config, model, optimizer, state })
}

/// The state in the bytes of the file `path` of a checkpoint's folder, and the digests of its other
/// files.
fn decode_state(
    folder: &Path,
    path: &Path,
    bytes: &[u8],
) -> Result<(State, BTreeMap<String, String>), StoreError> {
    let (state, digests) = state::decode(path, bytes)?;
    if folder.file_name() != Some(folder_name(state.step).as_ref()) {
        let what = format!("it is of step {}", state.step);
        return Err(StoreError::damaged(path, what));
    }
    Ok((state, digests))
}

/// The state of the checkpoint in `folder`, without a look at its tensors.
pub(super) fn read_state(folder: &Path) -> Result<State, StoreError> {
    let path = folder.join(STATE);
    Ok(decode_state(folder, &path, &read(&path)?)?.0)
}

/// The steps that have a checkpoint in `checkpoints`, ascending; none where there is no such
/// folder. Other files are ignored.
pub fn checkpoint_steps(checkpoints: &Path) -> Result<Vec<u64>, StoreError> {
    let entries = match fs::read_dir(checkpoints) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("read", checkpoints)(error)),
    };
    let mut steps = Vec::new();
    for entry in entries {
        let name = entry.map_err(StoreError::io("read", checkpoints))?.file_name();
        steps.extend(name.to_str().and_then(step_of));
    }
    steps.sort_unstable();
    Ok(steps)
}

/// The newest whole checkpoint in `checkpoints`, or `None` if there is none, and the damage of each
/// newer one. Those are renamed, as `step-<n>.damaged`: the caller holds the run's lock.
///
/// # Errors
/// [`StoreError::Io`] if a file cannot be read or a folder cannot be moved.
pub fn set_damaged_aside(
    checkpoints: &Path,
) -> Result<(Option<Checkpoint>, Vec<String>), StoreError> {
    let mut damages = Vec::new();
    for &step in checkpoint_steps(checkpoints)?.iter().rev() {
        let folder = checkpoints.join(folder_name(step));
        match read_checkpoint(&folder) {
            Ok(checkpoint) => return Ok((Some(checkpoint), damages)),
            Err(StoreError::Damaged { path, what }) => {
                let aside = checkpoints.join(format!("{}.damaged", folder_name(step)));
                if aside.exists() {
                    fs::remove_dir_all(&aside).map_err(StoreError::io("remove", &aside))?;
                }
                fs::rename(&folder, &aside).map_err(StoreError::io("move", &folder))?;
                damages.push(format!("{} is damaged: {what}", path.display()));
            }
            Err(other) => return Err(other),
        }
    }
    Ok((None, damages))
}

/// The newest checkpoint in `checkpoints`, or `None` if there is none yet.
///
/// # Errors
/// [`StoreError::DamagedCheckpoint`] if it is damaged; the message says what to delete.
pub fn newest_whole(checkpoints: &Path) -> Result<Option<Checkpoint>, StoreError> {
    let steps = checkpoint_steps(checkpoints)?;
    let Some((newest, before)) = steps.split_last() else {
        return Ok(None);
    };
    let folder = checkpoints.join(folder_name(*newest));
    match read_checkpoint(&folder) {
        Ok(checkpoint) => Ok(Some(checkpoint)),
        Err(StoreError::Damaged { path, what }) => Err(StoreError::DamagedCheckpoint {
            path,
            what,
            folder,
            before: before.last().copied(),
        }),
        Err(other) => Err(other),
    }
}

pub(super) fn folder_name(step: u64) -> String {
    format!("step-{step}")
}

fn step_of(name: &str) -> Option<u64> {
    let step = name.strip_prefix("step-")?.parse().ok()?;
    (folder_name(step) == name).then_some(step)
}
