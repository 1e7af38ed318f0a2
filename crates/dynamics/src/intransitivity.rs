//! The gap between knowledge of a chain's links and of its end.

use crate::asymmetry::untransferred;

/// The **intransitivity** of the held-out chains, from their margins in the two trained links and in
/// the implication that is held out:
///
/// 1 − (A ⇝ C) / min(A → B, B → C)
///
/// At 1 nothing of A ⇝ C follows, so that a chain of thought is needed; at 0 all of it does. `None`
/// until both links' margins are [`LEARNED`](crate::LEARNED), or where a margin is not finite.
pub fn intransitivity(a_to_b: f64, b_to_c: f64, a_to_c: f64) -> Option<f64> {
    // `f64::min` would drop a NaN.
    let links = [a_to_b, b_to_c].map(|link| untransferred(link, a_to_c));
    let weaker = if b_to_c < a_to_b { 1 } else { 0 };
    links[1 - weaker].and(links[weaker])
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
    fn is_not_clamped() {
        assert_eq!(intransitivity(8.0, 4.0, -2.0), Some(1.5));
        assert_eq!(intransitivity(8.0, 4.0, 6.0), Some(-0.5));
    }

    #[test]
    fn is_undefined_where_a_link_was_not_learned() {
        for link in [0.999, 0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(intransitivity(link, 4.0, 0.0), None, "{link}");
            assert_eq!(intransitivity(4.0, link, 0.0), None, "{link}");
        }
        assert_eq!(intransitivity(8.0, 4.0, f64::NAN), None);
    }
}
