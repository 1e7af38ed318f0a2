//! Means over seeds and their spread. What is not finite (a diverged run, a measure that does not
//! apply) is left out.

/// The arithmetic mean of what is finite; `None` of nothing.
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
}
