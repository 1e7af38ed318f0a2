//! The disk space that a run will take.

use retrodict_facts::FactsError;

use crate::experiment::Experiment;
use crate::measures::EPOCH_MEASURES;
use crate::store::Kept;

/// Bytes of the files of every run: spec, manifest, answers, and the part of the metrics that does
/// not grow with the epochs.
const FIXED: u64 = 16_000;
/// The same of a packed run.
const PACKED: u64 = 4_000;
/// Bytes of a probe's file besides its matrices, and of a checkpoint besides its weights.
const PER_FILE: u64 = 2_000;

impl Experiment {
    /// Approximate bytes of the finished run with this seed: metrics, probes and checkpoints, as
    /// far as they are kept.
    ///
    /// # Errors
    /// As [`DataKind::generate`](retrodict_facts::DataKind::generate).
    pub fn disk_bytes(&self, seed: u64, kept: Kept) -> Result<u64, FactsError> {
        let (spec, dataset) = (&self.spec, self.dataset(seed)?);
        let epochs = spec.train.epochs;
        let metrics = epochs * 8 * (EPOCH_MEASURES as u64 + 2);
        if kept == Kept::Metrics {
            // Many measures are missing in most epochs, and the rest is packed.
            return Ok(PACKED + metrics / 3);
        }
        let times = |every: Option<u64>| every.map_or(0, |every| epochs / every);
        // The initial weights, every few epochs, and the last.
        let probes = match spec.probe.effective_weights {
            true => 1 + times(spec.probe.every) + u64::from(!self.last_is_one_of(spec.probe.every)),
            false => 0,
        };
        // Two matrices of f32 for each group of questions.
        let squares = dataset.groups.iter().map(|group| (group.queries.len() as u64).pow(2));
        let probe = PER_FILE + 8 * squares.sum::<u64>();
        if kept == Kept::Probes {
            return Ok(PACKED + metrics / 3 + probes * probe);
        }
        let checkpoints = times(spec.checkpoint.every)
            + spec.checkpoint.at.len() as u64
            + u64::from(spec.checkpoint.last && !self.last_is_one_of(spec.checkpoint.every));
        let checkpoint = PER_FILE + self.memory(1)?.checkpoint;
        Ok(FIXED + metrics + probes * probe + checkpoints * checkpoint)
    }

    fn last_is_one_of(&self, every: Option<u64>) -> bool {
        every.is_some_and(|every| self.spec.train.epochs.is_multiple_of(every))
    }
}
