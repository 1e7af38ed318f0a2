//! Follows the jobs of a sweep, and submits chunks again whose jobs are gone.

use std::collections::BTreeMap;

use super::super::tracker::Effort;
use super::super::{Launched, Tracker};
use super::{TaskState, Tasks};
use crate::store::{Store, StoreError};
use crate::sweep::SweepProgress;

/// Submissions of a chunk in a row that bring it no further, after which it is given up.
const MOST_IN_VAIN: u32 = 3;

/// A sweep that is followed.
#[derive(Debug)]
pub struct Follower<'a> {
    launched: &'a Launched,
    tracker: Tracker,
    fates: BTreeMap<usize, Fate>,
}

/// The history of a chunk, from earlier polls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Fate {
    /// Looks in a row that found no job of it.
    missed: u32,
    /// Its work at its last submission.
    effort: Effort,
    /// Submissions in a row that brought it no further.
    in_vain: u32,
    given_up: bool,
}

/// The state of a sweep at one look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Poll {
    /// The runs.
    pub runs: SweepProgress,
    /// Tasks that run.
    pub running: usize,
    /// Tasks that wait.
    pub waiting: usize,
    /// Why tasks wait, in Slurm's words.
    pub reasons: Vec<String>,
    /// Chunks that were submitted again, each with the end of its last job.
    pub again: Vec<(usize, String)>,
    /// Chunks that are given up, since their jobs bring them no further.
    pub given_up: Vec<usize>,
    /// Chunks whose jobs a person cancelled.
    pub cancelled: Vec<usize>,
    /// Whether nothing more will happen.
    pub over: bool,
    /// Something that did not work; the next look may succeed.
    pub warning: Option<String>,
}

/// The step to take for a chunk that needs more work.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// It has a job, or may have one.
    Wait,
    /// Submit it again; the word says how its last job ended.
    Submit(String),
    GiveUp,
    Cancelled,
}

impl Fate {
    fn step(&mut self, task: Option<&TaskState>, effort: impl FnOnce() -> Effort) -> Step {
        let word = match task {
            Some(state) if state.lives() => {
                self.missed = 0;
                return Step::Wait;
            }
            Some(TaskState::Cancelled) => return Step::Cancelled,
            Some(TaskState::Ended(word)) => word.as_str(),
            _ => "gone",
        };
        if self.given_up {
            return Step::GiveUp;
        }
        self.missed += 1;
        // The job may have ended with its work done, and the file server be slow to show it.
        if self.missed < 2 {
            return Step::Wait;
        }
        let effort = effort();
        self.in_vain = if effort > self.effort { 0 } else { self.in_vain + 1 };
        self.effort = effort;
        if self.in_vain >= MOST_IN_VAIN {
            self.given_up = true;
            return Step::GiveUp;
        }
        Step::Submit(word.to_owned())
    }
}

impl<'a> Follower<'a> {
    /// Begins to follow.
    ///
    /// # Errors
    /// [`StoreError`] if a chunk cannot be read.
    pub fn new(launched: &'a Launched, store: &Store) -> Result<Follower<'a>, StoreError> {
        let chunks = launched.chunks()?;
        let runs = chunks.iter().map(|chunk| chunk.runs(store)).collect::<Result<_, _>>()?;
        let tracker = Tracker::new(runs);
        Ok(Follower { launched, tracker, fates: BTreeMap::new() })
    }

    /// Looks once at the queue and the store, and submits what is lost. What does not work is a
    /// warning, and is tried again at the next look.
    pub fn poll(&mut self) -> Poll {
        // The queue first: a job that has ended by now has written its results.
        let queue = self.launched.tasks();
        self.tracker.refresh();
        let mut poll = Poll { runs: self.tracker.progress(), ..Poll::default() };
        let left = self.tracker.left();
        let mut tasks = match queue {
            Ok(tasks) => tasks,
            Err(_) if left.is_empty() => Tasks::default(),
            Err(error) => {
                poll.warning = Some(error.to_string());
                return poll;
            }
        };
        for (_, _, state) in tasks.iter() {
            match state {
                TaskState::Active => poll.running += 1,
                TaskState::Waiting(reason) => {
                    poll.waiting += 1;
                    if !poll.reasons.contains(reason) {
                        poll.reasons.push(reason.clone());
                    }
                }
                TaskState::Cancelled | TaskState::Ended(_) => {}
            }
        }
        if left.is_empty() {
            return Poll { over: true, ..poll };
        }
        if self.launched.is_cancelled() {
            poll.over = poll.running + poll.waiting == 0;
            poll.cancelled = left;
            return poll;
        }
        self.launched.hurry(&tasks);
        if left.iter().any(|&chunk| tasks.get(chunk).is_none()) {
            tasks.add(self.launched.ended());
        }
        let room = self.launched.launch.max_jobs.unwrap_or(usize::MAX);
        let mut room = room.saturating_sub(poll.running + poll.waiting);
        let before = self.fates.clone();
        let mut waits = false;
        for &chunk in &left {
            let fate = self.fates.entry(chunk).or_default();
            if room == 0 && !tasks.get(chunk).is_some_and(TaskState::lives) {
                waits = true;
                continue;
            }
            match fate.step(tasks.get(chunk), || self.tracker.effort(chunk)) {
                Step::Wait => waits = true,
                Step::GiveUp => poll.given_up.push(chunk),
                Step::Cancelled => poll.cancelled.push(chunk),
                Step::Submit(word) => {
                    poll.again.push((chunk, word));
                    room -= 1;
                }
            }
        }
        poll.over = !waits && poll.again.is_empty();
        if !poll.again.is_empty() {
            let chunks: Vec<usize> = poll.again.iter().map(|(chunk, _)| *chunk).collect();
            match self.launched.submit(&chunks, None) {
                Ok(_) => poll.waiting += chunks.len(),
                Err(error) => {
                    poll.warning = Some(error.to_string());
                    poll.again.clear();
                    self.fates = before;
                }
            }
        }
        poll
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(word: &str) -> Option<TaskState> {
        Some(TaskState::Ended(word.to_owned()))
    }

    /// The steps for a chunk whose jobs end in these ways, each seen twice, with this work done.
    fn steps(fates: &[(Option<TaskState>, Effort)]) -> Vec<Step> {
        let mut fate = Fate::default();
        let mut step = |(task, effort): &(Option<TaskState>, Effort)| {
            let first = fate.step(task.as_ref(), || *effort);
            let second = fate.step(task.as_ref(), || *effort);
            fate.step(Some(&TaskState::Active), || panic!("it lives"));
            if first == Step::Wait { second } else { first }
        };
        fates.iter().map(&mut step).collect()
    }

    #[test]
    fn a_chunk_that_gets_further_is_submitted_without_end() {
        let fates: Vec<_> = (1..20).map(|steps| (ended("TIMEOUT"), (0, steps))).collect();
        let again = Step::Submit("TIMEOUT".to_owned());
        assert_eq!(steps(&fates), vec![again; 19]);
        // A run that ends counts, though the steps of the others are fewer.
        let fates: Vec<_> = (1..20).map(|runs| (None, (runs, 100 - runs as u64))).collect();
        assert_eq!(steps(&fates), vec![Step::Submit("gone".to_owned()); 19]);
    }

    #[test]
    fn a_chunk_that_gets_no_further_is_given_up() {
        let failed = || ended("FAILED");
        let again = Step::Submit("FAILED".to_owned());
        let fates: Vec<_> = (0..4).map(|_| (failed(), (0, 0))).collect();
        let expected = [again.clone(), again.clone(), Step::GiveUp, Step::GiveUp];
        assert_eq!(steps(&fates), expected);
        // Progress between failures begins the count again.
        let efforts = [(0, 0), (0, 0), (0, 9), (0, 9), (0, 9), (0, 9)];
        let fates: Vec<_> = efforts.map(|effort| (failed(), effort)).to_vec();
        let mut expected = vec![again; 5];
        expected.push(Step::GiveUp);
        assert_eq!(steps(&fates), expected);
    }

    #[test]
    fn what_lives_or_was_cancelled_is_left_alone() {
        let mut fate = Fate::default();
        for state in [TaskState::Active, TaskState::Waiting("Priority".to_owned())] {
            for _ in 0..5 {
                assert_eq!(fate.step(Some(&state), || panic!("it lives")), Step::Wait);
            }
        }
        let mut step = |state| fate.step(Some(&state), || panic!("it is not read"));
        assert_eq!(step(TaskState::Cancelled), Step::Cancelled);
        // A single look without a job is not believed.
        assert_eq!(step(TaskState::Ended("COMPLETED".to_owned())), Step::Wait);
        assert_eq!(step(TaskState::Active), Step::Wait);
        assert_eq!(step(TaskState::Ended("COMPLETED".to_owned())), Step::Wait);
    }
}
