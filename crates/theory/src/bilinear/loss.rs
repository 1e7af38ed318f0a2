//! The loss of one row of logits and its derivative, without cancellation.

/// −log p(target) after one source: log(1 + Σ e^{l_v − l_target}) over the others v, exact in the
/// last digits whether it is large or tiny.
pub(super) fn row_loss(logits: &[f64], target: usize) -> f64 {
    let top = largest(logits);
    let (others, own) = odds(logits.iter().map(|logit| (logit - top).exp()), target);
    loss(others, own, top - logits[target])
}

/// The residual of one trained source, written to `out`: Σ over its `targets` of the one-hot
/// target less the softmax, over |D| = `directions`; this is −|D|⁻¹ times the derivative of its
/// losses by its logits. Returns the sum of those losses.
pub(super) fn residual(
    logits: &[f64],
    targets: &[usize],
    directions: usize,
    out: &mut [f64],
) -> f64 {
    let top = largest(logits);
    for (out, logit) in out.iter_mut().zip(logits) {
        *out = (logit - top).exp();
    }
    let mut total = 0.0;
    let mut right = Vec::with_capacity(targets.len());
    let mut sum = 0.0;
    for &target in targets {
        let (others, own) = odds(out.iter().copied(), target);
        total += loss(others, own, top - logits[target]);
        sum = others + own;
        // Σ over its targets, again for a target that stands twice, so that the sum is right.
        let count = targets.iter().filter(|&&other| other == target).count() as f64;
        right.push((target, count * others - (targets.len() as f64 - count) * own));
    }
    let scale = 1.0 / (sum * directions as f64);
    out.iter_mut().for_each(|out| *out *= -scale * targets.len() as f64);
    for (target, right) in right {
        out[target] = right * scale;
    }
    total
}

fn largest(logits: &[f64]) -> f64 {
    logits.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The sum of all exponentials but the target's, and the target's.
fn odds(exponentials: impl Iterator<Item = f64>, target: usize) -> (f64, f64) {
    let mut own = 0.0;
    let mut others = 0.0;
    for (column, value) in exponentials.enumerate() {
        if column == target {
            own = value;
        } else {
            others += value;
        }
    }
    (others, own)
}

/// −log(own / (others + own)), where own = e^{−behind}.
fn loss(others: f64, own: f64, behind: f64) -> f64 {
    // `own` may have underflowed where the target is far behind.
    if behind > 0.0 { behind + (others + own).ln() } else { (others / own).ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::{residual, row_loss};

    #[test]
    fn tiny_and_huge_losses_keep_their_digits() {
        // log(1 + e^−60) = e^−60 to double precision; a naive logarithm of 1 gives 0.
        let tiny = row_loss(&[60.0, 0.0], 0);
        assert!((tiny / (-60f64).exp() - 1.0).abs() < 1e-14, "{tiny}");
        assert_eq!(row_loss(&[0.0, 2000.0], 0), 2000.0);
        assert!((row_loss(&[3.0; 50], 7) - 50f64.ln()).abs() < 1e-14);
        assert!(row_loss(&[f64::NAN, 1.0], 1).is_nan());
    }

    #[test]
    fn the_residual_is_the_slope_of_the_loss() {
        let logits = [0.3, -1.2, 2.0, 0.1];
        for targets in [vec![2], vec![0], vec![1, 3], vec![2, 2, 0]] {
            let mut out = [0.0; 4];
            let total = residual(&logits, &targets, 5, &mut out);
            let loss = |l: &[f64]| targets.iter().map(|&y| row_loss(l, y)).sum::<f64>();
            assert!((total - loss(&logits)).abs() < 1e-14);
            for column in 0..4 {
                let nudged = |by: f64| {
                    let mut logits = logits;
                    logits[column] += by;
                    loss(&logits)
                };
                let slope = (nudged(1e-5) - nudged(-1e-5)) / 2e-5;
                assert!((out[column] + slope / 5.0).abs() < 1e-10, "{targets:?} {column}");
            }
        }
    }

    #[test]
    fn the_residual_of_a_learned_target_does_not_vanish_too_soon() {
        let mut out = [0.0; 2];
        residual(&[100.0, 0.0], &[0], 1, &mut out);
        assert!((out[0] / (-100f64).exp() - 1.0).abs() < 1e-14, "{out:?}");
        assert!((out[1] / (-100f64).exp() + 1.0).abs() < 1e-14, "{out:?}");
    }
}
