//! `retrodict report DIR`.

use std::path::Path;

use retrodict_report::{Redraw, Report, Style, write_comparisons};

use super::{Failure, print};
use crate::args::ReportArgs;

pub(crate) fn report(args: &ReportArgs) -> Result<(), Failure> {
    let mut redraw = Redraw::new(args.style.read()?);
    let (page, report) = draw(&mut redraw, &args.dir, args.to.as_deref().unwrap_or(&args.dir))?;
    print(&last_line(&report, &page))
}

/// Draws the whole store below `out` into `to`.
pub(crate) fn draw(
    redraw: &mut Redraw,
    out: &Path,
    to: &Path,
) -> Result<(String, Report), Failure> {
    let report = redraw.from_store(out).map_err(Failure::failed)?;
    let page = redraw.write(to, &report).map_err(Failure::failed)?;
    // It links to the page.
    write_comparisons(out, to, redraw.style()).map_err(Failure::failed)?;
    Ok((page.display().to_string(), report))
}

/// Redraws an existing report, so that it links to pages added beside it.
pub(crate) fn draw_beside(out: &Path, style: &Style) -> Result<(), Failure> {
    if out.join("index.html").is_file() {
        let mut redraw = Redraw::new(style.clone());
        let report = redraw.from_store(out).map_err(Failure::failed)?;
        redraw.write(out, &report).map_err(Failure::failed)?;
    }
    Ok(())
}

/// The number of claims that hold, and the page's path.
pub(crate) fn last_line(report: &Report, page: &str) -> String {
    let claims: Vec<bool> =
        report.sections.iter().flat_map(|s| &s.claims).map(|claim| claim.holds).collect();
    let held = claims.iter().filter(|holds| **holds).count();
    match claims.len() {
        0 => format!("open {page}\n"),
        all => format!("{held} of {all} claims hold; open {page}\n"),
    }
}
