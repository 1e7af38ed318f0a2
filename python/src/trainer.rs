//! `Trainer`: a model in training, one step at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use retrodict_dynamics::{Ranking, Ranks, measure};
use retrodict_engine::{Parameter, Purpose, Scalar, Stream};
use retrodict_facts::{Sentence, TrainingSet};
use retrodict_lab::spec::Precision;
use retrodict_lab::store::Values;
use retrodict_lab::{Experiment, Indexes, Steps, example, nearest, probe};
use retrodict_models::{Example, Network, SentenceScore, Trainer as Training};

use crate::arrays::{Tokens, array, numbers};
use crate::data::{Dataset, padded};
use crate::errors;
use crate::spec::{Source, Spec};

/// Between two looks at signals.
const TICK: Duration = Duration::from_millis(50);
/// The most sentences of a batch.
const MOST_ROWS: usize = 1 << 20;

/// A model in either precision.
enum Net {
    F32(Box<Training<f32>>),
    F64(Box<Training<f64>>),
}

/// Runs code with the trainer of either precision.
macro_rules! with {
    ($net:expr, $trainer:ident => $code:expr) => {
        match $net {
            Net::F32($trainer) => $code,
            Net::F64($trainer) => $code,
        }
    };
}

/// What changes with a step.
struct State {
    net: Net,
    /// Whole epochs done.
    epoch: u64,
    /// Batches done of the next one.
    batch: u64,
    /// The order of the sentences in it; empty before it begins.
    order: Vec<usize>,
}

/// A model in training.
#[pyclass(frozen, subclass, module = "retrodict._native")]
pub(crate) struct Trainer {
    source: Source,
    experiment: Experiment,
    seed: u64,
    threads: usize,
    dataset: retrodict_facts::Dataset,
    training_set: TrainingSet,
    steps: Steps,
    /// The process that made it: its threads do not survive a fork.
    process: u32,
    state: Mutex<State>,
}

/// A batch that was given.
struct Batch {
    tokens: Tokens,
    answer: Option<usize>,
    weights: Option<Vec<f64>>,
}

impl Batch {
    fn examples(&self) -> impl ExactSizeIterator<Item = Example<'_>> {
        self.tokens.rows().enumerate().map(|(at, tokens)| Example {
            tokens,
            answer: self.answer,
            weight: self.weights.as_ref().map_or(1.0, |weights| weights[at]),
        })
    }
}

impl Trainer {
    fn state(&self) -> PyResult<MutexGuard<'_, State>> {
        if self.threads > 1 && self.process != std::process::id() {
            return Err(PyRuntimeError::new_err(
                "this trainer was made before a fork, and its threads are in the other process; \
                 make it in this one, or with threads=1",
            ));
        }
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn vocab(&self) -> usize {
        self.experiment.network.vocab()
    }

    /// Rows that can be sentences with answers of so many tokens.
    fn sentences(&self, what: &str, given: &Bound<'_, PyAny>, answer: usize) -> PyResult<Tokens> {
        let tokens = Tokens::of(what, given, self.vocab())?;
        let objective = &self.experiment.objective;
        let (least, most) = (objective.shortest_context + answer, objective.sentence_length);
        if answer == 0 || least > most {
            let most = most - objective.shortest_context;
            return Err(PyValueError::new_err(format!(
                "answer is {answer}; it must be from 1 to {most} tokens"
            )));
        }
        if let Some(wrong) = tokens.rows().find(|row| !(least..=most).contains(&row.len())) {
            let length = wrong.len();
            let right =
                if least == most { format!("{most}") } else { format!("{least} to {most}") };
            return Err(PyValueError::new_err(format!(
                "{what} has a sentence of {length} tokens; this spec takes {right}"
            )));
        }
        let rows = tokens.rows().len();
        match rows {
            0 => Err(PyValueError::new_err(format!("{what} has no sentence"))),
            1..=MOST_ROWS => Ok(tokens),
            _ => Err(PyValueError::new_err(format!(
                "{what} has {rows} sentences; at most {MOST_ROWS} make a batch"
            ))),
        }
    }

    fn batch(
        &self,
        tokens: &Bound<'_, PyAny>,
        answer: Option<usize>,
        weights: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Batch> {
        let length = answer.unwrap_or(self.experiment.objective.entity_length);
        let tokens = self.sentences("the batch", tokens, length)?;
        let weights = weights.map(|given| weights_of(given, tokens.rows().len())).transpose()?;
        Ok(Batch { tokens, answer, weights })
    }

    /// Contexts of one length.
    fn contexts(&self, given: &Bound<'_, PyAny>) -> PyResult<Vec<Vec<u32>>> {
        let contexts = Tokens::of("contexts", given, self.vocab())?.to_vecs();
        let objective = &self.experiment.objective;
        let most = match &self.experiment.network {
            Network::Decoder(decoder) => decoder.positions,
            Network::Bilinear(_) | Network::OneLayer(_) => objective.sentence_length,
        };
        let most = most
            - usize::from(!matches!(
                objective.reading,
                retrodict_models::Reading::NextToken | retrodict_models::Reading::Permuted
            ));
        let Some(first) = contexts.first().map(Vec::len) else {
            return Err(PyValueError::new_err("there is no context"));
        };
        if contexts.iter().any(|context| context.len() != first) {
            return Err(PyValueError::new_err("contexts must have one length; call once for each"));
        }
        if first > most {
            return Err(PyValueError::new_err(format!(
                "contexts have {first} tokens; this model takes at most {most}"
            )));
        }
        if contexts.len() > MOST_ROWS {
            return Err(PyValueError::new_err(format!("at most {MOST_ROWS} contexts at once")));
        }
        Ok(contexts)
    }

    /// The next batch's sentences.
    fn next(&self, state: &mut State) -> Vec<usize> {
        let order = self.order(state);
        let first = state.batch as usize * self.steps.batch_size;
        let last = (first + self.steps.batch_size).min(order);
        state.order[first..last].to_vec()
    }

    /// Makes sure of the order of the epoch, as a run draws it; returns its length.
    fn order(&self, state: &mut State) -> usize {
        let count = self.training_set.sentences.len();
        if state.order.len() != count {
            state.order = (0..count).collect();
            let seed = self.experiment.seeds(self.seed).order;
            Stream::new(seed, Purpose::Order, state.epoch as u32).shuffle(&mut state.order);
        }
        count
    }

    /// A step on the next batch: the mean NLL before the update.
    fn one(&self, state: &mut State) -> f64 {
        let count = self.order(state);
        let first = state.batch as usize * self.steps.batch_size;
        let last = (first + self.steps.batch_size).min(count);
        let sentences = &self.training_set.sentences;
        let batch = state.order[first..last].iter().map(|&at| example(&sentences[at]));
        let nll = with!(&mut state.net, trainer => mean(trainer.step(batch)));
        state.batch += 1;
        if state.batch == self.steps.per_epoch {
            (state.epoch, state.batch) = (state.epoch + 1, 0);
            state.order.clear();
        }
        nll
    }

    /// The parameters, by index.
    fn described(&self) -> PyResult<Vec<Parameter>> {
        let state = self.state()?;
        Ok(
            with!(&state.net, trainer => trainer.parameters().iter().map(|(p, _)| p.clone()).collect()),
        )
    }

    fn find(&self, name: &str) -> PyResult<(usize, Parameter)> {
        let all = self.described()?;
        if let Some(at) = all.iter().position(|p| p.name == name) {
            return Ok((at, all[at].clone()));
        }
        let hint = nearest(name, all.iter().map(|p| p.name.as_str()))
            .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        Err(PyKeyError::new_err(format!("there is no parameter `{name}`{hint}")))
    }
}

fn mean(scores: &[SentenceScore]) -> f64 {
    scores.iter().map(|score| score.nll).sum::<f64>() / scores.len() as f64
}

fn weights_of(given: &Bound<'_, PyAny>, rows: usize) -> PyResult<Vec<f64>> {
    let weights = numbers::<f64>("weights", given, &[rows])?;
    Ok(weights.as_array().iter().copied().collect())
}

/// Gradients as arrays by name.
fn by_name<'py, T: Scalar + numpy::Element>(
    py: Python<'py>,
    gradients: Vec<(String, Vec<usize>, Vec<T>)>,
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, shape, values) in gradients {
        dict.set_item(name, array(py, values, &shape)?)?;
    }
    Ok(dict)
}

/// Copies gradients out of the trainer.
fn copied<T: Scalar>(
    gradients: &retrodict_engine::Gradients<T>,
) -> Vec<(String, Vec<usize>, Vec<T>)> {
    gradients.iter().map(|(p, values)| (p.name.clone(), p.shape(), values.to_vec())).collect()
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
        let mut trainer = {
            let training_set = experiment.training_set(seed, &dataset);
            Trainer {
                steps: experiment.steps(&training_set),
                state: Mutex::new(State {
                    net: net(py, &experiment, seed, &dataset, threads),
                    epoch: 0,
                    batch: 0,
                    order: Vec::new(),
                }),
                training_set,
                experiment,
                seed,
                threads,
                dataset: dataset.clone(),
                process: std::process::id(),
                source,
            }
        };
        let Some(given) = sentences else {
            return match weights {
                Some(_) => Err(PyValueError::new_err("weights are those of `sentences`")),
                None => Ok(trainer),
            };
        };
        // Sentences of the caller take the place of the data set's; recipes still apply.
        let answer = trainer.experiment.objective.entity_length;
        dataset.train = trainer.sentences("sentences", given, answer)?.to_vecs();
        let rows = dataset.train.len();
        let mut training_set = trainer.experiment.training_set(seed, &dataset);
        if let Some(given) = weights {
            let weights = weights_of(given, rows)?;
            for (Sentence { weight, .. }, given) in training_set.sentences.iter_mut().zip(weights) {
                *weight = given;
            }
        }
        trainer.steps = trainer.experiment.steps(&training_set);
        let net = net(py, &trainer.experiment, seed, &dataset, threads);
        trainer.state = Mutex::new(State { net, epoch: 0, batch: 0, order: Vec::new() });
        trainer.training_set = training_set;
        trainer.dataset = dataset;
        Ok(trainer)
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
        let Some(given) = batch else {
            if answer.is_some() || weights.is_some() {
                return Err(PyValueError::new_err("answer and weights are those of a `batch`"));
            }
            return py.detach(|| Ok(self.one(&mut *self.state()?)));
        };
        let batch = self.batch(given, answer, weights)?;
        py.detach(|| {
            let mut state = self.state()?;
            Ok(with!(&mut state.net, trainer => mean(trainer.step(batch.examples()))))
        })
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
            py.detach(|| -> PyResult<()> {
                let (begun, mut state) = (Instant::now(), self.state()?);
                while losses.len() < count && begun.elapsed() < TICK {
                    losses.push(self.one(&mut state));
                }
                Ok(())
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
        let given = sentences
            .map(|given| Ok::<_, PyErr>(self.sentences("sentences", given, answer)?.to_vecs()))
            .transpose()?;
        let scores = py.detach(|| -> PyResult<Vec<SentenceScore>> {
            let mut state = self.state()?;
            let sentences = given.as_ref().unwrap_or(&self.dataset.held_out);
            Ok(with!(&mut state.net, trainer => trainer.evaluate(sentences).to_vec()))
        })?;
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
    /// dropout. Contexts have one length.
    fn logits<'py>(
        &self,
        py: Python<'py>,
        contexts: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let contexts = self.contexts(contexts)?;
        let logits = py.detach(|| -> PyResult<Vec<f32>> {
            let mut state = self.state()?;
            Ok(with!(&mut state.net, trainer => trainer.logits_after(&contexts)))
        })?;
        array(py, logits, &[self.vocab(), contexts.len()])?.getattr("T")
    }

    /// The gradient of the loss by parameter: on the next batch, which stays the next, or on a given
    /// one, as `step` takes it.
    #[pyo3(signature = (batch = None, *, answer = None, weights = None))]
    fn gradients<'py>(
        &self,
        py: Python<'py>,
        batch: Option<&Bound<'py, PyAny>>,
        answer: Option<usize>,
        weights: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let given = batch.map(|given| self.batch(given, answer, weights)).transpose()?;
        if given.is_none() && (answer.is_some() || weights.is_some()) {
            return Err(PyValueError::new_err("answer and weights are those of a `batch`"));
        }
        enum Either {
            F32(Vec<(String, Vec<usize>, Vec<f32>)>),
            F64(Vec<(String, Vec<usize>, Vec<f64>)>),
        }
        let gradients = py.detach(|| -> PyResult<Either> {
            let mut state = self.state()?;
            let own = if given.is_none() { self.next(&mut state) } else { Vec::new() };
            let sentences = &self.training_set.sentences;
            let next = || own.iter().map(|&at| example(&sentences[at]));
            Ok(match (&mut state.net, &given) {
                (Net::F32(t), Some(batch)) => Either::F32(copied(t.gradients(batch.examples()))),
                (Net::F64(t), Some(batch)) => Either::F64(copied(t.gradients(batch.examples()))),
                (Net::F32(t), None) => Either::F32(copied(t.gradients(next()))),
                (Net::F64(t), None) => Either::F64(copied(t.gradients(next()))),
            })
        })?;
        match gradients {
            Either::F32(gradients) => by_name(py, gradients),
            Either::F64(gradients) => by_name(py, gradients),
        }
    }

    /// The gradient of a loss of your own by parameter. `d_logits`, `[contexts, vocabulary]`, is its
    /// gradient with respect to `logits(contexts)`.
    fn backward<'py>(
        &self,
        py: Python<'py>,
        contexts: &Bound<'py, PyAny>,
        d_logits: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let contexts = self.contexts(contexts)?;
        let shape = [contexts.len(), self.vocab()];
        let slopes = numbers::<f64>("d_logits", d_logits, &shape)?;
        let slopes: Vec<f64> = slopes.as_array().iter().copied().collect();
        let mut state = self.state()?;
        // The arrays are made while the trainer is held: a copy fewer.
        match &mut state.net {
            Net::F32(trainer) => by_name(py, copied(trainer.backward(&contexts, &slopes))),
            Net::F64(trainer) => by_name(py, copied(trainer.backward(&contexts, &slopes))),
        }
    }

    /// Updates the parameters with these gradients, by name; those left out are zero. It counts as a
    /// step of the optimiser and of the learning-rate schedule, and not as one of the epoch.
    fn update(&self, py: Python<'_>, gradients: &Bound<'_, PyDict>) -> PyResult<()> {
        let mut given: Vec<(usize, Vec<f64>)> = Vec::new();
        for (name, values) in gradients.iter() {
            let name: String = name.extract()?;
            let (at, parameter) = self.find(&name)?;
            if !parameter.trainable {
                return Err(PyValueError::new_err(format!("`{name}` is frozen")));
            }
            let what = format!("the gradient of `{name}`");
            let values = numbers::<f64>(&what, &values, &parameter.shape())?;
            given.push((at, values.as_array().iter().copied().collect()));
        }
        fn fill<T: Scalar>(trainer: &mut Training<T>, given: &[(usize, Vec<f64>)]) {
            trainer.update(|gradients| {
                for (at, values) in given {
                    for (slot, value) in gradients.values_mut(*at).iter_mut().zip(values) {
                        *slot = T::from_f64(*value);
                    }
                }
            });
        }
        py.detach(|| {
            let mut state = self.state()?;
            with!(&mut state.net, trainer => fill(trainer, &given));
            Ok(())
        })
    }

    /// The names of the parameters, those of GPT-2's checkpoints.
    #[getter]
    fn parameter_names(&self) -> PyResult<Vec<String>> {
        Ok(self.described()?.into_iter().map(|p| p.name).collect())
    }

    /// A copy of a parameter.
    fn parameter<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let (at, parameter) = self.find(name)?;
        let state = self.state()?;
        with!(&state.net, trainer => {
            let values = trainer.parameters().iter().nth(at).map(|(_, values)| values.to_vec());
            array(py, values.unwrap_or_default(), &parameter.shape())
        })
    }

    /// Sets a parameter to an array of its shape.
    fn set_parameter(&self, name: &str, values: &Bound<'_, PyAny>) -> PyResult<()> {
        let (at, parameter) = self.find(name)?;
        fn set<T: Scalar + numpy::Element>(
            trainer: &mut Training<T>,
            (at, parameter): (usize, &Parameter),
            values: &Bound<'_, PyAny>,
        ) -> PyResult<()> {
            let values =
                numbers::<T>(&format!("`{}`", parameter.name), values, &parameter.shape())?;
            let slots = trainer.parameters_mut().values_mut(at);
            for (slot, value) in slots.iter_mut().zip(values.as_array().iter()) {
                *slot = *value;
            }
            Ok(())
        }
        let mut state = self.state()?;
        with!(&mut state.net, trainer => set(trainer, (at, &parameter), values))
    }

    /// The effective weights now, as `Run.effective_weights` has them.
    fn effective_weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tensors = py.detach(|| -> PyResult<_> {
            let mut state = self.state()?;
            Ok(with!(&mut state.net, trainer => probe::effective_weights(trainer, &self.dataset)))
        })?;
        let weights = PyDict::new(py);
        for tensor in tensors {
            let values = match tensor.values {
                Values::F32(values) => array(py, values.into_owned(), &tensor.shape)?,
                Values::F64(values) => array(py, values.into_owned(), &tensor.shape)?,
            };
            weights.set_item(&*tensor.name, values)?;
        }
        Ok(weights)
    }

    /// `asymmetry`, `asymmetry_in_context` and `intransitivity` of the effective weights now: 1 is
    /// the whole curse, 0 none of it. None where it does not apply.
    fn indexes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let indexes = py.detach(|| -> PyResult<Indexes> {
            let mut state = self.state()?;
            Ok(with!(&mut state.net, trainer => Indexes::of(|role, context| {
                let group = self.dataset.group_of(role)?;
                measure(group, context, |contexts| trainer.logits_after(contexts))?.margin()
            })))
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
        let ranks = py.detach(|| -> PyResult<Ranks> {
            let ranking = Ranking::in_context(&self.dataset);
            let mut state = self.state()?;
            Ok(with!(&mut state.net, trainer => {
                ranking.measure(|contexts| trainer.logits_after(contexts))
            }))
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

    /// Steps taken.
    #[getter]
    fn step_count(&self) -> PyResult<u64> {
        let state = self.state()?;
        Ok(with!(&state.net, trainer => trainer.optimizer().steps()))
    }

    /// Steps of an epoch.
    #[getter]
    fn steps_per_epoch(&self) -> u64 {
        self.steps.per_epoch
    }

    /// Whole epochs done.
    #[getter]
    fn epoch(&self) -> PyResult<u64> {
        Ok(self.state()?.epoch)
    }

    /// The highest learning rate of the schedule; it can be set.
    #[getter]
    fn get_learning_rate(&self) -> PyResult<f64> {
        let state = self.state()?;
        Ok(with!(&state.net, trainer => trainer.optimizer().rate))
    }

    #[setter]
    fn set_learning_rate(&self, rate: f64) -> PyResult<()> {
        if !(rate >= 0.0 && rate.is_finite()) {
            return Err(PyValueError::new_err(format!(
                "the learning rate is {rate}; it must be a finite number from 0 on"
            )));
        }
        let mut state = self.state()?;
        with!(&mut state.net, trainer => trainer.optimizer_mut().rate = rate);
        Ok(())
    }

    /// The training sentences, int64 `[sentences, tokens]`; shorter ones end in −1. Recipes have
    /// been applied.
    #[getter]
    fn get_sentences<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let rows: Vec<&[u32]> =
            self.training_set.sentences.iter().map(|sentence| &*sentence.tokens).collect();
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

    fn __repr__(&self) -> PyResult<String> {
        let (name, seed, step) = (&self.experiment.spec.name, self.seed, self.step_count()?);
        Ok(format!("<Trainer {name} seed {seed}, step {step}>"))
    }
}

/// A model with fresh parameters.
fn net(
    py: Python<'_>,
    experiment: &Experiment,
    seed: u64,
    dataset: &retrodict_facts::Dataset,
    threads: usize,
) -> Net {
    py.detach(|| match experiment.spec.precision {
        Precision::F32 | Precision::Bf16 => {
            Net::F32(Box::new(experiment.trainer(seed, dataset, threads)))
        }
        Precision::F64 => Net::F64(Box::new(experiment.trainer(seed, dataset, threads))),
    })
}
