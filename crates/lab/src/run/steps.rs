//! The steps of a run: one at a time here, an epoch at a time on a GPU.

use std::time::Instant;

use retrodict_engine::lower::OnDevice;
use retrodict_models::SentenceScore;

use super::resume::Stored;
use super::{Run, means};
use crate::experiment::example;
use crate::store::StoreError;

/// A place on a GPU.
pub(crate) struct GpuPlace {
    pub(crate) seat: Box<dyn OnDevice<f32>>,
    /// The instruction set that the run's files name.
    pub(crate) isa: String,
    /// The GPU's name.
    pub(crate) name: String,
}

impl<T: Stored> Run<'_, T> {
    /// The steps that are made without a pause, of those that are left of the epoch: one here, on a
    /// device all up to the next checkpoint.
    pub(super) fn steps_at_once(&self, left: usize) -> usize {
        if !self.trainer.is_on_device() {
            return 1;
        }
        let step = self.step();
        (1..left).find(|&count| self.checkpoints_at(step + count as u64)).unwrap_or(left)
    }

    /// Some steps. Fails if a loss is not finite.
    pub(super) fn steps(&mut self, batches: &[&[usize]]) -> Option<String> {
        let (before, first) = (Instant::now(), self.step());
        let sentences = &self.training_set.sentences;
        let (sums, mut done, mut diverged) = (&mut self.sums, 0, None);
        let mut count = |scores: &[SentenceScore]| {
            done += 1;
            let of_batch = means(scores);
            sums.nll += of_batch.nll;
            sums.first_token_nll += of_batch.first_token_nll;
            let finite = scores.iter().all(|score| score.nll.is_finite());
            if !finite && diverged.is_none() {
                diverged = Some(first + done);
            }
        };
        match batches {
            [batch] if !self.trainer.is_on_device() => {
                count(self.trainer.step(batch.iter().map(|&i| example(&sentences[i]))));
            }
            batches => {
                let examples = |batch: &&[usize]| -> Vec<_> {
                    batch.iter().map(|&i| example(&sentences[i])).collect()
                };
                let batches: Vec<_> = batches.iter().map(examples).collect();
                self.trainer.steps(&batches, count);
            }
        }
        self.stepping.0 += before.elapsed().as_secs_f64();
        self.stepping.1 += done;
        self.batch += done;
        diverged.map(|step| {
            format!(
                "the loss is not finite at step {step} (epoch {}); a smaller lr may help",
                self.epoch + 1
            )
        })
    }
}

impl Run<'_, f32> {
    /// Trains on a GPU from now on.
    pub(super) fn move_to(&mut self, place: GpuPlace) -> Result<(), StoreError> {
        let moved = self.trainer.move_to(place.seat);
        moved.map_err(|error| StoreError::damaged(&self.folder.spec_path(), error))?;
        self.manifest.machine.gpu = Some(place.name);
        self.folder.write_manifest(&self.manifest)
    }
}
