//! Means over seeds and their spread.

/// The arithmetic mean; `None` of nothing.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The standard deviation of a sample (ddof 1); `None` of fewer than two values.
pub fn std(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let mean = mean(values)?;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Some((squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::{mean, std};

    #[test]
    fn of_few() {
        assert_eq!((mean(&[]), std(&[]), std(&[3.0])), (None, None, None));
        assert_eq!((mean(&[1.0, 2.0, 6.0]), std(&[1.0, 2.0, 6.0])), (Some(3.0), Some(7f64.sqrt())));
    }
}
