//! The gap between forward and backward knowledge of a fact.

/// The least margin, in nats, at which a direction counts as learned. Below it an index is a
/// quotient of two numbers near 0.
pub const LEARNED: f64 = 1.0;

/// The **asymmetry** of the held-out pairs, from their margins in the seen and in the unseen
/// direction:
///
/// 1 − unseen / seen
///
/// 1 is the reversal curse in full, 0 is none; it is above 1 where the partner is below its rivals.
/// `None` until the seen margin is [`LEARNED`], or where a margin is not finite.
pub fn asymmetry(seen: f64, unseen: f64) -> Option<f64> {
    untransferred(seen, unseen)
}

/// The fraction of a trained margin that is missing in the held-out one.
pub(crate) fn untransferred(trained: f64, held_out: f64) -> Option<f64> {
    let defined = trained >= LEARNED && trained.is_finite() && held_out.is_finite();
    defined.then(|| 1.0 - held_out / trained)
}

#[cfg(test)]
mod tests {
    use super::asymmetry;

    #[test]
    fn runs_from_none_to_the_curse_and_beyond() {
        assert_eq!(asymmetry(8.0, 8.0), Some(0.0));
        assert_eq!(asymmetry(8.0, 6.0), Some(0.25));
        assert_eq!(asymmetry(8.0, 0.0), Some(1.0));
        assert_eq!(asymmetry(8.0, -4.0), Some(1.5));
        assert_eq!(asymmetry(8.0, 20.0), Some(-1.5));
    }

    #[test]
    fn is_undefined_where_nothing_was_learned() {
        assert_eq!(asymmetry(1.0, 0.5), Some(0.5));
        for seen in [0.999, 0.0, -0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(asymmetry(seen, 0.5), None, "{seen}");
        }
        for unseen in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(asymmetry(8.0, unseen), None, "{unseen}");
        }
    }
}
