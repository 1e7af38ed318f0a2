//! The effect of an intervention on the reverse: on answers, and on ranks.
//!
//! *Answered* is reverse top-1 in the whole vocabulary. *Known* is the mean normalised rank of the
//! right answer among the held-out answers: 0 is first, 0.5 is chance whatever the model prefers,
//! since all candidates are alike to it but for the fact in question.

use retrodict_lab::bootstrap::Interval;
use serde::Serialize;

/// A difference from the baseline counts if its p-value, corrected for the number of rows, lies
/// below.
pub(super) const SIGNIFICANT: f64 = 0.05;
/// The mean normalised rank of a model without a trace of the facts.
pub(super) const CHANCE_RANK: f64 = 0.5;
/// The reverse accuracy from which an intervention is said to answer the reverse; below, it does so
/// in part.
pub(super) const WHOLE: f64 = 0.95;

/// The effect of an intervention on the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The row that the others are compared with.
    Baseline,
    /// It answers more than the baseline, and than a guess among the candidates.
    Answers,
    /// It answers more than the baseline, but no more than a guess among the candidates, and does
    /// not rank them better.
    Guesses,
    /// It ranks the right answers better than chance and than the baseline, and answers no more.
    Knows,
    /// It has a trace of the facts, as the baseline has, and answers no more.
    AsBaseline,
    /// It answers no more than the baseline, and its ranks are not told from chance.
    NoTrace,
    /// It answers less than the baseline.
    Worse,
    /// Too few complete runs: of it, or of the baseline.
    Open,
}

/// A paired difference from the baseline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Difference {
    /// The mean over seeds of own minus baseline's.
    pub mean: f64,
    /// Its two-sided p-value.
    pub p: f64,
    /// The p-value corrected for the number of rows (Holm).
    pub p_corrected: f64,
}

impl Difference {
    fn is_more(self) -> bool {
        self.p_corrected < SIGNIFICANT && self.mean > 0.0
    }

    fn is_less(self) -> bool {
        self.p_corrected < SIGNIFICANT && self.mean < 0.0
    }
}

/// The numbers that decide. Those of ranks are missing where every question has one candidate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Evidence {
    /// The interval of reverse accuracy.
    pub(super) accuracy: Interval,
    /// Its difference from the baseline.
    pub(super) answers: Difference,
    /// The interval of the rank among held-out answers.
    pub(super) rank: Option<Interval>,
    /// Its difference from the baseline; less is better.
    pub(super) ranks: Option<Difference>,
    /// The accuracy of a guess among the candidates, where known.
    pub(super) chance: Option<f64>,
}

/// The verdict on an intervention; `None` stands for missing runs.
pub(super) fn verdict(evidence: Option<Evidence>) -> Verdict {
    let Some(Evidence { accuracy, answers, rank, ranks, chance }) = evidence else {
        return Verdict::Open;
    };
    let has_trace = rank.is_none_or(|rank| rank.high < CHANCE_RANK);
    let ranks_better = has_trace && ranks.is_some_and(Difference::is_less);
    if answers.is_more() {
        return match chance.is_some_and(|chance| accuracy.low <= chance) {
            false => Verdict::Answers,
            true if ranks_better => Verdict::Knows,
            true => Verdict::Guesses,
        };
    }
    match () {
        () if answers.is_less() => Verdict::Worse,
        () if ranks_better => Verdict::Knows,
        () if has_trace => Verdict::AsBaseline,
        () => Verdict::NoTrace,
    }
}

/// A verdict as a table says it; `accuracy` is the mean reverse accuracy.
pub(super) fn words(verdict: Verdict, accuracy: Option<f64>) -> &'static str {
    match verdict {
        Verdict::Baseline => "baseline",
        Verdict::Answers if accuracy.is_some_and(|mean| mean >= WHOLE) => "answers the reverse",
        Verdict::Answers => "answers in part",
        Verdict::Guesses => "guesses within the type",
        Verdict::Knows => "knows, does not answer",
        Verdict::AsBaseline => "no better than the baseline",
        Verdict::NoTrace => "no trace",
        Verdict::Worse => "answers less than the baseline",
        Verdict::Open => "open",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Difference = Difference { mean: 0.0, p: 1.0, p_corrected: 1.0 };

    fn differs(mean: f64) -> Difference {
        Difference { mean, p: 0.0002, p_corrected: 0.03 }
    }

    fn row(
        accuracy: (f64, f64),
        answers: Difference,
        rank: (f64, f64),
        ranks: Difference,
    ) -> Evidence {
        let interval = |(low, high)| Interval { low, high };
        Evidence {
            accuracy: interval(accuracy),
            answers,
            rank: Some(interval(rank)),
            ranks: Some(ranks),
            chance: Some(1.0 / 30.0),
        }
    }

    fn of(evidence: Evidence) -> &'static str {
        words(verdict(Some(evidence)), Some(evidence.accuracy.high))
    }

    #[test]
    fn what_is_answered_and_what_is_known_are_told_apart() {
        let (cursed, chance) = ((0.0, 0.012), (0.45, 0.53));
        let (first, known) = ((0.0, 0.001), differs(-0.5));
        assert_eq!(of(row((0.99, 1.0), differs(1.0), first, known)), "answers the reverse");
        assert_eq!(of(row((0.2, 0.5), differs(0.4), first, known)), "answers in part");
        assert_eq!(of(row(cursed, NONE, first, known)), "knows, does not answer");
        assert_eq!(of(row(cursed, NONE, chance, NONE)), "no trace");
        assert_eq!(of(row(cursed, NONE, (0.6, 0.9), differs(0.2))), "no trace");
        assert_eq!(of(row(cursed, NONE, (0.3, 0.5), differs(-0.1))), "no trace", "they touch");
        assert_eq!(of(row((0.1, 0.3), NONE, (0.1, 0.2), NONE)), "no better than the baseline");
        assert_eq!(of(row(cursed, differs(-0.3), first, NONE)), "answers less than the baseline");
        assert_eq!(verdict(None), Verdict::Open);
    }

    #[test]
    fn what_a_guess_would_reach_is_no_answer() {
        let guess = (0.02, 0.06);
        let by = |rank, ranks| of(row(guess, differs(0.04), rank, ranks));
        assert_eq!(by((0.45, 0.53), NONE), "guesses within the type");
        assert_eq!(by((0.0, 0.1), differs(-0.4)), "knows, does not answer");
        let unknown = Evidence { chance: None, ..row(guess, differs(0.04), guess, NONE) };
        assert_eq!(of(unknown), "answers in part");
    }

    #[test]
    fn only_the_corrected_p_value_counts() {
        let luck = Difference { mean: 0.4, p: 0.001, p_corrected: 0.13 };
        assert_eq!(of(row((0.1, 0.6), luck, (0.45, 0.53), NONE)), "no trace");
        let less = Difference { mean: -0.3, ..luck };
        assert_eq!(of(row((0.0, 0.0), NONE, (0.1, 0.3), less)), "no better than the baseline");
    }

    #[test]
    fn without_ranks_answers_alone_decide() {
        let all = row((0.99, 1.0), differs(1.0), (0.0, 0.0), NONE);
        let blind = Evidence { rank: None, ranks: None, ..all };
        assert_eq!(verdict(Some(blind)), Verdict::Answers);
        let none = Evidence { answers: NONE, ..blind };
        assert_eq!(verdict(Some(none)), Verdict::AsBaseline);
    }
}
