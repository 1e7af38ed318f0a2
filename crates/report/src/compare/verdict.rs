//! Whether an intervention helps, by intervals over seeds; and whether that is what was published.

use retrodict_lab::bootstrap::Interval;
use serde::Serialize;

use super::file::{Expect, Intervention};
use crate::text;

/// What an intervention does to the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is what the others are compared with.
    Baseline,
    /// Its interval lies on the better side of the baseline's, and of what a guess would give.
    Helps,
    /// It clears the baseline, but is not told from a guess that knows the answer's type.
    Guesses,
    /// The intervals meet.
    DoesNotHelp,
    /// Its interval lies on the worse side.
    Hurts,
    /// Too few complete runs for intervals: of it, or of the baseline.
    Open,
}

/// Which measure decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// Reverse accuracy.
    Accuracy,
    /// Reverse NLL: no seed of either answers a single held-out question.
    Nll,
}

/// The intervals that decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Intervals {
    /// Of reverse accuracy.
    pub(super) accuracy: Interval,
    /// Of reverse NLL.
    pub(super) nll: Interval,
}

/// Holds an intervention against the baseline: by accuracy; by NLL where both never answer right.
/// `chance` is the accuracy of a guess among the candidates of the answer's type: from 0 to there an
/// intervention has taught the type, and no fact. `None` stands for runs that are missing, and for a
/// chance that is not known.
pub(super) fn verdict(
    intervention: Option<Intervals>,
    baseline: Option<Intervals>,
    chance: Option<f64>,
) -> (Verdict, Option<By>) {
    let (Some(own), Some(base)) = (intervention, baseline) else { return (Verdict::Open, None) };
    let never = own.accuracy.high == 0.0 && base.accuracy.high == 0.0;
    let (better, worse, by) = if never {
        (base.nll.is_above(own.nll), own.nll.is_above(base.nll), By::Nll)
    } else {
        let better = own.accuracy.is_above(base.accuracy);
        (better, base.accuracy.is_above(own.accuracy), By::Accuracy)
    };
    let guesses = by == By::Accuracy && chance.is_some_and(|chance| own.accuracy.low <= chance);
    match (better, worse) {
        (true, _) if guesses => (Verdict::Guesses, Some(by)),
        (true, _) => (Verdict::Helps, Some(by)),
        (_, true) => (Verdict::Hurts, Some(by)),
        _ => (Verdict::DoesNotHelp, Some(by)),
    }
}

/// A published direction of effect, held against what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Published {
    /// What is published.
    pub expect: Expect,
    /// The least mean reverse accuracy that is asked of a help.
    pub reach: Option<f64>,
    /// The greatest mean reverse accuracy that is allowed to a failure.
    pub at_most: Option<f64>,
    /// Whether it came out so; `None` while the verdict is open.
    pub reproduced: Option<bool>,
}

impl Published {
    /// What is published, as a table says it.
    pub fn words(&self) -> String {
        match (self.expect, self.reach, self.at_most) {
            (Expect::Helps, Some(least), _) => {
                format!("helps, to a reverse accuracy of {} or more", text::level(least))
            }
            (Expect::Helps, None, _) => "helps".to_owned(),
            (Expect::Fails, _, Some(greatest)) => {
                format!("fails, at a reverse accuracy of {} or less", text::level(greatest))
            }
            (Expect::Fails, _, None) => "does not help".to_owned(),
        }
    }
}

/// A help must clear the baseline, and reach what is asked. A failure must stay below what is
/// allowed, whatever it does to the NLL; without such a bound it must not clear the baseline.
pub(super) fn published(
    intervention: &Intervention,
    verdict: Verdict,
    accuracy: Option<f64>,
) -> Option<Published> {
    let expect = intervention.expect?;
    let (reach, at_most) = (intervention.reach, intervention.at_most);
    let measured = accuracy.filter(|_| verdict != Verdict::Open);
    let reproduced = measured.map(|accuracy| match expect {
        Expect::Helps => verdict == Verdict::Helps && reach.is_none_or(|least| accuracy >= least),
        Expect::Fails => at_most.map_or(verdict != Verdict::Helps, |greatest| accuracy <= greatest),
    });
    Some(Published { expect, reach, at_most, reproduced })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::file::Family;

    fn of(accuracy: (f64, f64), nll: (f64, f64)) -> Option<Intervals> {
        let interval = |(low, high)| Interval { low, high };
        Some(Intervals { accuracy: interval(accuracy), nll: interval(nll) })
    }

    const CURSED: (f64, f64) = (0.0, 0.0);

    #[test]
    fn accuracy_decides_where_anything_was_answered() {
        let base = of((0.1, 0.2), (4.0, 5.0));
        let by = |accuracy| verdict(of(accuracy, (9.0, 9.5)), base, None);
        assert_eq!(by((0.3, 0.4)), (Verdict::Helps, Some(By::Accuracy)), "for all its NLL");
        assert_eq!(by((0.2, 0.4)), (Verdict::DoesNotHelp, Some(By::Accuracy)), "they touch");
        assert_eq!(by((0.0, 0.1)), (Verdict::DoesNotHelp, Some(By::Accuracy)), "they touch");
        assert_eq!(by(CURSED), (Verdict::Hurts, Some(By::Accuracy)));
        // A single seed that answers once is no help while its interval begins at 0.
        let lucky = verdict(of((0.0, 0.6), (1.0, 2.0)), of(CURSED, (9.0, 9.5)), None);
        assert_eq!(lucky, (Verdict::DoesNotHelp, Some(By::Accuracy)));
    }

    /// From never right to right by chance: the type of the answer was learned.
    #[test]
    fn what_a_guess_would_reach_is_no_help() {
        let by = |accuracy| verdict(of(accuracy, (1.0, 2.0)), of(CURSED, (9.0, 9.5)), Some(0.1)).0;
        assert_eq!(by((0.06, 0.14)), Verdict::Guesses);
        assert_eq!(by((0.1, 0.3)), Verdict::Guesses, "they touch");
        assert_eq!(by((0.11, 0.3)), Verdict::Helps);
        assert_eq!(by((0.0, 0.3)), Verdict::DoesNotHelp);
    }

    #[test]
    fn nll_decides_where_both_never_answer() {
        let base = of(CURSED, (9.0, 10.0));
        let by = |nll| verdict(of(CURSED, nll), base, Some(0.1));
        assert_eq!(by((4.0, 8.9)), (Verdict::Helps, Some(By::Nll)), "less is better");
        assert_eq!(by((4.0, 9.0)), (Verdict::DoesNotHelp, Some(By::Nll)));
        assert_eq!(by((10.1, 12.0)), (Verdict::Hurts, Some(By::Nll)));
    }

    #[test]
    fn missing_runs_leave_it_open() {
        let some = of(CURSED, (9.0, 10.0));
        assert_eq!(verdict(None, some, None), (Verdict::Open, None));
        assert_eq!(verdict(some, None, None), (Verdict::Open, None));
    }

    fn expecting(expect: Expect, reach: Option<f64>, at_most: Option<f64>) -> Intervention {
        Intervention {
            id: "i".into(),
            name: String::new(),
            family: Family::Data,
            idea: String::new(),
            source: String::new(),
            formula: String::new(),
            set: toml::Table::new(),
            series: None,
            expect: Some(expect),
            reach,
            at_most,
        }
    }

    #[test]
    fn a_help_must_clear_the_baseline_and_reach_its_bound() {
        let plain = expecting(Expect::Helps, None, None);
        let bound = expecting(Expect::Helps, Some(0.95), None);
        let came = |i, verdict, accuracy| published(i, verdict, Some(accuracy)).unwrap().reproduced;
        assert_eq!(came(&plain, Verdict::Helps, 0.1), Some(true));
        assert_eq!(came(&plain, Verdict::DoesNotHelp, 0.9), Some(false));
        assert_eq!(came(&bound, Verdict::Helps, 0.95), Some(true));
        assert_eq!(came(&bound, Verdict::Helps, 0.94), Some(false));
        assert_eq!(came(&bound, Verdict::DoesNotHelp, 1.0), Some(false));
        assert_eq!(came(&bound, Verdict::Open, 1.0), None);
    }

    #[test]
    fn a_failure_may_move_the_nll_but_not_answer() {
        let bound = expecting(Expect::Fails, None, Some(0.05));
        let plain = expecting(Expect::Fails, None, None);
        let came = |i, verdict, accuracy| published(i, verdict, Some(accuracy)).unwrap().reproduced;
        assert_eq!(came(&bound, Verdict::Helps, 0.0), Some(true), "helps in NLL alone");
        assert_eq!(came(&bound, Verdict::DoesNotHelp, 0.06), Some(false));
        assert_eq!(came(&plain, Verdict::Helps, 0.0), Some(false));
        assert_eq!(came(&plain, Verdict::Hurts, 0.0), Some(true));
        let silent = Intervention { expect: None, ..plain };
        assert_eq!(published(&silent, Verdict::Helps, Some(1.0)), None);
    }
}
