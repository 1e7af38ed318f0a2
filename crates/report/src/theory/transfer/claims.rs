//! The claims about transfer, each with the result that would refute it.

use retrodict_theory::transfer::{self as theory, Made, TransferResult};

use super::results_of;
use crate::summary::{Claim, Comparator};

const SOURCE: &str = "docs/theory/transfer.md";

pub(super) fn claims(all: &[Made]) -> Vec<Claim> {
    let results = |name: &str| results_of(all, name);
    // The largest excess over training, after the start.
    let largest = |name: &str, id: &str, of: fn(theory::Excess) -> f64| -> Vec<f64> {
        let of_seed = |result: &TransferResult| {
            let points = result.series.iter().filter(|point| point.epoch > 0);
            let values = points.filter_map(|point| Some(of(point.kind(id)?.excess?)));
            values.reduce(f64::max)
        };
        results(name).iter().filter_map(of_seed).collect()
    };
    let last = |name: &str, id: &str, of: fn(theory::Excess) -> f64| -> Vec<f64> {
        let of_seed = |result: &TransferResult| Some(of(result.series.last()?.kind(id)?.excess?));
        results(name).iter().filter_map(of_seed).collect()
    };
    let last_window = |name: &str, of: fn(&theory::Window) -> f64| -> Vec<f64> {
        let of_seed = |result: &TransferResult| Some(of(result.series.last()?.window.as_ref()?));
        results(name).iter().filter_map(of_seed).collect()
    };
    let (most, least) = (Comparator::AtMost, Comparator::AtLeast);
    let mut claims = Vec::new();
    let mut add = |id: &str, text: &str, refuted_by, values: Vec<f64>, comparator, threshold| {
        if !values.is_empty() {
            let id = format!("theory.transfer.{id}");
            let claim = Claim::measured(&id, text, SOURCE, values, comparator, threshold);
            claims.push(claim.refuted_by(refuted_by));
        }
    };
    let difference = |excess: theory::Excess| excess.difference;
    for (name, what) in [("reversal", "1 layer"), ("reversal-4", "4 layers")] {
        let text = format!(
            "free head, {what}: the transfer ratio to the reverse, minus that to unrelated \
             sentences, at its largest over training"
        );
        let id = format!("reverse_excess_{}", if name == "reversal" { 1 } else { 4 });
        let refuted_by = "a step on A → B that moves B ← A more than it moves other sentences";
        add(&id, &text, refuted_by, largest(name, "reverse", difference), most, 0.05);
    }
    add(
        "tied_reverse_above",
        "tied head: how often the reverse is moved more than an unrelated sentence, at its largest",
        "a tied head that moves the reverse no more often than another sentence",
        largest("reversal-tied", "reverse", |excess| excess.above),
        least,
        0.9,
    );
    for (id, text, kind) in [
        ("first_link_excess", "A → B", "first-link"),
        ("second_link_excess", "B → C", "second-link"),
    ] {
        let text = format!(
            "chains at the end of training: the transfer ratio of {text} to A ⇝ C, minus that of \
             unrelated links"
        );
        let refuted_by = "a learned link that moves A ⇝ C more than links of other chains do";
        add(id, &text, refuted_by, last("chain", kind, difference), most, 0.05);
    }
    for depth in ["1", "4"] {
        let name = format!("window-{depth}");
        let off = |window: &theory::Window| (window.slope / window.measured_slope - 1.0).abs();
        let text = format!(
            "depth {depth}, after 300 steps: relative error of the slope of the held-out NLL that \
             the kernel predicts"
        );
        let refuted_by =
            "a held-out loss that moves otherwise than along the gradients of training";
        add(&format!("slope_{depth}"), &text, refuted_by, last_window(&name, off), most, 0.05);
        let text =
            format!("depth {depth}, after 300 steps: steps for which the linearised model holds");
        let held = last_window(&name, |window| window.holds_for as f64);
        let refuted_by = "tangents that change within five steps, so that nothing can be predicted";
        add(&format!("window_{depth}"), &text, refuted_by, held, least, 5.0);
    }
    claims
}

#[cfg(test)]
pub(in super::super) mod tests {
    use super::*;

    /// Each claim, on results of another model or of another time of training.
    pub(in super::super::super) fn claims_fail_on_broken_input(all: &[Made]) {
        let results = |name: &str| {
            all.iter()
                .find(|(case, _)| case.name == name)
                .map(|(_, results)| results.clone())
                .unwrap()
        };
        let with = |name: &str, broken: &[TransferResult]| -> Vec<Made> {
            let mut all = all.to_vec();
            let made = all.iter_mut().find(|(case, _)| case.name == name).unwrap();
            made.1 = broken.to_vec();
            all
        };
        #[track_caller]
        fn fails(all: &[Made], id: &str) {
            let claim = claims(all).into_iter().find(|claim| claim.id.ends_with(id)).unwrap();
            assert!(!claim.holds, "{claim:?}");
        }
        // A tied head in place of a free one, and the other way round.
        for (name, id) in [("reversal", "reverse_excess_1"), ("reversal-4", "reverse_excess_4")] {
            fails(&with(name, &results("reversal-tied")), id);
        }
        fails(&with("reversal-tied", &results("reversal")), "tied_reverse_above");
        // Training that ends after two epochs, and with the links exchanged.
        let mut early = results("chain");
        for result in &mut early {
            result.series.retain(|point| point.epoch <= 2);
        }
        fails(&with("chain", &early), "second_link_excess");
        for point in early.iter_mut().flat_map(|result| &mut result.series) {
            for kind in &mut point.kinds {
                kind.id = match kind.id.as_str() {
                    "first-link" => "second-link".to_owned(),
                    "second-link" => "first-link".to_owned(),
                    _ => continue,
                };
            }
        }
        fails(&with("chain", &early), "first_link_excess");
        // Windows that begin at the first step.
        for depth in ["1", "4"] {
            let name = format!("window-{depth}");
            let mut first = results(&name);
            for result in &mut first {
                result.series.truncate(1);
            }
            let broken = with(&name, &first);
            fails(&broken, &format!("slope_{depth}"));
            fails(&broken, &format!("window_{depth}"));
        }
    }
}
