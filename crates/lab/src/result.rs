//! What a run gave, read from the store.

use std::path::PathBuf;

use crate::experiment::Experiment;
use crate::probe::{EFFECTIVE_WEIGHTS, EffectiveWeights, Indexes};
use crate::run::Outcome;
use crate::store::{Manifest, MetricsRow, Status, Store, StoreError};

/// The values after the last epoch, and how the run stands.
#[derive(Debug, Clone)]
pub struct RunResult {
    /// The run's seed.
    pub seed: u64,
    /// Its folder.
    pub folder: PathBuf,
    /// How it stands.
    pub status: Status,
    /// Why it is not complete.
    pub message: Option<String>,
    /// The last row of its metrics; `None` if no epoch was finished.
    pub last: Option<MetricsRow>,
    /// What its last effective weights come down to.
    pub indexes: Indexes,
    /// What it says of itself; `None` if it failed before it began.
    pub manifest: Option<Manifest>,
}

impl RunResult {
    /// Reads what the run with `seed` has written.
    ///
    /// # Errors
    /// [`StoreError`] if a file of a complete run is missing or damaged. For a run that ended
    /// otherwise, what cannot be read is left out.
    pub fn collect(
        experiment: &Experiment,
        store: &Store,
        seed: u64,
        outcome: Outcome,
    ) -> Result<RunResult, StoreError> {
        let folder = store.run_dir(&experiment.spec.name, experiment.hash, seed)?;
        let complete = outcome.status == Status::Complete;
        let last = match folder.read_metrics() {
            Ok(rows) => rows.last().copied(),
            Err(error) if complete => return Err(error),
            Err(_) => None,
        };
        let indexes = if complete {
            let weights = last_effective_weights(experiment, store, seed)?;
            weights.map(|weights| weights.indexes()).unwrap_or_default()
        } else {
            Indexes::default()
        };
        Ok(RunResult {
            seed,
            folder: folder.path().to_owned(),
            status: outcome.status,
            message: outcome.message,
            last,
            indexes,
            manifest: folder.read_manifest().ok(),
        })
    }

    /// Milliseconds a training step took on average.
    pub fn ms_per_step(&self) -> Option<f64> {
        self.manifest.as_ref()?.ms_per_step
    }
}

/// The effective weights that the run with `seed` ended with; `None` where none were measured.
///
/// # Errors
/// [`StoreError`] if the file is damaged.
pub fn last_effective_weights(
    experiment: &Experiment,
    store: &Store,
    seed: u64,
) -> Result<Option<EffectiveWeights>, StoreError> {
    let folder = store.run_dir(&experiment.spec.name, experiment.hash, seed)?;
    let probes = folder.probes(EFFECTIVE_WEIGHTS)?;
    let Some((_, path)) = probes.last() else { return Ok(None) };
    let dataset = experiment.dataset(seed).map_err(|error| StoreError::Damaged {
        path: folder.spec_path(),
        what: error.to_string(),
    })?;
    EffectiveWeights::read(path, &dataset).map(Some)
}
