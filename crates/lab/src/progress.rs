//! The progress of a run: written by the run, read by the thread that draws it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::store::MetricsRow;

/// The state of one run. A step takes no lock: only warnings have one.
#[derive(Debug, Default)]
pub struct Progress {
    total: AtomicU64,
    done: AtomicU64,
    first: AtomicU64,
    epoch: AtomicU64,
    train_nll: AtomicU64,
    held_out_nll: AtomicU64,
    started: AtomicBool,
    finished: AtomicBool,
    failed: AtomicBool,
    warnings: Mutex<Vec<String>>,
}

/// The progress of a run at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// Steps of the whole run; 0 before it starts.
    pub total: u64,
    /// Steps done.
    pub done: u64,
    /// Steps that were done before this process.
    pub first: u64,
    /// Epochs done.
    pub epoch: u64,
    /// Of the last epoch; NaN before.
    pub train_nll: f64,
    /// Of the last epoch; NaN before, or without held-out sentences.
    pub held_out_nll: f64,
    /// Whether it has begun.
    pub started: bool,
    /// Whether it has ended, for any reason.
    pub finished: bool,
    /// Whether it has failed or diverged.
    pub failed: bool,
}

impl Progress {
    pub(crate) fn start(&self, total: u64, done: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.done.store(done, Ordering::Relaxed);
        self.first.store(done, Ordering::Relaxed);
        self.train_nll.store(f64::NAN.to_bits(), Ordering::Relaxed);
        self.held_out_nll.store(f64::NAN.to_bits(), Ordering::Relaxed);
        self.started.store(true, Ordering::Release);
    }

    pub(crate) fn advance(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }

    pub(crate) fn epoch(&self, row: Option<&MetricsRow>) {
        let Some(row) = row else { return };
        self.epoch.store(row.epoch, Ordering::Relaxed);
        self.train_nll.store(row.train_nll().to_bits(), Ordering::Relaxed);
        let held_out = row.held_out_nll().unwrap_or(f64::NAN);
        self.held_out_nll.store(held_out.to_bits(), Ordering::Relaxed);
    }

    pub(crate) fn finish(&self) {
        self.finished.store(true, Ordering::Release);
    }

    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Adds a warning, which does not stop the run.
    pub(crate) fn warn(&self, message: String) {
        if let Ok(mut warnings) = self.warnings.lock() {
            warnings.push(message);
        }
    }

    /// The warnings since the last call.
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.lock().map(|mut warnings| std::mem::take(&mut *warnings)).unwrap_or_default()
    }

    /// The progress now.
    pub fn snapshot(&self) -> Snapshot {
        let started = self.started.load(Ordering::Acquire);
        let number = |of: &AtomicU64| f64::from_bits(of.load(Ordering::Relaxed));
        Snapshot {
            total: self.total.load(Ordering::Relaxed),
            done: self.done.load(Ordering::Relaxed),
            first: self.first.load(Ordering::Relaxed),
            epoch: self.epoch.load(Ordering::Relaxed),
            train_nll: if started { number(&self.train_nll) } else { f64::NAN },
            held_out_nll: if started { number(&self.held_out_nll) } else { f64::NAN },
            started,
            finished: self.finished.load(Ordering::Acquire),
            failed: self.failed.load(Ordering::Acquire),
        }
    }
}
