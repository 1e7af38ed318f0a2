//! Writing of one run's folder.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use retrodict_dynamics::{Answers, ByQuestion};
use retrodict_models::Network;

use super::atomic;
use super::checkpoint::{Checkpoint, folder_name, read_state, set_damaged_aside, write_checkpoint};
use super::claim::Claim;
use super::error::StoreError;
use super::manifest::Manifest;
use super::metrics::{MetricsRow, write_metrics};
use super::run_dir::{COMPLETE, RunDir};
use super::sealed::seal_text;
use super::stamp::Stamp;
use super::state::State;
use super::tensors::{Label, Tensor, write_probe};
use crate::spec::Precision;

impl RunDir {
    /// Claims the run for writing: makes its folder, and removes files that a killed process left
    /// half written.
    ///
    /// # Errors
    /// [`StoreError`] if the folder cannot be made, holds links, or is claimed.
    pub fn begin(self, precision: Precision) -> Result<RunWriter, StoreError> {
        let probes = self.path.join("probes");
        // The store's own folders: links to elsewhere would lead out of the store.
        let above = self.path.ancestors().take(4);
        above.chain([&*self.checkpoints(), &probes]).try_for_each(refuse_link)?;
        fs::create_dir_all(&self.path).map_err(StoreError::io("create", &self.path))?;
        let claim = Claim::take(&self.path)?;
        for folder in [self.path.clone(), self.checkpoints()] {
            if folder.is_dir() {
                atomic::sweep(&folder)?;
            }
        }
        if probes.is_dir() {
            for entry in fs::read_dir(&probes).map_err(StoreError::io("read", &probes))? {
                let folder = entry.map_err(StoreError::io("read", &probes))?.path();
                if folder.is_dir() {
                    refuse_link(&folder)?;
                    atomic::sweep(&folder)?;
                }
            }
        }
        let stamp = Stamp::here(self.hash, self.seed, precision);
        Ok(RunWriter { run: self, stamp, claim })
    }
}

fn refuse_link(path: &Path) -> Result<(), StoreError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_symlink() => Err(StoreError::Linked { path: path.to_owned() }),
        _ => Ok(()),
    }
}

/// The right to write a run; it ends when this is dropped, or with the process.
#[derive(Debug)]
pub struct RunWriter {
    run: RunDir,
    stamp: Stamp,
    claim: Claim,
}

impl Deref for RunWriter {
    type Target = RunDir;

    fn deref(&self) -> &RunDir {
        &self.run
    }
}

impl RunWriter {
    /// The stamp of all that is written.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// Writes the whole resolved spec.
    pub fn write_spec(&self, toml: &str) -> Result<(), StoreError> {
        self.claim.check()?;
        atomic::write(&self.spec_path(), toml.as_bytes())
    }

    /// Writes the manifest.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        self.claim.check()?;
        manifest.write(&self.manifest_path())
    }

    /// Writes all rows so far. A run that resumes from a checkpoint has everything that was written
    /// before it.
    pub fn write_metrics(&self, rows: &[MetricsRow]) -> Result<(), StoreError> {
        self.claim.check()?;
        write_metrics(&self.metrics_path(), &self.stamp, rows)
    }

    /// Writes the tensors of the probe `name` after `epoch`.
    pub fn write_probe(
        &self,
        name: &str,
        epoch: u64,
        tensors: &[Tensor<'_>],
    ) -> Result<PathBuf, StoreError> {
        self.claim.check()?;
        let path = self.probe_path(name, epoch);
        let folder = path.with_file_name("");
        fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        let label = Label { probe: name.to_owned(), epoch, stamp: self.stamp.clone() };
        write_probe(&path, &label, tensors)?;
        Ok(path)
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
        let spec_hash = self.hash.to_string();
        let state = State { spec_hash, interrupted: false, ..checkpoint.state };
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
        let stamp = serde_json::to_string(&self.stamp).map_err(unwritable)?;
        let fields = text.strip_prefix('{').unwrap_or(&text);
        let text = seal_text(&format!("{{\n  \"run\": {stamp},{fields}"));
        self.claim.check()?;
        atomic::write(&path, text.as_bytes())
    }

    /// The newest whole checkpoint, and the damage of newer ones; see [`set_damaged_aside`].
    ///
    /// # Errors
    /// [`StoreError::Foreign`] if it is of another run, [`StoreError::OtherProgram`] if another
    /// program or instruction set wrote it and `mixed` is false.
    pub fn resume_from(
        &self,
        mixed: bool,
    ) -> Result<(Option<Checkpoint>, Vec<String>), StoreError> {
        let (newest, damages) = set_damaged_aside(&self.checkpoints())?;
        let newest = newest.map(|found| self.own(found)).transpose()?;
        if let Some(found) = newest.as_ref().filter(|_| !mixed) {
            let by = found.state.stamp();
            if !by.same_program(&self.stamp) {
                return Err(StoreError::OtherProgram {
                    path: found.folder.clone(),
                    by: by.program(),
                    here: self.stamp.program(),
                    run: self.path.clone(),
                });
            }
        }
        Ok((newest, damages))
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
        self.claim.check()?;
        write_checkpoint(&self.checkpoints(), network, precision, model, optimizer, state)
    }

    /// Removes the checkpoints that interruptions made, where the spec does not ask for them.
    pub fn remove_interruptions(&self, wanted: impl Fn(u64) -> bool) -> Result<(), StoreError> {
        for step in self.checkpoint_steps()?.into_iter().filter(|&step| !wanted(step)) {
            let folder = self.checkpoints().join(folder_name(step));
            if read_state(&folder).is_ok_and(|state| state.interrupted) {
                fs::remove_dir_all(&folder).map_err(StoreError::io("remove", &folder))?;
            }
        }
        Ok(())
    }

    /// Marks the run as complete. Written last: everything else is on disk.
    pub fn mark_complete(&self) -> Result<(), StoreError> {
        self.claim.check()?;
        atomic::write(&self.path.join(COMPLETE), b"")
    }
}
