//! The orthogonality of a trained model's token embeddings.

use std::borrow::Cow;
use std::path::Path;

use retrodict_dynamics::{cosines, evenly_spread, mean_absolute_cosine};
use retrodict_engine::Scalar;
use retrodict_facts::{Dataset, Token};
use retrodict_models::{TOKEN_EMBEDDINGS, Trainer};

use crate::store::{StoreError, Tensor, Values, read_tensors};

/// The folder of the probe in a run's `probes`; it has only the last epoch.
pub const EMBEDDING_COSINES: &str = "embedding_cosines";

/// The number of entity tokens whose pairs are kept.
const MOST_KEPT: usize = 100;

const TOKENS: &str = "tokens";
const VALUES: &str = "cosines";
const MEAN: &str = "mean_absolute_off_diagonal";

/// Cosine similarities between the embeddings of entity tokens (paper, section 5).
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddingCosines {
    /// The tokens compared: at most 100, evenly spread over [`Dataset::entity_tokens`], which
    /// are sorted by type. They depend only on the data set and its seed.
    pub tokens: Vec<Token>,
    /// `[token, token]`, row-major.
    pub values: Vec<f32>,
    /// The mean of |cosine| over all pairs of entity tokens, not just those kept; `None` if there
    /// are fewer than two.
    pub mean_absolute_off_diagonal: Option<f64>,
}

/// The kept tokens of a data set.
fn kept(entity_tokens: &[Token]) -> Vec<Token> {
    let places = evenly_spread(entity_tokens.len(), MOST_KEPT);
    places.into_iter().map(|place| entity_tokens[place]).collect()
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
        let all = dataset.entity_tokens();
        let tokens = kept(&all);
        EmbeddingCosines {
            values: cosines(&vectors(&tokens)).into_iter().map(|x| x as f32).collect(),
            tokens,
            mean_absolute_off_diagonal: mean_absolute_cosine(&vectors(&all)),
        }
    }

    /// As tensors of a file: `cosines` `[n, n]`, `tokens` `[n]` and
    /// `mean_absolute_off_diagonal` `[]`, NaN where there is none.
    pub(crate) fn tensors(&self) -> [Tensor<'_>; 3] {
        let tensor = |name, shape, values| Tensor { name: Cow::Borrowed(name), shape, values };
        let n = self.tokens.len();
        let numbers = |of: Vec<f64>| Values::F64(Cow::Owned(of));
        [
            tensor(VALUES, Cow::Owned(vec![n, n]), Values::F32(Cow::Borrowed(&self.values))),
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
    pub fn read(path: &Path, dataset: &Dataset) -> Result<EmbeddingCosines, StoreError> {
        let file = read_tensors(path)?;
        let damaged = |what: &str| StoreError::Damaged { path: path.into(), what: what.to_owned() };
        let numbers = |name: &str, shape: &[usize]| {
            let values = file.get(name, shape)?.values.as_f64().map(<[f64]>::to_vec);
            values.ok_or_else(|| damaged(&format!("tensor `{name}` is not of double precision")))
        };
        let tokens = kept(&dataset.entity_tokens());
        let n = tokens.len();
        if numbers(TOKENS, &[n])? != tokens.iter().map(|&t| f64::from(t)).collect::<Vec<_>>() {
            return Err(damaged("it is of another data set"));
        }
        let values = file.get(VALUES, &[n, n])?.values.as_f32().map(<[f32]>::to_vec);
        let mean = numbers(MEAN, &[])?[0];
        Ok(EmbeddingCosines {
            tokens,
            values: values.ok_or_else(|| damaged("its cosines are not of single precision"))?,
            mean_absolute_off_diagonal: (!mean.is_nan()).then_some(mean),
        })
    }
}
