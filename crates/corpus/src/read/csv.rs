//! CSV with a header.

use csv::{ReaderBuilder, StringRecord};

use super::columns::{Header, Row};
use crate::CorpusError;

pub(super) fn rows(file: &str, bytes: &[u8], delimiter: u8) -> Result<Vec<Row>, CorpusError> {
    // Excel begins UTF-8 with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().delimiter(delimiter).from_reader(bytes);
    let refuse = |error: csv::Error| {
        let line = error.position().map(|at| usize::try_from(at.line()).unwrap_or(usize::MAX));
        let problem = match error.kind() {
            csv::ErrorKind::Utf8 { .. } => {
                "it is not UTF-8 text; save the file as UTF-8".to_owned()
            }
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!(
                    "it has {len} fields, but the header {expected_len}; quote fields with commas"
                )
            }
            _ => error.to_string(),
        };
        CorpusError { file: file.to_owned(), line, problem }
    };
    let names = reader.headers().map_err(refuse)?.clone();
    let header = Header::of(names.iter()).map_err(|problem| CorpusError::at(file, 1, problem))?;
    let mut rows = Vec::new();
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(refuse)? {
        let line =
            record.position().map_or(0, |at| usize::try_from(at.line()).unwrap_or(usize::MAX));
        rows.push(header.row(line, record.iter()));
    }
    Ok(rows)
}
