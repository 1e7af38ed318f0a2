//! A report that is drawn again and again while its store grows.

use std::path::{Path, PathBuf};

use crate::stored::{self, Runs};
use crate::write::{self, Drawn};
use crate::{Report, ReportError, Style};

/// Draws the report of one store after every figure: a complete run is read once, and a picture
/// that has not changed is not drawn again.
#[derive(Default)]
pub struct Redraw {
    style: Style,
    runs: Runs,
    drawn: Drawn,
}

impl Redraw {
    /// In a style.
    pub fn new(style: Style) -> Self {
        Self { style, ..Self::default() }
    }

    /// The style of its figures.
    pub fn style(&self) -> &Style {
        &self.style
    }

    /// As [`crate::from_store`].
    ///
    /// # Errors
    /// As [`crate::from_store`].
    pub fn from_store(&mut self, out: &Path) -> Result<Report, ReportError> {
        stored::report(out, &mut self.runs)
    }

    /// As [`crate::write()`].
    ///
    /// # Errors
    /// As [`crate::write()`].
    pub fn write(&mut self, dir: &Path, report: &Report) -> Result<PathBuf, ReportError> {
        write::write_new(dir, report, &self.style, &mut self.drawn)
    }
}
