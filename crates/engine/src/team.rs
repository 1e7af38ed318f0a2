//! A team of workers that run one function together.
//!
//! A step has hundreds of phases of a few microseconds, so workers meet at a barrier that spins;
//! a scheduler's fork and join would cost more than the work. A worker that waits long gives its
//! core away, so that a busy machine is slow but not stuck.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};

/// How often a waiting worker looks before it offers its core to others.
const SPINS: u32 = 4000;
/// How often an idle worker yields before it sleeps until there is work.
const YIELDS: u32 = 100;

/// A fixed number of workers: the calling thread and helpers that live as long as the team.
pub struct Team {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
}

/// One member at work.
pub struct Worker<'a> {
    index: usize,
    shared: &'a Shared,
}

type Work<'a> = dyn Fn(&Worker<'_>) + Sync + 'a;

struct Shared {
    workers: usize,
    /// Points to a `&Work` on the stack of `Team::run` while a round is on.
    work: AtomicPtr<()>,
    round: AtomicUsize,
    arrived: AtomicUsize,
    phase: AtomicUsize,
    /// Helpers that are done with this round's work.
    leavers: AtomicUsize,
    failed: AtomicBool,
    stop: AtomicBool,
}

impl Team {
    /// A team of `workers` (at least one); one is the calling thread itself.
    pub fn new(workers: usize) -> Team {
        let shared = Arc::new(Shared {
            workers: workers.max(1),
            work: AtomicPtr::new(std::ptr::null_mut()),
            round: AtomicUsize::new(0),
            arrived: AtomicUsize::new(0),
            phase: AtomicUsize::new(0),
            leavers: AtomicUsize::new(0),
            failed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        let helpers = (1..shared.workers)
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || help(&shared, index))
            })
            .collect();
        Team { shared, helpers }
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.shared.workers
    }

    /// Runs `work` on every worker and returns when all are done.
    ///
    /// # Panics
    /// If a worker panics; the team cannot be used after that.
    pub fn run(&mut self, work: impl Fn(&Worker<'_>) + Sync) {
        let shared = &*self.shared;
        assert!(!shared.failed.load(Ordering::Relaxed), "a worker of this team panicked before");
        let worker = Worker { index: 0, shared };
        if shared.workers == 1 {
            return work(&worker);
        }
        let mut work: &Work<'_> = &work;
        shared.work.store((&raw mut work).cast(), Ordering::Relaxed);
        shared.round.fetch_add(1, Ordering::Release);
        for helper in &self.helpers {
            Thread::unpark(helper.thread());
        }
        let result = catch_unwind(AssertUnwindSafe(|| work(&worker)));
        if let Err(panic) = result {
            shared.failed.store(true, Ordering::Release);
            // The helpers may still hold `work`: they see the failure at their next barrier.
            shared.wait_for_all_to_leave();
            resume_unwind(panic);
        }
        shared.wait_for_all_to_leave();
        assert!(!shared.failed.load(Ordering::Acquire), "a worker panicked");
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
    /// Which one this is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// Waits until all workers are here. What they wrote before is then seen by all.
    pub fn barrier(&self) {
        self.shared.meet();
    }

    /// This worker's part of `0..total`, in pieces of `unit` (but for the end); the parts of all
    /// workers cover everything once.
    pub fn share(&self, total: usize, unit: usize) -> Range<usize> {
        let units = total.div_ceil(unit);
        let bound = |index: usize| (units * index / self.shared.workers * unit).min(total);
        bound(self.index)..bound(self.index + 1)
    }
}

impl Shared {
    fn meet(&self) {
        if self.workers == 1 {
            return;
        }
        let phase = self.phase.load(Ordering::Relaxed);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.workers {
            self.arrived.store(0, Ordering::Relaxed);
            self.phase.store(phase.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut looks = 0;
        while self.phase.load(Ordering::Acquire) == phase {
            if self.failed.load(Ordering::Relaxed) {
                // Unwinds to the catch in `run` or `help`.
                panic!("another worker panicked");
            }
            pause(&mut looks);
        }
    }

    /// The last meeting of a round: after it nobody touches `work` any more.
    fn wait_for_all_to_leave(&self) {
        let mut looks = 0;
        let all = self.workers - 1;
        while self.leavers.load(Ordering::Acquire) < all {
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
    let worker = Worker { index, shared };
    let mut seen = 0;
    loop {
        let mut looks = 0;
        loop {
            if shared.stop.load(Ordering::Acquire) {
                return;
            }
            let round = shared.round.load(Ordering::Acquire);
            if round != seen {
                seen = round;
                break;
            }
            if looks < SPINS + YIELDS { pause(&mut looks) } else { std::thread::park() }
        }
        let work = shared.work.load(Ordering::Relaxed).cast::<&Work<'_>>();
        // SAFETY: `run` keeps it alive until every helper has left.
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
            for round in 1..200 {
                team.run(|worker| {
                    cells[worker.index()].fetch_add(1, Ordering::Relaxed);
                    worker.barrier();
                    let sum: usize = cells.iter().map(|c| c.load(Ordering::Relaxed)).sum();
                    assert_eq!(sum, round * workers);
                    worker.barrier();
                });
            }
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
                    worker.barrier();
                });
            });
            assert!(result.is_err());
        }
    }
}
