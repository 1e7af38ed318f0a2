//! What the tables of all models share.

use std::fmt::Write as _;

use retrodict_lab::theory::Theorem;

use crate::commands::Failure;

/// Lines of a table of points in time.
const LINES: usize = 16;

/// The library names keys; here they are options.
pub(super) fn failure(message: String, key: Option<&str>, is_refusal: bool) -> Failure {
    let message = match key {
        Some(key) => message.replacen(key, &format!("--{}", key.replace('_', "-")), 1),
        None => message,
    };
    if is_refusal { Failure::Usage(message) } else { Failure::Failed(message) }
}

/// Each theorem's bound beside what was measured.
pub(super) fn verdicts(theorems: &[Theorem]) -> String {
    let mut text = String::new();
    for theorem in theorems {
        let verdict = match theorem.holds {
            Some(true) => "holds",
            Some(false) => "does not hold",
            None => "nothing to measure",
        };
        // Adding 0 takes the sign from −0.
        let measured =
            theorem.measured.map_or("–".to_owned(), |value| format!("{:.6e}", value + 0.0));
        let _ = writeln!(
            text,
            "{}: {verdict}: {measured} {} {:.6e}\n    {}",
            theorem.id, theorem.comparator, theorem.bound, theorem.claim
        );
    }
    text
}

/// The first and the last point, and some between.
pub(super) fn sample<P>(series: &[P]) -> impl Iterator<Item = &P> {
    let last = series.len().saturating_sub(1);
    let every = last.div_ceil(LINES).max(1);
    series
        .iter()
        .enumerate()
        .filter(move |(at, _)| (last - at).is_multiple_of(every) || *at == 0)
        .map(|(_, point)| point)
}
