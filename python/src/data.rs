//! `data`: the sentences of a data set as arrays.

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use retrodict_facts::{DataConfig, Dataset as Facts, Group, Query};
use retrodict_lab::nearest;
use retrodict_lab::spec::Spec as LabSpec;

use crate::arrays::array;
use crate::errors;
use crate::values::overrides;

/// A data set: sentences to train on, sentences held out, and questions about them.
#[pyclass(frozen, module = "retrodict")]
pub(crate) struct Dataset {
    pub(crate) facts: Facts,
    pub(crate) kind: String,
    pub(crate) seed: u32,
}

/// Sentences as an array `[sentences, tokens]`; shorter ones end in −1.
pub(crate) fn padded<'py>(
    py: Python<'py>,
    sentences: &[impl AsRef<[u32]>],
) -> PyResult<Bound<'py, PyAny>> {
    let longest = sentences.iter().map(|sentence| sentence.as_ref().len()).max().unwrap_or(0);
    let mut flat: Vec<i64> = Vec::with_capacity(sentences.len() * longest);
    for (nth, sentence) in sentences.iter().enumerate() {
        flat.extend(sentence.as_ref().iter().map(|token| i64::from(*token)));
        flat.resize((nth + 1) * longest, -1);
    }
    array(py, flat, &[sentences.len(), longest])
}

#[pymethods]
impl Dataset {
    /// The sentences to train on, int64 `[sentences, tokens]`; shorter ones end in −1.
    #[getter]
    fn train<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        padded(py, &self.facts.train)
    }

    /// The sentences that are scored only, as `train`.
    #[getter]
    fn held_out<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        padded(py, &self.facts.held_out)
    }

    /// The number of tokens, reserved ones included; the relations are the first.
    #[getter]
    fn vocab(&self) -> usize {
        self.facts.vocab
    }

    /// Tokens of the last entity of a sentence.
    #[getter]
    fn entity_length(&self) -> usize {
        self.facts.entity_length
    }

    /// The kind of data.
    #[getter]
    fn kind(&self) -> &str {
        &self.kind
    }

    /// The seed of NumPy's legacy generator.
    #[getter]
    fn seed(&self) -> u32 {
        self.seed
    }

    /// The names of the groups of questions.
    #[getter]
    fn groups(&self) -> Vec<&'static str> {
        self.facts.groups.iter().map(Group::id).collect()
    }

    /// The questions of a group: `source` and `answer`, int64 `[questions, tokens of an entity]`,
    /// and `relation`, int64 `[questions]`.
    fn questions<'py>(&self, py: Python<'py>, group: &str) -> PyResult<Bound<'py, PyDict>> {
        let Some(found) = self.facts.group(group) else {
            let hint = nearest(group, self.groups()).map_or_else(
                || format!("there are {}", self.groups().join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(PyKeyError::new_err(format!("there is no group `{group}`; {hint}")));
        };
        let of = |part: fn(&Query) -> &Vec<u32>| -> Vec<&[u32]> {
            found.queries.iter().map(|query| part(query).as_slice()).collect()
        };
        let questions = PyDict::new(py);
        questions.set_item("source", padded(py, &of(|query| &query.source))?)?;
        let relations: Vec<i64> =
            found.queries.iter().map(|query| i64::from(query.relation)).collect();
        questions.set_item("relation", array(py, relations, &[found.queries.len()])?)?;
        questions.set_item("answer", padded(py, &of(|query| &query.answer))?)?;
        Ok(questions)
    }

    fn __repr__(&self) -> String {
        let (train, held_out) = (self.facts.train.len(), self.facts.held_out.len());
        format!(
            "<Dataset {} seed {}: {train} sentences, {held_out} held out>",
            self.kind, self.seed
        )
    }
}

/// The data set of a kind.
#[pyfunction]
#[pyo3(signature = (kind, seed, keys))]
pub(crate) fn data(kind: &str, seed: u32, keys: &Bound<'_, PyDict>) -> PyResult<Dataset> {
    let words: &[&str] = DataConfig::WORDS;
    if !words.contains(&kind) {
        let hint = nearest(kind, words.iter().copied()).map_or_else(
            || format!("there are {}", words.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        return Err(errors::spec(format!("there is no data kind `{kind}`; {hint}")));
    }
    let mut set = vec![("data.kind".to_owned(), kind.to_owned())];
    set.extend(overrides(Some(keys))?.into_iter().map(|(key, value)| match key.contains('.') {
        true => (key, value),
        false => (format!("data.{key}"), value),
    }));
    let set: Vec<(&str, &str)> = set.iter().map(|(key, value)| (&**key, &**value)).collect();
    let spec = LabSpec::parse_with("", "data", &set).map_err(errors::spec)?;
    let facts =
        spec.data.kind.generate(seed).map_err(|error| errors::spec(format!("data.{error}")))?;
    Ok(Dataset { facts, kind: kind.to_owned(), seed })
}
