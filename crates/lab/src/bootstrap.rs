//! Intervals of a mean over seeds, by resampling them: nothing is assumed of how a measure is
//! distributed, which suits accuracies that lie at 0 or 1.
//!
//! The percentile interval of Efron and Tibshirani (*An introduction to the bootstrap*, 1993,
//! section 13.3): of n values every resample takes n with replacement; the interval holds the
//! middle part of the resamples' means. With few seeds it is coarse, and a little narrow.
//!
//! Where the questions of every seed are known, the bootstrap is hierarchical (Davison and Hinkley,
//! *Bootstrap methods and their application*, 1997, section 3.8): a resample takes seeds with
//! replacement, and of each taken seed its questions with replacement.

use retrodict_engine::{Purpose, Stream};

use crate::stats;

/// The part of the resamples that an interval holds.
pub const LEVEL: f64 = 0.95;
/// Resamples that are drawn where there are too many to count them all.
pub const RESAMPLES: usize = 10_000;
/// The seed of those draws: the same values have the same interval, whoever asks.
pub const SEED: u64 = 2024;
/// Up to so many values all resamples are counted, 6⁶ = 46,656 at most: nothing is drawn.
const ALL_COUNTED: usize = 6;

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Interval {
    /// Whether everything in this one lies above everything in the other.
    pub fn is_above(self, other: Interval) -> bool {
        self.low > other.high
    }
}

/// The interval of the mean of `values`; `None` of fewer than two finite ones, which have no
/// spread. What is not finite is left out.
pub fn interval_of_mean(values: &[f64]) -> Option<Interval> {
    let mut values: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    if values.len() < 2 {
        return None;
    }
    // Sums depend on their order in the last bit; the interval must not on that of the seeds.
    values.sort_by(f64::total_cmp);
    let mut means = if values.len() <= ALL_COUNTED { all(&values) } else { drawn(&values) };
    means.sort_by(f64::total_cmp);
    let cut = (means.len() as f64 * (1.0 - LEVEL) / 2.0).floor() as usize;
    // A mean of equal values can miss them by a rounding; the ends lie within what was measured.
    let within = |mean: f64| mean.clamp(values[0], values[values.len() - 1]);
    Some(Interval { low: within(means[cut]), high: within(means[means.len() - 1 - cut]) })
}

/// Resamples of the questions of every seed, of which a resample takes one for each seed it draws.
const POOL: usize = 1000;

/// The means of [`RESAMPLES`] hierarchical resamples of `values[seed][question]`: the mean over seeds
/// of the mean over questions. The i-th resample takes the same seeds of all values with one number
/// of seeds, and the same questions of a seed with one number of questions: differences between two
/// results are paired.
///
/// # Panics
/// Without seeds, or with a seed without questions.
pub fn nested_means(values: &[Vec<f64>]) -> Vec<f64> {
    let seeds = values.len();
    assert!(seeds > 0 && values.iter().all(|of_seed| !of_seed.is_empty()), "nothing to resample");
    let first = values[0][0];
    if values.iter().flatten().all(|&value| value == first) {
        return vec![first; RESAMPLES];
    }
    // Streams up to RESAMPLES draw seeds; those behind them, questions.
    let pools: Vec<Vec<f64>> = (0..).zip(values).map(|(seed, of)| pool(of, seed)).collect();
    let resample = |number: u32| {
        let stream = Stream::new(SEED, Purpose::Resample, number);
        let taken = (0..seeds as u64).map(|slot| {
            let pool = &pools[stream.below(seeds, 2 * slot)];
            pool[stream.below(POOL, 2 * slot + 1)]
        });
        taken.sum::<f64>() / seeds as f64
    };
    (0..RESAMPLES as u32).map(resample).collect()
}

/// The means of [`RESAMPLES`] resamples of `values[seed][question]` where all seeds have the same
/// questions: a resample takes seeds, and questions for all of them alike, both with replacement. A
/// question that is hard for one seed is hard for all: seeds that agree are no further questions.
/// Differences are paired as those of [`nested_means`].
///
/// # Panics
/// Without seeds or questions, or with different numbers of questions.
pub fn crossed_means(values: &[Vec<f64>]) -> Vec<f64> {
    let (seeds, questions) = (values.len(), values.first().map_or(0, Vec::len));
    let whole = questions > 0 && values.iter().all(|of_seed| of_seed.len() == questions);
    assert!(whole, "every seed has the same questions, one at least");
    let resample = |number: u32| {
        let stream = Stream::new(SEED, Purpose::Resample, number);
        let taken: Vec<&Vec<f64>> =
            (0..seeds as u64).map(|slot| &values[stream.below(seeds, slot)]).collect();
        let of_question = |slot: usize| -> f64 {
            let question = stream.below(questions, (seeds + slot) as u64);
            taken.iter().map(|of_seed| of_seed[question]).sum()
        };
        (0..questions).map(of_question).sum::<f64>() / (seeds * questions) as f64
    };
    (0..RESAMPLES as u32).map(resample).collect()
}

/// The means of [`POOL`] resamples of the questions of one seed.
fn pool(values: &[f64], seed: u32) -> Vec<f64> {
    let count = values.len();
    if count == 1 {
        return vec![values[0]; POOL];
    }
    let stream = Stream::new(SEED, Purpose::Resample, RESAMPLES as u32 + seed);
    let resample = |number: u64| {
        let blocks = (number << 32..).take(count.div_ceil(4));
        let words = blocks.flat_map(|block| stream.words(block)).take(count);
        let taken = words.map(|word| values[((u64::from(word) * count as u64) >> 32) as usize]);
        taken.sum::<f64>() / count as f64
    };
    (0..POOL as u64).map(resample).collect()
}

/// The percentile interval of resampled means; `None` of none.
pub fn interval_of_resamples(mut means: Vec<f64>) -> Option<Interval> {
    means.sort_by(f64::total_cmp);
    let cut = (means.len() as f64 * (1.0 - LEVEL) / 2.0).floor() as usize;
    Some(Interval { low: *means.get(cut)?, high: means[means.len() - 1 - cut] })
}

/// The two-sided p-value of a mean difference of 0, from resampled differences: twice the share on
/// the rarer side of 0, with one added to either count, so that it is never 0.
pub fn p_of_no_difference(differences: impl Iterator<Item = f64> + Clone) -> f64 {
    let (count, below) = (differences.clone().count(), differences.clone().filter(|d| *d <= 0.0));
    let rarer = below.count().min(differences.filter(|d| *d >= 0.0).count());
    (2.0 * (rarer + 1) as f64 / (count + 1) as f64).min(1.0)
}

/// The means of all nⁿ resamples of n values.
fn all(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let count = n.pow(n as u32);
    let mut taken = vec![0.0; n];
    let mut means = Vec::with_capacity(count);
    for resample in 0..count {
        let mut rest = resample;
        for slot in &mut taken {
            *slot = values[rest % n];
            rest /= n;
        }
        means.push(mean_in_order(&mut taken));
    }
    means
}

/// The means of [`RESAMPLES`] drawn resamples.
fn drawn(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let mut taken = vec![0.0; n];
    let resample = |stream: usize| {
        let stream = Stream::new(SEED, Purpose::Resample, stream as u32);
        for (index, slot) in taken.iter_mut().enumerate() {
            *slot = values[stream.below(n, index as u64)];
        }
        mean_in_order(&mut taken)
    };
    (0..RESAMPLES).map(resample).collect()
}

/// Summed in rising order, so that resamples of the same values have the same mean to the bit.
fn mean_in_order(taken: &mut [f64]) -> f64 {
    taken.sort_by(f64::total_cmp);
    stats::mean(taken).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(values: &[f64]) -> (f64, f64) {
        let found = interval_of_mean(values).unwrap();
        (found.low, found.high)
    }

    #[test]
    fn the_intervals_of_two_and_three_values_are_those_written_out() {
        // Means a (1/4), (a + b)/2 (1/2), b (1/4): both ends hold more than 2.5 %.
        assert_eq!(interval(&[2.0, 6.0]), (2.0, 6.0));
        // 27 resamples, 0.675 of them cut at either end: none.
        assert_eq!(interval(&[1.0, 4.0, 1.0]), (1.0, 4.0));
    }

    /// Three seeds that agree tell no more than one: of 40 questions, half of them right, the ends
    /// are those of the binomial law. The hierarchical resamples take them for 120 questions.
    #[test]
    fn seeds_that_agree_are_no_further_questions() {
        let one: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        let three = vec![one; 3];
        let ends = |means| {
            let Interval { low, high } = interval_of_resamples(means).unwrap();
            [40.0 * low, 40.0 * high]
        };
        let [low, high] = ends(crossed_means(&three));
        assert!((low - 14.0).abs() < 1.01 && (high - 26.0).abs() < 1.01, "{low} {high}");
        let [nested_low, nested_high] = ends(nested_means(&three));
        assert!(nested_low > low + 1.0 && nested_high < high - 1.0, "{nested_low} {nested_high}");
        // Differences are paired.
        let more: Vec<Vec<f64>> =
            three.iter().map(|of| of.iter().map(|v| v + 1.0).collect()).collect();
        let pairs = crossed_means(&more).into_iter().zip(crossed_means(&three));
        assert!(pairs.into_iter().all(|(a, b)| (a - b - 1.0).abs() < 1e-12));
    }

    /// Of 0/1 values with one 1 among five, a resample's mean is k/5 with k ~ Binomial(5, 1/5):
    /// P(k ≥ 3) = 0.058, P(k ≥ 4) = 0.0067, P(k = 0) = 0.33.
    #[test]
    fn of_rare_successes_it_is_the_binomials_quantiles() {
        assert_eq!(interval(&[0.0, 0.0, 1.0, 0.0, 0.0]), (0.0, 0.6));
        assert_eq!(interval(&[1.0, 0.0, 1.0, 1.0, 1.0]), (0.4, 1.0));
    }

    /// By the same law with forty values, where resamples are drawn: k ~ Binomial(40, 1/2) has its
    /// 2.5 % points at 14 and 26, and the draws may miss them by one.
    #[test]
    fn drawn_resamples_agree_with_the_binomial_law() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        let (low, high) = interval(&values);
        assert!(
            (low * 40.0 - 14.0).abs() < 1.01 && (high * 40.0 - 26.0).abs() < 1.01,
            "{low} {high}"
        );
        assert_eq!(interval(&values), (low, high), "drawn alike each time");
    }

    #[test]
    fn the_order_of_seeds_does_not_matter_and_equal_values_have_no_width() {
        let values = [0.1, 0.7, 0.3, 0.2, 0.9, 0.4, 0.8];
        let mut turned = values;
        turned.reverse();
        assert_eq!(interval(&values), interval(&turned));
        for n in [2, 5, 7, 12] {
            assert_eq!(interval(&vec![0.1; n]), (0.1, 0.1), "{n} values");
        }
    }

    fn width(interval: Interval) -> f64 {
        interval.high - interval.low
    }

    /// With k seeds of variance s² between them and n questions of variance p(1 − p) within, the
    /// mean has variance s²/k + p(1 − p)/(k n); the bootstrap's interval is 3.92 roots of it wide.
    #[test]
    fn a_nested_interval_has_the_width_of_both_levels() {
        let (seeds, questions) = (60, 50);
        let right = |seed: usize| 10 + 30 * (seed % 2); // 0.2 or 0.8 of a seed's questions
        let values: Vec<Vec<f64>> = (0..seeds)
            .map(|s| (0..questions).map(|q| f64::from(u8::from(q < right(s)))).collect())
            .collect();
        let found = interval_of_resamples(nested_means(&values)).unwrap();
        let variance = (0.3 * 0.3 + 0.16 / questions as f64) / seeds as f64;
        let expected = 2.0 * 1.96 * variance.sqrt();
        assert!((width(found) / expected - 1.0).abs() < 0.05, "{found:?} {expected}");
        assert!((found.low + found.high - 1.0).abs() < 0.02, "{found:?}");

        // Seeds that agree leave the questions' share alone: Binomial(60 · 50, 1/2).
        let same: Vec<Vec<f64>> =
            (0..seeds).map(|_| (0..questions).map(|q| f64::from(q as u8 % 2)).collect()).collect();
        let found = interval_of_resamples(nested_means(&same)).unwrap();
        let expected = 2.0 * 1.96 * (0.25 / (seeds as f64 * questions as f64)).sqrt();
        assert!((width(found) / expected - 1.0).abs() < 0.05, "{found:?} {expected}");
    }

    /// Single questions leave the bootstrap over seeds.
    #[test]
    fn seeds_of_one_value_are_resampled_alone() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i % 2)).collect();
        let nested: Vec<Vec<f64>> = values.iter().map(|&value| vec![value]).collect();
        let found = interval_of_resamples(nested_means(&nested)).unwrap();
        let (low, high) = interval(&values);
        assert!((found.low - low).abs() < 0.03 && (found.high - high).abs() < 0.03, "{found:?}");
        assert_eq!(nested_means(&[vec![0.3; 4], vec![0.3; 9]]), vec![0.3; RESAMPLES]);
    }

    /// A constant difference is seen through any spread between questions and seeds.
    #[test]
    fn differences_are_paired_and_without_one_p_is_large() {
        let base: Vec<Vec<f64>> =
            (0..5).map(|s| (0..20).map(|q| f64::from((7 * s + 3 * q) % 11)).collect()).collect();
        let more: Vec<Vec<f64>> =
            base.iter().map(|of| of.iter().map(|value| value + 0.01).collect()).collect();
        let p = |a: &[Vec<f64>], b: &[Vec<f64>]| {
            let (a, b) = (nested_means(a), nested_means(b));
            p_of_no_difference(a.iter().zip(&b).map(|(a, b)| a - b))
        };
        assert_eq!(p(&more, &base), 2.0 / (RESAMPLES as f64 + 1.0));
        assert_eq!(p(&base, &base), 1.0);
        let turned: Vec<Vec<f64>> =
            base.iter().map(|of| of.iter().rev().copied().collect()).collect();
        assert!(p(&turned, &base) > 0.5, "the same values");
    }

    #[test]
    fn fewer_than_two_values_have_no_interval() {
        assert_eq!(interval_of_mean(&[]), None);
        assert_eq!(interval_of_mean(&[0.5, f64::NAN]), None);
        assert_eq!(interval(&[0.5, f64::NAN, 0.7]), (0.5, 0.7));
    }

    #[test]
    fn touching_intervals_are_not_above_each_other() {
        let of = |low, high| Interval { low, high };
        assert!(of(0.5, 0.6).is_above(of(0.1, 0.4)));
        assert!(!of(0.4, 0.6).is_above(of(0.1, 0.4)));
        assert!(!of(0.1, 0.4).is_above(of(0.5, 0.6)));
    }
}
