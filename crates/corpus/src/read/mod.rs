//! Rows of a file of facts: CSV, JSON Lines or Parquet, recognised by the name's ending.

mod columns;
mod csv;
mod jsonl;
mod parquet;

use columns::Row;

use crate::CorpusError;

/// The largest file of facts or of training text, in bytes.
pub(crate) const LARGEST_FILE: u64 = 256 << 20;
/// The most facts of a file.
pub(crate) const MOST_FACTS: usize = 1_000_000;

/// A fact as its row states it; an `inverse` names the relation from the object to the subject.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stated {
    pub(crate) fact: crate::Fact,
    pub(crate) inverse: Option<String>,
}

/// The facts of a file's bytes, in order.
///
/// # Errors
/// [`CorpusError`] names the line.
pub(crate) fn stated(file: &str, bytes: &[u8]) -> Result<Vec<Stated>, CorpusError> {
    let ending = file.rsplit('.').next().unwrap_or_default().to_lowercase();
    let rows: Vec<Row> = match ending.as_str() {
        "csv" => csv::rows(file, bytes, b',')?,
        "tsv" => csv::rows(file, bytes, b'\t')?,
        "jsonl" | "ndjson" => jsonl::rows(file, bytes)?,
        "parquet" => parquet::rows(file, bytes)?,
        _ => {
            let right = "a file of facts ends in .csv, .tsv, .jsonl, .ndjson or .parquet";
            return Err(CorpusError::whole(file, right));
        }
    };
    if rows.is_empty() {
        return Err(CorpusError::whole(file, "it has no facts: give at least one row"));
    }
    if rows.len() > MOST_FACTS {
        let problem = format!("it has {} facts, but must have at most {MOST_FACTS}", rows.len());
        return Err(CorpusError::whole(file, problem));
    }
    rows.into_iter().map(|row| row.stated(file)).collect()
}
