//! How far the runs of chunks are, read from the store.

use crate::store::{RunDir, Status};
use crate::sweep::{SweepProgress, status_of};

/// The runs of all chunks. Those that need no more work are not read again.
#[derive(Debug)]
pub struct Tracker {
    chunks: Vec<Vec<(RunDir, Option<Status>)>>,
}

/// How far a chunk is: its ended runs, then the steps of the checkpoints of its other runs. It only
/// grows.
pub(super) type Effort = (usize, u64);

impl Tracker {
    /// The runs of each chunk.
    pub fn new(chunks: Vec<Vec<RunDir>>) -> Tracker {
        let of = |runs: Vec<RunDir>| runs.into_iter().map(|run| (run, None)).collect();
        Tracker { chunks: chunks.into_iter().map(of).collect() }
    }

    /// Reads the status of all runs that need more work.
    pub fn refresh(&mut self) {
        for (run, status) in self.chunks.iter_mut().flatten() {
            if !is_ended(*status) {
                *status = status_of(run);
            }
        }
    }

    /// The counts of all runs at the last [`Tracker::refresh`].
    pub fn progress(&self) -> SweepProgress {
        let mut progress = SweepProgress::default();
        self.chunks.iter().flatten().for_each(|(_, status)| progress.add(*status));
        progress
    }

    /// The numbers of the chunks that need more work.
    pub fn left(&self) -> Vec<usize> {
        let all = self.chunks.iter().enumerate();
        let left = all.filter(|(_, runs)| runs.iter().any(|(_, status)| !is_ended(*status)));
        left.map(|(at, _)| at + 1).collect()
    }

    /// How far a chunk is.
    pub(super) fn effort(&self, chunk: usize) -> Effort {
        let runs = self.chunks.get(chunk.wrapping_sub(1)).map_or(&[][..], Vec::as_slice);
        let ended = runs.iter().filter(|(_, status)| is_ended(*status)).count();
        let left = runs.iter().filter(|(_, status)| !is_ended(*status));
        // A folder that cannot be read is no progress.
        let steps = left.map(|(run, _)| run.checkpoint_steps().ok()?.last().copied());
        (ended, steps.flatten().fold(0, u64::saturating_add))
    }
}

/// Whether a run needs no more work.
fn is_ended(status: Option<Status>) -> bool {
    matches!(status, Some(Status::Complete | Status::Diverged))
}
