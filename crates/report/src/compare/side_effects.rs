//! The side effects of an intervention: trained abilities that it loses, and blind swaps.

use serde::Serialize;

use crate::text;

/// The blind-swap rate above which a row is said to swap blindly.
pub(super) const BLIND_SWAPS: f64 = 0.05;
/// The accuracy on trained facts (forward, control) below which a row is said to lose them.
pub(super) const KEPT: f64 = 0.95;

/// A kind of side effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Questions of a relation without a reverse are answered as if it had one.
    BlindSwaps,
    /// The trained direction of the held-out facts is not answered.
    Forward,
    /// Trained facts of the relation without a reverse are not answered.
    Control,
}

/// A side effect that is larger than its threshold, and than the baseline's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SideEffect {
    /// Its kind.
    pub effect: Effect,
    /// The rate of blind swaps, or the accuracy that is left.
    pub rate: f64,
}

impl SideEffect {
    /// The side effect as a table says it.
    pub fn words(&self) -> String {
        let rate = text::percent(self.rate);
        match self.effect {
            Effect::BlindSwaps => format!("swaps {rate} blindly"),
            Effect::Forward => format!("forward {rate}"),
            Effect::Control => format!("control {rate}"),
        }
    }
}

/// The rates of a row, means over seeds; `None` where a task has no such questions.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    pub(super) blind_swaps: Option<f64>,
    pub(super) forward: Option<f64>,
    pub(super) control: Option<f64>,
}

impl Rates {
    /// The side effects beyond their thresholds and worse than the baseline's.
    pub(super) fn side_effects(self, baseline: Rates) -> Vec<SideEffect> {
        let more = |own: f64, base: Option<f64>| own > BLIND_SWAPS && base.is_none_or(|b| own > b);
        let less = |own: f64, base: Option<f64>| own < KEPT && base.is_none_or(|b| own < b);
        let of = |effect, rate: Option<f64>, worse: &dyn Fn(f64) -> bool| {
            rate.filter(|rate| worse(*rate)).map(|rate| SideEffect { effect, rate })
        };
        [
            of(Effect::BlindSwaps, self.blind_swaps, &|own| more(own, baseline.blind_swaps)),
            of(Effect::Forward, self.forward, &|own| less(own, baseline.forward)),
            of(Effect::Control, self.control, &|own| less(own, baseline.control)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The reverse accuracy by which rows are ranked: times the share of questions that are not
    /// swapped blindly, times the accuracies on trained facts.
    pub(super) fn discounted(self, accuracy: f64) -> f64 {
        let kept = |rate: Option<f64>| rate.unwrap_or(1.0);
        let not_swapped = 1.0 - self.blind_swaps.unwrap_or(0.0);
        accuracy * not_swapped * kept(self.forward) * kept(self.control)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAN: Rates = Rates { blind_swaps: Some(0.0), forward: Some(1.0), control: Some(1.0) };

    #[test]
    fn a_side_effect_is_named_beyond_its_threshold_and_where_the_baseline_has_less() {
        let words = |rates: Rates, base| {
            let found = rates.side_effects(base);
            found.iter().map(SideEffect::words).collect::<Vec<_>>()
        };
        let spoiled = Rates { blind_swaps: Some(0.42), forward: Some(0.61), control: Some(0.9) };
        assert_eq!(
            words(spoiled, CLEAN),
            ["swaps 42.0\u{a0}% blindly", "forward 61.0\u{a0}%", "control 90.0\u{a0}%"]
        );
        assert!(words(spoiled, spoiled).is_empty(), "the baseline has them too");
        let slight = Rates { blind_swaps: Some(0.05), forward: Some(0.95), control: Some(0.96) };
        assert!(words(slight, CLEAN).is_empty());
        assert!(words(Rates::default(), CLEAN).is_empty());
    }

    #[test]
    fn accuracy_is_discounted_by_what_is_spoiled() {
        let swaps = Rates { blind_swaps: Some(0.42), ..CLEAN };
        assert!((swaps.discounted(1.0) - 0.58).abs() < 1e-12);
        assert_eq!(CLEAN.discounted(0.9), 0.9);
        assert_eq!(Rates::default().discounted(0.9), 0.9);
    }
}
