//! One run of a listing, its parts read when they are needed.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use super::column::{Column, is_column};
use crate::cell::Cell;
use crate::experiment::Experiment;
use crate::measures::Value;
use crate::result::RunResult;
use crate::run::Outcome;
use crate::spec::{Spec, SpecHash, keys};
use crate::store::{MetricsRow, PackedKeys, PackedRun, RunDir, Status, Store, StoreError};

/// The experiment of some runs, with the keys of its spec that apply.
pub(super) struct Listed {
    experiment: Experiment,
    values: HashMap<String, Cell>,
}

/// A run.
pub(super) struct ListedRun {
    folder: RunDir,
    status: Status,
    known: KnownRun,
}

/// The source of a run's cells.
enum KnownRun {
    /// One with a folder.
    Folder {
        listed: Rc<Listed>,
        last: OnceCell<Option<Box<MetricsRow>>>,
        result: OnceCell<Option<Box<RunResult>>>,
    },
    Packed(Arc<PackedRun>),
}

/// The wanted runs of the store that have a spec, and a line for each that cannot be read.
pub(super) fn listed_runs(
    store: &Store,
    wanted: impl Fn(&RunDir) -> bool,
) -> Result<(Vec<ListedRun>, Vec<String>), StoreError> {
    let (mut runs, mut warnings) = (Vec::new(), store.damages()?);
    let mut known: HashMap<(String, SpecHash), Rc<Listed>> = HashMap::new();
    for folder in store.runs()?.into_iter().filter(wanted) {
        if let Some(packed) = folder.packed() {
            let (status, known) = (packed.status, KnownRun::Packed(Arc::clone(packed)));
            runs.push(ListedRun { folder, status, known });
            continue;
        }
        // A run that has only just begun has none.
        if !folder.has_spec() {
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
        let status = match folder.status() {
            Ok(status) => status.unwrap_or(Status::Running),
            Err(error) => {
                warnings.push(error.to_string());
                continue;
            }
        };
        let known = KnownRun::Folder { listed, last: OnceCell::new(), result: OnceCell::new() };
        runs.push(ListedRun { folder, status, known });
    }
    Ok((runs, warnings))
}

/// The keys that apply to any of the runs, in the order of a spec.
pub(super) fn keys_of(runs: &[ListedRun]) -> Vec<Column> {
    let mut specs = Specs::of(runs);
    let mut applying: BTreeSet<&str> = BTreeSet::new();
    for listed in &specs.folders {
        applying.extend(listed.values.keys().map(String::as_str));
    }
    for packed in specs.packed.drain(..) {
        applying.extend(packed.of_base().map(|(key, _)| key));
        applying.extend(packed.changed());
    }
    let paths = keys_in_order().into_iter();
    paths.filter(|path| applying.contains(path.as_str())).map(Column::Key).collect()
}

/// The paths of all keys that are columns, in the order of a spec.
pub(super) fn keys_in_order() -> Vec<String> {
    let mut paths: Vec<String> = Vec::new();
    for path in keys().iter().map(retrodict_settings::Key::path) {
        // Several models have keys of one path.
        if is_column(&path) && !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Those of the keys that differ between the runs.
pub(super) fn differing_keys(runs: &[ListedRun]) -> Vec<Column> {
    let specs = Specs::of(runs);
    let differs = |path: &str| {
        let of_folders = specs.folders.iter().map(|listed| listed.values.get(path));
        let mut all = of_folders.chain(specs.packed.iter().map(|packed| packed.get(path)));
        let first = all.next();
        all.any(|value| Some(value) != first)
    };
    // Of thousands of specs with one base, only the changed keys can differ.
    let [first, ..] = &specs.packed[..] else {
        let keys = keys_of(runs);
        return keys.into_iter().filter(|key| differs(key.name())).collect();
    };
    let one_base =
        specs.folders.is_empty() && specs.packed.iter().all(|packed| packed.same_base(first));
    let changed: BTreeSet<&str> = specs.packed.iter().flat_map(|packed| packed.changed()).collect();
    let keys = keys_of(runs).into_iter();
    keys.filter(|key| {
        let name = key.name();
        (!one_base || changed.contains(name)) && differs(name)
    })
    .collect()
}

/// The specs of some runs, each once.
struct Specs<'r> {
    folders: Vec<&'r Listed>,
    packed: Vec<&'r PackedKeys>,
}

impl<'r> Specs<'r> {
    fn of(runs: &'r [ListedRun]) -> Specs<'r> {
        let mut specs = Specs { folders: Vec::new(), packed: Vec::new() };
        for run in runs {
            // The runs of one spec follow each other, but for sorting.
            match &run.known {
                KnownRun::Folder { listed, .. } => {
                    if !specs.folders.last().is_some_and(|last| std::ptr::eq(*last, &**listed)) {
                        specs.folders.push(listed);
                    }
                }
                KnownRun::Packed(packed) => {
                    let keys = &*packed.keys;
                    if !specs.packed.last().is_some_and(|last| std::ptr::eq(*last, keys)) {
                        specs.packed.push(keys);
                    }
                }
            }
        }
        specs
    }
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
    /// The run.
    pub(super) fn into_folder(self) -> RunDir {
        self.folder
    }

    /// The value in a column.
    pub(super) fn cell(&self, column: &Column, store: &Store) -> Cell {
        match column {
            Column::Experiment => Cell::Text(self.folder.experiment.clone()),
            Column::Hash => Cell::Text(self.folder.hash.to_string()),
            Column::Seed => Cell::Integer(self.folder.seed as i64),
            Column::Status => Cell::Text(self.status.word().to_owned()),
            Column::Folder => Cell::Text(self.folder.path().display().to_string()),
            Column::Key(path) => match &self.known {
                KnownRun::Folder { listed, .. } => listed.values.get(path),
                KnownRun::Packed(packed) => packed.keys.get(path),
            }
            .cloned()
            .unwrap_or(Cell::Missing),
            Column::Epoch | Column::Step => match &self.known {
                KnownRun::Folder { .. } => self.last().and_then(|last| column.of_epoch(last)),
                KnownRun::Packed(packed) => packed.last.map(|(epoch, step)| {
                    Cell::Integer(if *column == Column::Epoch { epoch } else { step } as i64)
                }),
            }
            .unwrap_or(Cell::Missing),
            Column::Measure(measure) => Cell::of_measure(match &self.known {
                KnownRun::Packed(packed) => packed.measure(measure.id),
                KnownRun::Folder { listed, .. } => match measure.value {
                    Value::Epoch { .. } => self.last().and_then(|last| last.get(measure.id)),
                    Value::Run(_) => {
                        let result = self.result(store);
                        result.and_then(|run| measure.of(&listed.experiment, run))
                    }
                },
            }),
        }
    }

    /// The rows of all its epochs; none of a failed run, whose numbers are not final.
    pub(super) fn epochs(&self) -> Result<Vec<MetricsRow>, StoreError> {
        if self.status == Status::Failed || !self.folder.has_metrics() {
            return Ok(Vec::new());
        }
        let most = match &self.known {
            KnownRun::Folder { listed, .. } => listed.experiment.spec.train.epochs,
            KnownRun::Packed(packed) => packed.last.map_or(0, |(epoch, _)| epoch),
        };
        self.folder.read_metrics(most)
    }

    fn last(&self) -> Option<&MetricsRow> {
        let KnownRun::Folder { last, .. } = &self.known else { return None };
        let read = || self.epochs().ok().and_then(|rows| rows.last().copied()).map(Box::new);
        last.get_or_init(read).as_deref()
    }

    fn result(&self, store: &Store) -> Option<&RunResult> {
        let KnownRun::Folder { listed, result, .. } = &self.known else { return None };
        let read = || {
            let outcome = Outcome { status: self.status, message: None, from_store: true };
            let (of, seed) = (&listed.experiment, self.folder.seed);
            RunResult::collect(of, store, seed, outcome).ok().map(Box::new)
        };
        result.get_or_init(read).as_deref()
    }
}
