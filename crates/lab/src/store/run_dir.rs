//! One run's folder, for reading.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use retrodict_dynamics::{Answers, ByQuestion};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::checkpoint::{Checkpoint, checkpoint_steps, folder_name, newest_whole, read_checkpoint};
use super::error::StoreError;
use super::manifest::Manifest;
use super::metrics::{MetricsRow, read_metrics};
use super::read::{read, read_if_there};
use super::sealed::unseal;
use super::stamp::{Stamp, check_owner};
use super::state::State;
use super::tensors::{Label, Tensors, read_tensors};
use crate::spec::SpecHash;

pub(super) const COMPLETE: &str = "COMPLETE";

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
        String::from_utf8(read(&path)?).map_err(|error| StoreError::damaged(&path, error))
    }

    /// The manifest.
    pub fn read_manifest(&self) -> Result<Manifest, StoreError> {
        let path = self.manifest_path();
        let manifest = Manifest::read(&path)?;
        self.owns(&path, (&manifest.spec_hash, manifest.seeds.run))?;
        Ok(manifest)
    }

    /// Refuses a file of another run.
    fn owns(&self, path: &Path, owner: (&str, u64)) -> Result<(), StoreError> {
        check_owner(path, owner, (self.hash, self.seed))
    }

    fn owns_stamped(&self, path: &Path, stamp: Option<&Stamp>) -> Result<(), StoreError> {
        stamp.map_or(Ok(()), |stamp| self.owns(path, (&stamp.spec_hash, stamp.seed)))
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
        #[derive(Deserialize)]
        struct Owner {
            run: Option<Stamp>,
        }
        let path = self.answers_path();
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        let damaged = |error: String| StoreError::damaged(&path, error);
        let (owner, sealed) = unseal::<Owner>(&bytes).map_err(damaged)?;
        if owner.run.is_some() && !sealed {
            return Err(damaged("its seal is missing".to_owned()));
        }
        self.owns_stamped(&path, owner.run.as_ref())?;
        Ok(Some(unseal::<P>(&bytes).map_err(damaged)?.0))
    }

    /// All rows of metrics, of a run of at most `epochs` epochs.
    pub fn read_metrics(&self, epochs: u64) -> Result<Vec<MetricsRow>, StoreError> {
        let path = self.metrics_path();
        let metrics = read_metrics(&path, epochs)?;
        self.owns_stamped(&path, metrics.stamp.as_ref())?;
        Ok(metrics.rows)
    }

    /// The steps that have a checkpoint, ascending.
    pub fn checkpoint_steps(&self) -> Result<Vec<u64>, StoreError> {
        checkpoint_steps(&self.checkpoints())
    }

    /// The checkpoint of `step`, if it is whole.
    pub fn read_checkpoint(&self, step: u64) -> Result<Checkpoint, StoreError> {
        self.own(read_checkpoint(&self.checkpoints().join(folder_name(step)))?)
    }

    /// The newest checkpoint; see [`newest_whole`].
    pub fn newest_checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        newest_whole(&self.checkpoints())?.map(|found| self.own(found)).transpose()
    }

    /// Refuses a checkpoint of another run.
    pub(super) fn own(&self, checkpoint: Checkpoint) -> Result<Checkpoint, StoreError> {
        let State { spec_hash, seed, .. } = &checkpoint.state;
        self.owns(&checkpoint.folder, (spec_hash, *seed))?;
        Ok(checkpoint)
    }

    /// The tensors of the probe `name` after `epoch`.
    ///
    /// # Errors
    /// [`StoreError`] if the file is missing, damaged, or of another run, probe or epoch.
    pub fn read_probe(&self, name: &str, epoch: u64) -> Result<Tensors, StoreError> {
        let path = self.probe_path(name, epoch);
        let tensors = read_tensors(&path)?;
        if let Some(label) = tensors.label() {
            self.owns_stamped(&path, Some(&label.stamp))?;
            if (&*label.probe, label.epoch) != (name, epoch) {
                let Label { probe, epoch, .. } = label;
                let what = format!("it is `{probe}` after epoch {epoch}");
                return Err(StoreError::damaged(&path, what));
            }
        }
        Ok(tensors)
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
}

/// Six digits, so that names sort like numbers.
fn probe_name(epoch: u64) -> String {
    format!("epoch-{epoch:06}.safetensors")
}

fn epoch_of(name: &str) -> Option<u64> {
    let epoch = name.strip_prefix("epoch-")?.strip_suffix(".safetensors")?.parse().ok()?;
    (probe_name(epoch) == name).then_some(epoch)
}
