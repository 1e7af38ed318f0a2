//! Output shared by all models.

use std::fmt::Write as _;

use retrodict_theory::Theorem;
use serde::Serialize;

use crate::commands::{Failure, print};

/// Rows of a table over time.
const LINES: usize = 16;

/// An error of the library, with the key that it names written as an option.
pub(super) fn failure(message: String, key: Option<&str>, is_refusal: bool) -> Failure {
    let message = match key {
        Some(key) => message.replacen(key, &format!("--{}", key.replace('_', "-")), 1),
        None => message,
    };
    if is_refusal { Failure::Usage(message) } else { Failure::Failed(message) }
}

/// Prints a result, as JSON or as a table.
pub(super) fn show<R: Serialize>(
    result: &R,
    json: bool,
    table: impl FnOnce(&R) -> String,
) -> Result<(), Failure> {
    match json {
        true => print(&(serde_json::to_string(result).map_err(Failure::failed)? + "\n")),
        false => print(&table(result)),
    }
}

/// A number, or a dash where there is none.
pub(super) fn or_dash(value: Option<f64>, written: impl Fn(f64) -> String) -> String {
    value.map_or("–".to_owned(), written)
}

/// Each theorem's bound and the measured value.
pub(super) fn verdicts(theorems: &[Theorem]) -> String {
    let mut text = String::new();
    for theorem in theorems {
        let verdict = match theorem.holds {
            Some(true) => "holds",
            Some(false) => "does not hold",
            None => "nothing to measure",
        };
        // Adding 0 turns −0 into 0.
        let measured = or_dash(theorem.measured, |value| format!("{:.6e}", value + 0.0));
        let _ = writeln!(
            text,
            "{}: {verdict}: {measured} {} {:.6e}\n    {}",
            theorem.id, theorem.comparator, theorem.bound, theorem.claim
        );
    }
    text
}

/// The first and the last point, and some in between.
pub(super) fn sample<P>(series: &[P]) -> impl Iterator<Item = &P> {
    let last = series.len().saturating_sub(1);
    let every = last.div_ceil(LINES).max(1);
    series
        .iter()
        .enumerate()
        .filter(move |(at, _)| (last - at).is_multiple_of(every) || *at == 0)
        .map(|(_, point)| point)
}
