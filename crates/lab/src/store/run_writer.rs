//! Writing of one run's folder.

use std::fs;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use retrodict_dynamics::{Answers, ByQuestion};
use retrodict_models::Network;

use super::atomic;
use super::checkpoint::{Checkpoint, folder_name, read_state, set_damaged_aside, write_checkpoint};
use super::claim::Claim;
use super::error::StoreError;
use super::manifest::{Kept, Manifest};
use super::metrics::{MetricsRow, metrics_bytes};
use super::pack::Files;
use super::run_dir::{ANSWERS, COMPLETE, MANIFEST, METRICS, Place, RunDir, SPEC, slashed};
use super::sealed::seal_text;
use super::stamp::Stamp;
use super::state::State;
use super::tensors::{Label, Tensor, encode};
use crate::spec::Precision;

/// A run whose files are still in memory after this time gets a folder, so that its metrics can be
/// watched, and little is lost with the process.
const IN_MEMORY: Duration = Duration::from_secs(20);
/// A run whose files take more bytes than this gets a folder too.
const MOST_IN_MEMORY: usize = 64 << 20;

impl RunDir {
    /// Claims the run for writing: makes its folder, and removes files that a killed process left
    /// half written. If less than all is to be kept, the files of a run that begins are in memory
    /// until it ends, or takes long.
    ///
    /// # Errors
    /// [`StoreError`] if the folder cannot be made, holds links, or is claimed.
    pub fn begin(mut self, precision: Precision, kept: Kept) -> Result<RunWriter, StoreError> {
        self.place = Place::Folder;
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
        let packs = kept < Kept::All && !self.has_manifest();
        let memory = Mutex::new(packs.then(Files::new));
        Ok(RunWriter { run: self, stamp, claim, kept, memory, begun: Instant::now() })
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
    kept: Kept,
    /// The files, as long as they are not in the folder.
    memory: Mutex<Option<Files>>,
    begun: Instant,
}

impl Deref for RunWriter {
    type Target = RunDir;

    fn deref(&self) -> &RunDir {
        &self.run
    }
}

impl RunWriter {
    /// Names another instruction set than the processor's in all that is written.
    pub fn made_with(&mut self, isa: &str) {
        isa.clone_into(&mut self.stamp.isa);
    }

    /// The stamp of all that is written.
    pub fn stamp(&self) -> &Stamp {
        &self.stamp
    }

    /// The files to keep.
    pub fn kept(&self) -> Kept {
        self.kept
    }

    /// Whether the files are in memory, to be packed.
    pub fn is_in_memory(&self) -> bool {
        self.memory().is_some()
    }

    fn memory(&self) -> MutexGuard<'_, Option<Files>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, path: &Path, bytes: Vec<u8>) -> Result<(), StoreError> {
        if let Some(files) = self.memory().as_mut() {
            if let Some(name) = path.strip_prefix(&self.run.path).ok().and_then(slashed) {
                files.insert(name, bytes);
            }
            return Ok(());
        }
        self.claim.check()?;
        atomic::write(path, &bytes)
    }

    /// Moves the files from memory into the folder, if they are there.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be written.
    pub fn unpack(&self) -> Result<(), StoreError> {
        let Some(files) = self.memory().take() else { return Ok(()) };
        self.claim.check()?;
        for (name, bytes) in files {
            let path = self.run.path.join(name);
            let folder = path.with_file_name("");
            fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
            atomic::write(&path, &bytes)?;
        }
        Ok(())
    }

    /// As [`RunWriter::unpack`], if the run has taken long or much.
    ///
    /// # Errors
    /// As there.
    pub fn unpack_if_long(&self) -> Result<(), StoreError> {
        let bytes = self.memory().iter().flat_map(Files::values).map(Vec::len).sum::<usize>();
        let is_small = self.begun.elapsed() < IN_MEMORY && bytes < MOST_IN_MEMORY;
        if is_small { Ok(()) } else { self.unpack() }
    }

    /// The run with its files in memory, to be packed; `None` if they are in the folder.
    pub(crate) fn in_memory(&self) -> Option<RunDir> {
        let files = self.memory().clone()?;
        Some(RunDir { place: Place::Memory(Arc::new(files)), ..self.run.clone() })
    }

    /// Ends the claim, and removes the folder of a run whose files were never in it.
    pub(crate) fn release(self) {
        let in_memory = self.memory().is_some();
        if in_memory {
            self.remove();
        }
    }

    /// Ends the claim, and removes the folder with all that is in it.
    pub(crate) fn remove(self) {
        let path = self.run.path;
        // At once: another process must not claim what is being removed.
        let aside = atomic::temporary_beside(&path);
        if fs::rename(&path, &aside).is_ok() {
            // What is left here is swept later.
            let _ = fs::remove_dir_all(&aside);
        }
        // The folder of the spec, if this was its last.
        let _ = path.parent().map(fs::remove_dir);
    }

    /// Writes the whole resolved spec.
    pub fn write_spec(&self, toml: &str) -> Result<(), StoreError> {
        self.write(&self.path.join(SPEC), toml.as_bytes().to_vec())
    }

    /// Writes the manifest.
    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let path = self.path.join(MANIFEST);
        self.write(&path, manifest.bytes(&path)?)
    }

    /// Writes all rows so far. A run that resumes from a checkpoint has everything that was written
    /// before it.
    pub fn write_metrics(&self, rows: &[MetricsRow]) -> Result<(), StoreError> {
        let path = self.path.join(METRICS);
        self.write(&path, metrics_bytes(&path, &self.stamp, rows)?)
    }

    /// Writes the tensors of the probe `name` after `epoch`, if probes are kept.
    pub fn write_probe(
        &self,
        name: &str,
        epoch: u64,
        tensors: &[Tensor<'_>],
    ) -> Result<(), StoreError> {
        if self.kept < Kept::Probes {
            return Ok(());
        }
        let path = self.probe_path(name, epoch);
        let label = Label { probe: name.to_owned(), epoch, stamp: self.stamp.clone() };
        let bytes = encode(&path, Some(&label), tensors)?;
        if self.memory().is_none() {
            let folder = path.with_file_name("");
            fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
        }
        self.write(&path, bytes)
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
        let path = self.path.join(ANSWERS);
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
        self.write(&path, text.into_bytes())
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
        self.unpack()?;
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

    /// Removes the mark of [`RunWriter::mark_complete`], if it is there.
    pub fn reopen(&self) -> Result<(), StoreError> {
        let path = self.path.join(COMPLETE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StoreError::io("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Marks the run as complete. Written last: everything else is on disk.
    pub fn mark_complete(&self) -> Result<(), StoreError> {
        self.write(&self.path.join(COMPLETE), Vec::new())
    }
}
