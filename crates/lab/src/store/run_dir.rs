//! One run's folder: its files, and the lock to write them.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use retrodict_dynamics::{Answers, ByQuestion};
use retrodict_models::Network;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::atomic;
use super::checkpoint::{
    Checkpoint, checkpoint_steps, folder_name, newest_whole, read_checkpoint, set_damaged_aside,
    write_checkpoint,
};
use super::error::StoreError;
use super::manifest::Manifest;
use super::metrics::{MetricsRow, read_metrics, write_metrics};
use super::state::State;
use super::tensors::{Tensor, write_tensors};
use crate::spec::{Precision, SpecHash};

const COMPLETE: &str = "COMPLETE";
const LOCK: &str = ".lock";

/// The folder of one run, which need not exist yet. Reading needs no lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    pub(crate) path: PathBuf,
    /// The experiment's name.
    pub experiment: String,
    /// The hash of its spec.
    pub hash: SpecHash,
    /// The run's seed.
    pub seed: u64,
}

impl RunDir {
    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the whole resolved spec.
    pub fn spec_path(&self) -> PathBuf {
        self.path.join("spec.toml")
    }

    /// The path of the [`Manifest`].
    pub fn manifest_path(&self) -> PathBuf {
        self.path.join("manifest.json")
    }

    /// The path of the [`MetricsRow`]s.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join("metrics.parquet")
    }

    /// The folder of checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Whether the run is complete: everything in its folder is final.
    pub fn is_complete(&self) -> bool {
        self.path.join(COMPLETE).is_file()
    }

    /// The spec as it was written.
    pub fn read_spec(&self) -> Result<String, StoreError> {
        let path = self.spec_path();
        fs::read_to_string(&path).map_err(StoreError::io("read", &path))
    }

    /// The manifest.
    pub fn read_manifest(&self) -> Result<Manifest, StoreError> {
        Manifest::read(&self.manifest_path())
    }

    /// The path of the [`Answers`], written after the last epoch.
    pub fn answers_path(&self) -> PathBuf {
        self.path.join("answers.json")
    }

    /// The answers of the trained model; `None` if the run has not ended, or an earlier version
    /// without answers wrote it.
    pub fn read_answers(&self) -> Result<Option<Answers>, StoreError> {
        self.read_of_answers()
    }

    /// The outcomes of single questions; empty where `answers.json` does not hold them.
    pub fn read_by_question(&self) -> Result<ByQuestion, StoreError> {
        #[derive(Default, Deserialize)]
        struct Part {
            #[serde(default)]
            by_question: BTreeMap<String, Vec<Option<f32>>>,
        }
        let part = self.read_of_answers::<Part>()?.unwrap_or_default();
        // JSON has no number for the infinite NLL of a model that nearly diverged: it is null.
        let outcomes = |of: Vec<Option<f32>>| of.into_iter().map(|x| x.unwrap_or(f32::NAN));
        Ok(part.by_question.into_iter().map(|(id, of)| (id, outcomes(of).collect())).collect())
    }

    /// The part of `answers.json` that a type reads.
    fn read_of_answers<P: DeserializeOwned>(&self) -> Result<Option<P>, StoreError> {
        let path = self.answers_path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| StoreError::damaged(&path, error))
    }

    /// All rows of metrics.
    pub fn read_metrics(&self) -> Result<Vec<MetricsRow>, StoreError> {
        read_metrics(&self.metrics_path())
    }

    /// The steps that have a checkpoint, ascending.
    pub fn checkpoint_steps(&self) -> Result<Vec<u64>, StoreError> {
        checkpoint_steps(&self.checkpoints())
    }

    /// The checkpoint of `step`, if it is whole.
    pub fn read_checkpoint(&self, step: u64) -> Result<Checkpoint, StoreError> {
        read_checkpoint(&self.checkpoints().join(folder_name(step)))
    }

    /// The newest checkpoint; see [`newest_whole`].
    pub fn newest_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        newest_whole(&self.checkpoints())
    }

    /// Files of the probe `name` with their epochs, ascending.
    pub fn probes(&self, name: &str) -> Result<Vec<(u64, PathBuf)>, StoreError> {
        let folder = self.path.join("probes").join(name);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", &folder)(error)),
        };
        let mut probes = Vec::new();
        for entry in entries {
            let entry = entry.map_err(StoreError::io("read", &folder))?;
            if let Some(epoch) = entry.file_name().to_str().and_then(epoch_of) {
                probes.push((epoch, entry.path()));
            }
        }
        probes.sort_unstable();
        Ok(probes)
    }

    /// The path of the probe `name` after `epoch`.
    pub fn probe_path(&self, name: &str, epoch: u64) -> PathBuf {
        self.path.join("probes").join(name).join(probe_name(epoch))
    }

    /// Locks the run for writing: makes its folder, locks it, and removes files that a killed
    /// process left half written.
    pub fn begin(self) -> Result<RunWriter, StoreError> {
        fs::create_dir_all(&self.path).map_err(StoreError::io("create", &self.path))?;
        let lock = lock(&self.path)?;
        for folder in [self.path.clone(), self.checkpoints()] {
            if folder.is_dir() {
                atomic::sweep(&folder)?;
            }
        }
        let probes = self.path.join("probes");
        if probes.is_dir() {
            for entry in fs::read_dir(&probes).map_err(StoreError::io("read", &probes))? {
                let folder = entry.map_err(StoreError::io("read", &probes))?.path();
                if folder.is_dir() {
                    atomic::sweep(&folder)?;
                }
            }
        }
        Ok(RunWriter { run: self, _lock: lock })
    }
}

/// The lock to write a run; it ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct RunWriter {
    run: RunDir,
    _lock: File,
}

impl Deref for RunWriter {
    type Target = RunDir;

    fn deref(&self) -> &RunDir {
        &self.run
    }
}

impl RunWriter {
    /// Writes the whole resolved spec.
    pub fn write_spec(&self, toml: &str) -> Result<(), StoreError> {
        atomic::write(&self.spec_path(), toml.as_bytes())
    }

    /// Writes the manifest.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        manifest.write(&self.manifest_path())
    }

    /// Writes all rows so far. A run that resumes from a checkpoint has everything that was written
    /// before it.
    pub fn write_metrics(&self, rows: &[MetricsRow]) -> Result<(), StoreError> {
        write_metrics(&self.metrics_path(), rows)
    }

    /// Writes the tensors of the probe `name` after `epoch`.
    pub fn write_probe(
        &self,
        name: &str,
        epoch: u64,
        tensors: &[Tensor<'_>],
    ) -> Result<PathBuf, StoreError> {
        let folder = self.path.join("probes").join(name);
        fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        let path = self.probe_path(name, epoch);
        write_tensors(&path, tensors)?;
        Ok(path)
    }

    /// Writes the probe that `path` of another run holds.
    pub fn copy_probe(&self, name: &str, epoch: u64, path: &Path) -> Result<(), StoreError> {
        let bytes = fs::read(path).map_err(StoreError::io("read", path))?;
        let to = self.probe_path(name, epoch);
        let folder = to.with_file_name("");
        fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        atomic::write(&to, &bytes)
    }

    /// Writes a checkpoint of another run as this run's own.
    pub fn copy_checkpoint(
        &self,
        network: &Network,
        precision: Precision,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        let [model, optimizer] = [&checkpoint.model, &checkpoint.optimizer]
            .map(|tensors| tensors.iter().cloned().collect::<Vec<_>>());
        let state = State { spec_hash: self.hash.to_string(), ..checkpoint.state };
        self.write_checkpoint(network, precision, &model, &optimizer, &state)?;
        Ok(())
    }

    /// Writes the answers of the trained model, and the outcomes of single questions in one line.
    pub fn write_answers(
        &self,
        answers: &Answers,
        by_question: &ByQuestion,
    ) -> Result<(), StoreError> {
        let path = self.answers_path();
        let unwritable = |error| StoreError::unwritable(&path, error);
        let mut text = serde_json::to_string_pretty(answers).map_err(unwritable)?;
        if !by_question.is_empty() {
            let outcomes = serde_json::to_string(by_question).map_err(unwritable)?;
            text.truncate(text.len() - "\n}".len());
            text.push_str(&format!(",\n  \"by_question\": {outcomes}\n}}"));
        }
        text.push('\n');
        atomic::write(&path, text.as_bytes())
    }

    /// The newest whole checkpoint, and the damage of newer ones; see [`set_damaged_aside`].
    pub fn resume_from(&self) -> Result<(Option<Checkpoint>, Vec<String>), StoreError> {
        set_damaged_aside(&self.checkpoints())
    }

    /// Writes a checkpoint; see [`write_checkpoint`].
    pub fn write_checkpoint(
        &self,
        network: &Network,
        precision: Precision,
        model: &[Tensor<'_>],
        optimizer: &[Tensor<'_>],
        state: &State,
    ) -> Result<PathBuf, StoreError> {
        write_checkpoint(&self.checkpoints(), network, precision, model, optimizer, state)
    }

    /// Marks the run as complete. Written last: everything else is on disk.
    pub fn mark_complete(&self) -> Result<(), StoreError> {
        atomic::write(&self.path.join(COMPLETE), b"")
    }
}

/// The lock of a run's folder, held as long as the file is open.
fn lock(folder: &Path) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(StoreError::io("write", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy { path: folder.to_owned() }),
        // Some shared file systems have no locks; the run continues without one.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => Ok(file),
        Err(TryLockError::Error(error)) => Err(StoreError::io("lock", &path)(error)),
    }
}

/// Six digits, so that names sort like numbers.
fn probe_name(epoch: u64) -> String {
    format!("epoch-{epoch:06}.safetensors")
}

fn epoch_of(name: &str) -> Option<u64> {
    let epoch = name.strip_prefix("epoch-")?.strip_suffix(".safetensors")?.parse().ok()?;
    (probe_name(epoch) == name).then_some(epoch)
}
