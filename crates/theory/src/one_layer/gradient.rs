//! One sentence: how well it is predicted, and which way that moves the weights.
//!
//! With c and s the components of f along the source and the relation token (c² + s² = 1), p the
//! softmax of c Y[x₁] + s Y[r], and g = e_target − p,
//!
//! −∂L/∂Y[x₁] = c g,  −∂L/∂Y[r] = s g,
//! −∂L/∂Z[r, x₁] = ∂L/∂Z[r, r] = c s (s Y[x₁]·g − c Y[r]·g).

use retrodict_engine::{Isa, rows};

use super::layout::Place;
use super::model::Score;

/// The logit of a token that is left out of a sum.
const OUT: f64 = -1e300;

/// f: the weights of the source and of the relation token. The norm takes the sum of the attention
/// away, so that only its quotient counts.
fn mixture(weights: &[f64], place: &Place) -> [f64; 2] {
    let Some([source, relation]) = place.attention else { return [1.0, 0.0] };
    let lead = weights[source] - weights[relation];
    let quotient = libm::exp(-lead.abs());
    let larger = 1.0 / (1.0 + quotient * quotient).sqrt();
    let [first, second] = [larger, quotient * larger];
    if lead >= 0.0 { [first, second] } else { [second, first] }
}

/// e^logit of the target and of all others together, both over the same factor.
struct Odds {
    own: f64,
    others: f64,
}

/// The two sides of the softmax. The exponentials stay in `scratch` `[width]`; the target's own
/// column holds nothing of use there unless others share it.
fn odds(isa: Isa, weights: &[f64], place: &Place, mix: [f64; 2], scratch: &mut [f64]) -> Odds {
    let source = &weights[place.source..][..place.width];
    let relation = &weights[place.relation..][..place.width];
    let mut highest = 0.0;
    rows::mix(isa, mix[0], source, mix[1], relation, scratch, &mut highest);
    let own = libm::exp(scratch[place.target] - highest);
    let last = place.width - 1;
    // Copies of the last column that the plain sum misses, or, of the target's, has too many.
    let mut more = place.last_copies as f64 - 1.0;
    if place.target_copies == 1 {
        scratch[place.target] = OUT;
    } else {
        more -= 1.0;
    }
    let mut sum = 0.0;
    rows::exponentials(isa, highest, scratch, &mut sum);
    Odds { own, others: sum + more * scratch[last] }
}

pub(super) fn score(isa: Isa, weights: &[f64], place: &Place, scratch: &mut [f64]) -> Score {
    let scratch = &mut scratch[..place.width];
    let Odds { own, others } = odds(isa, weights, place, mixture(weights, place), scratch);
    // The smaller side is a relative correction of the larger one.
    let (ln_own, ln_others) = (libm::log(own), libm::log(others));
    let ln_sum = if own > others {
        ln_own + libm::log1p(others / own)
    } else {
        ln_others + libm::log1p(own / others)
    };
    let ln_probability = if own > others { -libm::log1p(others / own) } else { ln_own - ln_sum };
    let ln_complement = if own > others { ln_others - ln_sum } else { -libm::log1p(own / others) };
    Score { ln_probability, ln_complement }
}

/// The direction in which a training sentence moves the weights.
pub(super) struct Push {
    /// Factors of the scratch row in −∂L/∂Y[x₁] and −∂L/∂Y[r].
    pub(super) rows: [f64; 2],
    /// −∂L/∂Z[r, x₁]; the negative is that of Z[r, r].
    pub(super) attention: f64,
}

/// The push of one training sentence; `scratch` `[width]` holds g but for a factor.
pub(super) fn push(
    isa: Isa,
    weights: &[f64],
    place: &Place,
    attention_learns: bool,
    scratch: &mut [f64],
) -> Push {
    let mix = mixture(weights, place);
    let Odds { own, others } = odds(isa, weights, place, mix, scratch);
    // Now it is −g times the sum; 1 − p is taken from the others, without cancellation.
    scratch[place.target] = -others;
    let factor = -1.0 / (own + others);
    let [c, s] = mix;
    let mut attention = 0.0;
    if attention_learns && place.attention.is_some() {
        let last = place.width - 1;
        let along = |start: usize| {
            let row = &weights[start..][..place.width];
            let mut product = 0.0;
            rows::inner_product(isa, row, scratch, &mut product);
            let missing = (place.last_copies as f64 - 1.0) * row[last] * scratch[last];
            factor * (product + missing)
        };
        attention = c * s * (s * along(place.source) - c * along(place.relation));
    }
    Push { rows: [factor * c, factor * s], attention }
}
