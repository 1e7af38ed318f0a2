//! Effective weights during training.

use std::borrow::Cow;

use retrodict_dynamics::{Context, WeightMatrix, measure};
use retrodict_engine::Scalar;
use retrodict_facts::{Dataset, Entity, Group, Query, Role};
use retrodict_models::Trainer;

use crate::knowledge::Indexes;
use crate::store::{StoreError, Tensor, Tensors, Values};

/// The folder of the probe in a run's `probes`.
pub const EFFECTIVE_WEIGHTS: &str = "effective_weights";

/// The suffix of a group's name for the measurement with the relation token in the context.
const IN_CONTEXT: &str = ".in_context";

/// The token ids of the rows of a group's matrices.
pub const ROWS: &str = ".rows";
/// The token ids of their columns.
pub const COLUMNS: &str = ".columns";

/// The effective weights of every group, `[sources, candidates]`, in both contexts: tensors named
/// `<group>` (after the source entity alone, as in the paper) and `<group>.in_context` (with the
/// relation token). `<group>.rows` and `<group>.columns` hold the token ids of both axes. Empty
/// where entities have several tokens or the data set has no groups.
pub fn effective_weights<T: Scalar>(
    trainer: &mut Trainer<T>,
    dataset: &Dataset,
) -> Vec<Tensor<'static>> {
    let mut tensors = Vec::new();
    for group in &dataset.groups {
        let before = tensors.len();
        for (context, suffix) in [(Context::SingleToken, ""), (Context::WithRelation, IN_CONTEXT)] {
            let weights = measure(group, context, |contexts| trainer.logits_after(contexts));
            if let Some(weights) = weights {
                tensors.push(Tensor {
                    name: Cow::Owned(format!("{}{suffix}", group.id())),
                    shape: Cow::Owned(vec![weights.size(); 2]),
                    values: Values::F32(Cow::Owned(weights.values().to_vec())),
                });
            }
        }
        if tensors.len() > before {
            tensors.extend(token_ids(group));
        }
    }
    tensors
}

/// The token ids of the rows (source entities) and columns (candidate answers) of a group's
/// matrices.
fn token_ids(group: &Group) -> [Tensor<'static>; 2] {
    let tensor = |suffix: &str, of: fn(&Query) -> &Entity| Tensor {
        name: Cow::Owned(format!("{}{suffix}", group.id())),
        shape: Cow::Owned(vec![group.queries.len()]),
        values: Values::F64(Cow::Owned(
            group.queries.iter().map(|query| f64::from(of(query)[0])).collect(),
        )),
    };
    [tensor(ROWS, |query| &query.source), tensor(COLUMNS, |query| &query.answer)]
}

/// The effective weights of one epoch, read back.
#[derive(Debug, Clone)]
pub struct EffectiveWeights {
    /// By group, in the data set's order.
    pub groups: Vec<GroupWeights>,
}

/// The effective weights of one group.
#[derive(Debug, Clone)]
pub struct GroupWeights {
    /// The group's role in the data set.
    pub role: Role,
    /// With the source entity alone in the context, as in the paper.
    pub single_token: WeightMatrix,
    /// With the relation token after it.
    pub in_context: WeightMatrix,
}

impl EffectiveWeights {
    /// Reads a file that holds what [`effective_weights`] gave for this data set.
    ///
    /// # Errors
    /// [`StoreError`] if the file is damaged or belongs to another data set.
    pub fn read(tensors: &Tensors, dataset: &Dataset) -> Result<EffectiveWeights, StoreError> {
        // Files of earlier versions have no token ids.
        for ids in dataset.groups.iter().filter(|g| !g.queries.is_empty()).flat_map(token_ids) {
            let found = tensors.iter().find(|tensor| tensor.name == ids.name);
            if found.is_some_and(|found| *found != ids) {
                let what = format!("tensor `{}` has the token ids of another data set", ids.name);
                return Err(StoreError::damaged(tensors.path(), what));
            }
        }
        let matrix = |group: &Group, suffix: &str| {
            let size = group.queries.len();
            let tensor = tensors.get(&format!("{}{suffix}", group.id()), &[size, size])?;
            let values = tensor.values.as_f32().unwrap_or_default().to_vec();
            let types = group.queries.iter().map(|q| q.answer_type).collect();
            WeightMatrix::new(values, types)
                .map_err(|error| StoreError::damaged(tensors.path(), error))
        };
        let groups = dataset.groups.iter().filter(|group| !group.queries.is_empty());
        let groups = groups
            .map(|group| {
                Ok(GroupWeights {
                    role: group.role,
                    single_token: matrix(group, "")?,
                    in_context: matrix(group, IN_CONTEXT)?,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(EffectiveWeights { groups })
    }

    /// The weights of one group.
    pub fn group(&self, role: Role) -> Option<&GroupWeights> {
        self.groups.iter().find(|group| group.role == role)
    }

    /// Asymmetry and intransitivity: 1 is the whole curse, 0 none of it.
    pub fn indexes(&self) -> Indexes {
        Indexes::of(|role, context| {
            let group = self.group(role)?;
            match context {
                Context::SingleToken => group.single_token.margin(),
                Context::WithRelation => group.in_context.margin(),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{read_tensors, write_tensors};
    use retrodict_facts::{DataKind as _, ReversalConfig};

    #[test]
    fn probes_carry_their_token_ids_and_are_read_without_them() {
        let dataset = ReversalConfig::default().generate(0).unwrap();
        let mut tensors = Vec::new();
        for group in &dataset.groups {
            let size = group.queries.len();
            for suffix in ["", IN_CONTEXT] {
                tensors.push(Tensor {
                    name: Cow::Owned(format!("{}{suffix}", group.id())),
                    shape: Cow::Owned(vec![size; 2]),
                    values: Values::F32(Cow::Owned(vec![0.5; size * size])),
                });
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("probe.safetensors");
        let read = |tensors: &[Tensor<'_>]| {
            write_tensors(&path, tensors).unwrap();
            EffectiveWeights::read(&read_tensors(&path).unwrap(), &dataset)
        };
        assert_eq!(read(&tensors).unwrap().groups.len(), 4, "of an earlier version");
        tensors.extend(dataset.groups.iter().flat_map(token_ids));
        assert_eq!(read(&tensors).unwrap().groups.len(), 4);
        let last = tensors.last_mut().unwrap();
        last.values = Values::F64(Cow::Owned(vec![0.0; last.values.len()]));
        let error = read(&tensors).unwrap_err().to_string();
        assert!(error.contains("token ids of another data set"), "{error}");
    }
}
