//! Checkpoints of a run, and how a run resumes from them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use retrodict_engine::{Parameter, Parameters, Scalar};

use super::Run;
use crate::experiment::Steps;
use crate::measures::TrainScores;
use crate::probe::EFFECTIVE_WEIGHTS;
use crate::store::{Checkpoint, Kept, Manifest, Part, Stamp, State, StoreError, Tensor, Values};

const MOMENTS: [&str; 2] = ["first_moment", "second_moment"];

/// A scalar that checkpoints can store.
pub(crate) trait Stored: Scalar {
    fn values(numbers: &[Self]) -> Values<'_>;
    fn from_values<'v>(values: &'v Values<'_>) -> Option<&'v [Self]>;
}

impl Stored for f32 {
    fn values(numbers: &[f32]) -> Values<'_> {
        Values::F32(Cow::Borrowed(numbers))
    }
    fn from_values<'v>(values: &'v Values<'_>) -> Option<&'v [f32]> {
        values.as_f32()
    }
}

impl Stored for f64 {
    fn values(numbers: &[f64]) -> Values<'_> {
        Values::F64(Cow::Borrowed(numbers))
    }
    fn from_values<'v>(values: &'v Values<'_>) -> Option<&'v [f64]> {
        values.as_f64()
    }
}

impl<T: Stored> Run<'_, T> {
    /// Whether the checkpoint after `step` is kept.
    pub(super) fn keeps_checkpoint(&self, step: u64) -> bool {
        self.folder.kept() == Kept::All && self.asks_for_checkpoint(step)
    }

    /// Whether a checkpoint is written after `step`: also one that is not kept, in a run that takes
    /// long, so that a killed one resumes.
    pub(super) fn checkpoints_at(&self, step: u64) -> bool {
        let writes = self.folder.kept() == Kept::All || !self.folder.is_in_memory();
        writes && self.asks_for_checkpoint(step)
    }

    /// Whether the spec asks for a checkpoint after `step`.
    fn asks_for_checkpoint(&self, step: u64) -> bool {
        let spec = &self.experiment.spec.checkpoint;
        let Steps { per_epoch, total, .. } = self.experiment.steps(&self.training_set);
        let every = spec.every.is_some_and(|n| step > 0 && step.is_multiple_of(n * per_epoch));
        let last = step == total;
        spec.at.contains(&step) || (every && !last) || (spec.last && last)
    }

    /// Writes the state of training. The metrics come first: a run that resumes from the checkpoint
    /// needs every row before it.
    pub(super) fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.trainer.fetch();
        self.folder.write_metrics(&self.rows)?;
        let stamp = self.folder.stamp();
        let state = State {
            step: self.step(),
            epoch: self.epoch,
            batch: self.batch,
            sums: BTreeMap::from([
                ("train_nll".to_owned(), self.sums.nll),
                ("train_first_token_nll".to_owned(), self.sums.first_token_nll),
            ]),
            seconds: self.seconds(),
            precision: stamp.precision.clone(),
            seed: self.seed,
            spec_hash: stamp.spec_hash.clone(),
            version: stamp.version.clone(),
            commit: stamp.commit.clone(),
            isa: Some(stamp.isa.clone()),
            interrupted: !self.keeps_checkpoint(self.step()),
        };
        let model: Vec<Tensor<'_>> =
            self.trainer.parameters().iter().map(|(p, v)| tensor(p, "", v)).collect();
        let moments = self.trainer.optimizer().moments().iter().zip(MOMENTS);
        let optimizer: Vec<Tensor<'_>> = moments
            .flat_map(|(moment, name)| {
                moment.iter().map(move |(p, v)| tensor(p, &format!("{name}."), v))
            })
            .collect();
        let (network, precision) = (&self.experiment.network, self.experiment.spec.precision);
        self.folder.write_checkpoint(network, precision, &model, &optimizer, &state)?;
        Ok(())
    }

    pub(super) fn resume(&mut self, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let state = &checkpoint.state;
        let parameters: Vec<Parameter> =
            self.trainer.parameters().iter().map(|(p, _)| p.clone()).collect();
        let own: &mut Parameters<T> = self.trainer.parameters_mut();
        for (i, p) in parameters.iter().enumerate() {
            let saved = checkpoint.model.get(&p.name, &p.shape())?;
            own.values_mut(i).copy_from_slice(numbers(saved, checkpoint)?);
        }
        let optimizer = self.trainer.optimizer_mut();
        for (moment, name) in MOMENTS.iter().enumerate().take(optimizer.moments().len()) {
            for (i, p) in parameters.iter().enumerate().filter(|(_, p)| p.trainable) {
                let name = format!("{name}.{}", p.name);
                let saved = checkpoint.optimizer.get(&name, &p.shape())?;
                optimizer.moment_mut(moment, i).copy_from_slice(numbers(saved, checkpoint)?);
            }
        }
        optimizer.set_steps(state.step);
        (self.epoch, self.batch) = (state.epoch, state.batch);
        let sum = |name: &str| state.sums.get(name).copied().unwrap_or_default();
        self.sums =
            TrainScores { nll: sum("train_nll"), first_token_nll: sum("train_first_token_nll") };
        self.seconds_before = state.seconds;
        // The probes of before stay: each must be whole, and of this run.
        for (epoch, _) in self.folder.probes(EFFECTIVE_WEIGHTS)? {
            if epoch <= self.epoch {
                self.folder.read_probe(EFFECTIVE_WEIGHTS, epoch)?;
            }
        }
        if self.epoch > 0 {
            self.rows = self.folder.read_metrics(self.experiment.spec.train.epochs)?;
            self.rows.retain(|row| row.epoch <= self.epoch);
            if self.rows.len() as u64 != self.epoch {
                return Err(StoreError::Damaged {
                    path: self.folder.metrics_path(),
                    what: format!("it lacks epochs before the checkpoint of epoch {}", self.epoch),
                });
            }
        }
        Ok(())
    }
}

/// The parts of a run that resumes from `state` as the program of `here`: none if one program makes
/// it all.
pub(super) fn parts(kept: Option<Manifest>, state: &State, here: &Stamp) -> Vec<Part> {
    let part = |from_step, stamp: Stamp| Part {
        from_step,
        version: stamp.version,
        commit: stamp.commit,
        isa: stamp.isa,
    };
    let mut parts = kept.map_or_else(Vec::new, |manifest| manifest.parts);
    parts.retain(|part| part.from_step < state.step);
    if !state.stamp().same_program(here) {
        if parts.is_empty() {
            parts.push(part(0, state.stamp()));
        }
        parts.push(part(state.step, here.clone()));
    }
    parts
}

fn tensor<'t, T: Stored>(p: &Parameter, prefix: &str, values: &'t [T]) -> Tensor<'t> {
    Tensor {
        name: Cow::Owned(format!("{prefix}{}", p.name)),
        shape: Cow::Owned(p.shape()),
        values: T::values(values),
    }
}

pub(crate) fn numbers<'v, T: Stored>(
    tensor: &'v Tensor<'_>,
    checkpoint: &Checkpoint,
) -> Result<&'v [T], StoreError> {
    T::from_values(&tensor.values).ok_or_else(|| StoreError::Damaged {
        path: checkpoint.folder.clone(),
        what: format!("tensor `{}` is of another precision", tensor.name),
    })
}
