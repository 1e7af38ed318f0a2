//! `run` and `sweep`: the runs of an experiment, made in the background while Python handles signals
//! and draws progress.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use retrodict_lab::spec::parse_seeds;
use retrodict_lab::store::{Kept, Status, Store};
use retrodict_lab::sweep::Sweep;
use retrodict_lab::{Experiment, Job, Outcome, Resources, memory, run_all};

use crate::errors;
use crate::spec::Source;
use crate::stored::{Run, Runs};
use crate::values::{key_of, text};

/// Between two looks at signals.
const TICK: Duration = Duration::from_millis(20);
/// Between two calls of the progress function.
const SHOW: Duration = Duration::from_millis(100);

/// How runs are made.
struct Settings<'a, 'py> {
    out: &'a Path,
    resources: Resources,
    progress: Option<&'a Bound<'py, PyAny>>,
}

/// Makes the runs of an experiment.
#[pyfunction]
#[pyo3(signature = (spec, seeds, out, keep, jobs, threads, memory, allow_mixed, progress))]
#[expect(clippy::too_many_arguments, reason = "the keywords of the Python function")]
pub(crate) fn run(
    py: Python<'_>,
    spec: &Bound<'_, PyAny>,
    seeds: Option<&Bound<'_, PyAny>>,
    out: PathBuf,
    keep: &str,
    jobs: Option<NonZeroUsize>,
    threads: Option<NonZeroUsize>,
    memory: Option<u64>,
    allow_mixed: bool,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Runs> {
    let mut source = Source::of(spec)?;
    source.set.extend(seeds.map(seeds_of).transpose()?);
    let experiment = Arc::new(source.experiment()?);
    let keep = kept(keep)?;
    let resources =
        Resources { threads, jobs, mixed: allow_mixed, memory, keep, ..Resources::default() };
    make(py, &[experiment], &Settings { out: &out, resources, progress })
}

/// Makes the runs of a sweep; `axes` has a list of values for each swept key.
#[pyfunction]
#[pyo3(signature = (spec, axes, seeds, out, keep, jobs, threads, memory, allow_mixed, progress))]
#[expect(clippy::too_many_arguments, reason = "the keywords of the Python function")]
pub(crate) fn sweep(
    py: Python<'_>,
    spec: &Bound<'_, PyAny>,
    axes: &Bound<'_, PyDict>,
    seeds: Option<&Bound<'_, PyAny>>,
    out: PathBuf,
    keep: &str,
    jobs: Option<NonZeroUsize>,
    threads: Option<NonZeroUsize>,
    memory: Option<u64>,
    allow_mixed: bool,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Runs> {
    let mut source = Source::of(spec)?;
    for (key, values) in axes.iter() {
        let key = key_of(&key.extract::<String>()?);
        source.set.retain(|(other, _)| *other != key);
        source.set.push((key.clone(), axis(&key, &values)?));
    }
    source.set.extend(seeds.map(seeds_of).transpose()?);
    let sweep = Sweep::parse(&source.text, &source.origin, &source.set()).map_err(errors::spec)?;
    let experiments: Vec<Arc<Experiment>> =
        sweep.points.into_iter().map(|point| Arc::new(point.experiment)).collect();
    let keep = kept(keep)?;
    let resources =
        Resources { threads, jobs, mixed: allow_mixed, memory, keep, ..Resources::default() };
    make(py, &experiments, &Settings { out: &out, resources, progress })
}

/// The values of an axis as the command line has them: `1,2,4`, or a function as text,
/// `range(1, 5)`.
fn axis(key: &str, values: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(word) = values.cast::<PyString>() {
        let word = word.to_cow()?;
        let is_call = word.ends_with(')') && word.contains('(');
        return if is_call { Ok(word.into_owned()) } else { text(key, values) };
    }
    let values = match values.hasattr("tolist")? {
        true => values.call_method0("tolist")?,
        false => values.clone(),
    };
    let is_list = values.is_instance_of::<PyList>() || values.is_instance_of::<PyTuple>();
    if !is_list && !values.is_instance_of::<pyo3::types::PyRange>() {
        return text(key, &values);
    }
    let values: Vec<String> =
        values.try_iter()?.map(|value| text(key, &value?)).collect::<PyResult<_>>()?;
    if values.is_empty() {
        return Err(errors::spec(format!("`{key}` has no values")));
    }
    Ok(values.join(","))
}

/// Seeds: a count, a list, or a range as text.
fn seeds_of(seeds: &Bound<'_, PyAny>) -> PyResult<(String, String)> {
    let seeds = match seeds.cast::<PyString>() {
        Ok(range) => {
            let seeds = parse_seeds(&range.to_cow()?);
            format!("{:?}", seeds.map_err(|error| errors::spec(format!("seeds: {error}")))?)
        }
        Err(_) if seeds.is_instance_of::<pyo3::types::PyRange>() => text(
            "seeds",
            PyList::new(seeds.py(), seeds.try_iter()?.collect::<PyResult<Vec<_>>>()?)?.as_any(),
        )?,
        Err(_) => text("seeds", seeds)?,
    };
    Ok(("seeds".to_owned(), seeds))
}

fn kept(keep: &str) -> PyResult<Kept> {
    match keep {
        "metrics" => Ok(Kept::Metrics),
        "probes" => Ok(Kept::Probes),
        "all" => Ok(Kept::All),
        other => Err(PyValueError::new_err(format!(
            "keep is {other:?}; it must be \"metrics\", \"probes\" or \"all\""
        ))),
    }
}

fn make(
    py: Python<'_>,
    experiments: &[Arc<Experiment>],
    settings: &Settings<'_, '_>,
) -> PyResult<Runs> {
    let Settings { out, resources, .. } = *settings;
    let store = py.detach(|| Store::open(out)).map_err(errors::store)?;
    let jobs: Vec<Job<'_>> = experiments.iter().flat_map(|of| Job::of(of)).collect();
    let fit = py.detach(|| memory::fit(&jobs, &store, resources)).map_err(errors::spec)?;
    if let Some(warning) = fit.warning {
        errors::warn(py, &warning)?;
    }
    let stop = AtomicBool::new(false);
    let (outcomes, interrupted) =
        watch(py, &jobs, settings, &stop, || run_all(&jobs, &store, fit.resources, &stop));
    for warning in warnings(&jobs) {
        errors::warn(py, &warning)?;
    }
    if let Some(error) = interrupted {
        return Err(error);
    }
    let mut failures = Vec::new();
    for (job, outcome) in jobs.iter().zip(&outcomes) {
        let why = outcome.message.as_deref().unwrap_or("no reason given");
        let line = format!("{} seed {}: {why}", job.experiment.spec.name, job.seed);
        match outcome.status {
            Status::Failed => failures.push(line),
            Status::Diverged if !outcome.from_store => errors::warn(py, &line)?,
            _ => {}
        }
    }
    if !failures.is_empty() {
        let (count, all) = (failures.len(), jobs.len());
        return Err(errors::RunError::new_err(format!(
            "{count} of {all} runs failed\n  {}",
            failures.join("\n  ")
        )));
    }
    let mut outcomes = outcomes.into_iter();
    let mut runs = Vec::new();
    for experiment in experiments {
        for &seed in &experiment.spec.seeds {
            let Some(outcome) = outcomes.next() else { continue };
            let run = Run::of(experiment, &store, out, seed, outcome).map_err(errors::store)?;
            runs.push(run);
        }
    }
    Ok(Runs { runs })
}

/// Does `work` on another thread. On this one it looks for signals, and calls the progress function;
/// where either raises, `stop` is set and the exception returned with the result.
fn watch(
    py: Python<'_>,
    jobs: &[Job<'_>],
    settings: &Settings<'_, '_>,
    stop: &AtomicBool,
    work: impl FnOnce() -> Vec<Outcome> + Send,
) -> (Vec<Outcome>, Option<PyErr>) {
    let own = thread::current();
    let mut error: Option<PyErr> = None;
    let mut shown: Option<Instant> = None;
    let outcomes = thread::scope(|scope| {
        let worker = scope.spawn(move || {
            let outcomes = work();
            own.unpark();
            outcomes
        });
        while !worker.is_finished() {
            py.detach(|| thread::park_timeout(TICK));
            if error.is_some() {
                continue;
            }
            let mut look = py.check_signals();
            if look.is_ok()
                && let Some(progress) = settings.progress
                && shown.is_none_or(|at| at.elapsed() >= SHOW)
            {
                shown = Some(Instant::now());
                look = report(progress, jobs, false);
            }
            if let Err(raised) = look {
                stop.store(true, Ordering::SeqCst);
                error = Some(raised);
            }
        }
        py.detach(|| worker.join())
    });
    if let Some(progress) = settings.progress {
        let ended = report(progress, jobs, true);
        error = error.or(ended.err());
    }
    // `run_all` catches panics of runs.
    (outcomes.unwrap_or_default(), error)
}

/// Calls the progress function: runs, runs that have ended, runs that failed, the share of all work,
/// the mean NLL of running ones on training and held-out sentences, and whether it is the last call.
fn report(progress: &Bound<'_, PyAny>, jobs: &[Job<'_>], last: bool) -> PyResult<()> {
    let (mut finished, mut failed, mut done, mut all) = (0, 0, 0.0, 0.0);
    let (mut train, mut held_out, mut known) = (0.0, 0.0, 0.0);
    for job in jobs {
        let run = job.progress.snapshot();
        let work = (job.experiment.work() as f64).max(1.0);
        let share = if run.total > 0 { run.done as f64 / run.total as f64 } else { 0.0 };
        all += work;
        done += work * if run.finished { 1.0 } else { share };
        finished += usize::from(run.finished);
        failed += usize::from(run.failed);
        if run.started && run.train_nll.is_finite() && (!run.finished || last) {
            train += run.train_nll;
            held_out += run.held_out_nll;
            known += 1.0;
        }
    }
    let fraction = if all > 0.0 { done / all } else { 1.0 };
    let numbers = (jobs.len(), finished, failed, fraction, train / known, held_out / known, last);
    progress.call1(numbers)?;
    Ok(())
}

fn warnings(jobs: &[Job<'_>]) -> Vec<String> {
    let of = |job: &Job<'_>| {
        let name = job.experiment.spec.name.clone();
        let warnings = job.progress.take_warnings().into_iter();
        let seed = job.seed;
        warnings.map(move |warning| format!("{name} seed {seed}: {warning}")).collect::<Vec<_>>()
    };
    jobs.iter().flat_map(of).collect()
}
