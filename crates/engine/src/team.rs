//! A team of workers that run one function together.
//!
//! A step has hundreds of phases of a few microseconds, so workers meet at a spinning barrier:
//! fork and join by a scheduler would cost more than the work. A worker that waits long yields its
//! core, so that a busy machine is slow but not stuck.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

/// Spins of a waiting worker before it yields its core. Miri interprets each.
const SPINS: u32 = if cfg!(miri) { 4 } else { 4000 };
/// Yields of an idle worker before it sleeps until there is work.
const YIELDS: u32 = 100;

/// The default wait at a barrier before a worker considers another one lost: far longer than
/// workers on equal cores differ in a small operation, shorter than a scheduler's time slice.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1);

/// One round, in the word that also holds its number of workers.
const ROUND: usize = 1 << 16;

/// A fixed number of workers: the calling thread, and helpers that live as long as the team.
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

/// One member of a team during a round.
///
/// It stays on its thread: a second thread at its barrier would let the others through early, here
/// or in a later round.
///
/// ```compile_fail,E0277
/// # use retrodict_engine::*;
/// Team::new(2).run(|worker| {
///     std::thread::scope(|scope| scope.spawn(|| worker.barrier()).join());
/// });
/// ```
pub struct Worker<'a> {
    index: usize,
    shared: &'a Shared,
    /// Not `Sync`.
    own: PhantomData<Cell<()>>,
}

type Work<'a> = dyn Fn(&Worker<'_>) + Sync + 'a;

struct Shared {
    /// Points to a `&Work` on the stack of `Team::run` while a round is on.
    work: AtomicPtr<()>,
    /// The round and its number of workers in one word (see [`ROUND`]): a helper must see both
    /// together.
    round: AtomicUsize,
    /// The number of workers of the present round.
    active: AtomicUsize,
    /// Nanoseconds that workers wait for each other.
    patience: AtomicU64,
    /// Whether a worker has lost patience at a barrier: one continues alone from the next one on.
    retreat: AtomicBool,
    arrived: AtomicUsize,
    phase: AtomicUsize,
    /// Helpers that have finished this round.
    leavers: AtomicUsize,
    failed: AtomicBool,
    stop: AtomicBool,
}

impl Team {
    /// A team of `workers` (at least one); one of them is the calling thread. It has
    /// [fewer](Team::workers) where the system does not start so many threads.
    pub fn new(workers: usize) -> Team {
        let workers = workers.clamp(1, ROUND - 1);
        let shared = Arc::new(Shared {
            work: AtomicPtr::new(std::ptr::null_mut()),
            round: AtomicUsize::new(0),
            active: AtomicUsize::new(workers),
            patience: AtomicU64::new(PATIENCE.as_nanos() as u64),
            retreat: AtomicBool::new(false),
            arrived: AtomicUsize::new(0),
            phase: AtomicUsize::new(0),
            leavers: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let helpers: Vec<JoinHandle<()>> = (1..workers)
            .map_while(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new().spawn(move || help(&shared, index)).ok()
            })
            .collect();
        shared.active.store(helpers.len() + 1, Ordering::Relaxed);
        Team { shared, helpers }
    }

    /// The number of workers.
    pub fn workers(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Limits later rounds to this many workers, at least one; the others sleep.
    pub fn set_active(&mut self, workers: usize) {
        self.shared.active.store(workers.clamp(1, self.workers()), Ordering::Relaxed);
    }

    /// Sets how long workers wait at a barrier before they consider one of them lost: the longer a
    /// round takes, the more they lose when they continue without it.
    pub fn set_patience(&mut self, patience: Duration) {
        let nanos = u64::try_from(patience.as_nanos()).unwrap_or(u64::MAX);
        self.shared.patience.store(nanos, Ordering::Relaxed);
    }

    /// Runs `work` on every active worker. Returns when all are done, and whether all stayed to the
    /// end: if one loses its core to another program for long, the others would wait for it at
    /// every barrier, so the calling thread continues alone.
    ///
    /// # Panics
    /// If a worker panics; the team cannot be used after that.
    pub fn run(&mut self, work: impl Fn(&Worker<'_>) + Sync) -> bool {
        let shared = &*self.shared;
        assert!(!shared.failed.load(Ordering::Relaxed), "a worker of this team panicked before");
        let worker = Worker { index: 0, shared, own: PhantomData };
        let active = shared.active.load(Ordering::Relaxed);
        if active == 1 {
            work(&worker);
            return true;
        }
        let mut work: &Work<'_> = &work;
        shared.work.store((&raw mut work).cast(), Ordering::Relaxed);
        let round = shared.round.load(Ordering::Relaxed) / ROUND;
        shared.round.store(round.wrapping_add(1).wrapping_mul(ROUND) + active, Ordering::Release);
        for helper in &self.helpers[..active - 1] {
            Thread::unpark(helper.thread());
        }
        let result = catch_unwind(AssertUnwindSafe(|| work(&worker)));
        if let Err(panic) = result {
            shared.failed.store(true, Ordering::Release);
            // The helpers may still hold `work`: they see the failure at their next barrier.
            shared.wait_for_helpers(active - 1);
            resume_unwind(panic);
        }
        shared.wait_for_helpers(active - 1);
        assert!(!shared.failed.load(Ordering::Acquire), "a worker panicked");
        shared.active.store(active, Ordering::Relaxed);
        !shared.retreat.swap(false, Ordering::Relaxed)
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper's panic was already reported by `run`.
            let _ = helper.join();
        }
    }
}

impl Worker<'_> {
    /// This worker's index, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Waits until all workers are here; each then sees all earlier writes. Where it returns false,
    /// the worker is out of the round: its work must return at once, and fewer workers share the
    /// work after the barrier.
    #[must_use]
    pub fn barrier(&self) -> bool {
        self.shared.meet();
        self.index < self.shared.active.load(Ordering::Relaxed)
    }

    /// This worker's part of `0..total`, in multiples of `unit` (except the end). The parts of all
    /// workers cover the range exactly once.
    pub fn share(&self, total: usize, unit: usize) -> Range<usize> {
        let units = total.div_ceil(unit);
        let active = self.shared.active.load(Ordering::Relaxed);
        let bound = |index: usize| (units * index / active * unit).min(total);
        bound(self.index)..bound(self.index + 1)
    }
}

impl Shared {
    fn meet(&self) {
        let active = self.active.load(Ordering::Relaxed);
        if active == 1 {
            return;
        }
        let phase = self.phase.load(Ordering::Relaxed);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == active {
            self.arrived.store(0, Ordering::Relaxed);
            if self.retreat.load(Ordering::Relaxed) {
                self.active.store(1, Ordering::Relaxed);
            }
            self.phase.store(phase.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut looks = 0;
        let mut since = None;
        while self.phase.load(Ordering::Acquire) == phase {
            if self.failed.load(Ordering::Relaxed) {
                // Unwinds to the catch in `run` or `help`.
                panic!("another worker panicked");
            }
            pause(&mut looks);
            if looks > SPINS {
                let waited = since.get_or_insert_with(Instant::now).elapsed();
                if waited.as_nanos() as u64 > self.patience.load(Ordering::Relaxed) {
                    self.retreat.store(true, Ordering::Relaxed);
                }
            }
        }
    }

    /// The end of a round: no helper touches `work` after it.
    fn wait_for_helpers(&self, helpers: usize) {
        let mut looks = 0;
        while self.leavers.load(Ordering::Acquire) < helpers {
            pause(&mut looks);
        }
        self.leavers.store(0, Ordering::Relaxed);
    }
}

fn pause(looks: &mut u32) {
    *looks += 1;
    if *looks < SPINS {
        std::hint::spin_loop();
    } else {
        std::thread::yield_now();
    }
}

fn help(shared: &Shared, index: usize) {
    let worker = Worker { index, shared, own: PhantomData };
    let mut seen = 0;
    loop {
        let mut looks = 0;
        loop {
            if shared.stop.load(Ordering::Acquire) {
                return;
            }
            let round = shared.round.load(Ordering::Acquire);
            // A round without this worker does not wake it.
            if round != seen && index < round % ROUND {
                seen = round;
                break;
            }
            if looks < SPINS + YIELDS { pause(&mut looks) } else { std::thread::park() }
        }
        let work = shared.work.load(Ordering::Relaxed).cast::<&Work<'_>>();
        // SAFETY: `run` has stored a pointer to its `&Work` before this round, and keeps both alive
        // until every helper has left.
        let work = unsafe { *work };
        if catch_unwind(AssertUnwindSafe(|| work(&worker))).is_err() {
            shared.failed.store(true, Ordering::Release);
        }
        shared.leavers.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_see_what_others_wrote_before_the_barrier() {
        for workers in [1, 2, 3, 8] {
            let mut team = Team::new(workers);
            let cells: Vec<AtomicUsize> = (0..workers).map(|_| AtomicUsize::new(0)).collect();
            for round in 1..if cfg!(miri) { 5 } else { 200 } {
                team.run(|worker| {
                    cells[worker.index()].fetch_add(1, Ordering::Relaxed);
                    if worker.barrier() {
                        let sum: usize = cells.iter().map(|c| c.load(Ordering::Relaxed)).sum();
                        assert_eq!(sum, round * workers);
                        let _ = worker.barrier();
                    }
                });
            }
        }
    }

    /// Workers that sit out some rounds must neither run twice nor miss one.
    #[test]
    fn the_number_of_active_workers_may_change_from_round_to_round() {
        let mut team = Team::new(4);
        let cells: Vec<AtomicUsize> = (0..4).map(|_| AtomicUsize::new(0)).collect();
        for round in 0..if cfg!(miri) { 20 } else { 4000 } {
            let active = 1 + round * 7 % 4;
            team.set_active(active);
            team.run(|worker| {
                cells[worker.index()].fetch_add(1, Ordering::Relaxed);
                assert_eq!(worker.share(active, 1), worker.index()..worker.index() + 1);
                let _ = worker.barrier();
            });
            let took_part: usize = cells.iter().map(|c| c.swap(0, Ordering::Relaxed)).sum();
            assert_eq!(took_part, active, "round {round}");
        }
    }

    /// Whichever worker is late, the others do all work exactly once.
    #[test]
    fn a_worker_that_loses_its_core_is_left_behind() {
        for late in [0, 1, 2] {
            let mut team = Team::new(3);
            let taken: Vec<AtomicUsize> = (0..12).map(|_| AtomicUsize::new(0)).collect();
            let stayed = team.run(|worker| {
                if worker.index() == late {
                    std::thread::sleep(50 * PATIENCE);
                }
                if worker.barrier() {
                    assert_eq!(worker.index(), 0);
                    for i in worker.share(12, 1) {
                        taken[i].fetch_add(1, Ordering::Relaxed);
                    }
                    assert!(worker.barrier());
                }
            });
            assert!(!stayed, "worker {late} was waited for");
            assert!(taken.iter().all(|n| n.load(Ordering::Relaxed) == 1));
            // All workers take part in the next round.
            let workers = AtomicUsize::new(0);
            team.run(|_| {
                workers.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(workers.into_inner(), 3);
        }
    }

    #[test]
    fn shares_cover_everything_once() {
        let mut team = Team::new(3);
        for (total, unit) in [(0, 16), (1, 16), (100, 16), (7, 1), (48, 16)] {
            let taken: Vec<AtomicUsize> = (0..total).map(|_| AtomicUsize::new(0)).collect();
            team.run(|worker| {
                let share = worker.share(total, unit);
                assert!(share.start % unit == 0 || share.start == total);
                for i in share {
                    taken[i].fetch_add(1, Ordering::Relaxed);
                }
            });
            assert!(taken.iter().all(|n| n.load(Ordering::Relaxed) == 1));
        }
    }

    #[test]
    fn a_panic_in_one_worker_reaches_the_caller_instead_of_hanging_the_others() {
        for culprit in [0, 1] {
            let result = catch_unwind(|| {
                Team::new(2).run(|worker| {
                    assert!(worker.index() != culprit, "on purpose");
                    let _ = worker.barrier();
                });
            });
            assert!(result.is_err());
        }
    }
}
