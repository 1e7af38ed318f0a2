//! The gap between forward and backward knowledge of a fact.

/// The **asymmetry** of the held-out pairs, from their margins in the seen and in the unseen direction:
///
/// clamp(1 − max(0, unseen) / seen, 0, 1)
///
/// 1 is the reversal curse in full, 0 is none. `None` where the seen margin is
/// not positive (nothing was learned that could be reversed) or a margin is not
/// finite.
pub fn asymmetry(seen: f64, unseen: f64) -> Option<f64> {
    untransferred(seen, unseen)
}

/// The fraction of a trained margin that is missing in the held-out one.
pub(crate) fn untransferred(trained: f64, held_out: f64) -> Option<f64> {
    let defined = trained > 0.0 && trained.is_finite() && held_out.is_finite();
    defined.then(|| (1.0 - held_out.max(0.0) / trained).clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::asymmetry;

    #[test]
    fn runs_from_none_to_the_curse() {
        assert_eq!(asymmetry(8.0, 8.0), Some(0.0));
        assert_eq!(asymmetry(8.0, 6.0), Some(0.25));
        assert_eq!(asymmetry(8.0, 0.0), Some(1.0));
    }

    #[test]
    fn stays_between_nought_and_one() {
        assert_eq!(asymmetry(8.0, -3.0), Some(1.0));
        assert_eq!(asymmetry(8.0, 20.0), Some(0.0));
        assert_eq!(asymmetry(f64::MIN_POSITIVE, f64::MAX), Some(0.0));
    }

    #[test]
    fn is_undefined_where_nothing_was_learned() {
        for seen in [0.0, -0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(asymmetry(seen, 0.5), None, "{seen}");
        }
        for unseen in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(asymmetry(8.0, unseen), None, "{unseen}");
        }
    }
}
