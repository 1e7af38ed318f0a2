//! One run's folder, for reading.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retrodict_dynamics::{Answers, ByQuestion};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::checkpoint::{Checkpoint, checkpoint_steps, folder_name, newest_whole, read_checkpoint};
use super::error::StoreError;
use super::manifest::{Kept, Manifest, Status};
use super::metrics::{MetricsRow, metrics_in};
use super::pack::{Files, PackedRun};
use super::read::{read, read_if_there};
use super::sealed::unseal;
use super::stamp::{Stamp, check_owner};
use super::state::State;
use super::tensors::{Label, Tensors, decode};
use crate::spec::SpecHash;

pub(super) const COMPLETE: &str = "COMPLETE";
pub(super) const SPEC: &str = "spec.toml";
pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const METRICS: &str = "metrics.parquet";
pub(super) const ANSWERS: &str = "answers.json";

/// The place of a run's files.
#[derive(Debug, Clone, Default)]
pub(crate) enum Place {
    /// Its folder, if anything is there.
    #[default]
    Folder,
    /// A segment.
    Packed(Arc<PackedRun>),
    /// Memory: it is not yet packed.
    Memory(Arc<Files>),
}

/// The folder of one run, which need not exist yet. Reading needs no lock. A packed run reads like a
/// folder.
#[derive(Debug, Clone)]
pub struct RunDir {
    pub(crate) path: PathBuf,
    pub(crate) place: Place,
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

    /// The packed run, if it is one.
    pub(crate) fn packed(&self) -> Option<&Arc<PackedRun>> {
        match &self.place {
            Place::Packed(run) => Some(run),
            Place::Folder | Place::Memory(_) => None,
        }
    }

    /// The run with all its files in memory but checkpoints.
    ///
    /// # Errors
    /// [`StoreError`] if one cannot be read.
    pub(crate) fn loaded(&self) -> Result<RunDir, StoreError> {
        let files = match &self.place {
            Place::Memory(_) => return Ok(self.clone()),
            Place::Packed(run) => run.place.files()?,
            Place::Folder => {
                let mut files = Files::new();
                let mut folders = vec![self.path.clone()];
                while let Some(folder) = folders.pop() {
                    let entries = fs::read_dir(&folder).map_err(StoreError::io("read", &folder))?;
                    for entry in entries {
                        let path = entry.map_err(StoreError::io("read", &folder))?.path();
                        let name = path.strip_prefix(&self.path).ok().and_then(slashed);
                        // Not claims and temporary files.
                        let Some(name) = name.filter(|name| !name.starts_with('.')) else {
                            continue;
                        };
                        match path.is_dir() {
                            true if name == "checkpoints" => {}
                            true => folders.push(path),
                            false => drop(files.insert(name, read(&path)?)),
                        }
                    }
                }
                files
            }
        };
        Ok(RunDir { place: Place::Memory(Arc::new(files)), ..self.clone() })
    }

    /// The files of a run that is [`loaded`](RunDir::loaded).
    pub(crate) fn files(&self) -> Option<&Files> {
        match &self.place {
            Place::Memory(files) => Some(files),
            Place::Folder | Place::Packed(_) => None,
        }
    }

    /// Whether the run is packed with others, and has no folder.
    pub fn is_packed(&self) -> bool {
        self.packed().is_some()
    }

    /// The path of the whole resolved spec.
    pub fn spec_path(&self) -> PathBuf {
        self.path.join(SPEC)
    }

    /// The path of the [`Manifest`].
    pub fn manifest_path(&self) -> PathBuf {
        self.path.join(MANIFEST)
    }

    /// The path of the [`MetricsRow`]s.
    pub fn metrics_path(&self) -> PathBuf {
        self.path.join(METRICS)
    }

    /// The folder of checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Whether the run is complete: all its files are final.
    pub fn is_complete(&self) -> bool {
        match &self.place {
            Place::Folder => self.path.join(COMPLETE).is_file(),
            Place::Packed(run) => run.status == Status::Complete,
            Place::Memory(files) => files.contains_key(COMPLETE),
        }
    }

    /// Whether the run has a spec: one that has only just begun has none.
    pub fn has_spec(&self) -> bool {
        self.has(SPEC)
    }

    /// Whether the run has a manifest.
    pub fn has_manifest(&self) -> bool {
        self.has(MANIFEST)
    }

    /// Whether the run has metrics.
    pub fn has_metrics(&self) -> bool {
        self.has(METRICS)
    }

    fn has(&self, name: &str) -> bool {
        match &self.place {
            Place::Folder => self.path.join(name).is_file(),
            // Every record has them all.
            Place::Packed(_) => true,
            Place::Memory(files) => files.contains_key(name),
        }
    }

    /// The state of the run; `None` if nothing says so.
    ///
    /// # Errors
    /// As [`RunDir::read_manifest`].
    pub fn status(&self) -> Result<Option<Status>, StoreError> {
        if let Some(run) = self.packed() {
            return Ok(Some(run.status));
        }
        match (self.is_complete(), self.has_manifest()) {
            (true, _) => Ok(Some(Status::Complete)),
            (false, true) => Ok(Some(self.read_manifest()?.status)),
            (false, false) => Ok(None),
        }
    }

    /// The files that were kept of a complete run.
    ///
    /// # Errors
    /// As [`RunDir::read_manifest`].
    pub fn kept(&self) -> Result<Kept, StoreError> {
        match self.packed() {
            Some(run) => Ok(run.kept),
            // A run of an early version may have no manifest.
            None if !self.has_manifest() => Ok(Kept::All),
            None => Ok(self.read_manifest()?.kept),
        }
    }

    /// The bytes of the file at `path` in the run's folder, if there is one.
    fn bytes(&self, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        let name = || path.strip_prefix(&self.path).ok().and_then(slashed);
        match &self.place {
            Place::Folder => read_if_there(path),
            Place::Packed(run) => {
                let mut files = run.place.files()?;
                Ok(name().and_then(|name| files.remove(&name)))
            }
            Place::Memory(files) => Ok(name().and_then(|name| files.get(&name).cloned())),
        }
    }

    fn bytes_of(&self, path: &Path) -> Result<Vec<u8>, StoreError> {
        let missing = || StoreError::io("read", path)(io::ErrorKind::NotFound.into());
        self.bytes(path)?.ok_or_else(missing)
    }

    /// The spec as it was written.
    pub fn read_spec(&self) -> Result<String, StoreError> {
        let path = self.spec_path();
        let bytes = self.bytes_of(&path)?;
        String::from_utf8(bytes).map_err(|error| StoreError::damaged(&path, error))
    }

    /// The manifest.
    pub fn read_manifest(&self) -> Result<Manifest, StoreError> {
        let path = self.manifest_path();
        let manifest = Manifest::of(&path, &self.bytes_of(&path)?)?;
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
        self.path.join(ANSWERS)
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
        let Some(bytes) = self.bytes(&path)? else { return Ok(None) };
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
        let metrics = metrics_in(&path, self.bytes_of(&path)?, epochs)?;
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
        let tensors = decode(&path, &self.bytes_of(&path)?)?;
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
        let files = match &self.place {
            Place::Folder => None,
            Place::Packed(run) if run.kept == Kept::Metrics => return Ok(Vec::new()),
            Place::Packed(run) => Some(Arc::new(run.place.files()?)),
            Place::Memory(files) => Some(Arc::clone(files)),
        };
        if let Some(files) = files {
            let within = format!("probes/{name}/");
            let names = files.keys().filter_map(|file| file.strip_prefix(&within));
            // Names sort like numbers.
            return Ok(names.filter_map(|n| Some((epoch_of(n)?, folder.join(n)))).collect());
        }
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

/// A path with slashes, as files have them in segments.
pub(super) fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    Some(parts?.join("/"))
}

impl PartialEq for RunDir {
    /// The same run of the same store, wherever its files are.
    fn eq(&self, other: &RunDir) -> bool {
        (&self.path, &self.experiment, self.hash, self.seed)
            == (&other.path, &other.experiment, other.hash, other.seed)
    }
}

impl Eq for RunDir {}

/// Six digits, so that names sort like numbers.
fn probe_name(epoch: u64) -> String {
    format!("epoch-{epoch:06}.safetensors")
}

fn epoch_of(name: &str) -> Option<u64> {
    let epoch = name.strip_prefix("epoch-")?.strip_suffix(".safetensors")?.parse().ok()?;
    (probe_name(epoch) == name).then_some(epoch)
}
