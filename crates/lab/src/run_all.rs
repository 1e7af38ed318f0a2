//! Distributes many runs over the cores: one thread per run where steps are small, all threads in
//! one run where a step is large. Results do not depend on it.

use std::any::Any;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::experiment::Experiment;
use crate::gpu::GpuUse;
use crate::progress::Progress;
use crate::run::{GpuPlace, Outcome, RunOptions, run_unsynced};
use crate::store::{Kept, RunWriter, Status, Store};

/// With at least this many multiplications and additions in a step, runs are sequential and the
/// threads share each step; below it, each thread has its own run. (A step of this size takes about
/// ten milliseconds on one core, and a barrier a microsecond.)
pub(crate) const SHARED_STEP: u64 = 1_000_000_000;

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
    /// Bytes of memory to use at most; what is free if not given.
    pub memory: Option<u64>,
    /// The files of each run to keep.
    pub keep: Kept,
    /// A GPU for some or all runs.
    pub gpu: Option<GpuUse>,
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

/// Makes all runs: large ones one after the other, then small ones side by side, each with the
/// longest first. Returns how each ended, in the order of the jobs. A failed run does not stop the
/// others. Once `stop` is set, running ones stop cleanly and no other begins.
pub fn run_all(
    jobs: &[Job<'_>],
    store: &Store,
    resources: Resources,
    stop: &AtomicBool,
) -> Vec<Outcome> {
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_cached_key(|&at| std::cmp::Reverse(jobs[at].experiment.work()));
    let ended = Ended::new(jobs, store);
    let order = match resources.gpu {
        Some(gpu) => on_gpu(gpu, order, &ended, resources, stop),
        None => order,
    };
    let (large, small): (Vec<usize>, Vec<usize>) =
        order.into_iter().partition(|&at| jobs[at].experiment.step_flops() >= SHARED_STEP);
    for class in [large, small] {
        let Some(&first) = class.first() else { continue };
        let (at_once, threads) = resources.divide(jobs[first].experiment.step_flops(), class.len());
        let options = RunOptions { threads, mixed: resources.mixed, keep: resources.keep };
        side_by_side(at_once, &class, &ended, options, stop);
    }
    ended.into_outcomes()
}

/// Makes the runs that the GPU takes, the seeds of an experiment side by side. Returns the others.
fn on_gpu(
    gpu: GpuUse,
    order: Vec<usize>,
    ended: &Ended<'_, '_>,
    resources: Resources,
    stop: &AtomicBool,
) -> Vec<usize> {
    let mut others = Vec::new();
    // Longest first, so that the jobs of an experiment need not follow each other.
    let mut groups: Vec<(&Experiment, Vec<usize>)> = Vec::new();
    for at in order {
        let experiment = ended.jobs[at].experiment;
        match groups.iter_mut().find(|(of, _)| std::ptr::eq(*of, experiment)) {
            Some((_, jobs)) => jobs.push(at),
            None => groups.push((experiment, vec![at])),
        }
    }
    for (experiment, mut jobs) in groups {
        if !gpu.takes(experiment).unwrap_or(true) {
            others.append(&mut jobs);
            continue;
        }
        jobs.sort_unstable();
        let fit = gpu.at_once(experiment).unwrap_or(1);
        let most = resources.jobs.map_or(fit, |jobs| fit.min(jobs.get()));
        for some in jobs.chunks(most) {
            let threads = (resources.threads() / some.len()).max(1);
            let options = RunOptions { threads, mixed: resources.mixed, keep: resources.keep };
            seats_side_by_side(gpu, some, ended, options, stop);
        }
    }
    others
}

/// Makes runs on the GPU, all at the same time.
fn seats_side_by_side(
    gpu: GpuUse,
    some: &[usize],
    ended: &Ended<'_, '_>,
    options: RunOptions,
    stop: &AtomicBool,
) {
    let interrupted = |message: Option<String>| Outcome {
        status: Status::Interrupted,
        message,
        from_store: false,
    };
    let seats = if stop.load(Ordering::Relaxed) { Ok(Vec::new()) } else { gpu.seats(some.len()) };
    let seats = match seats {
        Ok(seats) if seats.len() == some.len() => seats,
        Ok(_) => return some.iter().for_each(|&at| ended.set(at, interrupted(None))),
        Err(error) => {
            let why = Some(error.to_string());
            return some.iter().for_each(|&at| ended.set(at, interrupted(why.clone())));
        }
    };
    thread::scope(|scope| {
        for (&at, seat) in some.iter().zip(seats) {
            let place = GpuPlace { seat, isa: gpu.device.isa(), name: gpu.device.name() };
            let builder = thread::Builder::new().name(format!("seed-{}", ended.jobs[at].seed));
            let work = move || {
                let (outcome, writer) =
                    one(&ended.jobs[at], ended.store, options, Some(place), stop);
                ended.add(at, outcome, writer);
            };
            if let Err(error) = builder.spawn_scoped(scope, work) {
                let why = format!("a thread cannot be started ({error})");
                ended.set(at, interrupted(Some(why)));
            }
        }
    });
    ended.sync();
}

/// Makes the runs of `class`, so many at a time.
fn side_by_side(
    at_once: usize,
    class: &[usize],
    ended: &Ended<'_, '_>,
    options: RunOptions,
    stop: &AtomicBool,
) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(&at) = class.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                let outcome =
                    Outcome { status: Status::Interrupted, message: None, from_store: false };
                ended.set(at, outcome);
                continue;
            }
            if ended.jobs[at].experiment.work() > LONG {
                ended.sync();
            }
            let (outcome, writer) = one(&ended.jobs[at], ended.store, options, None, stop);
            ended.add(at, outcome, writer);
        }
        ended.sync();
    };
    thread::scope(|scope| {
        // The calling thread makes runs too: without any other thread all are made.
        for started in 1..at_once {
            let builder = thread::Builder::new().name(format!("run-{started}"));
            if let Err(error) = builder.spawn_scoped(scope, work) {
                if let Some(job) = ended.jobs.first() {
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
}

/// Runs of more [`Experiment::work`] than this take long: those that ended before are put on disk
/// first.
const LONG: u64 = 200_000_000;

/// Time between two waits for the disk, which packed runs share.
const SYNC: Duration = Duration::from_millis(20);

/// The runs that have ended. A packed one counts as ended once it is on disk.
struct Ended<'j, 'e> {
    jobs: &'j [Job<'e>],
    store: &'j Store,
    outcomes: Vec<Mutex<Option<Outcome>>>,
    packed: Mutex<Packed>,
}

/// Packed runs that may not be on disk yet.
struct Packed {
    runs: Vec<(usize, Outcome, RunWriter)>,
    synced: Instant,
}

impl<'j, 'e> Ended<'j, 'e> {
    fn new(jobs: &'j [Job<'e>], store: &'j Store) -> Ended<'j, 'e> {
        let outcomes = jobs.iter().map(|_| Mutex::new(None)).collect();
        let packed = Mutex::new(Packed { runs: Vec::new(), synced: Instant::now() });
        Ended { jobs, store, outcomes, packed }
    }

    fn add(&self, at: usize, outcome: Outcome, writer: Option<RunWriter>) {
        let Some(writer) = writer else { return self.set(at, outcome) };
        let due = {
            let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
            packed.runs.push((at, outcome, writer));
            packed.synced.elapsed() >= SYNC
        };
        if due {
            self.sync();
        }
    }

    /// Waits until the packed runs are on disk.
    fn sync(&self) {
        let runs = {
            let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
            packed.synced = Instant::now();
            std::mem::take(&mut packed.runs)
        };
        if runs.is_empty() {
            return;
        }
        let failure = self.store.packs().sync().err().map(|error| failed(&error.to_string()));
        for (at, outcome, writer) in runs {
            writer.release();
            self.set(at, failure.clone().unwrap_or(outcome));
        }
    }

    fn set(&self, at: usize, outcome: Outcome) {
        let progress = &self.jobs[at].progress;
        if matches!(outcome.status, Status::Failed | Status::Diverged) {
            progress.fail();
        }
        progress.finish();
        if let Ok(mut slot) = self.outcomes[at].lock() {
            *slot = Some(outcome);
        }
    }

    fn into_outcomes(self) -> Vec<Outcome> {
        if let (Err(error), Some(job)) = (self.store.packs().close(), self.jobs.first()) {
            job.progress.warn(format!("the index of packed runs is not written: {error}"));
        }
        let outcomes = self.outcomes.into_iter().map(|slot| slot.into_inner().ok().flatten());
        outcomes.map(|outcome| outcome.unwrap_or_else(|| failed("the run gave nothing"))).collect()
    }
}

fn one(
    job: &Job<'_>,
    store: &Store,
    options: RunOptions,
    place: Option<GpuPlace>,
    stop: &AtomicBool,
) -> (Outcome, Option<RunWriter>) {
    let (experiment, seed) = (job.experiment, job.seed);
    let run = || run_unsynced(experiment, store, seed, options, place, stop, &job.progress);
    let attempt = AssertUnwindSafe(run);
    // A panic in one run must not end the others; its message is already on standard error.
    match catch_unwind(attempt) {
        Ok(Ok(ended)) => ended,
        Ok(Err(error)) => (failed(&error.to_string()), None),
        Err(panic) => (failed(&format!("the run panicked: {}", text_of(&*panic))), None),
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
        let eight = Resources { threads, jobs, ..Resources::default() };
        assert_eq!(eight.divide(SHARED_STEP, 10), (3, 2));
    }
}
