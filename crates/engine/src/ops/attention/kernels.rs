//! Scores, probabilities and their gradients, one head at a time.

use std::ops::Range;

use crate::isa::in_registers;
use crate::matrix::{GradientTarget, Matrix, MatrixMut};
use crate::ops::Sees;
use crate::scalar::Scalar;
use crate::vector::Vector;
use crate::wide::{Wide, for_lanes};

/// The sizes of one run.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Sizes {
    /// Features of a head.
    pub(in crate::ops) width: usize,
    pub(in crate::ops) sees: Sees,
    /// Positions of the queries: the last ones of the keys where attention is causal.
    pub(in crate::ops) queries: usize,
    pub(in crate::ops) keys: usize,
    pub(in crate::ops) lanes: usize,
}

impl Sizes {
    /// The keys that query number `i` sees.
    pub(in crate::ops) fn seen(&self, i: usize) -> Range<usize> {
        match self.sees {
            Sees::Past => 0..self.keys - self.queries + i + 1,
            Sees::All => 0..self.keys,
        }
    }

    /// The first query that sees key number `j`.
    pub(in crate::ops) fn first_to_see(&self, j: usize) -> usize {
        match self.sees {
            Sees::Past => (j + self.queries).saturating_sub(self.keys),
            Sees::All => 0,
        }
    }

    /// The row of the probabilities of one query and key, counted from the head's first.
    pub(in crate::ops) fn row(&self, i: usize, j: usize) -> usize {
        i * self.keys + j
    }

    /// The index of lane `first` of a position in its row.
    pub(in crate::ops) fn at(&self, position: usize, first: usize) -> usize {
        position * self.lanes + first
    }

    /// The `W` lanes that begin there.
    pub(in crate::ops) fn range<const W: usize>(
        &self,
        position: usize,
        first: usize,
    ) -> Range<usize> {
        let start = self.at(position, first);
        start..start + W
    }
}

/// The query of one head whose scores are computed.
#[derive(Clone, Copy)]
struct Query {
    sizes: Sizes,
    head: usize,
    /// Its number.
    i: usize,
}

impl Query {
    fn features(&self) -> Range<usize> {
        self.head * self.sizes.width..(self.head + 1) * self.sizes.width
    }

    /// The row of the probability of key `j`.
    fn row(&self, j: usize) -> usize {
        self.head * self.sizes.queries * self.sizes.keys + self.sizes.row(self.i, j)
    }
}

in_registers! {
    /// Scores, probabilities and output of one head. Dropout's factors begin at row `factors`;
    /// `mask` is above zero for the keys and lanes that can be seen. A query that sees nothing
    /// gets zeros.
    pub(in crate::ops) fn attend<T, V>(
        s: Sizes, head: usize, qkv: [Matrix<'_, T>; 3], saved: MatrixMut<'_, T>,
        factors: Option<usize>, mask: Option<&[T]>, out: MatrixMut<'_, T>,
    ) {
        let (mut saved, mut out) = (saved, out);
        for i in 0..s.queries {
            let query = Query { sizes: s, head, i };
            for_lanes!(V, N, first in 0..s.lanes, {
                attend_lanes::<T, V, N>(query, qkv, &mut saved, factors, mask, &mut out, first);
            });
        }
    }

    /// `ds = p · (dp − Σ p · dp)` with `dp = Σ_f dy · v`, through dropout and scale.
    pub(in crate::ops) fn score_gradient<T, V>(
        s: Sizes, head: usize, v: Matrix<'_, T>, dy: Matrix<'_, T>, kept: Matrix<'_, T>,
        factors: Option<usize>, scores: &mut [T],
    ) {
        for i in 0..s.queries {
            let query = Query { sizes: s, head, i };
            for_lanes!(V, N, first in 0..s.lanes, {
                score_gradient_lanes::<T, V, N>(query, v, dy, kept, factors, scores, first);
            });
        }
    }

    pub(in crate::ops) fn query_gradient<T, V>(
        s: Sizes, head: usize, k: Matrix<'_, T>, scores: &[T], target: GradientTarget<'_, T>,
    ) {
        let GradientTarget { matrix: mut dq, accumulate } = target;
        for f in head * s.width..(head + 1) * s.width {
            for i in 0..s.queries {
                for_lanes!(V, N, first in 0..s.lanes, {
                    let mut sum = Wide::<T, V, N>::splat(T::ZERO);
                    for j in s.seen(i) {
                        let ds = Wide::read(scores, s.at(s.row(i, j), first));
                        sum = ds.mul_add(Wide::read(k.row(f), s.at(j, first)), sum);
                    }
                    put(sum, dq.row_mut(f), s.at(i, first), accumulate);
                });
            }
        }
    }

    pub(in crate::ops) fn key_gradient<T, V>(
        s: Sizes, head: usize, q: Matrix<'_, T>, scores: &[T], target: GradientTarget<'_, T>,
    ) {
        let GradientTarget { matrix: mut dk, accumulate } = target;
        for f in head * s.width..(head + 1) * s.width {
            for j in 0..s.keys {
                for_lanes!(V, N, first in 0..s.lanes, {
                    let mut sum = Wide::<T, V, N>::splat(T::ZERO);
                    for i in s.first_to_see(j)..s.queries {
                        let ds = Wide::read(scores, s.at(s.row(i, j), first));
                        sum = ds.mul_add(Wide::read(q.row(f), s.at(i, first)), sum);
                    }
                    put(sum, dk.row_mut(f), s.at(j, first), accumulate);
                });
            }
        }
    }

    pub(in crate::ops) fn value_gradient<T, V>(
        s: Sizes, head: usize, dy: Matrix<'_, T>, kept: Matrix<'_, T>, factors: Option<usize>,
        target: GradientTarget<'_, T>,
    ) {
        let GradientTarget { matrix: mut dv, accumulate } = target;
        for j in 0..s.keys {
            // The sum begins with the first query that sees this key.
            let begin = s.first_to_see(j);
            for i in begin..s.queries {
                let row = Query { sizes: s, head, i }.row(j);
                for_lanes!(V, N, first in 0..s.lanes, {
                    let mut p = Wide::<T, V, N>::read(kept.row(row), first);
                    if let Some(start) = factors {
                        p = p * Wide::read(kept.row(start + row), first);
                    }
                    for f in head * s.width..(head + 1) * s.width {
                        let dy = Wide::read(dy.row(f), s.at(i, first));
                        let out = dv.row_mut(f);
                        let at = s.at(j, first);
                        let before = if accumulate || i > begin {
                            Wide::read(out, at)
                        } else {
                            p.all(T::ZERO)
                        };
                        p.mul_add(dy, before).write(out, at);
                    }
                });
            }
        }
    }
}

/// Writes or adds a sum.
#[inline(always)]
fn put<T: Scalar, V: Vector<T>, const N: usize>(
    sum: Wide<T, V, N>,
    row: &mut [T],
    at: usize,
    accumulate: bool,
) {
    if accumulate {
        // SAFETY: a value exists, so its instructions do.
        let before = unsafe { Wide::read(row, at) };
        (before + sum).write(row, at);
    } else {
        sum.write(row, at);
    }
}

/// The lanes from `first` on of one query's part of [`attend`].
///
/// # Safety
/// The processor must have the instructions of `V`.
#[inline(always)]
unsafe fn attend_lanes<T: Scalar, V: Vector<T>, const N: usize>(
    query: Query,
    [q, k, v]: [Matrix<'_, T>; 3],
    saved: &mut MatrixMut<'_, T>,
    factors: Option<usize>,
    mask: Option<&[T]>,
    out: &mut MatrixMut<'_, T>,
    first: usize,
) {
    let s = query.sizes;
    // SAFETY: the caller's promise.
    let (read, all) =
        unsafe { (|row: &[T], at| Wide::<T, V, N>::read(row, at), |x| Wide::<T, V, N>::splat(x)) };
    let (zero, scale) = (all(T::ZERO), all(T::ONE / T::from_f64(s.width as f64).sqrt()));
    let mask = mask.map(|mask| move |j| read(mask, s.at(j, first)));
    let mut highest = all(T::from_f64(f64::NEG_INFINITY));
    for j in s.seen(query.i) {
        let mut score = zero;
        for f in query.features() {
            let q = read(q.row(f), s.at(query.i, first));
            score = q.mul_add(read(k.row(f), s.at(j, first)), score);
        }
        let score = score * scale;
        let higher = score.larger(highest);
        highest = match mask {
            None => higher,
            Some(mask) => higher.where_positive(mask(j), highest),
        };
        score.write(saved.row_mut(query.row(j)), first);
    }
    let mut total = zero;
    for j in s.seen(query.i) {
        let row = saved.row_mut(query.row(j));
        let mut p = (read(row, first) - highest).exp();
        if let Some(mask) = mask {
            p = p.where_positive(mask(j), zero);
        }
        total = total + p;
        p.write(row, first);
    }
    if mask.is_some() {
        total = total.where_positive(total, all(T::ONE));
    }
    for j in s.seen(query.i) {
        let row = saved.row_mut(query.row(j));
        let mut p = read(row, first) / total;
        p.write(row, first);
        if let Some(start) = factors {
            p = p * read(saved.row_mut(start + query.row(j)), first);
        }
        for f in query.features() {
            let out = out.row_mut(f);
            let at = s.at(query.i, first);
            let before = if j == 0 { zero } else { read(out, at) };
            p.mul_add(read(v.row(f), s.at(j, first)), before).write(out, at);
        }
    }
}

/// The lanes from `first` on of one query's part of [`score_gradient`].
///
/// # Safety
/// The processor must have the instructions of `V`.
#[inline(always)]
unsafe fn score_gradient_lanes<T: Scalar, V: Vector<T>, const N: usize>(
    query: Query,
    v: Matrix<'_, T>,
    dy: Matrix<'_, T>,
    kept: Matrix<'_, T>,
    factors: Option<usize>,
    scores: &mut [T],
    first: usize,
) {
    let s = query.sizes;
    // SAFETY: the caller's promise.
    let (read, all) =
        unsafe { (|row: &[T], at| Wide::<T, V, N>::read(row, at), |x| Wide::<T, V, N>::splat(x)) };
    let scale = all(T::ONE / T::from_f64(s.width as f64).sqrt());
    let score_of = |j| s.at(s.row(query.i, j), first);
    let mut mean = all(T::ZERO);
    for j in s.seen(query.i) {
        let mut dp = all(T::ZERO);
        for f in query.features() {
            let dy = read(dy.row(f), s.at(query.i, first));
            dp = dy.mul_add(read(v.row(f), s.at(j, first)), dp);
        }
        if let Some(start) = factors {
            dp = dp * read(kept.row(start + query.row(j)), first);
        }
        mean = read(kept.row(query.row(j)), first).mul_add(dp, mean);
        dp.write(scores, score_of(j));
    }
    for j in s.seen(query.i) {
        let ds = read(scores, score_of(j)) - mean;
        (read(kept.row(query.row(j)), first) * ds * scale).write(scores, score_of(j));
    }
}
