//! Tables of numbers, as CSV.

use std::borrow::Cow;

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

    /// The table as CSV: quoted where needed, lines ended by `\n`. Text that a spreadsheet would
    /// take for a formula is preceded by an apostrophe.
    ///
    /// # Errors
    /// [`ReportError::Table`] if a row is not as wide as the header.
    pub fn to_csv(&self) -> Result<Vec<u8>, ReportError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in std::iter::once(&self.header).chain(&self.rows) {
            writer.write_record(row.iter().map(|cell| plain_text(cell).into_owned()))?;
        }
        writer.into_inner().map_err(|error| ReportError::Table(error.into_error().into()))
    }
}

/// A cell that spreadsheets show as it is: they evaluate text that begins with `=`, `+`, `-`, `@`, a
/// tab or a carriage return, unless an apostrophe precedes it. Numbers stay as they are.
fn plain_text(cell: &str) -> Cow<'_, str> {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if is_formula && cell.parse::<f64>().is_err() {
        return Cow::Owned(format!("'{cell}"));
    }
    Cow::Borrowed(cell)
}

/// A number in full precision; an empty cell for one that is not finite.
pub(crate) fn cell(value: f64) -> String {
    if value.is_finite() { value.to_string() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula_and_numbers_stay_numbers() {
        let mut table = Table::new(&["=header", "number"]);
        for text in ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "- 1"] {
            table.rows.push(vec![text.to_owned(), "-1.5e-7".to_owned()]);
        }
        table.rows.push(vec!["plain, = inside".to_owned(), "+3".to_owned()]);
        let csv = table.to_csv().unwrap();
        let mut read = csv::ReaderBuilder::new().has_headers(false).from_reader(&*csv);
        let rows: Vec<csv::StringRecord> = read.records().map(Result::unwrap).collect();
        assert_eq!(rows[0].get(0), Some("'=header"));
        for (row, cells) in rows[1..].iter().zip(&table.rows) {
            let (text, number) = (row.get(0).unwrap(), row.get(1).unwrap());
            assert!(!text.starts_with(['=', '+', '-', '@', '\t', '\r']), "{text:?}");
            assert_eq!(text.strip_prefix('\'').unwrap_or(text), cells[0]);
            assert_eq!(number, cells[1]);
        }
    }
}
