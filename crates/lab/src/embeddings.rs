//! The orthogonality of a trained model's token embeddings.

use std::borrow::Cow;

use retrodict_dynamics::{cosines, evenly_spread, mean_absolute_cosine};
use retrodict_engine::Scalar;
use retrodict_facts::{Dataset, Token};
use retrodict_models::{TOKEN_EMBEDDINGS, Trainer};

use crate::store::{StoreError, Tensor, Tensors, Values};

/// The folder of the probe in a run's `probes`; it has only the last epoch.
pub const EMBEDDING_COSINES: &str = "embedding_cosines";

const TOKENS: &str = "tokens";
const EMBEDDINGS: &str = "embeddings";
/// In files of early versions, which kept the cosines of some entity tokens.
const VALUES: &str = "cosines";
/// How many.
const MOST_KEPT_EARLY: usize = 100;
const MEAN: &str = "mean_absolute_off_diagonal";

/// Cosine similarities between the embeddings of tokens (paper, section 5).
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingCosines {
    /// The tokens compared: the entity tokens sorted by type ([`Dataset::entity_tokens`]), then
    /// the relation tokens. Files of early versions have fewer.
    pub tokens: Vec<Token>,
    vectors: Vectors,
    /// The mean of |cosine| over all pairs of entity tokens; `None` if there are fewer than two.
    pub mean_absolute_off_diagonal: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
enum Vectors {
    /// `[token, dimension]`, row-major.
    Embeddings(Vec<f32>),
    /// `[token, token]`, row-major.
    Cosines(Vec<f32>),
}

/// The mean of |cosine| between independent directions, uniform on the sphere in `dim` dimensions:
/// Γ(d/2) / (√π Γ((d + 1)/2)).
pub fn random_mean_absolute_cosine(dim: usize) -> f64 {
    // From d to d + 2 it is multiplied by d/(d + 1).
    let (start, first) = if dim % 2 == 1 { (1, 1.0) } else { (2, std::f64::consts::FRAC_2_PI) };
    (start..dim).step_by(2).fold(first, |mean, d| mean * d as f64 / (d + 1) as f64)
}

/// The entity tokens, and those tokens with the relation tokens after them.
fn tokens(dataset: &Dataset) -> (Vec<Token>, Vec<Token>) {
    let entities = dataset.entity_tokens();
    let relations = 0..dataset.reserved as Token;
    let all = entities.iter().copied().chain(relations).collect();
    (entities, all)
}

impl EmbeddingCosines {
    /// Measures a model.
    pub fn measure<T: Scalar>(trainer: &Trainer<T>, dataset: &Dataset) -> EmbeddingCosines {
        let mut parameters = trainer.parameters().iter();
        let table = parameters.find(|(parameter, _)| parameter.name == TOKEN_EMBEDDINGS);
        let vectors = |tokens: &[Token]| -> Vec<Vec<f64>> {
            let rows = table.iter().flat_map(|(parameter, values)| {
                tokens.iter().map(|&token| {
                    let row = &values[token as usize * parameter.columns..][..parameter.columns];
                    row.iter().map(|x| x.to_f64()).collect()
                })
            });
            rows.collect()
        };
        let (entities, tokens) = tokens(dataset);
        let rows = vectors(&tokens);
        EmbeddingCosines {
            vectors: Vectors::Embeddings(rows.into_iter().flatten().map(|x| x as f32).collect()),
            tokens,
            mean_absolute_off_diagonal: mean_absolute_cosine(&vectors(&entities)),
        }
    }

    /// The cosines `[token, token]`, row-major.
    pub fn values(&self) -> Vec<f32> {
        match &self.vectors {
            Vectors::Cosines(values) => values.clone(),
            Vectors::Embeddings(values) => {
                let dim = values.len().checked_div(self.tokens.len()).unwrap_or(0).max(1);
                let rows = values.chunks(dim).map(|row| row.iter().map(|&x| x.into()).collect());
                cosines(&rows.collect::<Vec<Vec<f64>>>()).into_iter().map(|x| x as f32).collect()
            }
        }
    }

    /// As tensors of a file: `embeddings` `[n, dimension]`, `tokens` `[n]` and
    /// `mean_absolute_off_diagonal` `[]`, NaN where there is none.
    pub(crate) fn tensors(&self) -> [Tensor<'_>; 3] {
        let tensor = |name, shape, values| Tensor { name: Cow::Borrowed(name), shape, values };
        let n = self.tokens.len();
        let numbers = |of: Vec<f64>| Values::F64(Cow::Owned(of));
        let (name, values) = match &self.vectors {
            Vectors::Embeddings(values) => (EMBEDDINGS, values),
            Vectors::Cosines(values) => (VALUES, values),
        };
        let columns = values.len().checked_div(n).unwrap_or(0);
        [
            tensor(name, Cow::Owned(vec![n, columns]), Values::F32(Cow::Borrowed(values))),
            tensor(
                TOKENS,
                Cow::Owned(vec![n]),
                numbers(self.tokens.iter().map(|&token| token.into()).collect()),
            ),
            tensor(
                MEAN,
                Cow::Borrowed(&[]),
                numbers(vec![self.mean_absolute_off_diagonal.unwrap_or(f64::NAN)]),
            ),
        ]
    }

    /// Reads a file that was measured on this data set.
    ///
    /// # Errors
    /// [`StoreError`] if the file is damaged or belongs to another data set.
    pub fn read(file: &Tensors, dataset: &Dataset) -> Result<EmbeddingCosines, StoreError> {
        let damaged = |what: &str| StoreError::damaged(file.path(), what);
        let (entities, all) = tokens(dataset);
        let early = file.find(EMBEDDINGS).is_none();
        let tokens = match early {
            false => all,
            true => {
                let places = evenly_spread(entities.len(), MOST_KEPT_EARLY);
                places.into_iter().map(|place| entities[place]).collect()
            }
        };
        let n = tokens.len();
        let numbers = |name: &str, shape: &[usize]| {
            let values = file.get(name, shape)?.values.as_f64().map(<[f64]>::to_vec);
            values.ok_or_else(|| damaged(&format!("tensor `{name}` is not of double precision")))
        };
        if numbers(TOKENS, &[n])? != tokens.iter().map(|&t| f64::from(t)).collect::<Vec<_>>() {
            return Err(damaged("it is of another data set"));
        }
        let single = |name: &str, columns: usize| {
            let values = file.get(name, &[n, columns])?.values.as_f32().map(<[f32]>::to_vec);
            values.ok_or_else(|| damaged(&format!("tensor `{name}` is not of single precision")))
        };
        let vectors = match file.find(EMBEDDINGS) {
            None => Vectors::Cosines(single(VALUES, n)?),
            Some(table) => {
                Vectors::Embeddings(single(EMBEDDINGS, table.shape.last().map_or(0, |&d| d))?)
            }
        };
        let mean = numbers(MEAN, &[])?[0];
        Ok(EmbeddingCosines {
            tokens,
            vectors,
            mean_absolute_off_diagonal: (!mean.is_nan()).then_some(mean),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_directions_have_the_cosine_of_their_dimension() {
        for (dim, expected) in
            [(1, 1.0), (2, std::f64::consts::FRAC_2_PI), (3, 0.5), (20, 0.180_68), (64, 0.100_12)]
        {
            let mean = random_mean_absolute_cosine(dim);
            assert!((mean - expected).abs() < 5e-5, "{dim}: {mean}");
        }
    }
}
