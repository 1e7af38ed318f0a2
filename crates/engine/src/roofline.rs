//! The roofline of this machine: its best rates, with which measured times are compared.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::isa::{Isa, Set, by_isa, for_every_isa};
use crate::matrix::Buffer;
use crate::scalar::Scalar;
use crate::team::Team;
use crate::vector::Vector;

/// Independent sums: enough to hide the latency of a fused multiply-add in two units, few enough
/// for 16 registers.
const SUMS: usize = 10;
/// Attempts, of which the best counts; the first ones raise the cores' clock.
const ATTEMPTS: usize = 12;
/// The approximate time of one attempt.
const ATTEMPT: Duration = Duration::from_millis(8);

/// The best rates that a team reached in loops that do only that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Roofline {
    /// Multiplications and additions a second, fused and in registers, all workers together.
    pub flops_per_second: f64,
    /// Bytes read and written a second over a buffer of [`buffer_bytes`](Roofline::buffer_bytes),
    /// all workers together.
    pub bytes_per_second: f64,
    /// The size of that buffer.
    pub buffer_bytes: usize,
}

impl Roofline {
    /// Measures them, in a few tenths of a second, with the instructions of `isa`. The buffer has
    /// the size of a step's memory, so that a model that fits in a cache is compared with the
    /// cache.
    pub fn measure<T: Scalar>(isa: Isa, team: &mut Team, buffer_bytes: usize) -> Roofline {
        let mut buffer = Buffer::<T>::zeros(buffer_bytes.div_ceil(T::BYTES).max(1024));
        let buffer_bytes = buffer.as_slice().len() * T::BYTES;
        let rounds = 20_000;
        let lanes = match isa.set() {
            Set::Avx512 => T::V512::LANES,
            Set::Avx2 => T::V256::LANES,
            Set::Portable => T::VPortable::LANES,
        };
        let workers = team.workers() as f64;
        let flops_per_second = best_rate(|| {
            team.run(|_| multiply_and_add::<T>(isa, rounds));
            workers * (2 * SUMS * lanes * rounds) as f64
        });
        let bytes_per_second = best_rate(|| {
            let data = Shared(buffer.as_mut_slice().as_mut_ptr());
            let len = buffer_bytes / T::BYTES;
            team.run(|worker| {
                let share = worker.share(len, 4096);
                // SAFETY: shares are disjoint, and the buffer is borrowed for this round.
                let part = unsafe {
                    std::slice::from_raw_parts_mut(data.get().add(share.start), share.len())
                };
                scale(isa, part);
            });
            2.0 * buffer_bytes as f64
        });
        Roofline { flops_per_second, bytes_per_second, buffer_bytes }
    }

    /// The least time for this work, in seconds.
    pub fn floor(&self, flops: u64, bytes: u64) -> f64 {
        (flops as f64 / self.flops_per_second).max(bytes as f64 / self.bytes_per_second)
    }
}

/// The best rate of several attempts at `work`, which returns the amount of work done.
fn best_rate(mut work: impl FnMut() -> f64) -> f64 {
    let mut best = 0.0_f64;
    for _ in 0..ATTEMPTS {
        let (begun, mut done) = (Instant::now(), 0.0);
        while begun.elapsed() < ATTEMPT {
            done += work();
        }
        best = best.max(done / begun.elapsed().as_secs_f64());
    }
    best
}

/// A pointer shared by all workers.
struct Shared<T>(*mut T);

// SAFETY: workers take disjoint shares.
unsafe impl<T: Scalar> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn get(&self) -> *mut T {
        self.0
    }
}

/// `rounds` fused multiply-adds into each of [`SUMS`] registers.
fn multiply_and_add<T: Scalar>(isa: Isa, rounds: usize) {
    by_isa!(
        isa,
        fn<T>(rounds: usize),
        chains::<T, T::V512>(rounds),
        chains::<T, T::V256>(rounds),
        chains::<T, T::VPortable>(rounds),
    );
}

/// # Safety
/// The processor must have the instructions of `V`.
#[inline(always)]
unsafe fn chains<T: Scalar, V: Vector<T>>(rounds: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let half = black_box(V::splat(T::from_f64(0.5)));
        let mut sums = [half; SUMS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = sum.mul_add(half, half);
            }
        }
        black_box(sums);
    }
}

for_every_isa! {
    /// Reads and writes every number once.
    fn scale<T>(data: &mut [T]) {
        let factor = T::from_f64(0.5);
        for x in data {
            *x *= factor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No product may be faster than the floor.
    #[test]
    fn no_product_is_faster_than_the_limit() {
        let mut team = Team::new(1);
        for isa in Isa::available() {
            let (m, n, k) = (48, 64, 256);
            let (a, b) = (Buffer::<f32>::zeros(m * k), Buffer::<f32>::zeros(k * n));
            let mut c = Buffer::<f32>::zeros(m * n);
            let product = crate::kernels::Product {
                a: a.as_slice().as_ptr(),
                a_row: k,
                a_k: 1,
                b: b.as_slice().as_ptr(),
                b_row: n,
                c: c.as_mut_slice().as_mut_ptr(),
                c_row: n,
                rows: m,
                columns: n,
                k,
                start: crate::kernels::Start::Zero,
            };
            let mut ratio = || {
                let roofline = Roofline::measure::<f32>(isa, &mut team, 1 << 16);
                let reached = best_rate(|| {
                    // SAFETY: the buffers have the shapes given.
                    unsafe { product.run(isa) };
                    (2 * m * n * k) as f64
                });
                reached / roofline.flops_per_second
            };
            // The clock may differ a little between the two, and on a busy machine a lot.
            let mut ratios = std::iter::repeat_with(&mut ratio).take(10);
            let plausible = ratios.any(|ratio| (0.05..1.5).contains(&ratio));
            assert!(plausible, "{isa}: ten times not near the limit, or beyond it");
        }
    }
}
