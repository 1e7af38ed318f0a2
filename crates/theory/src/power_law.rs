//! Power laws fitted to measurements.

/// A fitted power law, y ∝ x^exponent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PowerLaw {
    /// The slope of ln y against ln x, by least squares.
    pub exponent: f64,
    /// Its standard error.
    pub standard_error: f64,
}

/// Fits a power law to the logarithms of (x, y). `None` of fewer than three points, or if all x are
/// equal.
pub(super) fn fit_power_law(ln_points: &[(f64, f64)]) -> Option<PowerLaw> {
    if ln_points.len() < 3 {
        return None;
    }
    let count = ln_points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| ln_points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let sum = |of: &dyn Fn(f64, f64) -> f64| {
        ln_points.iter().map(|point| of(point.0 - x, point.1 - y)).sum::<f64>()
    };
    let squares = sum(&|x, _| x * x);
    let exponent = sum(&|x, y| x * y) / squares;
    let misfit = sum(&|x, y| (y - exponent * x).powi(2));
    let standard_error = (misfit / (count - 2.0) / squares).sqrt();
    exponent.is_finite().then_some(PowerLaw { exponent, standard_error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_is_found_with_its_error() {
        let law: Vec<_> = (1..9).map(|x| (f64::from(x), 3.0 - 1.5 * f64::from(x))).collect();
        let fit = fit_power_law(&law).unwrap();
        assert!((fit.exponent + 1.5).abs() < 1e-14 && fit.standard_error < 1e-14);
        // 0, 1, 0 over −1, 0, 1: slope 0, residuals −1/3, 2/3, −1/3.
        let fit = fit_power_law(&[(-1.0, 0.0), (0.0, 1.0), (1.0, 0.0)]).unwrap();
        assert!(fit.exponent.abs() < 1e-15);
        assert!((fit.standard_error - (2.0_f64 / 3.0 / 2.0).sqrt()).abs() < 1e-15);
        assert_eq!(fit_power_law(&law[..2]), None);
        assert_eq!(fit_power_law(&[(1.0, 0.0); 4]), None);
    }
}
