//! Gradient flow in closed form, and the bound that it gives for steps of any size. Derivations are
//! in `docs/theory/one-layer.md`.

/// The margin z of a source's targets over all other tokens under gradient flow from zero weights,
/// where the source has `targets` targets among `vocab` tokens, each in one training sentence, and
/// is the only token attended to. `own_time` is η_Y t/N: the learning rate times the expected
/// number of updates that each of these sentences has had. z solves
///
/// n (eᶻ − 1) + (M − n) z = M · `own_time`.
///
/// # Panics
/// Unless 1 ≤ `targets` < `vocab` and `own_time` is a number from 0.
pub fn flow_margin(vocab: usize, targets: usize, own_time: f64) -> f64 {
    assert!(
        (1..vocab).contains(&targets) && own_time >= 0.0,
        "1 ≤ targets < vocab and a time from 0"
    );
    let (n, others) = (targets as f64, (vocab - targets) as f64);
    let right = vocab as f64 * own_time;
    // The left side is convex and rising: from above, Newton's method falls to the root. Each term
    // alone is smaller than the sum, so that both starts lie above.
    let mut z = (right / n).ln_1p().min(right / others);
    for _ in 0..100 {
        let step = (n * z.exp_m1() + others * z - right) / (n * z.exp() + others);
        z -= step;
        if step <= 1e-16 * z {
            break;
        }
    }
    z.max(0.0)
}

/// ln(1 − p) of the target of a source that has no other, under gradient flow as in
/// [`flow_margin`]. SGD and gradient descent with any learning rate have at most this after as much
/// `own_time`: their steps follow the tangent of a concave curve, and overshoot it.
pub fn ln_complement(vocab: usize, own_time: f64) -> f64 {
    let others = (vocab as f64 - 1.0).ln();
    let margin = flow_margin(vocab, 1, own_time);
    // 1 − p = 1 / (1 + e^(z − ln(M − 1))).
    let lead = margin - others;
    if lead > 0.0 { -lead - (-lead).exp().ln_1p() } else { -lead.exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flow of a row with M numbers, by the classical Runge-Kutta method.
    fn integrated(vocab: usize, targets: usize, own_time: f64) -> f64 {
        let velocity = |row: &[f64]| -> Vec<f64> {
            let sum: f64 = row.iter().map(|y| y.exp()).sum();
            let g = |(v, y): (usize, &f64)| f64::from(v < targets) - targets as f64 * y.exp() / sum;
            row.iter().enumerate().map(g).collect()
        };
        let ahead = |row: &[f64], by: f64, slope: &[f64]| -> Vec<f64> {
            row.iter().zip(slope).map(|(y, slope)| y + by * slope).collect()
        };
        let (mut row, steps) = (vec![0.0; vocab], 4000);
        let h = own_time / f64::from(steps);
        for _ in 0..steps {
            let k1 = velocity(&row);
            let k2 = velocity(&ahead(&row, h / 2.0, &k1));
            let k3 = velocity(&ahead(&row, h / 2.0, &k2));
            let k4 = velocity(&ahead(&row, h, &k3));
            for (slope, weight) in [(k1, 1.0), (k2, 2.0), (k3, 2.0), (k4, 1.0)] {
                row = ahead(&row, h * weight / 6.0, &slope);
            }
        }
        row[0] - row[vocab - 1]
    }

    #[test]
    fn the_closed_form_is_the_flow() {
        for (vocab, targets) in [(2, 1), (5, 1), (5, 2), (30, 1), (30, 2), (30, 7)] {
            for own_time in [0.01, 1.0, 5.0, 40.0] {
                let (ours, theirs) =
                    (flow_margin(vocab, targets, own_time), integrated(vocab, targets, own_time));
                assert!((ours / theirs - 1.0).abs() < 1e-9, "{vocab} {targets} {own_time}: {ours}");
            }
        }
    }

    #[test]
    fn the_closed_form_solves_its_equation_at_every_scale() {
        assert_eq!(flow_margin(802, 1, 0.0), 0.0);
        assert!((ln_complement(802, 0.0) - (801.0_f64 / 802.0).ln()).abs() < 1e-15);
        for exponent in -12..=200 {
            let own_time = 10_f64.powi(exponent);
            for (vocab, n) in [(2, 1.0), (802, 1.0), (1_000_002, 2.0)] {
                let z = flow_margin(vocab, n as usize, own_time);
                let left = n * z.exp_m1() + (vocab as f64 - n) * z;
                // e^z magnifies the last digit of z by z.
                let slack = 1e-15 * (4.0 + z);
                assert!(
                    (left / (vocab as f64 * own_time) - 1.0).abs() < slack,
                    "{vocab} {own_time}"
                );
            }
        }
    }

    #[test]
    fn the_complement_falls_as_one_over_time_once_ln_vocab_has_passed() {
        for vocab in [100, 10_000, 1_000_000] {
            let local = |at: f64| {
                (ln_complement(vocab, at * 1.01) - ln_complement(vocab, at)) / 1.01_f64.ln()
            };
            assert!((local(1e9) + 1.0).abs() < 1e-6);
            assert!(ln_complement(vocab, 0.3 * (vocab as f64).ln()) > 0.9_f64.ln());
            // The explicit bound of the derivation.
            for own_time in [30.0_f64, 1e3, 1e6] {
                let bound = 1.0 / (1.0 + own_time - (vocab as f64 * own_time).ln_1p());
                assert!(ln_complement(vocab, own_time) <= bound.ln());
            }
        }
    }

    #[test]
    fn steps_of_any_size_are_ahead_of_the_flow() {
        for (vocab, rate) in [(3, 0.5), (802, 0.1), (802, 5.0), (50, 30.0)] {
            let (mut target, mut other) = (0.0_f64, 0.0_f64);
            for step in 1..=2000 {
                let others = (vocab as f64 - 1.0) * (other - target).exp();
                let p_other = (other - target).exp() / (1.0 + others);
                target += rate * others / (1.0 + others);
                other -= rate * p_other;
                let rest = (vocab as f64 - 1.0).ln() + other - target;
                let ours = rest - rest.exp().ln_1p();
                assert!(ours <= ln_complement(vocab, rate * f64::from(step)) + 1e-12, "{step}");
            }
        }
    }
}
