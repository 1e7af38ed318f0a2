//! Distributes many runs over the cores: one thread per run where steps are small, all threads in
//! one run where a step is large. Results do not depend on it.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use crate::experiment::Experiment;
use crate::progress::Progress;
use crate::run::{Outcome, RunOptions, run};
use crate::store::{Status, Store};

/// With at least this many multiplications and additions in a step, runs are sequential and the
/// threads share each step; below it, each thread has its own run. (A step of this size takes about
/// ten milliseconds on one core, and a barrier a microsecond.)
const SHARED_STEP: u64 = 1_000_000_000;

/// One run to make.
#[derive(Debug)]
pub struct Job<'a> {
    /// The experiment.
    pub experiment: &'a Experiment,
    /// The run's seed.
    pub seed: u64,
    /// The run's progress.
    pub progress: Progress,
}

impl<'a> Job<'a> {
    /// A job for each seed of `experiment`.
    pub fn of(experiment: &'a Experiment) -> impl Iterator<Item = Job<'a>> {
        let seeds = experiment.spec.seeds.iter();
        seeds.map(move |&seed| Job { experiment, seed, progress: Progress::default() })
    }
}

/// The threads to use, and the runs to make at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resources {
    /// Cores to use in total; all if not given.
    pub threads: Option<NonZeroUsize>,
    /// Runs at a time; chosen if not given.
    pub jobs: Option<NonZeroUsize>,
    /// Whether runs may resume what another program or instruction set began.
    pub mixed: bool,
}

impl Resources {
    fn threads(self) -> usize {
        self.threads.map_or_else(
            || thread::available_parallelism().map_or(1, NonZeroUsize::get),
            NonZeroUsize::get,
        )
    }

    /// Runs at a time, and threads in each, for `runs` runs with steps of this size.
    pub fn divide(self, step_flops: u64, runs: usize) -> (usize, usize) {
        let threads = self.threads();
        let chosen = if step_flops >= SHARED_STEP { 1 } else { threads };
        let jobs = self.jobs.map_or(chosen, NonZeroUsize::get).clamp(1, runs.max(1));
        // Spare threads help; thread-count tuning finds out whether that pays in a small run.
        (jobs, (threads / jobs).max(1))
    }
}

/// Makes all runs. Returns how each ended, in the order of the jobs. A failed run does not stop the
/// others. Once `stop` is set, running ones stop cleanly and no other begins.
pub fn run_all(
    jobs: &[Job<'_>],
    store: &Store,
    resources: Resources,
    stop: &AtomicBool,
) -> Vec<Outcome> {
    let largest = jobs.iter().map(|job| job.experiment.step_flops()).max().unwrap_or(0);
    let (at_once, threads) = resources.divide(largest, jobs.len());
    let next = AtomicUsize::new(0);
    let outcomes: Vec<Mutex<Option<Outcome>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
    let options = RunOptions { threads, mixed: resources.mixed };
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(at) else { return };
            let outcome = one(job, store, options, stop);
            job.progress.finish();
            if let Ok(mut slot) = outcomes[at].lock() {
                *slot = Some(outcome);
            }
        }
    };
    thread::scope(|scope| {
        // The calling thread makes runs too: without any other thread all are made.
        for started in 1..at_once {
            let builder = thread::Builder::new().name(format!("run-{started}"));
            if let Err(error) = builder.spawn_scoped(scope, work) {
                if let Some(job) = jobs.first() {
                    job.progress.warn(format!(
                        "only {started} of {at_once} runs at a time: a thread cannot be started \
                         ({error})"
                    ));
                }
                break;
            }
        }
        work();
    });
    let outcomes = outcomes.into_iter().map(|slot| slot.into_inner().ok().flatten());
    outcomes.map(|outcome| outcome.unwrap_or_else(|| failed("the run gave nothing"))).collect()
}

fn one(job: &Job<'_>, store: &Store, options: RunOptions, stop: &AtomicBool) -> Outcome {
    let (experiment, seed) = (job.experiment, job.seed);
    let attempt = AssertUnwindSafe(|| run(experiment, store, seed, options, stop, &job.progress));
    // A panic in one run must not end the others; its message is already on standard error.
    match catch_unwind(attempt) {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => failed(&error.to_string()),
        Err(panic) => failed(&format!("the run panicked: {}", text_of(&*panic))),
    }
}

/// The message of a panic.
fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

fn failed(message: &str) -> Outcome {
    let message = Some(message.to_owned());
    Outcome { status: Status::Failed, message, from_store: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_divided_by_the_size_of_a_step() {
        let two = Resources { threads: NonZeroUsize::new(2), ..Resources::default() };
        assert_eq!(two.divide(1_000_000, 10), (2, 1));
        assert_eq!(two.divide(1_000_000, 1), (1, 2));
        assert_eq!(two.divide(SHARED_STEP - 1, 10), (2, 1));
        assert_eq!(two.divide(SHARED_STEP, 10), (1, 2));
        let one_at_a_time = Resources { jobs: NonZeroUsize::new(1), ..two };
        assert_eq!(one_at_a_time.divide(1_000_000, 10), (1, 2));
        let (threads, jobs) = (NonZeroUsize::new(8), NonZeroUsize::new(3));
        let eight = Resources { threads, jobs, mixed: false };
        assert_eq!(eight.divide(SHARED_STEP, 10), (3, 2));
    }
}
