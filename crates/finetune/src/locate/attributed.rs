//! Direct logit attribution: the contribution of each part of a language model to the right answers.

use retrodict_dynamics::locate as numbers;
use retrodict_models::{Part, Written};

use super::{Inside, TokenQuestion};
use crate::LearnerError;

/// Contributions to the margin of the right answer, means over the questions that have other
/// candidates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attributed {
    /// The names of the parts: the embeddings, attention and MLP of each block, the bias of the last
    /// norm.
    pub(crate) names: Vec<String>,
    /// The contribution of each; they sum to the margin.
    pub(crate) sums: Vec<f64>,
    /// The heads' shares of what attention contributes, by block.
    pub(crate) heads: Vec<Vec<f64>>,
}

/// The contributions in a model, with the scale of its last norm held fixed. `None` where no question
/// has other candidates.
pub(crate) fn attributed(
    model: &mut impl Inside,
    questions: &[TokenQuestion],
    go: &mut dyn FnMut() -> bool,
) -> Result<Option<Attributed>, LearnerError> {
    let norm = model.last_norm();
    let reader = numbers::Reader {
        gain: &norm.gain,
        bias: &norm.bias,
        epsilon: norm.epsilon,
        centred: norm.centred,
    };
    let contested = |of: &&TokenQuestion| !of.others.is_empty();
    let questions: Vec<TokenQuestion> = questions.iter().filter(contested).cloned().collect();
    let directions = questions.iter().map(|question| {
        let tokens = [question.right].into_iter().chain(question.others.iter().copied());
        let rows: Vec<Vec<f64>> = tokens.map(|token| model.head_row(token)).collect();
        let others: Vec<usize> = (1..rows.len()).collect();
        numbers::margin_direction(&rows, 0, &others).unwrap_or_default()
    });
    let directions: Vec<Vec<f64>> = directions.collect();
    let mut parts: Vec<Part> = Vec::new();
    let mut sums: Vec<f64> = Vec::new();
    let mut take = |number: usize, written: &[Written]| {
        let vectors: Vec<Vec<f64>> = written.iter().map(|(_, of)| of.clone()).collect();
        let own = numbers::attribution(&vectors, &reader, &directions[number]);
        parts = written.iter().map(|(part, _)| *part).collect();
        sums.resize(parts.len() + 1, 0.0);
        let terms = own.parts.iter().chain([&own.bias]);
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    };
    model.written(&questions, &mut take, go)?;
    sums.iter_mut().for_each(|sum| *sum /= questions.len() as f64);
    Ok((!questions.is_empty()).then(|| Attributed::of(&parts, &sums)))
}

impl Attributed {
    /// Of the contributions of single parts, and at last that of the norm's bias.
    fn of(parts: &[Part], sums: &[f64]) -> Self {
        let mut all = Self { names: Vec::new(), sums: Vec::new(), heads: Vec::new() };
        let parts = parts.iter().map(Some).chain([None]);
        for (part, sum) in parts.zip(sums) {
            let name = match part {
                None => "norm bias".to_owned(),
                Some(Part::Embeddings) => "embeddings".to_owned(),
                Some(Part::Head { block, .. } | Part::MixerBias(block)) => {
                    format!("block {} attention", block + 1)
                }
                Some(Part::Mlp(block)) => format!("block {} MLP", block + 1),
            };
            if let Some(Part::Head { block, .. }) = part {
                all.heads.resize(block + 1, Vec::new());
                all.heads[*block].push(*sum);
            }
            match all.sums.last_mut() {
                Some(last) if all.names.last() == Some(&name) => *last += sum,
                _ => {
                    all.names.push(name);
                    all.sums.push(*sum);
                }
            }
        }
        all
    }
}
