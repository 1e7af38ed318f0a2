//! `Store`, `Run` and `Runs`: what runs have left on disk.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::{PyIndexError, PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PySlice};
use retrodict_lab::expression::Expression;
use retrodict_lab::probe::EFFECTIVE_WEIGHTS;
use retrodict_lab::runs::{self, Column, Query};
use retrodict_lab::spec::{Spec as LabSpec, SpecHash};
use retrodict_lab::store::{
    MetricsRow, RunDir, Status, Store as LabStore, StoreError as LabStoreError,
};
use retrodict_lab::{
    Cell, EMBEDDING_COSINES, Experiment, MEASURES, Measure, Outcome, RunResult, stats,
};

use crate::arrays::array;
use crate::errors;
use crate::figure::{Figure, loss_figure, weights_figure};
use crate::spec::{Reduced, Spec};
use crate::table::Table;
use crate::tensors::arrays;
use crate::values::escaped;

/// The probes that runs may have.
const PROBES: [&str; 2] = [EFFECTIVE_WEIGHTS, EMBEDDING_COSINES];

/// One run of an experiment: what it left in the store. Nothing is read before it is used.
#[pyclass(frozen, module = "retrodict")]
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) experiment: Arc<Experiment>,
    pub(crate) store: LabStore,
    pub(crate) out: PathBuf,
    pub(crate) folder: RunDir,
    pub(crate) status: Status,
    pub(crate) message: Option<String>,
}

impl Run {
    /// The run with this seed.
    pub(crate) fn of(
        experiment: &Arc<Experiment>,
        store: &LabStore,
        out: &std::path::Path,
        seed: u64,
        outcome: Outcome,
    ) -> Result<Run, LabStoreError> {
        let folder = store.run_dir(&experiment.spec.name, experiment.hash, seed)?;
        Ok(Run {
            experiment: Arc::clone(experiment),
            store: store.clone(),
            out: out.to_owned(),
            folder,
            status: outcome.status,
            message: outcome.message,
        })
    }

    /// The metrics of every epoch.
    pub(crate) fn rows(&self) -> Result<Vec<MetricsRow>, LabStoreError> {
        if self.status == Status::Failed || !self.folder.has_metrics() {
            return Ok(Vec::new());
        }
        self.folder.read_metrics(self.experiment.spec.train.epochs)
    }

    fn result(&self) -> PyResult<RunResult> {
        let outcome =
            Outcome { status: self.status, message: self.message.clone(), from_store: true };
        RunResult::measures(&self.experiment, &self.store, self.folder.seed, outcome)
            .map_err(errors::store)
    }

    /// All measures that the run has.
    fn all_measures(&self) -> PyResult<Vec<(&'static str, f64)>> {
        let result = self.result()?;
        let of = |measure: &Measure| Some((measure.id, measure.of(&self.experiment, &result)?));
        Ok(MEASURES.iter().filter_map(of).collect())
    }
}

#[pymethods]
impl Run {
    /// Its seed.
    #[getter]
    fn seed(&self) -> u64 {
        self.folder.seed
    }

    /// `complete`, `diverged`, `interrupted`, `failed` or `running`.
    #[getter]
    fn status(&self) -> &'static str {
        self.status.word()
    }

    /// Why it is not complete.
    #[getter]
    fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Its spec.
    #[getter]
    fn spec(&self) -> Spec {
        Spec::stored(Experiment::clone(&self.experiment))
    }

    /// Its folder; runs of sweeps are packed, and have none.
    #[getter]
    fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The metrics, one row an epoch: `epoch`, `step`, and every measure of an epoch (NLL in nats).
    #[getter]
    fn metrics(&self, py: Python<'_>) -> PyResult<Table> {
        Table::of_metrics(&py.detach(|| self.rows()).map_err(errors::store)?)
    }

    /// Every measure of the run by name: those of the last epoch, and those of its answers.
    #[getter]
    fn measures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let measures = PyDict::new(py);
        for (id, value) in self.all_measures()? {
            measures.set_item(id, value)?;
        }
        Ok(measures)
    }

    /// The ranks of the right answers after every epoch: arrays over epochs by measure, with
    /// `epoch`. 0 is first, 0.5 chance, 1 last; `top1_…` are fractions.
    fn ranks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let rows = self.rows().map_err(errors::store)?;
        let ranks = PyDict::new(py);
        let epochs: Vec<i64> = rows.iter().map(|row| row.epoch as i64).collect();
        ranks.set_item("epoch", array(py, epochs, &[rows.len()])?)?;
        let of_ranks = |measure: &&Measure| {
            ["rank_", "top1_among_"].iter().any(|start| measure.id.starts_with(start))
        };
        for measure in Measure::of_epochs().filter(of_ranks) {
            let values: Vec<f64> =
                rows.iter().map(|row| row.get(measure.id).unwrap_or(f64::NAN)).collect();
            ranks.set_item(measure.id, array(py, values, &[rows.len()])?)?;
        }
        Ok(ranks)
    }

    /// The probes that were taken: the epochs of each, by name.
    #[getter]
    fn probes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let probes = PyDict::new(py);
        for name in PROBES {
            let epochs = self.folder.probes(name).map_err(errors::store)?;
            if !epochs.is_empty() {
                probes.set_item(
                    name,
                    epochs.into_iter().map(|(epoch, _)| epoch).collect::<Vec<_>>(),
                )?;
            }
        }
        Ok(probes)
    }

    /// The arrays of a probe after an epoch, by name; after the last one that has it if `epoch` is
    /// not given.
    #[pyo3(signature = (name, epoch = None))]
    fn probe<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        epoch: Option<u64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        if !PROBES.contains(&name) {
            let hint = format!("there is no probe `{name}`; there are {}", PROBES.join(" and "));
            return Err(PyKeyError::new_err(hint));
        }
        let epochs = self.folder.probes(name).map_err(errors::store)?;
        let epochs: Vec<u64> = epochs.into_iter().map(|(epoch, _)| epoch).collect();
        let Some(last) = epochs.last() else {
            return Err(PyKeyError::new_err(format!(
                "this run has no probe `{name}`: it is kept with keep=\"all\" or \"probes\", of \
                 entities of one token"
            )));
        };
        let epoch = epoch.unwrap_or(*last);
        if !epochs.contains(&epoch) {
            return Err(PyKeyError::new_err(format!(
                "`{name}` was not measured after epoch {epoch}; it was after {epochs:?}"
            )));
        }
        let tensors = self.folder.read_probe(name, epoch).map_err(errors::store)?;
        arrays(py, tensors)
    }

    /// The effective weights after an epoch (the last one measured, if not given), by group of
    /// facts: `[i, j]` is the logit of candidate j after entity i alone, the right answer on the
    /// diagonal. `<group>.in_context` has the relation token in the context; `<group>.rows` and
    /// `<group>.columns` are the token ids.
    #[pyo3(signature = (epoch = None))]
    fn effective_weights<'py>(
        &self,
        py: Python<'py>,
        epoch: Option<u64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.probe(py, EFFECTIVE_WEIGHTS, epoch)
    }

    /// The steps that have a checkpoint.
    #[getter]
    fn checkpoints(&self) -> PyResult<Vec<u64>> {
        self.folder.checkpoint_steps().map_err(errors::store)
    }

    /// The parameters after a step that has a checkpoint (the last, if not given): arrays by
    /// their names in GPT-2's checkpoints.
    #[pyo3(signature = (step = None))]
    fn parameters<'py>(&self, py: Python<'py>, step: Option<u64>) -> PyResult<Bound<'py, PyDict>> {
        let steps = self.checkpoints()?;
        let Some(last) = steps.last() else {
            return Err(PyKeyError::new_err(
                "this run has no checkpoint: run it with keep=\"all\" and checkpoint.last = true",
            ));
        };
        let step = step.unwrap_or(*last);
        if !steps.contains(&step) {
            return Err(PyKeyError::new_err(format!(
                "there is no checkpoint of step {step}; there are {steps:?}"
            )));
        }
        let checkpoint = py.detach(|| self.folder.read_checkpoint(step)).map_err(errors::store)?;
        arrays(py, checkpoint.model)
    }

    /// The folder of the checkpoint of a step (the last, if not given), which
    /// `GPT2LMHeadModel.from_pretrained` opens.
    #[pyo3(signature = (step = None))]
    fn checkpoint_folder(&self, step: Option<u64>) -> PyResult<PathBuf> {
        let steps = self.checkpoints()?;
        match step.or(steps.last().copied()).filter(|step| steps.contains(step)) {
            Some(step) => {
                let checkpoint = self.folder.read_checkpoint(step).map_err(errors::store)?;
                Ok(checkpoint.folder)
            }
            None => Err(PyKeyError::new_err(format!("there are checkpoints of steps {steps:?}"))),
        }
    }

    /// The effective weights as heat maps.
    fn figure(&self) -> PyResult<Figure> {
        weights_figure(self)
    }

    fn __repr__(&self) -> String {
        format!(
            "<Run {} {} seed {}: {}>",
            self.folder.experiment,
            self.folder.hash,
            self.folder.seed,
            self.status.word()
        )
    }

    fn _repr_html_(&self) -> PyResult<String> {
        let mut html = format!("<table><caption>{}</caption>", escaped(&self.__repr__()));
        for (id, value) in self.all_measures()? {
            let _ = write!(html, "<tr><td><code>{id}</code></td><td>{value:.6}</td></tr>");
        }
        Ok(html + "</table>")
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> bool {
        other.cast::<Run>().is_ok_and(|other| other.get().folder == self.folder)
    }

    fn __hash__(&self) -> u64 {
        self.folder.hash.0 ^ self.folder.seed
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Run>,
    ) -> PyResult<Reduced<'py, (PathBuf, String, String, u64)>> {
        let run = slf.get();
        let rebuild = slf.py().get_type::<Store>().getattr("_run")?;
        let RunDir { experiment, hash, seed, .. } = &run.folder;
        Ok((rebuild, (run.out.clone(), experiment.clone(), hash.to_string(), *seed)))
    }
}

/// Runs, in order. `runs[0]` is a run, `runs["held_out_nll"]` an array of one number a run.
#[pyclass(frozen, sequence, module = "retrodict")]
pub(crate) struct Runs {
    pub(crate) runs: Vec<Run>,
}

impl Runs {
    /// A listing of the store, of these runs alone.
    fn listing(&self, epochs: bool) -> PyResult<runs::Listing> {
        let Some(first) = self.runs.first() else {
            return Ok(runs::Listing {
                columns: Vec::new(),
                rows: Vec::new(),
                warnings: Vec::new(),
            });
        };
        let own: HashSet<(SpecHash, u64)> =
            self.runs.iter().map(|run| (run.folder.hash, run.folder.seed)).collect();
        let names: HashSet<&str> =
            self.runs.iter().map(|run| run.folder.experiment.as_str()).collect();
        let wanted = |run: &RunDir| {
            own.contains(&(run.hash, run.seed)) && names.contains(run.experiment.as_str())
        };
        let mut listing = match epochs {
            true => runs::tidy_epochs(&first.store, wanted),
            false => runs::tidy(&first.store, wanted),
        }
        .map_err(errors::store)?;
        // The store has its own order.
        let places: HashMap<(String, i64), usize> = self
            .runs
            .iter()
            .enumerate()
            .map(|(at, run)| ((run.folder.hash.to_string(), run.folder.seed as i64), at))
            .collect();
        let column = |wanted: &Column| listing.columns.iter().position(|column| column == wanted);
        if let (Some(hash), Some(seed)) = (column(&Column::Hash), column(&Column::Seed)) {
            let place = |row: &Vec<Cell>| match (&row[hash], &row[seed]) {
                (Cell::Text(hash), Cell::Integer(seed)) => places.get(&(hash.clone(), *seed)),
                _ => None,
            };
            listing.rows.sort_by_cached_key(|row| place(row).copied());
        }
        Ok(listing)
    }
}

#[pymethods]
impl Runs {
    /// Everything of the runs as one table: every key of their specs, seed, status and every
    /// measure, one row a run; with `epochs`, one row an epoch.
    #[pyo3(signature = (*, epochs = false))]
    fn table(&self, py: Python<'_>, epochs: bool) -> PyResult<Table> {
        let listing = py.detach(|| self.listing(epochs))?;
        for warning in &listing.warnings {
            errors::warn(py, warning)?;
        }
        Table::of_listing(&listing)
    }

    /// The loss of training and held-out sentences over epochs, a panel for each experiment: means
    /// over seeds, with bands of one standard deviation.
    fn figure(&self) -> PyResult<Figure> {
        loss_figure(&self.runs)
    }

    fn __len__(&self) -> usize {
        self.runs.len()
    }

    fn __getitem__<'py>(
        &self,
        py: Python<'py>,
        at: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if let Ok(id) = at.extract::<String>() {
            let measure = Measure::find(&id).map_err(PyKeyError::new_err)?;
            let of =
                |run: &Run| Ok(measure.of(&run.experiment, &run.result()?).unwrap_or(f64::NAN));
            let values: Vec<f64> = self.runs.iter().map(of).collect::<PyResult<_>>()?;
            return array(py, values, &[self.runs.len()]);
        }
        if let Ok(slice) = at.cast::<PySlice>() {
            let indices = slice.indices(self.runs.len() as isize)?;
            let (mut runs, mut at) = (Vec::new(), indices.start);
            for _ in 0..indices.slicelength {
                runs.push(self.runs[at as usize].clone());
                at += indices.step;
            }
            return Ok(Runs { runs }.into_pyobject(py)?.into_any());
        }
        let Ok(index) = at.extract::<isize>() else {
            return Err(PyTypeError::new_err(
                "runs are indexed by a number, a slice or the name of a measure",
            ));
        };
        let place = if index < 0 { index + self.runs.len() as isize } else { index };
        let run = usize::try_from(place).ok().and_then(|place| self.runs.get(place));
        let run = run.ok_or_else(|| PyIndexError::new_err(format!("there is no run {index}")))?;
        Ok(run.clone().into_pyobject(py)?.into_any())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        PyList::new(py, self.runs.iter().cloned())?.into_any().call_method0("__iter__")
    }

    fn __repr__(&self) -> String {
        let names: HashSet<(&str, SpecHash)> =
            self.runs.iter().map(|run| (&*run.folder.experiment, run.folder.hash)).collect();
        let complete = self.runs.iter().filter(|run| run.status == Status::Complete).count();
        let (runs, specs) = (self.runs.len(), names.len());
        format!("<Runs: {runs} of {specs} specs, {complete} complete>")
    }

    /// The main measures, one row a run, with means and standard deviations of one spec.
    fn _repr_html_(&self) -> PyResult<String> {
        const MOST: usize = 30;
        let shown = &self.runs[..self.runs.len().min(MOST)];
        let known: Vec<BTreeMap<&str, f64>> = shown
            .iter()
            .map(|run| Ok(run.all_measures()?.into_iter().collect()))
            .collect::<PyResult<_>>()?;
        let brief: Vec<(&Measure, &str)> = MEASURES
            .iter()
            .filter_map(|measure| Some((measure, measure.brief?)))
            .filter(|(measure, _)| known.iter().any(|of| of.contains_key(measure.id)))
            .collect();
        let mut html = format!(
            "<table><caption>{}</caption><tr><th>spec</th><th>seed</th>",
            escaped(&self.__repr__())
        );
        for (_, heading) in &brief {
            let _ = write!(html, "<th>{}</th>", escaped(heading));
        }
        html += "<th>status</th></tr>";
        for (run, values) in shown.iter().zip(&known) {
            let name = escaped(&run.folder.experiment);
            let hash: String = run.folder.hash.to_string().chars().take(8).collect();
            let _ = write!(html, "<tr><td>{name} {hash}</td><td>{}</td>", run.folder.seed);
            for (measure, _) in &brief {
                let value = measure.format(values.get(measure.id).copied());
                let _ = write!(html, "<td>{value}</td>");
            }
            let _ = write!(html, "<td>{}</td></tr>", run.status.word());
        }
        let one_spec = shown.iter().all(|run| run.folder.hash == shown[0].folder.hash);
        if shown.len() > 1 && one_spec && shown.len() == self.runs.len() {
            for (name, of) in [("mean", stats::mean as fn(&[f64]) -> _), ("std", stats::std)] {
                let _ = write!(html, "<tr><td></td><th>{name}</th>");
                for (measure, _) in &brief {
                    let values: Vec<f64> =
                        known.iter().filter_map(|of| of.get(measure.id)).copied().collect();
                    let _ = write!(html, "<td>{}</td>", measure.format(of(&values)));
                }
                html += "<td></td></tr>";
            }
        }
        if self.runs.len() > MOST {
            let _ = write!(html, "<tr><td>… {} more</td></tr>", self.runs.len() - MOST);
        }
        Ok(html + "</table>")
    }

    fn __reduce__<'py>(slf: &Bound<'py, Runs>) -> PyResult<Reduced<'py, (Vec<Run>,)>> {
        let rebuild = slf.py().get_type::<Runs>().getattr("_of")?;
        Ok((rebuild, (slf.get().runs.clone(),)))
    }

    /// These runs, for `pickle`.
    #[staticmethod]
    fn _of(runs: Vec<Py<Run>>) -> Runs {
        Runs { runs: runs.iter().map(|run| run.get().clone()).collect() }
    }
}

/// A folder of runs, for reading: `retrodict.Store("retrodict-out")`.
#[pyclass(frozen, module = "retrodict")]
pub(crate) struct Store {
    store: LabStore,
    out: PathBuf,
}

impl Store {
    fn select(&self, condition: Option<&str>) -> PyResult<Vec<RunDir>> {
        let query = Query::parse(condition, None, None).map_err(errors::spec)?;
        runs::select(&self.store, query.condition.map(|c: Expression| c)).map_err(errors::store)
    }

    fn run(&self, folder: RunDir, known: &mut Known) -> PyResult<Run> {
        let key = (folder.experiment.clone(), folder.hash);
        let experiment = match known.get(&key) {
            Some(experiment) => Arc::clone(experiment),
            None => {
                let origin = folder.spec_path().display().to_string();
                let text = folder.read_spec().map_err(errors::store)?;
                let mut spec = LabSpec::parse_stored(&text, &origin).map_err(errors::spec)?;
                spec.name.clone_from(&folder.experiment);
                let mut experiment = Experiment::stored(spec, &origin).map_err(errors::spec)?;
                experiment.hash = folder.hash;
                Arc::clone(known.entry(key).or_insert(Arc::new(experiment)))
            }
        };
        let status = folder.status().map_err(errors::store)?.unwrap_or(Status::Running);
        let message = match status {
            Status::Complete => None,
            _ => folder.read_manifest().ok().and_then(|manifest| manifest.message),
        };
        let (store, out) = (self.store.clone(), self.out.clone());
        Ok(Run { experiment, store, out, folder, status, message })
    }
}

type Known = HashMap<(String, SpecHash), Arc<Experiment>>;

#[pymethods]
impl Store {
    #[new]
    #[pyo3(signature = (path = PathBuf::from("retrodict-out")))]
    fn new(path: PathBuf) -> PyResult<Store> {
        let store = LabStore::view(&path).map_err(errors::store)?;
        Ok(Store { store, out: path })
    }

    /// The runs for which a condition holds, such as
    /// `"model.layers >= 12 and held_out_nll < 1"`; all without one.
    #[pyo3(signature = (r#where = None))]
    fn runs(&self, py: Python<'_>, r#where: Option<&str>) -> PyResult<Runs> {
        py.detach(|| {
            let mut known = Known::new();
            let folders = self.select(r#where)?.into_iter();
            let runs = folders.map(|folder| self.run(folder, &mut known));
            Ok(Runs { runs: runs.collect::<PyResult<_>>()? })
        })
    }

    /// Everything of all runs as one table, without reading packed runs: every key, seed, status
    /// and measure, one row a run; with `epochs`, one row an epoch.
    #[pyo3(signature = (*, epochs = false))]
    fn table(&self, py: Python<'_>, epochs: bool) -> PyResult<Table> {
        let listing = py.detach(|| match epochs {
            true => runs::tidy_epochs(&self.store, |_| true),
            false => runs::tidy(&self.store, |_| true),
        });
        let listing = listing.map_err(errors::store)?;
        for warning in &listing.warnings {
            errors::warn(py, warning)?;
        }
        Table::of_listing(&listing)
    }

    /// The folder.
    #[getter]
    fn path(&self) -> PathBuf {
        self.out.clone()
    }

    fn __repr__(&self) -> String {
        format!("<Store {}>", self.out.display())
    }

    fn __reduce__<'py>(slf: &Bound<'py, Store>) -> Reduced<'py, (PathBuf,)> {
        (slf.py().get_type::<Store>().into_any(), (slf.get().out.clone(),))
    }

    /// One run, for `pickle`.
    #[staticmethod]
    fn _run(out: PathBuf, experiment: &str, hash: &str, seed: u64) -> PyResult<Run> {
        let store = Store::new(out)?;
        let hash: SpecHash =
            hash.parse().map_err(|_| PyValueError::new_err("no hash of a spec"))?;
        let folder = store.store.run_dir(experiment, hash, seed).map_err(errors::store)?;
        store.run(folder, &mut Known::new())
    }
}
