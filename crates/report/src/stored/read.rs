//! Experiments with their complete runs, read from the store.

use std::collections::HashMap;
use std::path::PathBuf;

use retrodict_lab::spec::{ModelSettings, Spec};
use retrodict_lab::store::{Machine, MetricsRow, RunDir, Status, Store, StoreError};
use retrodict_lab::{Experiment, Measure, Outcome, RunResult};

use crate::ReportError;

/// One experiment of the store with its complete runs.
#[derive(Clone)]
pub(crate) struct Stored {
    pub(crate) experiment: Experiment,
    pub(crate) runs: Vec<RunResult>,
    /// Of each run; empty where only the last measures were read.
    pub(crate) curves: Vec<Vec<MetricsRow>>,
    pub(crate) machine: Option<Machine>,
}

impl Stored {
    /// One per run, NaN where it does not apply.
    pub(crate) fn values(&self, measure: &Measure) -> Vec<f64> {
        let value = |run| measure.of(&self.experiment, run).unwrap_or(f64::NAN);
        self.runs.iter().map(value).collect()
    }

    /// The value in the run with that seed, if there is one.
    pub(crate) fn value_of_seed(&self, measure: &Measure, seed: u64) -> Option<f64> {
        let run = self.runs.iter().find(|run| run.seed == seed)?;
        Some(measure.of(&self.experiment, run).unwrap_or(f64::NAN))
    }

    /// The NLL of uniform guessing that a measure compares with: of one token for a first token's
    /// NLL, else of a whole entity, in nats.
    pub(crate) fn uniform(&self, measure: &Measure) -> f64 {
        match measure.id.contains("first_token") {
            true => (self.experiment.network.vocab() as f64).ln(),
            false => self.experiment.guessing_nll(),
        }
    }

    /// The same with only the runs of those seeds.
    pub(crate) fn of_seeds(&self, seeds: &[u64]) -> Stored {
        let mut kept = self.clone();
        let wanted: Vec<bool> = self.runs.iter().map(|run| seeds.contains(&run.seed)).collect();
        let mut flags = wanted.iter();
        kept.runs.retain(|_| flags.next().copied().unwrap_or(false));
        let mut flags = wanted.iter();
        kept.curves.retain(|_| flags.next().copied().unwrap_or(false));
        kept
    }

    pub(crate) fn wall_seconds(&self) -> f64 {
        let manifests = self.runs.iter().filter_map(|run| run.manifest.as_ref());
        manifests.map(|manifest| manifest.wall_seconds).sum()
    }

    /// The hash of the experiment as it would be with a free head.
    pub(crate) fn free_headed(&self) -> String {
        let mut spec = self.experiment.spec.clone();
        if let ModelSettings::Decoder(decoder) = &mut spec.model {
            decoder.tie_head = false;
        }
        spec.hash().to_string()
    }

    pub(crate) fn tied(&self) -> bool {
        self.experiment.spec.model.decoder().is_some_and(|decoder| decoder.tie_head)
    }
}

/// Of an experiment's name with more packed runs only the last measures are read: the curves of
/// thousands would fill the memory.
const MOST_UNPACKED: usize = 500;

/// Complete runs that were read before, by folder: they do not change.
pub(crate) type Runs = HashMap<PathBuf, (RunResult, Vec<MetricsRow>)>;

/// All experiments with at least one complete run among those that are `wanted`. What this program
/// cannot read as a spec (of a later version, say) is an error: leaving it out in silence would
/// falsify the report.
pub(crate) fn read(
    store: &Store,
    known: &mut Runs,
    wanted: impl Fn(&RunDir) -> bool,
) -> Result<Vec<Stored>, ReportError> {
    let mut all: Vec<Stored> = Vec::new();
    let folders = store.runs()?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for folder in &folders {
        *counts.entry(folder.experiment.clone()).or_default() += 1;
    }
    for folder in folders {
        if !wanted(&folder) || !folder.is_complete() {
            continue;
        }
        let at = match all.iter().position(|stored| {
            stored.experiment.hash == folder.hash
                && stored.experiment.spec.name == folder.experiment
        }) {
            Some(at) => at,
            None => {
                let origin = folder.spec_path().display().to_string();
                let text = folder.read_spec()?;
                let mut spec = Spec::parse_stored(&text, &origin)?;
                spec.name.clone_from(&folder.experiment);
                let mut experiment = Experiment::stored(spec, &origin)?;
                if Spec::parse(&text, &origin).is_err() {
                    // An early version hashed keys without effect as they were given.
                    experiment.hash = folder.hash;
                }
                if experiment.hash != folder.hash {
                    let what = format!(
                        "its hash is {}: either the file was changed, or an earlier version wrote \
                         it, in which one of its values had another meaning; move the folder out of \
                         the store and run it again",
                        experiment.hash
                    );
                    return Err(StoreError::Damaged { path: folder.spec_path(), what }.into());
                }
                all.push(Stored { experiment, runs: vec![], curves: vec![], machine: None });
                all.len() - 1
            }
        };
        let stored = &mut all[at];
        let (run, curves) = match known.get(folder.path()) {
            Some(read) => read.clone(),
            None => {
                let outcome = Outcome { status: Status::Complete, message: None, from_store: true };
                let of = &stored.experiment;
                let read = if folder.is_packed() && counts[&folder.experiment] > MOST_UNPACKED {
                    (RunResult::measures(of, store, folder.seed, outcome)?, Vec::new())
                } else {
                    let run = RunResult::of(of, &folder, outcome)?;
                    (run, folder.read_metrics(of.spec.train.epochs)?)
                };
                known.insert(folder.path().to_owned(), read.clone());
                read
            }
        };
        if stored.machine.is_none() {
            stored.machine = run.manifest.as_ref().map(|manifest| manifest.machine.clone());
        }
        stored.curves.push(curves);
        stored.runs.push(run);
    }
    Ok(all)
}
