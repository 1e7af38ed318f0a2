//! The terminal: its width, and whether to use colours.

use std::env;

use console::Term;

/// The columns of `terminal`: `COLUMNS` if set, or else the terminal's own number; `None` for a
/// file or a pipe.
pub(crate) fn width(terminal: &Term) -> Option<usize> {
    let stated = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let own = || terminal.size_checked().map(|(_, columns)| usize::from(columns));
    stated.or_else(own).filter(|columns| *columns > 0)
}

/// Whether `NO_COLOR` is set and not empty (no-color.org).
pub(crate) fn no_color() -> bool {
    env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}
