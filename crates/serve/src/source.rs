//! The one place that reads the store, through the interface of the lab.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use retrodict_lab::probe::EFFECTIVE_WEIGHTS;
use retrodict_lab::runs::packed_row;
use retrodict_lab::settings::Line;
use retrodict_lab::spec::{Spec, SpecHash};
use retrodict_lab::store::{Manifest, MetricsRow, RunDir, Status, Store, StoreError, Tensors};
use retrodict_lab::sweep::SweepRecord;
use retrodict_lab::{Cell, Experiment, MEASURES, Outcome, RunResult};

/// A store, for reading.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    store: Store,
    /// The store's folder without symbolic links.
    root: PathBuf,
}

/// A spec as the table needs it.
pub(crate) struct Setting {
    /// The spec, checked; `None` of a packed run, whose measures are known without it.
    pub(crate) experiment: Option<Experiment>,
    /// The epochs of a whole run.
    pub(crate) epochs: u64,
    /// Every key that applies, with its value.
    pub(crate) keys: Vec<(String, Cell)>,
}

/// The state of a run without its measures.
pub(crate) struct State {
    /// How it ended, or that it runs.
    pub(crate) status: Status,
    /// Its manifest; not read where the run is complete.
    pub(crate) manifest: Option<Manifest>,
}

/// The measures of a run.
pub(crate) struct Measured {
    /// The last epoch and the steps then.
    pub(crate) last: Option<(u64, u64)>,
    /// In the order of [`MEASURES`]; NaN where one does not apply.
    pub(crate) values: Vec<f64>,
    /// The manifest, if it could be read.
    pub(crate) manifest: Option<Manifest>,
}

impl Source {
    /// The store below `dir`.
    ///
    /// # Errors
    /// [`StoreError`] if there is none.
    pub(crate) fn open(dir: &Path) -> Result<Source, StoreError> {
        let store = Store::view(dir)?;
        let root = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
        Ok(Source { store, root })
    }

    /// Every run.
    pub(crate) fn runs(&self) -> Result<Vec<RunDir>, StoreError> {
        self.store.runs()
    }

    /// The records of sweeps that `known` lacks, the newest first; those that cannot be read are
    /// left out.
    pub(crate) fn new_sweeps(&self, known: &[SweepRecord]) -> Vec<SweepRecord> {
        let ids = SweepRecord::list(&self.root).unwrap_or_default();
        let new = ids.iter().filter(|id| known.iter().all(|record| record.id != **id));
        new.filter_map(|id| SweepRecord::read(&self.root, id).ok()).collect()
    }

    /// One run, whether it exists or not.
    pub(crate) fn run(
        &self,
        experiment: &str,
        hash: SpecHash,
        seed: u64,
    ) -> Result<RunDir, StoreError> {
        self.store.run_dir(experiment, hash, seed)
    }

    /// Whether a run lies inside the store once symbolic links are followed. A run without a folder
    /// of its own lies in the store's own files.
    pub(crate) fn is_inside(&self, run: &RunDir) -> bool {
        let files = [run.path().to_owned(), run.spec_path(), run.manifest_path()];
        let others = [run.metrics_path(), run.path().join("probes")];
        let mut all = files.iter().chain(&others);
        all.all(|path| path.canonicalize().map_or(true, |path| path.starts_with(&self.root)))
    }

    /// The spec of a run.
    ///
    /// # Errors
    /// A message; a run that has only just begun has no spec yet.
    pub(crate) fn setting(&self, run: &RunDir) -> Result<Setting, String> {
        if let Some(row) = packed_row(run) {
            let epochs = row.keys.iter().find(|(path, _)| path == "train.epochs");
            let epochs = epochs.and_then(|(_, epochs)| epochs.number()).unwrap_or(0.0) as u64;
            return Ok(Setting { experiment: None, epochs, keys: row.keys });
        }
        let origin = format!("{}/{}/seed-{}", run.experiment, run.hash, run.seed);
        let text = run.read_spec().map_err(|error| error.to_string())?;
        let mut spec = Spec::parse_stored(&text, &origin).map_err(|error| error.to_string())?;
        spec.name.clone_from(&run.experiment);
        let keys = spec.lines().iter().map(|l| (l.path(), Cell::of_toml(&l.value))).collect();
        let mut experiment = Experiment::stored(spec, &origin).map_err(|e| e.to_string())?;
        // Early versions hashed some specs otherwise.
        experiment.hash = run.hash;
        let epochs = experiment.spec.train.epochs;
        Ok(Setting { experiment: Some(experiment), epochs, keys })
    }

    /// The state of a run.
    ///
    /// # Errors
    /// A message if its manifest is damaged.
    pub(crate) fn state(&self, run: &RunDir) -> Result<State, String> {
        let manifest = match run.is_complete() || run.is_packed() || !run.has_manifest() {
            true => None,
            false => Some(run.read_manifest().map_err(|error| error.to_string())?),
        };
        let status = match &manifest {
            Some(manifest) => manifest.status,
            None => run.status().map_err(|e| e.to_string())?.unwrap_or(Status::Running),
        };
        Ok(State { status, manifest })
    }

    /// The measures of a run, as `retrodict runs` has them.
    ///
    /// # Errors
    /// A message if a file of a complete run is missing or damaged.
    pub(crate) fn measures(
        &self,
        run: &RunDir,
        setting: &Setting,
        status: Status,
    ) -> Result<Measured, String> {
        if let Some(row) = packed_row(run) {
            return Ok(Measured { last: row.last, values: row.measures, manifest: None });
        }
        let read;
        let experiment = match &setting.experiment {
            Some(experiment) => experiment,
            // Other runs of its spec are packed.
            None => {
                read = self.setting(run)?.experiment.ok_or("it was packed just now")?;
                &read
            }
        };
        let outcome = Outcome { status, message: None, from_store: true };
        let result = RunResult::collect(experiment, &self.store, run.seed, outcome)
            .map_err(|error| error.to_string())?;
        let value =
            |measure: &retrodict_lab::Measure| measure.of(experiment, &result).unwrap_or(f64::NAN);
        Ok(Measured {
            last: result.last.map(|row| (row.epoch, row.step)),
            values: MEASURES.iter().map(value).collect(),
            manifest: result.manifest,
        })
    }

    /// When the metrics of a run last changed; `None` where they are no file of its own.
    pub(crate) fn changed(&self, run: &RunDir) -> Option<SystemTime> {
        run.metrics_path().metadata().and_then(|metadata| metadata.modified()).ok()
    }

    /// All epochs of a run of at most `epochs`.
    ///
    /// # Errors
    /// A message if they are missing or damaged.
    pub(crate) fn epochs(&self, run: &RunDir, epochs: u64) -> Result<Vec<MetricsRow>, String> {
        run.read_metrics(epochs).map_err(|error| error.to_string())
    }

    /// The epochs after which the effective weights were measured, rising.
    pub(crate) fn probes(&self, run: &RunDir) -> Vec<u64> {
        let probes = run.probes(EFFECTIVE_WEIGHTS).unwrap_or_default();
        probes.into_iter().map(|(epoch, _)| epoch).collect()
    }

    /// The effective weights after an epoch.
    ///
    /// # Errors
    /// A message if they are missing or damaged.
    pub(crate) fn probe(&self, run: &RunDir, epoch: u64) -> Result<Tensors, String> {
        run.read_probe(EFFECTIVE_WEIGHTS, epoch).map_err(|error| error.to_string())
    }

    /// The spec of a run as text, and every key that applies.
    ///
    /// # Errors
    /// A message if it is missing or no spec.
    pub(crate) fn spec(&self, run: &RunDir) -> Result<(String, Vec<Line>), String> {
        let text = run.read_spec().map_err(|error| error.to_string())?;
        let spec = Spec::parse_stored(&text, "spec.toml").map_err(|error| error.to_string())?;
        Ok((text, spec.lines()))
    }
}
