//! Tables of numbers, as CSV.

use crate::ReportError;

/// A table with one line of headings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Column headings, in `snake_case`.
    pub header: Vec<String>,
    /// Rows as wide as the header.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these headings.
    pub fn new(header: &[&str]) -> Self {
        Self { header: header.iter().map(|h| (*h).to_owned()).collect(), rows: Vec::new() }
    }

    /// The table as CSV: quoted where needed, lines ended by `\n`.
    ///
    /// # Errors
    /// [`ReportError::Table`] if a row is not as wide as the header.
    pub fn to_csv(&self) -> Result<Vec<u8>, ReportError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(&self.header)?;
        for row in &self.rows {
            writer.write_record(row)?;
        }
        writer.into_inner().map_err(|error| ReportError::Table(error.into_error().into()))
    }
}

/// A number in full precision; an empty cell for one that is not finite.
pub(crate) fn cell(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}
