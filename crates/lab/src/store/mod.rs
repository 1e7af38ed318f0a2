//! The run store: every run in its own folder, with atomic files that other programs can read. The
//! store can be moved.
//!
//! ```text
//! OUT/runs/<experiment>/<spec hash>/seed-<n>/
//!   spec.toml          the whole resolved spec
//!   manifest.json      program, machine, times, how it ended
//!   metrics.parquet    one row per epoch
//!   answers.json       the answers of the trained model
//!   probes/<name>/epoch-000020.safetensors
//!   checkpoints/step-<k>/{config.json, model.safetensors, optimizer.safetensors, state.json}
//!   COMPLETE           written last
//! OUT/segments/<time>-<host>-<process>-<n>.runs    packed runs, see [`pack`]
//! ```
//!
//! The folder `<experiment>` is the experiment's name; where a file system could take that name for
//! another, a digest follows it (see [`crate::name::folder`]).

pub mod atomic;
mod checkpoint;
mod claim;
mod config;
mod dictionary;
mod error;
mod manifest;
mod metrics;
mod pack;
mod read;
mod run_dir;
mod run_writer;
mod sealed;
mod stamp;
mod state;
mod tensors;

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use checkpoint::{
    Checkpoint, checkpoint_steps, newest_whole, read_checkpoint, set_damaged_aside,
    write_checkpoint,
};
pub use config::config;
pub use dictionary::dictionary;
pub use error::StoreError;
pub use manifest::{Kept, Machine, Manifest, Part, RunSeeds, Status, utc_now};
pub use metrics::{Metrics, MetricsRow, read_metrics, write_metrics};
pub use read::{read, read_if_there};
pub use run_dir::RunDir;
pub use run_writer::RunWriter;
pub use sealed::{seal, unseal};
pub use stamp::Stamp;
pub use state::State;
pub use tensors::{Tensor, Tensors, Values, read_tensors, write_tensors};

pub(crate) use pack::{Header, PackedKeys, PackedRun, Packs};

use crate::name::{check_name, folder, of_folder};
use crate::spec::SpecHash;

use run_dir::Place;

/// The runs below one output folder.
#[derive(Debug, Clone)]
pub struct Store {
    runs: PathBuf,
    packs: Arc<Packs>,
}

impl Store {
    /// The store below `out`, for writing: makes its folder if needed. Fails if it is not writable.
    pub fn open(out: &Path) -> Result<Self, StoreError> {
        refuse_file(out)?;
        let runs = out.join("runs");
        fs::create_dir_all(&runs).map_err(StoreError::io("create", &runs))?;
        // Permissions, full disks and read-only mounts only show when writing.
        atomic::try_writing(&runs)?;
        for folder in
            ["runs", "figures", "compare", "locate", "theory/bilinear", "theory/one-layer"]
        {
            atomic::sweep_old(&out.join(folder));
        }
        Ok(Self { runs, packs: Arc::new(Packs::of(out)) })
    }

    /// The store below `out`, for reading: it must exist.
    pub fn view(out: &Path) -> Result<Self, StoreError> {
        refuse_file(out)?;
        let runs = out.join("runs");
        if !runs.is_dir() {
            let path = out.to_owned();
            return Err(StoreError::NoStore { path });
        }
        Ok(Self { runs, packs: Arc::new(Packs::of(out)) })
    }

    /// The folder of one run, whether it exists or not.
    pub fn run_dir(
        &self,
        experiment: &str,
        hash: SpecHash,
        seed: u64,
    ) -> Result<RunDir, StoreError> {
        let mut run = run_in(&self.folder_of(experiment)?, experiment, hash, seed);
        // A folder counts before a record, unless only the record is complete.
        if !run.is_complete()
            && let Some(packed) = self.packs.find(experiment, hash, seed)?
            && (packed.status == Status::Complete || !run.has_manifest())
        {
            run.place = Place::Packed(packed);
        }
        Ok(run)
    }

    /// The packed runs.
    pub(crate) fn packs(&self) -> &Packs {
        &self.packs
    }

    /// The damage of packed runs: those of a damaged segment that come after it are not there.
    ///
    /// # Errors
    /// [`StoreError`] if the folder of segments cannot be read.
    pub fn damages(&self) -> Result<Vec<String>, StoreError> {
        self.packs.damages()
    }

    /// The folder of an experiment: that of an early version, whose name has no digest, where it
    /// is there.
    fn folder_of(&self, experiment: &str) -> Result<PathBuf, StoreError> {
        check_name(experiment)?;
        let name = folder(experiment);
        let early = name != experiment && folder_names(&self.runs)?.iter().any(|n| n == experiment);
        Ok(self.runs.join(if early { experiment } else { &name }))
    }

    /// The runs of `experiment` with this seed that have a folder, one for each hash.
    pub fn runs_with_seed(&self, experiment: &str, seed: u64) -> Result<Vec<RunDir>, StoreError> {
        let path = self.folder_of(experiment)?;
        let hashes = folder_names(&path)?;
        let hashes = hashes.iter().filter_map(|name| name.parse().ok());
        let runs = hashes.map(|hash| run_in(&path, experiment, hash, seed));
        // A packed run keeps no checkpoint, so no other run can extend it.
        Ok(runs.filter(|run| run.path.is_dir()).collect())
    }

    /// Every run, by experiment, hash and seed. Other files and folders are ignored.
    pub fn runs(&self) -> Result<Vec<RunDir>, StoreError> {
        let mut runs = self.folders()?;
        self.add_packed(&mut runs)?;
        runs.sort_by(|a, b| (&a.experiment, a.hash, a.seed).cmp(&(&b.experiment, b.hash, b.seed)));
        Ok(runs)
    }

    /// The folders of runs, and whether a packed run takes the place of each.
    pub(crate) fn folders_of_runs(&self) -> Result<Vec<(RunDir, bool)>, StoreError> {
        let folders = self.folders()?;
        let mut runs = folders.clone();
        self.add_packed(&mut runs)?;
        // Those come first, in their order.
        Ok(folders.into_iter().zip(runs).map(|(of, run)| (of, run.is_packed())).collect())
    }

    fn folders(&self) -> Result<Vec<RunDir>, StoreError> {
        let mut runs = Vec::new();
        for folder in folder_names(&self.runs)? {
            let Some(experiment) = of_folder(&folder) else { continue };
            let path = self.runs.join(&folder);
            for hash in folder_names(&path)? {
                let seeds = path.join(&hash);
                let Ok(hash) = hash.parse() else { continue };
                let seeds = folder_names(&seeds)?.into_iter().filter_map(|name| seed_of(&name));
                runs.extend(seeds.map(|seed| run_in(&path, experiment, hash, seed)));
            }
        }
        Ok(runs)
    }
}

impl Store {
    /// Adds the packed runs: in place of their folders where these have less.
    fn add_packed(&self, runs: &mut Vec<RunDir>) -> Result<(), StoreError> {
        let packed = self.packs.all()?;
        if packed.is_empty() {
            return Ok(());
        }
        let key = |run: &RunDir| (run.hash, run.seed);
        let folders: HashMap<(SpecHash, u64), Vec<usize>> =
            runs.iter().enumerate().fold(HashMap::new(), |mut all, (at, run)| {
                all.entry(key(run)).or_default().push(at);
                all
            });
        let mut names: HashMap<Arc<str>, PathBuf> = HashMap::new();
        for run in packed {
            let places = folders.get(&(run.hash, run.seed)).into_iter().flatten();
            let mut same = places.filter(|at| *runs[**at].experiment == *run.experiment);
            if let Some(&at) = same.next() {
                let counts = run.status == Status::Complete || !runs[at].has_manifest();
                if counts && !runs[at].is_complete() {
                    runs[at].place = Place::Packed(run);
                }
                continue;
            }
            let folder = match names.get(&run.experiment) {
                Some(folder) => folder,
                None => {
                    let folder = self.folder_of(&run.experiment)?;
                    names.entry(Arc::clone(&run.experiment)).or_insert(folder)
                }
            };
            let mut found = run_in(folder, &run.experiment, run.hash, run.seed);
            found.place = Place::Packed(run);
            runs.push(found);
        }
        Ok(())
    }
}

fn refuse_file(out: &Path) -> Result<(), StoreError> {
    let path = || out.to_owned();
    if out.exists() {
        return if out.is_dir() { Ok(()) } else { Err(StoreError::NotAFolder { path: path() }) };
    }
    match out.ancestors().find_map(|link| Some((link, fs::read_link(link).ok()?))) {
        Some((link, target)) if !link.exists() => {
            Err(StoreError::DanglingLink { path: link.to_owned(), target })
        }
        _ => Ok(()),
    }
}

/// Names of the folders in `path`.
fn folder_names(path: &Path) -> Result<Vec<String>, StoreError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(StoreError::io("read", path))? {
        let entry = entry.map_err(StoreError::io("read", path))?;
        if entry.path().is_dir() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    Ok(names)
}

/// A run in the folder of its experiment.
fn run_in(folder: &Path, experiment: &str, hash: SpecHash, seed: u64) -> RunDir {
    RunDir {
        path: folder.join(hash.to_string()).join(seed_name(seed)),
        place: Place::Folder,
        experiment: experiment.to_owned(),
        hash,
        seed,
    }
}

fn seed_name(seed: u64) -> String {
    format!("seed-{seed}")
}

fn seed_of(name: &str) -> Option<u64> {
    let seed = name.strip_prefix("seed-")?.parse().ok()?;
    (seed_name(seed) == name).then_some(seed)
}
