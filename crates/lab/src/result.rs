//! The results of a run, read from the store.

use std::path::PathBuf;
use std::sync::Arc;

use retrodict_dynamics::{Answers, ByQuestion};
use retrodict_facts::Dataset;

use crate::embeddings::{EMBEDDING_COSINES, EmbeddingCosines};
use crate::experiment::Experiment;
use crate::probe::{EFFECTIVE_WEIGHTS, EffectiveWeights};
use crate::run::Outcome;
use crate::store::{Manifest, MetricsRow, PackedRun, RunDir, Status, Store, StoreError};

/// The values after the last epoch, and the state of the run.
#[derive(Debug, Clone)]
pub struct RunResult {
    /// The run's seed.
    pub seed: u64,
    /// Its folder.
    pub folder: PathBuf,
    /// Its state.
    pub status: Status,
    /// Why it is not complete.
    pub message: Option<String>,
    /// The last row of its metrics; `None` if no epoch was finished.
    pub last: Option<MetricsRow>,
    /// The answers of the trained model; `None` if the run is not complete, or an earlier version
    /// without answers wrote it.
    pub answers: Option<Answers>,
    /// The outcomes of its single questions; empty as with `answers`, and of versions that did not
    /// keep them.
    pub by_question: ByQuestion,
    /// The orthogonality of its embeddings; `None` as with `answers`.
    pub embedding_cosines: Option<EmbeddingCosines>,
    /// The number of held-out sentences; 0 if the run is not complete.
    pub held_out: usize,
    /// Its manifest; `None` if it failed before it began.
    pub manifest: Option<Manifest>,
    /// The packed run, where that is all that was read: its measures are known, the parts above are
    /// not.
    packed: Option<Arc<PackedRun>>,
}

impl RunResult {
    /// Reads the results of the run with `seed`.
    ///
    /// # Errors
    /// [`StoreError`] if a file of a complete run is missing or damaged. For other runs,
    /// unreadable parts are left out.
    pub fn collect(
        experiment: &Experiment,
        store: &Store,
        seed: u64,
        outcome: Outcome,
    ) -> Result<RunResult, StoreError> {
        let folder = store.run_dir(&experiment.spec.name, experiment.hash, seed)?;
        RunResult::of(experiment, &folder, outcome)
    }

    /// As [`RunResult::collect`], of this run.
    ///
    /// # Errors
    /// As there.
    pub fn of(
        experiment: &Experiment,
        folder: &RunDir,
        outcome: Outcome,
    ) -> Result<RunResult, StoreError> {
        let seed = folder.seed;
        let complete = outcome.status == Status::Complete;
        let mut last = match folder.read_metrics(experiment.spec.train.epochs) {
            // Another process may still write a failed run: its numbers are not final.
            _ if outcome.status == Status::Failed => None,
            Ok(rows) => rows.last().copied(),
            Err(error) if complete => return Err(error),
            Err(_) => None,
        };
        let (mut answers, mut by_question) = (None, ByQuestion::new());
        let (mut embedding_cosines, mut held_out) = (None, 0);
        if complete {
            let dataset = dataset(experiment, folder)?;
            held_out = dataset.held_out.len();
            if let (Some(last), Some((epoch, _))) =
                (&mut last, folder.probes(EFFECTIVE_WEIGHTS)?.last())
            {
                // Metrics of earlier versions have no indexes.
                let tensors = folder.read_probe(EFFECTIVE_WEIGHTS, *epoch)?;
                let indexes = EffectiveWeights::read(&tensors, &dataset)?.indexes();
                last.fill("asymmetry", indexes.asymmetry);
                last.fill("asymmetry_in_context", indexes.asymmetry_in_context);
                last.fill("intransitivity", indexes.intransitivity);
            }
            if let Some((epoch, _)) = folder.probes(EMBEDDING_COSINES)?.last() {
                let tensors = folder.read_probe(EMBEDDING_COSINES, *epoch)?;
                embedding_cosines = Some(EmbeddingCosines::read(&tensors, &dataset)?);
            }
            answers = folder.read_answers()?;
            by_question = folder.read_by_question()?;
        }
        let manifest = match folder.read_manifest() {
            _ if outcome.status == Status::Failed => None,
            Ok(manifest) => Some(manifest),
            Err(error) if complete && folder.has_manifest() => return Err(error),
            Err(_) => None,
        };
        Ok(RunResult {
            seed,
            folder: folder.path().to_owned(),
            status: outcome.status,
            message: outcome.message,
            last,
            answers,
            by_question,
            embedding_cosines,
            held_out,
            manifest,
            packed: None,
        })
    }

    /// The measures of the run with `seed`, without its answers, questions and manifest where they
    /// would have to be unpacked.
    ///
    /// # Errors
    /// As [`RunResult::collect`].
    pub fn measures(
        experiment: &Experiment,
        store: &Store,
        seed: u64,
        outcome: Outcome,
    ) -> Result<RunResult, StoreError> {
        let folder = store.run_dir(&experiment.spec.name, experiment.hash, seed)?;
        let Some(packed) = folder.packed() else {
            return RunResult::of(experiment, &folder, outcome);
        };
        Ok(RunResult {
            seed,
            folder: folder.path().to_owned(),
            status: outcome.status,
            message: outcome.message,
            last: None,
            answers: None,
            by_question: ByQuestion::new(),
            embedding_cosines: None,
            held_out: 0,
            manifest: None,
            packed: Some(Arc::clone(packed)),
        })
    }

    /// The packed run, where nothing else was read.
    pub(crate) fn packed(&self) -> Option<&PackedRun> {
        self.packed.as_deref()
    }

    /// The average time of a training step in milliseconds.
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
    let epochs = effective_weight_epochs(experiment, store, seed)?;
    let Some(&last) = epochs.last() else { return Ok(None) };
    Ok(effective_weights_at(experiment, store, seed, &[last])?.pop())
}

/// The epochs after which the run with `seed` had its effective weights measured, rising.
///
/// # Errors
/// [`StoreError`] if its folder cannot be read.
pub fn effective_weight_epochs(
    experiment: &Experiment,
    store: &Store,
    seed: u64,
) -> Result<Vec<u64>, StoreError> {
    let folder = store.run_dir(&experiment.spec.name, experiment.hash, seed)?;
    Ok(folder.probes(EFFECTIVE_WEIGHTS)?.into_iter().map(|(epoch, _)| epoch).collect())
}

/// The effective weights that the run with `seed` had after each of `epochs`.
///
/// # Errors
/// [`StoreError`] if they were not measured then, or a file is damaged.
pub fn effective_weights_at(
    experiment: &Experiment,
    store: &Store,
    seed: u64,
    epochs: &[u64],
) -> Result<Vec<EffectiveWeights>, StoreError> {
    let folder = store.run_dir(&experiment.spec.name, experiment.hash, seed)?;
    let dataset = dataset(experiment, &folder)?;
    let read =
        |&epoch| EffectiveWeights::read(&folder.read_probe(EFFECTIVE_WEIGHTS, epoch)?, &dataset);
    epochs.iter().map(read).collect()
}

/// The data set of a run.
fn dataset(experiment: &Experiment, folder: &RunDir) -> Result<Dataset, StoreError> {
    experiment
        .dataset(folder.seed)
        .map_err(|error| StoreError::Damaged { path: folder.spec_path(), what: error.to_string() })
}
