//! Means over seeds, their spread, and a correction for many comparisons. What is not finite (a diverged run, a measure that does not
//! apply) is left out.

/// The arithmetic mean of the finite values; `None` if there are none.
pub fn mean(values: &[f64]) -> Option<f64> {
    retrodict_dynamics::mean(finite(values))
}

/// The standard deviation of a sample (ddof 1); `None` of fewer than two values.
pub fn std(values: &[f64]) -> Option<f64> {
    let mean = mean(values)?;
    let add = |(squares, count), v: f64| (squares + (v - mean).powi(2), count + 1);
    let (squares, count) = finite(values).fold((0.0, 0), add);
    (count > 1).then(|| (squares / f64::from(count - 1)).sqrt())
}

/// p-values corrected for their number, in the same order (Holm 1979, *Scandinavian Journal of
/// Statistics* 6): with all below a level taken as real, the probability that any one is not is at
/// most that level.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, at) in order.into_iter().enumerate() {
        let left = (p_values.len() - rank) as f64;
        largest = largest.max((left * p_values[at]).min(1.0));
        corrected[at] = largest;
    }
    corrected
}

fn finite(values: &[f64]) -> impl Iterator<Item = f64> {
    values.iter().copied().filter(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_has_one_degree_of_freedom_less() {
        assert_eq!((mean(&[]), std(&[]), std(&[3.0])), (None, None, None));
        assert_eq!((mean(&[1.0, 2.0, 6.0]), std(&[1.0, 2.0, 6.0])), (Some(3.0), Some(7f64.sqrt())));
    }

    #[test]
    fn what_is_not_finite_is_left_out() {
        assert_eq!(mean(&[f64::NAN, 4.0, f64::INFINITY]), Some(4.0));
        assert_eq!(std(&[f64::NAN, 4.0]), None);
    }

    /// R's `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`.
    #[test]
    fn holm_corrects_as_other_software_does() {
        let corrected = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, right) in corrected.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - right).abs() < 1e-12, "{corrected:?}");
        }
        assert_eq!((holm(&[]), holm(&[0.7, 0.9])), (vec![], vec![1.0, 1.0]));
    }
}
