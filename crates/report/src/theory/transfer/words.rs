//! The findings of the study of transfer, in sentences.

use retrodict_lab::stats;
use retrodict_theory::transfer::{self as theory, Made, Point, TransferResult};

use super::results_of;

/// An excess of a transfer ratio above this counts as one.
const EXCESS: f64 = 0.05;

/// The point to see: of each part of the study that was run, where its numbers say so.
pub(super) fn see(all: &[Made]) -> String {
    let results = |name: &str| results_of(all, name);
    let mut parts: Vec<String> = Vec::new();
    let pairs = ["reversal", "reversal-4", "reversal-tied"];
    if pairs.iter().all(|name| !results(name).is_empty()) {
        // The claims about them are shown beside it, or it is not shown.
        parts.push(
            "Pairs: with a free head the two curves stay together, so that learning A → B does to \
             B ← A what it does to any sentence; with a tied head the reverse rises above the \
             unrelated while the model learns."
                .to_owned(),
        );
    }
    let links: Vec<Vec<f64>> =
        results("chain").iter().map(|result| excesses(result, "second-link")).collect();
    let most = |links: &Vec<f64>| links.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let only_early =
        |links: &Vec<f64>| most(links) > EXCESS && links.last().is_some_and(|last| *last <= EXCESS);
    if !links.is_empty() && links.iter().all(only_early) {
        let mean = stats::mean(&links.iter().map(most).collect::<Vec<_>>()).unwrap_or(f64::NAN);
        parts.push(format!(
            "Chains: during training B → C moves A ⇝ C by up to {mean:.2} more than the B → C of \
             another chain does, and at its end no more than it."
        ));
    }
    let windows: Vec<&Made> =
        all.iter().filter(|(case, _)| case.name.starts_with("window")).collect();
    if !windows.is_empty() {
        let later = windows.iter().all(|(_, results)| {
            let held: Vec<f64> = held_for(results).into_iter().map(|(_, _, mean)| mean).collect();
            held.is_sorted() && held.first() < held.last()
        });
        let longer = if later { ", and follow it for longer the later they start" } else { "" };
        parts.push(format!("Windows: dashed lines start on the measured one{longer}."));
    }
    parts.push("`retrodict theory transfer` measures any spec.".to_owned());
    parts.join(" ")
}

/// By how much the transfer ratio of a kind exceeds that of unrelated sentences, after the start.
fn excesses(result: &TransferResult, id: &str) -> Vec<f64> {
    let points = result.series.iter().filter(|point| point.epoch > 0);
    points.filter_map(|point| Some(point.kind(id)?.excess?.difference)).collect()
}

/// Of each window of linearisation: its first step, its length in steps, and the mean number of
/// steps for which it holds.
fn held_for(results: &[TransferResult]) -> Vec<(u64, usize, f64)> {
    let times = results.iter().take(1).flat_map(|result| &result.series).enumerate();
    let window = |(index, point): (usize, &Point)| {
        let of_seed = |result: &TransferResult| {
            let window = result.series.get(index)?.window.as_ref()?;
            Some(window.holds_for as f64)
        };
        let held: Vec<f64> = results.iter().filter_map(of_seed).collect();
        let most = point.window.as_ref()?.steps.len() - 1;
        Some((point.step, most, stats::mean(&held)?))
    };
    times.filter_map(window).collect()
}

/// The length of valid windows, over depth and over training.
pub(super) fn finding(all: &[Made]) -> String {
    let mut text = String::new();
    for (case, results) in all {
        let windows: Vec<String> = held_for(results)
            .into_iter()
            .map(|(step, most, mean)| format!("{mean:.0} of {most} steps from step {step}"))
            .collect();
        if !windows.is_empty() {
            text += &format!(
                "{}: predicted within {:.0} % for {}. ",
                case.title,
                100.0 * theory::WINDOW_HOLDS,
                windows.join(", ")
            );
        }
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
pub(in super::super) mod tests {
    use super::*;

    /// Each sentence on sound results, and without those that it rests on.
    pub(in super::super::super) fn only_what_was_measured_is_said(made: &[Made]) {
        let with = |name: &str, change: fn(&mut TransferResult)| -> String {
            let mut all = made.to_vec();
            let of = all.iter_mut().filter(|(case, _)| case.name.starts_with(name));
            of.flat_map(|(_, results)| results).for_each(change);
            see(&all)
        };
        let sound = see(made);
        for words in ["Pairs: ", "Chains: ", "for longer the later they start"] {
            assert!(sound.contains(words), "{words}: {sound}");
        }
        let without: Vec<Made> =
            made.iter().filter(|(case, _)| case.name != "reversal-tied").cloned().collect();
        assert!(!see(&without).contains("Pairs: "));
        // Training that ends while B → C still moves A ⇝ C, and that begins after it did.
        let early = with("chain", |result| result.series.retain(|point| point.epoch <= 2));
        let late = with("chain", |result| {
            let last = result.series.len() - 1;
            result.series.drain(..last);
        });
        assert!(!early.contains("Chains: ") && !late.contains("Chains: "), "{early} {late}");
        // Later windows first.
        let turned = with("window", |result| result.series.reverse());
        assert!(turned.contains("Windows: ") && !turned.contains("for longer"), "{turned}");
    }
}
