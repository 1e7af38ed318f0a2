//! The gap between knowledge of a chain's links and of its end.

use crate::asymmetry::untransferred;

/// The **intransitivity** of the held-out chains, from their margins in the two trained links and in the
/// implication that is held out:
///
/// clamp(1 − max(0, A ⇝ C) / min(A → B, B → C), 0, 1)
///
/// At 1 nothing of A ⇝ C follows, so that a chain of thought is needed; at 0 all of it does. `None`
/// where a link's margin is not positive or a margin is not finite.
pub fn intransitivity(a_to_b: f64, b_to_c: f64, a_to_c: f64) -> Option<f64> {
    // The weaker link gives the smaller value.
    Some(untransferred(a_to_b, a_to_c)?.min(untransferred(b_to_c, a_to_c)?))
}

#[cfg(test)]
mod tests {
    use super::intransitivity;

    #[test]
    fn is_measured_against_the_weaker_link() {
        assert_eq!(intransitivity(8.0, 4.0, 0.0), Some(1.0));
        assert_eq!(intransitivity(8.0, 4.0, 1.0), Some(0.75));
        assert_eq!(intransitivity(4.0, 8.0, 1.0), Some(0.75));
        assert_eq!(intransitivity(8.0, 4.0, 4.0), Some(0.0));
    }

    #[test]
    fn stays_between_nought_and_one() {
        assert_eq!(intransitivity(8.0, 4.0, -2.0), Some(1.0));
        assert_eq!(intransitivity(8.0, 4.0, 6.0), Some(0.0));
    }

    #[test]
    fn is_undefined_where_a_link_was_not_learned() {
        for link in [0.0, -1.0, f64::NAN] {
            assert_eq!(intransitivity(link, 4.0, 0.0), None, "{link}");
            assert_eq!(intransitivity(4.0, link, 0.0), None, "{link}");
        }
        assert_eq!(intransitivity(8.0, 4.0, f64::NAN), None);
    }
}
