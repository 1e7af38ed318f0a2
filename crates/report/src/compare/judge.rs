//! The verdicts on all rows of all comparisons: they are corrected for the number of rows, so that
//! none can be judged alone.

use std::cmp::Ordering;

use retrodict_lab::stats::holm;

use super::published::published;
use super::result::ComparisonResult;
use super::row::Row;
use super::verdict::{Difference, Verdict, verdict};

/// Judges and ranks the rows of all comparisons. The p-values of accuracy are corrected together,
/// and so are those of ranks.
pub(super) fn judge(results: &mut [ComparisonResult]) {
    correct(results, |row| row.accuracy_difference.as_mut());
    correct(results, |row| row.rank_difference.as_mut());
    for task in results.iter_mut().flat_map(|result| &mut result.tasks) {
        judge_task(&mut task.rows);
    }
}

fn correct(results: &mut [ComparisonResult], of: fn(&mut Row) -> Option<&mut Difference>) {
    let rows = results.iter_mut().flat_map(|result| &mut result.tasks).flat_map(|t| &mut t.rows);
    let mut all: Vec<&mut Difference> = rows.filter_map(of).collect();
    let corrected = holm(&all.iter().map(|difference| difference.p).collect::<Vec<_>>());
    for (difference, p) in all.iter_mut().zip(corrected) {
        difference.p_corrected = p;
    }
}

fn judge_task(rows: &mut [Row]) {
    let baseline = rows.iter().find(|row| row.verdict == Verdict::Baseline).map(Row::rates);
    let baseline = baseline.unwrap_or_default();
    for row in rows.iter_mut() {
        let accuracy = row.reverse_accuracy().mean;
        row.discounted_accuracy = accuracy.map(|accuracy| row.rates().discounted(accuracy));
        if let Some(intervention) = &row.intervention {
            row.verdict = verdict(row.evidence());
            row.side_effects = row.rates().side_effects(baseline);
            row.published = published(intervention, row.verdict, accuracy);
        }
    }
    rows.sort_by(|a, b| better_first(place(a), place(b)));
    for (row, rank) in rows.iter_mut().zip(1..) {
        row.rank = rank;
    }
}

/// The numbers by which a row is ranked, each better where it is smaller.
type Place = [Option<f64>; 3];

fn place(row: &Row) -> Place {
    let accuracy = row.discounted_accuracy.map(|accuracy| -accuracy);
    [accuracy, row.rank_held_out().mean, row.reverse_nll().mean]
}

/// The smaller place first, by the first number that differs; a missing number is last.
fn better_first(a: Place, b: Place) -> Ordering {
    let order = |(a, b): (Option<f64>, Option<f64>)| {
        let number = |value: Option<f64>| value.unwrap_or(f64::INFINITY);
        number(a).total_cmp(&number(b))
    };
    a.into_iter().zip(b).map(order).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::side_effects::Rates;

    #[test]
    fn what_swaps_blindly_stands_behind_what_does_not() {
        let place = |accuracy, swaps, rank| -> Place {
            let rates = Rates { blind_swaps: Some(swaps), ..Rates::default() };
            [Some(-rates.discounted(accuracy)), Some(rank), Some(1.0)]
        };
        let mut rows = [
            ("all orders", place(1.0, 0.42, 0.0)),
            ("nothing", place(0.0, 0.0, 0.5)),
            ("missing", [None; 3]),
            ("reversal", place(0.99, 0.02, 0.0)),
            ("knows", place(0.0, 0.0, 0.01)),
        ];
        rows.sort_by(|a, b| better_first(a.1, b.1));
        let names = rows.map(|(name, _)| name);
        assert_eq!(names, ["reversal", "all orders", "knows", "nothing", "missing"]);
    }
}
