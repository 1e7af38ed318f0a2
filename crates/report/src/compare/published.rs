//! Published directions of effect, and whether they come out here.

use serde::Serialize;

use super::file::{Expect, Intervention};
use super::verdict::Verdict;
use crate::text;

/// A published direction of effect, and whether it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Published {
    /// The published direction.
    pub expect: Expect,
    /// The least mean reverse accuracy of a help.
    pub reach: Option<f64>,
    /// The greatest mean reverse accuracy of a failure.
    pub at_most: Option<f64>,
    /// Whether it came out so; `None` while the verdict is open.
    pub reproduced: Option<bool>,
}

impl Published {
    /// The published direction, as a table says it.
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

/// A help must answer more than the baseline, and reach its bound. A failure must stay below its
/// bound; without one it must not answer more than the baseline.
pub(super) fn published(
    intervention: &Intervention,
    verdict: Verdict,
    accuracy: Option<f64>,
) -> Option<Published> {
    let expect = intervention.expect?;
    let (reach, at_most) = (intervention.reach, intervention.at_most);
    let measured = accuracy.filter(|_| verdict != Verdict::Open);
    let answers = verdict == Verdict::Answers;
    let reproduced = measured.map(|accuracy| match expect {
        Expect::Helps => answers && reach.is_none_or(|least| accuracy >= least),
        Expect::Fails => at_most.map_or(!answers, |greatest| accuracy <= greatest),
    });
    Some(Published { expect, reach, at_most, reproduced })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::file::Family;

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
    fn a_help_must_answer_and_reach_its_bound() {
        let plain = expecting(Expect::Helps, None, None);
        let bound = expecting(Expect::Helps, Some(0.95), None);
        let came = |i, verdict, accuracy| published(i, verdict, Some(accuracy)).unwrap().reproduced;
        assert_eq!(came(&plain, Verdict::Answers, 0.1), Some(true));
        assert_eq!(came(&plain, Verdict::NoTrace, 0.9), Some(false));
        assert_eq!(came(&bound, Verdict::Answers, 0.95), Some(true));
        assert_eq!(came(&bound, Verdict::Answers, 0.94), Some(false));
        assert_eq!(came(&bound, Verdict::NoTrace, 1.0), Some(false));
        assert_eq!(came(&bound, Verdict::Open, 1.0), None);
    }

    #[test]
    fn a_failure_must_not_answer() {
        let bound = expecting(Expect::Fails, None, Some(0.05));
        let plain = expecting(Expect::Fails, None, None);
        let came = |i, verdict, accuracy| published(i, verdict, Some(accuracy)).unwrap().reproduced;
        assert_eq!(came(&bound, Verdict::Knows, 0.0), Some(true));
        assert_eq!(came(&bound, Verdict::NoTrace, 0.06), Some(false));
        assert_eq!(came(&plain, Verdict::Answers, 0.0), Some(false));
        assert_eq!(came(&plain, Verdict::Worse, 0.0), Some(true));
        let silent = Intervention { expect: None, ..plain };
        assert_eq!(published(&silent, Verdict::Answers, Some(1.0)), None);
    }
}
