//! JSON Lines: one object a line, with texts and numbers.

use serde_json::{Map, Value};

use super::columns::{Header, Row};
use crate::CorpusError;

pub(super) fn rows(file: &str, bytes: &[u8]) -> Result<Vec<Row>, CorpusError> {
    let mut rows = Vec::new();
    for (line, bytes) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let refuse = |problem: String| CorpusError::at(file, line, problem);
        let object: Map<String, Value> = serde_json::from_slice(bytes)
            .map_err(|error| refuse(format!("it is no JSON object: {error}")))?;
        let header = Header::of(object.keys().map(String::as_str)).map_err(refuse)?;
        let values = object.iter().map(|(key, value)| match value {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(refuse(format!("`{key}` is {value}, but must be a text or a number"))),
        });
        let values = values.collect::<Result<Vec<_>, _>>()?;
        rows.push(header.row(line, values.iter().map(String::as_str)));
    }
    Ok(rows)
}
