//! Scores, probabilities and their gradients, `W` lanes of one head at a time.

use std::ops::Range;

use crate::isa::for_every_isa;
use crate::matrix::{Matrix, MatrixMut, Target};
use crate::ops::{Sees, lanes, lanes_mut};

/// The sizes of one run.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Sizes {
    /// Features of a head.
    pub(in crate::ops) width: usize,
    pub(in crate::ops) sees: Sees,
    /// Positions of the queries: the last ones of the keys', if these see the past.
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

    /// Where lane number `first` of a position stands in its row.
    pub(in crate::ops) fn at(&self, position: usize, first: usize) -> usize {
        position * self.lanes + first
    }

    /// The `W` lanes from there on.
    pub(in crate::ops) fn range<const W: usize>(
        &self,
        position: usize,
        first: usize,
    ) -> Range<usize> {
        let start = self.at(position, first);
        start..start + W
    }
}

for_every_isa! {
    /// Scores, probabilities and output of one head. `factors` is the row where those of dropout
    /// begin; `mask` says at which keys and lanes there is something to see. A query that sees
    /// nothing gets zeros.
    pub(in crate::ops) fn attend<T, const W: usize>(
        s: Sizes, head: usize, q: Matrix<'_, T>, k: Matrix<'_, T>, v: Matrix<'_, T>,
        saved: MatrixMut<'_, T>, factors: Option<usize>, mask: Option<&[T]>, out: MatrixMut<'_, T>,
    ) {
        let mut saved = saved;
        let mut out = out;
        let scale = T::ONE / T::from_f64(s.width as f64).sqrt();
        let features = head * s.width..(head + 1) * s.width;
        let base = head * s.queries * s.keys;
        for i in 0..s.queries {
            for first in (0..s.lanes).step_by(W) {
                let range = first..first + W;
                let mut highest = [T::from_f64(f64::NEG_INFINITY); W];
                for j in s.seen(i) {
                    let mut score = [T::ZERO; W];
                    for f in features.clone() {
                        let (q, k) = (lanes::<T, W>(q.row(f), s.at(i, first)), lanes::<T, W>(k.row(f), s.at(j, first)));
                        for l in 0..W {
                            score[l] = q[l].fused::<FUSED>(k[l], score[l]);
                        }
                    }
                    for score in &mut score {
                        *score *= scale;
                    }
                    match mask.map(|mask| lanes::<T, W>(mask, s.at(j, first))) {
                        None => {
                            for l in 0..W {
                                highest[l] = score[l].larger(highest[l]);
                            }
                        }
                        Some(mask) => {
                            for l in 0..W {
                                let higher = score[l].larger(highest[l]);
                                highest[l] = if mask[l] > T::ZERO { higher } else { highest[l] };
                            }
                        }
                    }
                    *lanes_mut(saved.part_mut(base + s.row(i, j), range.clone())) = score;
                }
                let mut total = [T::ZERO; W];
                for j in s.seen(i) {
                    let p = lanes_mut::<T, W>(saved.part_mut(base + s.row(i, j), range.clone()));
                    for l in 0..W {
                        p[l] = (p[l] - highest[l]).exp::<FUSED>();
                    }
                    if let Some(mask) = mask.map(|mask| lanes::<T, W>(mask, s.at(j, first))) {
                        for l in 0..W {
                            p[l] = if mask[l] > T::ZERO { p[l] } else { T::ZERO };
                        }
                    }
                    for l in 0..W {
                        total[l] += p[l];
                    }
                }
                if mask.is_some() {
                    for total in &mut total {
                        *total = if *total > T::ZERO { *total } else { T::ONE };
                    }
                }
                for j in s.seen(i) {
                    let p = lanes_mut::<T, W>(saved.part_mut(base + s.row(i, j), range.clone()));
                    for l in 0..W {
                        p[l] = p[l] / total[l];
                    }
                }
                for j in s.seen(i) {
                    let mut kept = *lanes::<T, W>(saved.row_mut(base + s.row(i, j)), first);
                    if let Some(start) = factors {
                        let factor = lanes::<T, W>(saved.row_mut(start + base + s.row(i, j)), first);
                        for l in 0..W {
                            kept[l] *= factor[l];
                        }
                    }
                    for f in features.clone() {
                        let v = lanes::<T, W>(v.row(f), s.at(j, first));
                        let out = lanes_mut::<T, W>(out.part_mut(f, s.range::<W>(i, first)));
                        for l in 0..W {
                            let before = if j == 0 { T::ZERO } else { out[l] };
                            out[l] = kept[l].fused::<FUSED>(v[l], before);
                        }
                    }
                }
            }
        }
    }

    /// `ds = p · (dp − Σ p · dp)` with `dp = Σ_f dy · v`, through dropout and scale.
    pub(in crate::ops) fn score_gradient<T, const W: usize>(
        s: Sizes, head: usize, v: Matrix<'_, T>, dy: Matrix<'_, T>, kept: Matrix<'_, T>,
        factors: Option<usize>, scores: &mut [T],
    ) {
        let scale = T::ONE / T::from_f64(s.width as f64).sqrt();
        let features = head * s.width..(head + 1) * s.width;
        let base = head * s.queries * s.keys;
        for i in 0..s.queries {
            for first in (0..s.lanes).step_by(W) {
                let mut mean = [T::ZERO; W];
                for j in s.seen(i) {
                    let mut dp = [T::ZERO; W];
                    for f in features.clone() {
                        let (dy, v) = (lanes::<T, W>(dy.row(f), s.at(i, first)), lanes::<T, W>(v.row(f), s.at(j, first)));
                        for l in 0..W {
                            dp[l] = dy[l].fused::<FUSED>(v[l], dp[l]);
                        }
                    }
                    if let Some(start) = factors {
                        let factor = lanes::<T, W>(kept.row(start + base + s.row(i, j)), first);
                        for l in 0..W {
                            dp[l] *= factor[l];
                        }
                    }
                    let p = lanes::<T, W>(kept.row(base + s.row(i, j)), first);
                    for l in 0..W {
                        mean[l] = p[l].fused::<FUSED>(dp[l], mean[l]);
                    }
                    *lanes_mut(&mut scores[s.range::<W>(s.row(i, j), first)]) = dp;
                }
                for j in s.seen(i) {
                    let p = lanes::<T, W>(kept.row(base + s.row(i, j)), first);
                    let ds = lanes_mut::<T, W>(&mut scores[s.range::<W>(s.row(i, j), first)]);
                    for l in 0..W {
                        ds[l] = p[l] * (ds[l] - mean[l]) * scale;
                    }
                }
            }
        }
    }

    pub(in crate::ops) fn query_gradient<T, const W: usize>(
        s: Sizes, head: usize, k: Matrix<'_, T>, scores: &[T], target: Target<'_, T>,
    ) {
        let Target { matrix: mut dq, accumulate } = target;
        for f in head * s.width..(head + 1) * s.width {
            for i in 0..s.queries {
                for first in (0..s.lanes).step_by(W) {
                    let mut sum = [T::ZERO; W];
                    for j in s.seen(i) {
                        let (k, ds) = (lanes::<T, W>(k.row(f), s.at(j, first)), lanes::<T, W>(scores, s.at(s.row(i, j), first)));
                        for l in 0..W {
                            sum[l] = ds[l].fused::<FUSED>(k[l], sum[l]);
                        }
                    }
                    let out = lanes_mut::<T, W>(dq.part_mut(f, s.range::<W>(i, first)));
                    for l in 0..W {
                        out[l] = if accumulate { out[l] + sum[l] } else { sum[l] };
                    }
                }
            }
        }
    }

    pub(in crate::ops) fn key_gradient<T, const W: usize>(
        s: Sizes, head: usize, q: Matrix<'_, T>, scores: &[T], target: Target<'_, T>,
    ) {
        let Target { matrix: mut dk, accumulate } = target;
        for f in head * s.width..(head + 1) * s.width {
            for j in 0..s.keys {
                for first in (0..s.lanes).step_by(W) {
                    let mut sum = [T::ZERO; W];
                    for i in (0..s.queries).filter(|i| s.seen(*i).contains(&j)) {
                        let (q, ds) = (lanes::<T, W>(q.row(f), s.at(i, first)), lanes::<T, W>(scores, s.at(s.row(i, j), first)));
                        for l in 0..W {
                            sum[l] = ds[l].fused::<FUSED>(q[l], sum[l]);
                        }
                    }
                    let out = lanes_mut::<T, W>(dk.part_mut(f, s.range::<W>(j, first)));
                    for l in 0..W {
                        out[l] = if accumulate { out[l] + sum[l] } else { sum[l] };
                    }
                }
            }
        }
    }

    pub(in crate::ops) fn value_gradient<T, const W: usize>(
        s: Sizes, head: usize, dy: Matrix<'_, T>, kept: Matrix<'_, T>, factors: Option<usize>,
        target: Target<'_, T>,
    ) {
        let Target { matrix: mut dv, accumulate } = target;
        let base = head * s.queries * s.keys;
        for first in (0..s.lanes).step_by(W) {
            for j in 0..s.keys {
                // The first query that sees this key begins the sum.
                let begin = s.first_to_see(j);
                for i in begin..s.queries {
                    let mut p = *lanes::<T, W>(kept.row(base + s.row(i, j)), first);
                    if let Some(start) = factors {
                        let factor = lanes::<T, W>(kept.row(start + base + s.row(i, j)), first);
                        for l in 0..W {
                            p[l] *= factor[l];
                        }
                    }
                    let add = accumulate || i > begin;
                    for f in head * s.width..(head + 1) * s.width {
                        let dy = lanes::<T, W>(dy.row(f), s.at(i, first));
                        let out = lanes_mut::<T, W>(dv.part_mut(f, s.range::<W>(j, first)));
                        for l in 0..W {
                            let before = if add { out[l] } else { T::ZERO };
                            out[l] = p[l].fused::<FUSED>(dy[l], before);
                        }
                    }
                }
            }
        }
    }
}
