//! Parquet, as pandas and polars write it: columns of texts and numbers, uncompressed or with Snappy.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::Field;

use super::MOST_FACTS;
use super::columns::{Header, Row};
use crate::CorpusError;

/// A file's rows; lines are counted from 1 without a header.
pub(super) fn rows(file: &str, bytes: &[u8]) -> Result<Vec<Row>, CorpusError> {
    let refuse = |problem: String| CorpusError::whole(file, problem);
    // The decoders panic on some damaged files.
    catch_unwind(AssertUnwindSafe(|| rows_unguarded(Bytes::copy_from_slice(bytes))))
        .map_err(|_| refuse("it is damaged: its pages cannot be decoded".to_owned()))?
        .map_err(|error| refuse(error.to_string()))
}

fn rows_unguarded(bytes: Bytes) -> Result<Vec<Row>, ParquetError> {
    let general = |problem: String| ParquetError::General(problem);
    let reader = SerializedFileReader::new(bytes)?;
    let claimed = reader.metadata().file_metadata().num_rows();
    // A small file can claim, and hold, billions of equal rows.
    if usize::try_from(claimed).is_ok_and(|rows| rows > MOST_FACTS) {
        return Err(general(format!("it has {claimed} facts, but must have at most {MOST_FACTS}")));
    }
    let schema = reader.metadata().file_metadata().schema();
    let names: Vec<String> = schema.get_fields().iter().map(|f| f.name().to_owned()).collect();
    let header = Header::of(names.iter().map(String::as_str)).map_err(general)?;
    let mut rows = Vec::new();
    for (line, row) in (1..).zip(reader.get_row_iter(None)?) {
        let row = row?;
        let values: Vec<String> = row
            .get_column_iter()
            .map(|(name, field)| match field {
                Field::Null => Ok(String::new()),
                Field::Str(text) => Ok(text.clone()),
                // Texts without a logical type.
                Field::Bytes(bytes) => String::from_utf8(bytes.data().to_vec())
                    .map_err(|_| general(format!("row {line}: `{name}` is not UTF-8 text"))),
                field => Ok(field.to_string()),
            })
            .collect::<Result<_, _>>()?;
        rows.push(header.row(line, values.iter().map(String::as_str)));
        if rows.len() > MOST_FACTS {
            break;
        }
    }
    Ok(rows)
}
