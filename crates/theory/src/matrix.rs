//! Products of row-major matrices and work on rows, on one core or on all.

use rayon::prelude::*;
use retrodict_engine::matmul;

/// How many cores one simulation takes. The bits of its results are the same either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The calling thread alone: for small models, and where many are simulated at once.
    One,
    /// All there are.
    All,
}

impl Threads {
    /// All cores, where a model is large enough for them to pay.
    pub(crate) fn for_entities(entities: usize) -> Threads {
        if entities >= 200 { Threads::All } else { Threads::One }
    }

    /// How many parts the work is split into.
    pub(crate) fn count(self) -> usize {
        match self {
            Threads::One => 1,
            Threads::All => rayon::current_num_threads(),
        }
    }
}

/// `left [·, inner]` times `right [inner, columns]`.
pub(crate) fn product(
    left: &[f64],
    right: &[f64],
    inner: usize,
    columns: usize,
    threads: Threads,
) -> Vec<f64> {
    let mut out = vec![0.0; left.len() / inner * columns];
    product_into(left, right, inner, columns, threads, &mut out);
    out
}

/// The same, written over `out`.
pub(crate) fn product_into(
    left: &[f64],
    right: &[f64],
    inner: usize,
    columns: usize,
    threads: Threads,
    out: &mut [f64],
) {
    let size = [left.len() / inner, inner, columns];
    matmul(threads.count(), size, left, right, [columns, 1], out);
}

/// `left [·, inner]` times the transpose of `right [columns, inner]`.
pub(crate) fn times_transposed(
    left: &[f64],
    right: &[f64],
    inner: usize,
    threads: Threads,
) -> Vec<f64> {
    let size = [left.len() / inner, inner, right.len() / inner];
    let mut out = vec![0.0; size[0] * size[2]];
    matmul(threads.count(), size, left, right, [1, inner], &mut out);
    out
}

/// Calls `work` with each row's number, its part of `rows` and its number in `values`.
pub(crate) fn for_each_row(
    rows: &mut [f64],
    values: &mut [f64],
    columns: usize,
    threads: Threads,
    work: impl Fn(usize, &mut [f64], &mut f64) + Sync,
) {
    let work = |(row, (out, value)): (usize, (&mut [f64], &mut f64))| work(row, out, value);
    match threads {
        Threads::One => rows.chunks_exact_mut(columns).zip(values).enumerate().for_each(work),
        Threads::All => rows.par_chunks_exact_mut(columns).zip(values).enumerate().for_each(work),
    }
}

#[cfg(test)]
mod tests {
    use super::{Threads, product, times_transposed};

    fn numbers(count: usize, seed: u64) -> Vec<f64> {
        let draw = |i| (((i as u64 + seed) * 2_654_435_761 % 1009) as f64) / 500.0 - 1.0;
        (0..count).map(draw).collect()
    }

    #[test]
    fn is_the_sum_of_products() {
        let (rows, inner, columns) = (7, 11, 5);
        let (a, b) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
        let ours = product(&a, &b, inner, columns, Threads::One);
        let transposed: Vec<f64> =
            (0..columns * inner).map(|i| b[i % inner * columns + i / inner]).collect();
        assert_eq!(times_transposed(&a, &transposed, inner, Threads::One).len(), rows * columns);
        let other = times_transposed(&a, &transposed, inner, Threads::One);
        for row in 0..rows {
            for column in 0..columns {
                let sum: f64 =
                    (0..inner).map(|k| a[row * inner + k] * b[k * columns + column]).sum();
                assert!((ours[row * columns + column] - sum).abs() < 1e-13);
                assert!((other[row * columns + column] - sum).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn threads_leave_no_trace_in_the_bits() {
        let (rows, inner, columns) = (210, 333, 247);
        let (a, b) = (numbers(rows * inner, 3), numbers(inner * columns, 4));
        let one = product(&a, &b, inner, columns, Threads::One);
        assert_eq!(one, product(&a, &b, inner, columns, Threads::All));
    }
}
