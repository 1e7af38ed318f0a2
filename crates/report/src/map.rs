//! The files of a phase diagram, in `figures/` and `tables/`.

use std::path::{Path, PathBuf};

use crate::figure::{Map, map};
use crate::write::{Files, files_of};
use crate::{ReportError, Style};

/// Draws a map into `out` as SVG, PNG and PDF, and its numbers as CSV. Returns the paths of the PNG
/// and the table.
///
/// # Errors
/// [`ReportError`] if it cannot be drawn or written.
pub fn write_map(out: &Path, content: &Map<'_>) -> Result<(PathBuf, PathBuf), ReportError> {
    let figure = map(content);
    let names = files_of(&figure);
    Files { dir: out, style: &Style::default() }.figure(&figure, &names)?;
    Ok((out.join(names.png), out.join(names.table)))
}
