//! Exact intervals of a probability from counted successes (Clopper and Pearson, 1934, *Biometrika*
//! 26): valid for every count, also where none or all of the trials succeed.

use crate::bootstrap::{Interval, LEVEL};

/// The two-sided Clopper-Pearson interval at [`LEVEL`] of the probability of success, from
/// `successes` in `trials`.
///
/// # Panics
/// Without trials, or with more successes than trials.
pub fn interval_of_fraction(successes: usize, trials: usize) -> Interval {
    assert!(0 < trials && successes <= trials, "{successes} successes in {trials} trials");
    let tail = (1.0 - LEVEL) / 2.0;
    // P(X ≤ k) falls with p. At the low end P(X ≥ successes) is `tail`, at the high end
    // P(X ≤ successes).
    let solve = |most: usize, wanted: f64| bisect(|p| at_most(most, trials, p) > wanted);
    Interval {
        low: if successes == 0 { 0.0 } else { solve(successes - 1, 1.0 - tail) },
        high: if successes == trials { 1.0 } else { solve(successes, tail) },
    }
}

/// P(X ≤ `most`) of a binomial X with `trials` trials of probability `p`, strictly between 0 and 1.
fn at_most(most: usize, trials: usize, p: f64) -> f64 {
    let n = trials as f64;
    let (ln_p, ln_q) = (p.ln(), libm::log1p(-p));
    let ln_factorial = |k: f64| libm::lgamma(k + 1.0);
    let term = |k: usize| {
        let k = k as f64;
        let ln_choose = ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
        libm::exp(ln_choose + k * ln_p + (n - k) * ln_q)
    };
    (0..=most).map(term).sum()
}

/// Where a condition turns from true to false between 0 and 1.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    loop {
        let middle = 0.5 * (low + high);
        // No number lies between.
        if middle <= low || middle >= high || high - low < 1e-15 {
            return middle;
        }
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R's `binom.test(k, n)$conf.int`.
    #[test]
    fn the_interval_is_that_of_other_software() {
        for (successes, trials, low, high) in [
            (5, 20, 0.086_571_469_1, 0.491_045_871_7),
            (1, 100, 0.000_253_146_0, 0.054_459_385_4),
            (10, 10, 0.691_502_892_2, 1.0),
            (0, 10, 0.0, 0.308_497_107_6),
        ] {
            let found = interval_of_fraction(successes, trials);
            assert!((found.low - low).abs() < 1e-9, "{successes} of {trials}: {found:?}");
            assert!((found.high - high).abs() < 1e-9, "{successes} of {trials}: {found:?}");
        }
    }

    #[test]
    fn extreme_counts_have_closed_forms() {
        for trials in [1, 40, 2000, 100_000] {
            let root = libm::pow(0.025, 1.0 / trials as f64);
            let (none, all) =
                (interval_of_fraction(0, trials), interval_of_fraction(trials, trials));
            assert!(none.low == 0.0 && (none.high / (1.0 - root) - 1.0).abs() < 1e-9, "{none:?}");
            assert!(all.high == 1.0 && (all.low - root).abs() < 1e-12, "{all:?}");
        }
    }

    /// Of every probability, at least 95 % of the draws have an interval that contains it.
    #[test]
    fn coverage_is_at_least_the_level() {
        let trials = 30;
        for p in [0.01, 0.1, 0.37, 0.5, 0.93] {
            let covers = |k: usize| {
                let interval = interval_of_fraction(k, trials);
                interval.low <= p && p <= interval.high
            };
            let probability = |k: usize| {
                at_most(k, trials, p) - if k == 0 { 0.0 } else { at_most(k - 1, trials, p) }
            };
            let covered: f64 = (0..=trials).filter(|&k| covers(k)).map(probability).sum();
            assert!(covered >= 0.95, "{p}: {covered}");
        }
    }
}
