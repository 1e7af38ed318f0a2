//! The states of array tasks in what `squeue` and `sacct` print. Both are asked for columns parted
//! by `|`, which all versions have. Lines of another form are left out.

use std::collections::BTreeMap;

use super::tool::shown;

/// The columns of `squeue`: array job, array index, state, reason.
pub(super) const SQUEUE: [&str; 4] =
    ["--noheader", "--array", "--states=all", "--format=%F|%K|%T|%r"];
/// The columns of `sacct`.
pub(super) const SACCT: [&str; 5] = [
    "--noheader",
    "--parsable2",
    "--allocations",
    "--format=JobID,State",
    // The longest that a chunk may wait and run.
    "--starttime=now-90days",
];

/// The state of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// It waits; the reason is Slurm's word.
    Waiting(String),
    /// It runs, or is about to begin or end. Also a state that this program does not know: a task
    /// that may live is not submitted twice.
    Active,
    /// It was cancelled by a person.
    Cancelled,
    /// It has ended; the word is Slurm's.
    Ended(String),
}

impl TaskState {
    fn of(word: &str, reason: &str) -> TaskState {
        // `CANCELLED by 1000`.
        match word.split_whitespace().next().unwrap_or_default() {
            "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT"
            | "RESV_DEL_HOLD" => TaskState::Waiting(shown(reason)),
            "CANCELLED" => TaskState::Cancelled,
            word @ ("COMPLETED" | "FAILED" | "TIMEOUT" | "NODE_FAIL" | "PREEMPTED"
            | "BOOT_FAIL" | "DEADLINE" | "OUT_OF_MEMORY" | "LAUNCH_FAILED"
            | "RECONFIG_FAIL" | "REVOKED") => TaskState::Ended(word.to_owned()),
            _ => TaskState::Active,
        }
    }

    /// Whether it may still do work.
    pub fn lives(&self) -> bool {
        matches!(self, TaskState::Waiting(_) | TaskState::Active)
    }
}

/// The newest state of each chunk, with its array job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tasks(BTreeMap<usize, (u64, TaskState)>);

impl Tasks {
    /// The tasks that `squeue` lists.
    pub fn of_squeue(text: &str) -> Tasks {
        let task = |line: &str| {
            let mut fields = line.trim().splitn(4, '|');
            let (job, chunk) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            let (word, reason) = (fields.next()?, fields.next()?);
            Some((job, chunk, TaskState::of(word, reason)))
        };
        Tasks::of(text.lines().filter_map(task))
    }

    /// The tasks that `sacct` lists.
    pub fn of_sacct(text: &str) -> Tasks {
        let task = |line: &str| {
            let (id, word) = line.trim().split_once('|')?;
            let (job, chunk) = id.split_once('_')?;
            Some((job.parse().ok()?, chunk.parse().ok()?, TaskState::of(word, "")))
        };
        Tasks::of(text.lines().filter_map(task))
    }

    /// Of several tasks of a chunk a living one counts, else the newest.
    fn of(tasks: impl Iterator<Item = (u64, usize, TaskState)>) -> Tasks {
        let mut newest: BTreeMap<usize, (u64, TaskState)> = BTreeMap::new();
        for (job, chunk, state) in tasks {
            match newest.get(&chunk) {
                Some((other, known)) if (known.lives(), *other) > (state.lives(), job) => {}
                _ => {
                    newest.insert(chunk, (job, state));
                }
            }
        }
        Tasks(newest)
    }

    /// The state of a chunk, if it has a task.
    pub fn get(&self, chunk: usize) -> Option<&TaskState> {
        self.0.get(&chunk).map(|(_, state)| state)
    }

    /// The chunks that have a task, each with its array job and state.
    pub fn iter(&self) -> impl Iterator<Item = (usize, u64, &TaskState)> {
        self.0.iter().map(|(chunk, (job, state))| (*chunk, *job, state))
    }

    /// Adds tasks of chunks that have none here.
    pub(super) fn add(&mut self, other: Tasks) {
        for (chunk, task) in other.0 {
            self.0.entry(chunk).or_insert(task);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(tasks: &Tasks) -> Vec<(usize, u64, TaskState)> {
        tasks.iter().map(|(chunk, job, state)| (chunk, job, state.clone())).collect()
    }

    #[test]
    fn squeue_of_a_requeued_and_resubmitted_array() {
        let tasks = Tasks::of_squeue(
            "12|3|PENDING|BeginTime\n12|7|COMPLETED|None\n12|9|RUNNING|None\n\
             12|10|NODE_FAIL|NonZeroExitCode\n15|10|PENDING|(Resources)\n9|7|FAILED|None\n\
             16|11|CANCELLED|None\n16|12|SOMETHING_NEW|None\n",
        );
        let waiting = |reason: &str| TaskState::Waiting(reason.to_owned());
        assert_eq!(
            states(&tasks),
            [
                (3, 12, waiting("BeginTime")),
                (7, 12, TaskState::Ended("COMPLETED".to_owned())),
                (9, 12, TaskState::Active),
                (10, 15, waiting("(Resources)")),
                (11, 16, TaskState::Cancelled),
                (12, 16, TaskState::Active),
            ]
        );
        // An older task that still lives counts, not the newer one that has ended.
        let tasks = Tasks::of_squeue("12|3|RUNNING|None\n15|3|FAILED|None\n");
        assert_eq!(tasks.get(3), Some(&TaskState::Active));
    }

    #[test]
    fn sacct_has_ended_tasks_and_ranges_of_waiting_ones() {
        let mut tasks = Tasks::of_sacct(
            "12_3|TIMEOUT\n12_4|CANCELLED by 1000\n12_[5-9%2]|PENDING\n13|COMPLETED\n12_3.batch|X\n",
        );
        assert_eq!(
            states(&tasks),
            [(3, 12, TaskState::Ended("TIMEOUT".to_owned())), (4, 12, TaskState::Cancelled)]
        );
        tasks.add(Tasks::of_sacct("14_3|FAILED\n14_6|FAILED\n"));
        assert_eq!(tasks.get(3), Some(&TaskState::Ended("TIMEOUT".to_owned())));
        assert_eq!(tasks.get(6), Some(&TaskState::Ended("FAILED".to_owned())));
    }

    #[test]
    fn hostile_text_is_left_out() {
        let mut text = String::from(
            "\n||||\n|\n1|2\n1|2|RUNNING\n-1|2|RUNNING|x\n1|-2|RUNNING|x\n1|N/A|RUNNING|x\n\
             99999999999999999999|1|RUNNING|x\n1|99999999999999999999|RUNNING|x\n\
             1_1\n_|RUNNING\n1_|RUNNING\n_1|RUNNING\n\u{0}\u{fffd}|1|RUNNING|x\n\
             squeue: error: slurm_load_jobs error\n{\"jobs\": []}\n",
        );
        assert_eq!(states(&Tasks::of_squeue(&text)), []);
        assert_eq!(states(&Tasks::of_sacct(&text)), []);
        // A reason that would write to the terminal, or fill it.
        text.push_str(&format!("1|5|PENDING|\u{1b}[2J|{}\r\n", "x".repeat(10_000)));
        let tasks = Tasks::of_squeue(&text);
        let Some(TaskState::Waiting(reason)) = tasks.get(5) else { panic!("{tasks:?}") };
        assert!(reason.len() <= 500 && !reason.contains('\u{1b}'), "{reason}");
    }
}
