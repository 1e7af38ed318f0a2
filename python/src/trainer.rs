//! `Trainer`: a model in training, one step at a time.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use retrodict_dynamics::{Ranking, measure};
use retrodict_engine::{Parameter, Scalar};
use retrodict_lab::{Experiment, Indexes, nearest, probe};
use retrodict_models::SentenceScore;

use crate::arrays::{array, numbers};
use crate::data::{Dataset, padded};
use crate::errors;
use crate::spec::{Source, Spec};
use crate::tensors::arrays;
use inputs::{Batch, read_contexts, read_sentences, read_weights};
use state::{Course, Net, State, copy, mean, with};

mod inputs;
mod state;

/// The longest time between two checks of signals.
const TICK: Duration = Duration::from_millis(50);

/// A model in training.
#[pyclass(frozen, subclass, module = "retrodict._native")]
pub(crate) struct Trainer {
    source: Source,
    experiment: Experiment,
    seed: u64,
    threads: usize,
    dataset: retrodict_facts::Dataset,
    course: Course,
    /// The process that made it: its threads do not survive a fork.
    process: u32,
    state: Mutex<State>,
}

impl Trainer {
    /// Runs `work` on the model, without the interpreter lock. Nothing calls Python while it holds
    /// the model: a thread that waited for the model with the interpreter lock would wait for ever.
    fn locked<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut State) -> R + Send,
    ) -> PyResult<R> {
        if self.threads > 1 && self.process != std::process::id() {
            return Err(PyRuntimeError::new_err(
                "this trainer was made before a fork, and its threads are in the other process; \
                 make it in this one, or with threads=1",
            ));
        }
        Ok(py.detach(|| work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))))
    }

    /// The parameters, by index.
    fn described(&self, py: Python<'_>) -> PyResult<Vec<Parameter>> {
        self.locked(
            py,
            |state| with!(&state.net, net => net.parameters().iter().map(|(p, _)| p.clone()).collect()),
        )
    }
}

/// The index of the parameter `name`.
fn find(parameters: &[Parameter], name: &str) -> PyResult<usize> {
    parameters.iter().position(|p| p.name == name).ok_or_else(|| {
        let hint = nearest(name, parameters.iter().map(|p| p.name.as_str()))
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        PyKeyError::new_err(format!("there is no parameter `{name}`{hint}"))
    })
}

/// Sets slots to numbers, in the precision of the model.
fn fill<T: Scalar>(slots: &mut [T], values: &[f64]) {
    for (slot, value) in slots.iter_mut().zip(values) {
        *slot = T::from_f64(*value);
    }
}

#[pymethods]
impl Trainer {
    #[new]
    #[pyo3(signature = (spec, seed = 0, *, threads = 1, sentences = None, weights = None))]
    fn new(
        py: Python<'_>,
        spec: &Bound<'_, PyAny>,
        seed: u32,
        threads: usize,
        sentences: Option<&Bound<'_, PyAny>>,
        weights: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Trainer> {
        /// More than any machine has.
        const MOST_THREADS: usize = 4096;
        if !(1..=MOST_THREADS).contains(&threads) {
            return Err(PyValueError::new_err(format!(
                "threads is {threads}; it must be from 1 to {MOST_THREADS}"
            )));
        }
        let source = Source::of(spec)?;
        let experiment = source.experiment()?;
        let seed = u64::from(seed);
        let mut dataset = experiment.dataset(seed).map_err(errors::spec)?;
        // Sentences of the caller take the place of the data set's; recipes still apply.
        if let Some(given) = sentences {
            let answer = experiment.objective.entity_length;
            dataset.train = read_sentences(&experiment, "sentences", given, answer)?.to_vecs();
            dataset.weights = match weights {
                Some(given) => read_weights(given, dataset.train.len())?,
                None => Vec::new(),
            };
        } else if weights.is_some() {
            return Err(PyValueError::new_err("weights are those of `sentences`"));
        }
        let (course, net) = py.detach(|| {
            let training_set = experiment.training_set(seed, &dataset);
            let course = Course::new(&experiment, seed, training_set);
            (course, Net::new(&experiment, seed, &dataset, threads))
        });
        Ok(Trainer {
            source,
            experiment,
            seed,
            threads,
            dataset,
            course,
            process: std::process::id(),
            state: Mutex::new(State::new(net)),
        })
    }

    /// One training step: on the next batch in the order of a run with the same seed, or on the
    /// given `batch`, an integer array `[sentences, tokens]` or a list of lists. Returns the mean
    /// NLL of the batch before the update, in nats.
    ///
    /// `answer` is the number of last tokens that the loss is on (by default those of an entity),
    /// `weights` one number a sentence.
    #[pyo3(signature = (batch = None, *, answer = None, weights = None))]
    fn step(
        &self,
        py: Python<'_>,
        batch: Option<&Bound<'_, PyAny>>,
        answer: Option<usize>,
        weights: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<f64> {
        match Batch::of(&self.experiment, batch, answer, weights)? {
            None => self.locked(py, |state| state.step(&self.course)),
            Some(batch) => self
                .locked(py, |state| with!(&mut state.net, net => mean(net.step(batch.examples())))),
        }
    }

    /// Makes `count` steps of a run; the mean NLL of each, in nats, float64 `[count]`.
    fn steps<'py>(&self, py: Python<'py>, count: usize) -> PyResult<Bound<'py, PyAny>> {
        /// The results of more would fill the memory.
        const MOST: usize = 1 << 30;
        if count > MOST {
            return Err(PyValueError::new_err(format!("at most {MOST} steps at once")));
        }
        let mut losses = Vec::with_capacity(count);
        while losses.len() < count {
            self.locked(py, |state| {
                let begun = Instant::now();
                while losses.len() < count && begun.elapsed() < TICK {
                    losses.push(state.step(&self.course));
                }
            })?;
            py.check_signals()?;
        }
        array(py, losses, &[count])
    }

    /// The NLL of the last entity of each sentence (nats), that of its first token, and whether
    /// every token of it ranks first: three arrays `[sentences]`. Without dropout; of the held-out
    /// sentences if none are given.
    #[pyo3(signature = (sentences = None))]
    fn scores<'py>(
        &self,
        py: Python<'py>,
        sentences: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        let answer = self.experiment.objective.entity_length;
        let given = match sentences {
            Some(given) => {
                Some(read_sentences(&self.experiment, "sentences", given, answer)?.to_vecs())
            }
            None => None,
        };
        let scored = given.as_ref().unwrap_or(&self.dataset.held_out);
        let scores: Vec<SentenceScore> =
            self.locked(py, |state| with!(&mut state.net, net => net.evaluate(scored).to_vec()))?;
        let shape = [scores.len()];
        let numbers =
            |of: fn(&SentenceScore) -> f64| -> Vec<f64> { scores.iter().map(of).collect() };
        let top1: Vec<bool> = scores.iter().map(|score| score.top1).collect();
        Ok((
            array(py, numbers(|score| score.nll), &shape)?,
            array(py, numbers(|score| score.first_token_nll), &shape)?,
            array(py, top1, &shape)?,
        ))
    }

    /// The logits of the token after each context, float32 `[contexts, vocabulary]`, without
    /// dropout. `contexts` is an integer array `[contexts, tokens]` or a list of lists; all have one
    /// length.
    fn logits<'py>(
        &self,
        py: Python<'py>,
        contexts: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let contexts = read_contexts(&self.experiment, contexts)?;
        let logits =
            self.locked(py, |state| with!(&mut state.net, net => net.logits_after(&contexts)))?;
        array(py, logits, &[self.experiment.network.vocab(), contexts.len()])?.getattr("T")
    }

    /// The gradient of the loss (nats) by parameter, arrays of the parameters' shapes: on the next
    /// batch, which stays the next, or on a given one, as `step` takes it.
    #[pyo3(signature = (batch = None, *, answer = None, weights = None))]
    fn gradients<'py>(
        &self,
        py: Python<'py>,
        batch: Option<&Bound<'py, PyAny>>,
        answer: Option<usize>,
        weights: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let gradients = match Batch::of(&self.experiment, batch, answer, weights)? {
            None => self.locked(py, |state| state.gradients(&self.course))?,
            Some(batch) => self.locked(py, |state| {
                with!(&mut state.net, net => {
                    net.gradients(batch.examples()).iter().map(copy).collect()
                })
            })?,
        };
        arrays(py, gradients)
    }

    /// The gradient of a loss of your own by parameter. `d_logits`, `[contexts, vocabulary]`, is its
    /// gradient with respect to `logits(contexts)`.
    fn backward<'py>(
        &self,
        py: Python<'py>,
        contexts: &Bound<'py, PyAny>,
        d_logits: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let contexts = read_contexts(&self.experiment, contexts)?;
        let shape = [contexts.len(), self.experiment.network.vocab()];
        let d_logits = numbers::<f64>("d_logits", d_logits, &shape)?;
        let d_logits: Vec<f64> = d_logits.as_array().iter().copied().collect();
        let gradients: Vec<_> = self.locked(py, |state| {
            with!(&mut state.net, net => {
                net.backward(&contexts, &d_logits).iter().map(copy).collect()
            })
        })?;
        arrays(py, gradients)
    }

    /// Updates the parameters with these gradients, by name; those left out are zero. It counts as a
    /// step of the optimiser and of the learning-rate schedule, and not as one of the epoch.
    fn update(&self, py: Python<'_>, gradients: &Bound<'_, PyDict>) -> PyResult<()> {
        let parameters = self.described(py)?;
        let mut given: Vec<(usize, Vec<f64>)> = Vec::new();
        for (name, values) in gradients.iter() {
            let name: String = name.extract()?;
            let at = find(&parameters, &name)?;
            if !parameters[at].trainable {
                return Err(PyValueError::new_err(format!("`{name}` is frozen")));
            }
            let what = format!("the gradient of `{name}`");
            let values = numbers::<f64>(&what, &values, &parameters[at].shape())?;
            given.push((at, values.as_array().iter().copied().collect()));
        }
        self.locked(py, |state| {
            with!(&mut state.net, net => net.update(|gradients| {
                for (at, values) in &given {
                    fill(gradients.values_mut(*at), values);
                }
            }));
        })
    }

    /// The names of the parameters, those of GPT-2's checkpoints.
    #[getter]
    fn parameter_names(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        Ok(self.described(py)?.into_iter().map(|p| p.name).collect())
    }

    /// A copy of a parameter: float32, or float64 with `precision = "f64"`.
    fn parameter<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let at = find(&self.described(py)?, name)?;
        let tensor: Option<_> = self.locked(
            py,
            |state| with!(&state.net, net => net.parameters().iter().nth(at).map(copy)),
        )?;
        arrays(py, tensor)?.as_any().get_item(name)
    }

    /// Sets a parameter to an array of its shape.
    fn set_parameter(&self, py: Python<'_>, name: &str, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let parameters = self.described(py)?;
        let at = find(&parameters, name)?;
        let values = numbers::<f64>(&format!("`{name}`"), values, &parameters[at].shape())?;
        let values: Vec<f64> = values.as_array().iter().copied().collect();
        self.locked(py, |state| {
            with!(&mut state.net, net => fill(net.parameters_mut().values_mut(at), &values));
        })
    }

    /// The effective weights now, logits `[entities, candidates]` by group, as
    /// `Run.effective_weights` has them.
    fn effective_weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tensors = self.locked(
            py,
            |state| with!(&mut state.net, net => probe::effective_weights(net, &self.dataset)),
        )?;
        arrays(py, tensors)
    }

    /// `asymmetry`, `asymmetry_in_context` and `intransitivity` of the effective weights now: 1 is
    /// the whole curse, 0 none of it. None where it does not apply.
    fn indexes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let indexes = self.locked(py, |state| {
            with!(&mut state.net, net => Indexes::of(|role, context| {
                let group = self.dataset.group_of(role)?;
                measure(group, context, |contexts| net.logits_after(contexts))?.margin()
            }))
        })?;
        let dict = PyDict::new(py);
        dict.set_item("asymmetry", indexes.asymmetry)?;
        dict.set_item("asymmetry_in_context", indexes.asymmetry_in_context)?;
        dict.set_item("intransitivity", indexes.intransitivity)?;
        Ok(dict)
    }

    /// The ranks of the right answers to the held-out questions now: `rank_…` is 0 for first, 0.5 at
    /// chance and 1 for last, `top1_…` a fraction. None where there is no question.
    fn ranks<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let ranks = self.locked(py, |state| {
            let ranking = Ranking::in_context(&self.dataset);
            with!(&mut state.net, net => ranking.measure(|contexts| net.logits_after(contexts)))
        })?;
        let dict = PyDict::new(py);
        let levels = [
            ("held_out", ranks.held_out),
            ("type", ranks.of_type),
            ("vocabulary", ranks.vocabulary),
        ];
        for (level, standing) in levels {
            dict.set_item(format!("rank_{level}"), standing.rank)?;
            dict.set_item(format!("top1_{level}"), standing.top1)?;
        }
        Ok(dict)
    }

    /// Steps of the optimiser so far.
    #[getter]
    fn step_count(&self, py: Python<'_>) -> PyResult<u64> {
        self.locked(py, |state| with!(&state.net, net => net.optimizer().steps()))
    }

    /// Steps of an epoch.
    #[getter]
    fn steps_per_epoch(&self) -> u64 {
        self.course.steps.per_epoch
    }

    /// Whole epochs done.
    #[getter]
    fn epoch(&self, py: Python<'_>) -> PyResult<u64> {
        self.locked(py, |state| state.epoch)
    }

    /// The highest learning rate of the schedule; it can be set.
    #[getter]
    fn get_learning_rate(&self, py: Python<'_>) -> PyResult<f64> {
        self.locked(py, |state| with!(&state.net, net => net.optimizer().rate))
    }

    #[setter]
    fn set_learning_rate(&self, py: Python<'_>, rate: f64) -> PyResult<()> {
        if !(rate >= 0.0 && rate.is_finite()) {
            return Err(PyValueError::new_err(format!(
                "the learning rate is {rate}; it must be a finite number from 0 on"
            )));
        }
        self.locked(py, |state| with!(&mut state.net, net => net.optimizer_mut().rate = rate))
    }

    /// The training sentences, int64 `[sentences, tokens]`; shorter ones end in −1. Recipes have
    /// been applied.
    #[getter]
    fn get_sentences<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let rows: Vec<&[u32]> =
            self.course.sentences.iter().map(|sentence| &*sentence.tokens).collect();
        padded(py, &rows)
    }

    /// The data set.
    #[getter]
    fn dataset(&self) -> Dataset {
        let facts = self.dataset.clone();
        let kind = self.experiment.spec.lines().into_iter().find(|line| line.path() == "data.kind");
        let kind = kind.map(|line| line.value.trim_matches('"').to_owned()).unwrap_or_default();
        Dataset { facts, kind, seed: self.experiment.seeds(self.seed).data as u32 }
    }

    /// Its spec.
    #[getter]
    fn spec(&self) -> Spec {
        Spec { source: self.source.clone(), experiment: self.experiment.clone() }
    }

    /// Its seed.
    #[getter]
    fn seed(&self) -> u64 {
        self.seed
    }

    /// `config.json` of a checkpoint of this model, as text.
    fn config(&self) -> String {
        let config =
            retrodict_lab::store::config(&self.experiment.network, self.experiment.spec.precision);
        config.to_string()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (name, seed, step) = (&self.experiment.spec.name, self.seed, self.step_count(py)?);
        Ok(format!("<Trainer {name} seed {seed}, step {step}>"))
    }
}
