//! Maintenance of a store: verify it, compact it, remove what is left over, export runs.

use std::fs;
use std::path::Path;

use crate::embeddings::EMBEDDING_COSINES;
use crate::experiment::Experiment;
use crate::probe::EFFECTIVE_WEIGHTS;
use crate::run::{Outcome, append};
use crate::spec::{Precision, Spec};
use crate::store::{Kept, RunDir, Status, Store, StoreError, atomic};

/// The result of [`verify`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Runs read.
    pub runs: usize,
    /// Packed runs among them.
    pub packed: usize,
    /// Checkpoints read.
    pub checkpoints: usize,
    /// One line for each damage.
    pub damages: Vec<String>,
}

/// Reads every file of every run, and checks digests, owners and shapes. `progress` gets the runs
/// read and their number.
///
/// # Errors
/// [`StoreError`] if the store's folders cannot be read. A damaged file is no error.
pub fn verify(store: &Store, progress: impl Fn(usize, usize)) -> Result<Verified, StoreError> {
    let mut verified = Verified { damages: store.damages()?, ..Verified::default() };
    let runs = store.runs()?;
    for (at, run) in runs.iter().enumerate() {
        progress(at, runs.len());
        if !run.has_spec() && !run.is_complete() {
            continue; // it has only just begun
        }
        verified.runs += 1;
        verified.packed += usize::from(run.is_packed());
        verify_run(run, &mut verified);
    }
    progress(runs.len(), runs.len());
    Ok(verified)
}

fn verify_run(run: &RunDir, verified: &mut Verified) {
    let damages = &mut verified.damages;
    let mut note = |error: StoreError| damages.push(error.to_string());
    let loaded = match run.loaded() {
        Ok(loaded) => loaded,
        Err(error) => return note(error),
    };
    let ended = run.is_complete();
    let epochs = match loaded.read_spec() {
        Ok(text) => match Spec::parse_stored(&text, &run.spec_path().display().to_string()) {
            Ok(spec) => Some(spec.train.epochs),
            Err(error) => {
                note(StoreError::damaged(&run.spec_path(), error));
                None
            }
        },
        Err(error) => {
            note(error);
            None
        }
    };
    if ended || loaded.has_manifest() {
        loaded.read_manifest().err().map(&mut note);
    }
    if ended || loaded.has_metrics() {
        loaded.read_metrics(epochs.unwrap_or(u64::MAX)).err().map(&mut note);
    }
    loaded.read_answers().err().map(&mut note);
    for name in [EFFECTIVE_WEIGHTS, EMBEDDING_COSINES] {
        match loaded.probes(name) {
            Ok(probes) => {
                for (epoch, _) in probes {
                    loaded.read_probe(name, epoch).err().map(&mut note);
                }
            }
            Err(error) => note(error),
        }
    }
    if run.is_packed() {
        return;
    }
    match run.checkpoint_steps() {
        Ok(steps) => {
            for step in steps {
                verified.checkpoints += 1;
                run.read_checkpoint(step).err().map(&mut note);
            }
        }
        Err(error) => note(error),
    }
}

/// The result of [`compact`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Folders of complete runs without checkpoints that were packed.
    pub folders: usize,
    /// Segments before and after.
    pub segments: (usize, usize),
}

/// Packs the complete runs without checkpoints, and writes all segments that nobody writes into as
/// few as possible. Runs that another process writes are left alone.
///
/// # Errors
/// [`StoreError`] if a file is damaged or cannot be written; nothing is lost then.
pub fn compact(store: &Store) -> Result<Compacted, StoreError> {
    let mut folders = Vec::new();
    for run in store.runs()? {
        let packs = !run.is_packed() && run.is_complete() && run.checkpoint_steps()?.is_empty();
        // A run of an early version may have no manifest.
        if packs && run.has_manifest() {
            let loaded = run.loaded()?;
            let origin = run.spec_path().display().to_string();
            let damaged = |error: String| StoreError::damaged(&run.spec_path(), error);
            let mut spec = Spec::parse_stored(&loaded.read_spec()?, &origin)
                .map_err(|error| damaged(error.to_string()))?;
            spec.name.clone_from(&run.experiment);
            let experiment =
                Experiment::stored(spec, &origin).map_err(|error| damaged(error.to_string()))?;
            let outcome = Outcome { status: Status::Complete, message: None, from_store: true };
            append(&experiment, store, &loaded, loaded.kept()?, &outcome)?;
            folders.push(run);
        }
    }
    store.packs().sync()?;
    store.packs().close()?;
    let packed = folders.len();
    for run in folders {
        if let Ok(writer) = run.begin(Precision::F32, Kept::All) {
            writer.remove();
        }
    }
    let segments = store.packs().compact()?;
    Ok(Compacted { folders: packed, segments })
}

/// Removes what killed processes left: temporary files, claims, folders of runs that never began,
/// and unfinished folders of runs that are packed. Returns the number of folders removed.
///
/// # Errors
/// [`StoreError`] if the store's folders cannot be read.
pub fn collect_garbage(store: &Store) -> Result<usize, StoreError> {
    let mut removed = 0;
    for (run, superseded) in store.folders_of_runs()? {
        let is_needless = superseded || !(run.has_spec() || run.is_complete());
        // Claiming a run sweeps its temporary files and old claims.
        match run.begin(Precision::F32, Kept::All) {
            Ok(writer) if is_needless => {
                writer.remove();
                removed += 1;
            }
            // Another process writes it.
            Ok(_) | Err(StoreError::Busy { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

/// Copies runs into another store, each into a folder of its own. Returns how many.
///
/// # Errors
/// [`StoreError`] if one cannot be read or written; those before it are whole.
pub fn export(runs: &[RunDir], to: &Store) -> Result<usize, StoreError> {
    let mut count = 0;
    for run in runs {
        let target = to.run_dir(&run.experiment, run.hash, run.seed)?;
        if target.is_complete() {
            continue;
        }
        let loaded = run.loaded()?;
        let folder = target.path().to_owned();
        let above = folder.with_file_name("");
        fs::create_dir_all(&above).map_err(StoreError::io("create", &above))?;
        atomic::write_folder(&folder, |inside| {
            for (name, bytes) in loaded.files().into_iter().flatten() {
                let path = inside.join(name);
                let above = path.with_file_name("");
                fs::create_dir_all(&above).map_err(StoreError::io("create", &above))?;
                atomic::write_synced(&path, bytes)?;
            }
            if run.is_packed() { Ok(()) } else { copy(&run.checkpoints(), inside) }
        })?;
        count += 1;
    }
    Ok(count)
}

/// Copies a folder, if it is there, into another.
fn copy(folder: &Path, into: &Path) -> Result<(), StoreError> {
    if !folder.is_dir() {
        return Ok(());
    }
    let target = into.join(folder.file_name().unwrap_or_default());
    fs::create_dir_all(&target).map_err(StoreError::io("create", &target))?;
    for entry in fs::read_dir(folder).map_err(StoreError::io("read", folder))? {
        let path = entry.map_err(StoreError::io("read", folder))?.path();
        match path.is_dir() {
            true => copy(&path, &target)?,
            false => {
                let to = target.join(path.file_name().unwrap_or_default());
                fs::copy(&path, &to).map_err(StoreError::io("write", &to))?;
            }
        }
    }
    Ok(())
}
