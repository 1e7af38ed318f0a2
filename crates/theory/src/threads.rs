//! The threads that simulations share.

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Runs `work` with as many threads as there are cores, or as the system starts. The library's own
/// pool would panic where one cannot be started.
pub fn with_threads<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match pool(rayon::max_num_threads().min(cores())) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A pool of `threads`, or of as many as can be started: at worst the calling one.
fn pool(mut threads: usize) -> Option<ThreadPool> {
    while threads > 0 {
        if let Ok(pool) = ThreadPoolBuilder::new().num_threads(threads).build() {
            return Some(pool);
        }
        threads /= 2;
    }
    ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().ok()
}
