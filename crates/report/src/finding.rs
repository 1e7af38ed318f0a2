//! Findings in a sentence, from the numbers.

use retrodict_lab::stats;

use crate::text;

/// The results of one variant of the reversal experiment, one number per seed.
#[derive(Clone, Debug, Default)]
pub struct HeadResult {
    /// Training NLL in nats.
    pub train_nll: Vec<f64>,
    /// Held-out NLL in nats.
    pub held_out_nll: Vec<f64>,
    /// Share of held-out sentences with the right answer first, from 0 to 1.
    pub held_out_top1: Vec<f64>,
    /// From 0, none, to 1, the curse.
    pub asymmetry: Vec<f64>,
    /// Mean normalised rank of the right answer among the held-out answers: 0 first, 0.5 chance.
    pub rank_held_out: Vec<f64>,
}

/// A training NLL below this share of uniform guessing's counts as learned; a held-out one as
/// retrodicted.
const LEARNED: f64 = 0.1;

/// The finding of the reversal experiment with a free head, and with a tied one where it was run.
///
/// `uniform` is the NLL of uniform guessing in nats, `uniform_label` its formula (`ln 802`).
pub fn reversal_finding(
    free: &HeadResult,
    tied: Option<&HeadResult>,
    uniform: f64,
    uniform_label: &str,
) -> String {
    let (Some(train), Some(held_out)) =
        (stats::mean(&free.train_nll), stats::mean(&free.held_out_nll))
    else {
        return "No run of this experiment has an NLL of both its training and its held-out sentences."
            .into();
    };
    let uniform_label = uniform_label.replace(' ', "\u{a0}");
    let guess = format!("{uniform_label}\u{a0}=\u{a0}{}", text::number(uniform));
    let train_text = text::mean_and_spread(&free.train_nll);
    let held_out_text = text::mean_and_spread(&free.held_out_nll);
    if train > LEARNED * uniform {
        return format!(
            "The training sentences are not learned yet (NLL {train_text}; uniform guessing is \
             {guess}), so nothing can be said about the reversal curse."
        );
    }
    let seeds = free.held_out_nll.len();
    let cursed = free.held_out_nll.iter().filter(|v| **v >= uniform).count();
    let measured = format!(
        "held-out NLL {held_out_text} against {guess} for uniform guessing{}{}{}",
        part(
            "; the mean rank of the right answer among the held-out ones (0 is first, 0.5 chance) is",
            &text::mean_and_spread(&free.rank_held_out),
        ),
        part("; the right answer comes first in", &top1(free)),
        part("; asymmetry (1 is the curse, 0 none)", &text::mean_and_spread(&free.asymmetry)),
    );
    let learned = format!("the models have learned the training sentences (NLL {train_text})");
    let seen = if cursed == seeds {
        let over = match seeds {
            1 => "on the one seed run".to_owned(),
            2 => "on both seeds".to_owned(),
            n => format!("on all {n} seeds"),
        };
        format!(
            "The reversal curse holds {over}: {learned}, but predict the reversals no better than \
             guessing does ({measured})."
        )
    } else if cursed > 0 {
        format!(
            "The reversal curse holds on {cursed} of {seeds} seeds: {learned}, but on these \
             predict the reversals no better than guessing does (over all seeds, {measured})."
        )
    } else if held_out > LEARNED * uniform {
        format!(
            "The reversal curse is not total here: {learned}, and predict the reversals better than \
             guessing does ({measured})."
        )
    } else {
        format!(
            "The reversal curse does not hold here: {learned}, and their reversals too ({measured})."
        )
    };
    match tied.and_then(|tied| tied_finding(free, tied)) {
        Some(tied) => format!("{seen} {tied}"),
        None => seen,
    }
}

/// The results of one setting, one number per seed.
#[derive(Clone, Debug, Default)]
pub(crate) struct SettingResult {
    /// Training NLL in nats.
    pub(crate) train_nll: Vec<f64>,
    /// Held-out NLL over that of uniform guessing.
    pub(crate) held_out: Vec<f64>,
    /// Share of held-out sentences with the right answer first, from 0 to 1.
    pub(crate) top1: Vec<f64>,
}

/// The finding over several settings of one experiment: the spans of NLL of training sentences, of
/// held-out NLL over that of guessing, and of held-out top-1, over all settings and seeds. Settings
/// on either side of guessing are told apart: one span over both would say nothing.
pub(crate) fn over_settings(settings: &[SettingResult]) -> String {
    let over = match settings.len() {
        1 => "Over all seeds".to_owned(),
        n => format!("Over {n} settings and all seeds"),
    };
    let every = |of: &[&SettingResult], values: fn(&SettingResult) -> &Vec<f64>, show| {
        let all: Vec<f64> = of.iter().flat_map(|setting| values(setting)).copied().collect();
        span(&all, show)
    };
    let all: Vec<&SettingResult> = settings.iter().collect();
    let train = every(&all, |setting| &setting.train_nll, text::number);
    let learned = format!("{over}, the training sentences end with an NLL of {train}");
    let side = |above: bool| -> Vec<&SettingResult> {
        let on_side = |setting: &&SettingResult| {
            stats::mean(&setting.held_out).is_some_and(|mean| (mean >= 1.0) == above)
        };
        settings.iter().filter(on_side).collect()
    };
    let times = |of: &[&SettingResult]| every(of, |setting| &setting.held_out, text::number);
    let first = |of: &[&SettingResult]| every(of, |setting| &setting.top1, text::percent);
    let (above, below) = (side(true), side(false));
    if above.is_empty() || below.is_empty() {
        return format!(
            "{learned}, the held-out ones with {} times that of uniform guessing; the right answer \
             comes first in {}.",
            times(&all),
            first(&all),
        );
    }
    format!(
        "{learned}. In {} of them the held-out ones end at or above uniform guessing ({} times its \
         NLL; the right answer comes first in {}), in {} below it ({} times; first in {}).",
        above.len(),
        times(&above),
        first(&above),
        below.len(),
        times(&below),
        first(&below),
    )
}

/// The least and the largest of the finite values, as they are `show`n.
pub(crate) fn span(values: &[f64], show: fn(f64) -> String) -> String {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (least, most) =
        (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    match (least.is_finite(), show(least), show(most)) {
        (false, ..) => text::NONE.to_owned(),
        (_, least, most) if least == most => least,
        (_, least, most) => format!("{least} to {most}"),
    }
}

fn tied_finding(free: &HeadResult, tied: &HeadResult) -> Option<String> {
    let (free_mean, tied_mean) = (stats::mean(&free.asymmetry)?, stats::mean(&tied.asymmetry)?);
    (tied_mean.is_finite() && free_mean.is_finite()).then_some(())?;
    Some(format!(
        "With a tied head the asymmetry is {} (free head: {}), and the held-out NLL is {}.",
        text::mean_and_spread(&tied.asymmetry),
        text::mean_and_spread(&free.asymmetry),
        text::mean_and_spread(&tied.held_out_nll)
    ))
}

fn top1(result: &HeadResult) -> String {
    stats::mean(&result.held_out_top1).map_or(text::NONE.into(), text::percent)
}

/// A clause of the sentence, left out where its number does not apply.
fn part(words: &str, number: &str) -> String {
    if number == text::NONE { String::new() } else { format!("{words} {number}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(train: f64, held_out: [f64; 2], asymmetry: f64) -> HeadResult {
        HeadResult {
            train_nll: vec![train; 2],
            held_out_nll: held_out.to_vec(),
            held_out_top1: vec![0.0; 2],
            asymmetry: vec![asymmetry; 2],
            rank_held_out: vec![0.5; 2],
        }
    }

    fn sentence(free: &HeadResult) -> String {
        reversal_finding(free, None, 802f64.ln(), "ln 802")
    }

    /// With spaces that may break.
    fn plain(text: &str) -> String {
        text.replace('\u{a0}', " ")
    }

    #[test]
    fn each_outcome_has_its_sentence() {
        let cursed = sentence(&result(0.014, [10.0, 10.4], 1.0));
        assert!(cursed.starts_with("The reversal curse holds on both seeds"), "{cursed}");
        assert!(plain(&cursed).contains("held-out NLL 10.2 ± 0.3 against ln 802 = 6.69"));
        let numbers = "comes first in 0 %; asymmetry (1 is the curse, 0 none) 1.00 ± 0.00)";
        assert!(plain(&cursed).contains(numbers), "{cursed}");
        let partly = sentence(&result(0.01, [6.0, 7.0], 0.9));
        assert!(partly.contains("holds on 1 of 2 seeds:"), "{partly}");
        let weak = sentence(&result(0.01, [4.0, 5.0], 0.5));
        assert!(weak.contains("is not total"), "{weak}");
        let none = sentence(&result(0.01, [0.02, 0.03], 0.0));
        assert!(none.contains("does not hold"), "{none}");
        let early = sentence(&result(5.0, [6.6, 6.6], f64::NAN));
        assert!(early.contains("not learned yet"), "{early}");
        assert!(sentence(&HeadResult::default()).contains("No run"));
    }

    #[test]
    fn a_tied_head_is_compared() {
        let free = result(0.014, [10.0, 10.4], 1.0);
        let say = |tied| reversal_finding(&free, Some(&result(0.01, [4.9, 4.9], tied)), 6.69, "u");
        let numbers = "the asymmetry is 0.400 ± 0.000 (free head: 1.00 ± 0.00)";
        assert!(plain(&say(0.4)).contains(numbers), "{}", say(0.4));
        assert!(!say(f64::NAN).contains("tied"));
    }

    #[test]
    fn settings_on_either_side_of_guessing_are_told_apart() {
        let setting = |held_out: f64, top1: f64| SettingResult {
            train_nll: vec![0.02, 0.03],
            held_out: vec![held_out; 2],
            top1: vec![top1; 2],
        };
        let one_side = over_settings(&[setting(1.5, 0.0), setting(2.0, 0.0)]);
        assert!(one_side.contains("with 1.50 to 2.00 times that"), "{one_side}");
        let both = plain(&over_settings(&[setting(0.004, 1.0), setting(1.4, 0.0)]));
        assert!(both.contains("In 1 of them"), "{both}");
        assert!(
            both.contains("(1.40 times its NLL; the right answer comes first in 0 %)"),
            "{both}"
        );
        assert!(both.contains("in 1 below it (0.00400 times; first in 100 %)"), "{both}");
        // A diverged setting is on neither side.
        let diverged = over_settings(&[setting(1.5, 0.0), setting(f64::NAN, f64::NAN)]);
        assert!(diverged.contains("with 1.50 times"), "{diverged}");
    }

    #[test]
    fn a_diverged_seed_does_not_count_as_cursed() {
        let found = sentence(&result(0.014, [10.0, f64::NAN], 1.0));
        assert!(found.contains("on 1 of 2 seeds:"), "{found}");
    }
}
