//! One run of a listing, its parts read when they are needed.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::column::{Column, is_column};
use crate::cell::Cell;
use crate::experiment::Experiment;
use crate::measures::Value;
use crate::result::RunResult;
use crate::run::Outcome;
use crate::spec::{Spec, SpecHash, keys};
use crate::store::{MetricsRow, RunDir, Status, Store, StoreError};

/// The experiment of some runs, with the keys of its spec that apply.
pub(super) struct Listed {
    experiment: Experiment,
    values: HashMap<String, Cell>,
}

/// A run.
pub(super) struct ListedRun {
    folder: RunDir,
    status: Status,
    listed: Rc<Listed>,
    store: Store,
    last: OnceCell<Option<MetricsRow>>,
    result: OnceCell<Option<RunResult>>,
}

/// All runs of the store that have a spec, and a line for each that cannot be read.
pub(super) fn listed_runs(store: &Store) -> Result<(Vec<ListedRun>, Vec<String>), StoreError> {
    let (mut runs, mut warnings) = (Vec::new(), Vec::new());
    let mut known: HashMap<(String, SpecHash), Rc<Listed>> = HashMap::new();
    for folder in store.runs()? {
        // A run that has only just begun has none.
        if !folder.spec_path().is_file() {
            continue;
        }
        let of = (folder.experiment.clone(), folder.hash);
        let listed = match known.get(&of) {
            Some(listed) => Rc::clone(listed),
            None => match Listed::read(&folder) {
                Ok(listed) => Rc::clone(known.entry(of).or_insert(Rc::new(listed))),
                Err(warning) => {
                    warnings.push(warning);
                    continue;
                }
            },
        };
        let status = if folder.is_complete() {
            Status::Complete
        } else if folder.manifest_path().is_file() {
            match folder.read_manifest() {
                Ok(manifest) => manifest.status,
                Err(error) => {
                    warnings.push(error.to_string());
                    continue;
                }
            }
        } else {
            Status::Running
        };
        let store = store.clone();
        let (last, result) = (OnceCell::new(), OnceCell::new());
        runs.push(ListedRun { folder, status, listed, store, last, result });
    }
    Ok((runs, warnings))
}

/// The keys that apply to any of the runs, in the order of a spec.
pub(super) fn keys_of(runs: &[ListedRun]) -> Vec<Column> {
    let mut paths: Vec<String> = Vec::new();
    for path in keys().iter().map(retrodict_settings::Key::path) {
        let applies = |run: &ListedRun| run.listed.values.contains_key(&path);
        if is_column(&path) && !paths.contains(&path) && runs.iter().any(applies) {
            paths.push(path);
        }
    }
    paths.into_iter().map(Column::Key).collect()
}

impl Listed {
    fn read(folder: &RunDir) -> Result<Listed, String> {
        let origin = folder.spec_path().display().to_string();
        let text = folder.read_spec().map_err(|error| error.to_string())?;
        let mut spec = Spec::parse_stored(&text, &origin).map_err(|error| error.to_string())?;
        spec.name.clone_from(&folder.experiment);
        let lines = spec.lines();
        let values = lines.iter().map(|line| (line.path(), Cell::of_toml(&line.value))).collect();
        let mut experiment =
            Experiment::stored(spec, &origin).map_err(|error| error.to_string())?;
        // Early versions hashed some specs otherwise.
        experiment.hash = folder.hash;
        Ok(Listed { experiment, values })
    }
}

impl ListedRun {
    /// The value in a column.
    pub(super) fn cell(&self, column: &Column) -> Cell {
        match column {
            Column::Experiment => Cell::Text(self.folder.experiment.clone()),
            Column::Hash => Cell::Text(self.folder.hash.to_string()),
            Column::Seed => Cell::Integer(self.folder.seed as i64),
            Column::Status => Cell::Text(self.status.word().to_owned()),
            Column::Folder => Cell::Text(self.folder.path().display().to_string()),
            Column::Key(path) => self.listed.values.get(path).cloned().unwrap_or(Cell::Missing),
            Column::Epoch | Column::Step => {
                let last = self.last();
                last.and_then(|last| column.of_epoch(last)).unwrap_or(Cell::Missing)
            }
            Column::Measure(measure) => Cell::of_measure(match measure.value {
                Value::Epoch { .. } => self.last().and_then(|last| last.get(measure.id)),
                Value::Run(_) => {
                    self.result().and_then(|run| measure.of(&self.listed.experiment, run))
                }
            }),
        }
    }

    /// The rows of all its epochs; none of a failed run, whose numbers are not final.
    pub(super) fn epochs(&self) -> Result<Vec<MetricsRow>, StoreError> {
        if self.status == Status::Failed || !self.folder.metrics_path().is_file() {
            return Ok(Vec::new());
        }
        self.folder.read_metrics(self.listed.experiment.spec.train.epochs)
    }

    fn last(&self) -> Option<&MetricsRow> {
        let read = || self.epochs().ok().and_then(|rows| rows.last().copied());
        self.last.get_or_init(read).as_ref()
    }

    fn result(&self) -> Option<&RunResult> {
        let read = || {
            let outcome = Outcome { status: self.status, message: None, from_store: true };
            let (experiment, seed) = (&self.listed.experiment, self.folder.seed);
            RunResult::collect(experiment, &self.store, seed, outcome).ok()
        };
        self.result.get_or_init(read).as_ref()
    }
}
