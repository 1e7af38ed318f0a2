//! The arrays that a trainer takes: sentences, contexts, weights. Each is checked against the spec.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use retrodict_lab::Experiment;
use retrodict_models::{Example, Network, Reading};

use crate::arrays::{Tokens, numbers};

/// The most sentences of a batch.
const MOST_ROWS: usize = 1 << 20;

/// A batch of the caller's.
pub(super) struct Batch {
    tokens: Tokens,
    answer: usize,
    weights: Option<Vec<f64>>,
}

impl Batch {
    /// Reads the arguments of a step; `None` where there is no batch.
    pub(super) fn of(
        experiment: &Experiment,
        tokens: Option<&Bound<'_, PyAny>>,
        answer: Option<usize>,
        weights: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Option<Batch>> {
        let Some(tokens) = tokens else {
            return match (answer, weights) {
                (None, None) => Ok(None),
                _ => Err(PyValueError::new_err("answer and weights are those of a `batch`")),
            };
        };
        let answer = answer.unwrap_or(experiment.objective.entity_length);
        let tokens = read_sentences(experiment, "the batch", tokens, answer)?;
        let weights = weights.map(|given| read_weights(given, tokens.rows().len())).transpose()?;
        Ok(Some(Batch { tokens, answer, weights }))
    }

    pub(super) fn examples(&self) -> impl ExactSizeIterator<Item = Example<'_>> {
        self.tokens.rows().enumerate().map(|(at, tokens)| Example {
            tokens,
            answer: Some(self.answer),
            weight: self.weights.as_ref().map_or(1.0, |weights| weights[at]),
        })
    }
}

/// Sentences that end in answers of `answer` tokens; an error calls them `what`.
pub(super) fn read_sentences(
    experiment: &Experiment,
    what: &str,
    given: &Bound<'_, PyAny>,
    answer: usize,
) -> PyResult<Tokens> {
    let tokens = Tokens::of(what, given, experiment.network.vocab())?;
    let objective = &experiment.objective;
    let (least, most) = (objective.shortest_context + answer, objective.sentence_length);
    if answer == 0 || least > most {
        let most = most - objective.shortest_context;
        return Err(PyValueError::new_err(format!(
            "answer is {answer}; it must be from 1 to {most} tokens"
        )));
    }
    if let Some(wrong) = tokens.rows().find(|row| !(least..=most).contains(&row.len())) {
        let length = wrong.len();
        let right = if least == most { format!("{most}") } else { format!("{least} to {most}") };
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

/// One finite weight a sentence.
pub(super) fn read_weights(given: &Bound<'_, PyAny>, rows: usize) -> PyResult<Vec<f64>> {
    let weights = numbers::<f64>("weights", given, &[rows])?;
    let weights: Vec<f64> = weights.as_array().iter().copied().collect();
    match weights.iter().find(|weight| !weight.is_finite()) {
        Some(wrong) => {
            Err(PyValueError::new_err(format!("weights has {wrong}; a weight is a finite number")))
        }
        None => Ok(weights),
    }
}

/// Contexts of one length, none longer than the model takes.
pub(super) fn read_contexts(
    experiment: &Experiment,
    given: &Bound<'_, PyAny>,
) -> PyResult<Vec<Vec<u32>>> {
    let contexts = Tokens::of("contexts", given, experiment.network.vocab())?.to_vecs();
    let objective = &experiment.objective;
    let positions = match &experiment.network {
        Network::Decoder(decoder) => decoder.positions,
        Network::Bilinear(_) | Network::OneLayer(_) => objective.sentence_length,
    };
    // A mask, where the reading has one, stands in the place of the predicted token.
    let masked = !matches!(objective.reading, Reading::NextToken | Reading::Permuted);
    let most = positions - usize::from(masked);
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
