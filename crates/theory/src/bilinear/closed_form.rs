//! Gradient flow in closed form, and the exponent of theorem 1. Derivations are in `docs/theory/bilinear.md`.

use crate::one_layer::flow_margin;

/// The training loss under gradient flow from Θ = 0 with orthonormal embeddings, where each source
/// is trained on one target: `entities` is m, `directions` is |D|. Every trained row then moves
/// alone, and its margin z solves
///
/// eᶻ/(m − 1) + z = (m/(m − 1)) t/|D| + 1/(m − 1),
///
/// which Lambert's W inverts: z = c − W(eᶜ/(m − 1)) with c the right side. It is the equation of
/// [`flow_margin`] with one target, solved there without the overflow of eᶜ.
///
/// # Panics
/// With fewer than two entities, no directions, or a negative time.
pub fn flow_loss(entities: usize, directions: usize, time: f64) -> f64 {
    assert!(directions > 0, "at least one trained direction");
    let margin = flow_margin(entities, 1, time / directions as f64);
    let behind = (entities as f64 - 1.0).ln() - margin;
    if behind > 0.0 { behind + (-behind).exp().ln_1p() } else { behind.exp().ln_1p() }
}

/// The exponent of theorem 1 at one time, ln(L^rev/L^rev₀) / ln(L/L₀): the smallest ε with which
/// L^rev/L^rev₀ ≥ (L/L₀)^ε there, as long as L < L₀. Negative where the reversal loss has risen;
/// `None` where L = L₀ or a loss is not positive.
pub fn exponent(
    train: f64,
    initial_train: f64,
    reversal: f64,
    initial_reversal: f64,
) -> Option<f64> {
    // ln(a/b), to the last digits where a is close to b.
    let ln_quotient = |a: f64, b: f64| {
        let quotient = a / b;
        if (0.5..2.0).contains(&quotient) { ((a - b) / b).ln_1p() } else { quotient.ln() }
    };
    let exponent = ln_quotient(reversal, initial_reversal) / ln_quotient(train, initial_train);
    exponent.is_finite().then_some(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closed_form_solves_the_papers_equation() {
        for (entities, directions) in [(2, 1), (10, 8), (1000, 850)] {
            let m = entities as f64;
            assert!((flow_loss(entities, directions, 0.0) / m.ln() - 1.0).abs() < 1e-14);
            for exponent in -4..=9 {
                let time = 10_f64.powi(exponent);
                let loss = flow_loss(entities, directions, time);
                // L = log(1 + (m − 1) e^−z).
                let z = ((m - 1.0) / loss.exp_m1()).ln();
                let left = z.exp() / (m - 1.0) + z;
                let right = (m * time / directions as f64 + 1.0) / (m - 1.0);
                assert!((left - right).abs() < 1e-11 * (1.0 + right), "{m} {time}: {left} {right}");
            }
        }
    }

    #[test]
    fn the_exponent_is_that_of_the_power_law_it_bounds() {
        for epsilon in [-0.3, 1e-9, 0.5, 2.0] {
            for quotient in [1.0 - 1e-6, 0.7, 1e-5] {
                let reversal = 4.0 * f64::powf(quotient, epsilon);
                let found = exponent(3.0 * quotient, 3.0, reversal, 4.0).unwrap();
                assert!((found - epsilon).abs() < 1e-9, "{epsilon} {quotient}: {found}");
            }
        }
        assert_eq!(exponent(1.0, 2.0, 3.0, 3.0), Some(0.0));
        assert_eq!(exponent(2.0, 2.0, 1.0, 3.0), None);
        assert_eq!(exponent(0.0, 2.0, 0.0, 3.0), None);
    }
}
