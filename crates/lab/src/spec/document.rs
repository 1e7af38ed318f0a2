//! A spec's text as a flat list of entries: section, key, value and where each
//! stands; overrides are laid over it.

use std::fmt;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::error::{Location, Problem, SpecError};
use super::keys;

/// A value as it was written.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Array(Vec<Value>),
    /// What no key takes: dates, tables, numbers past any machine's.
    Other(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Integer(integer) => write!(f, "{integer}"),
            Self::Float(float) => write!(f, "{float:?}"),
            Self::Boolean(boolean) => write!(f, "{boolean}"),
            Self::Array(values) => {
                write!(f, "[")?;
                for (i, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { ", " })?;
                }
                write!(f, "]")
            }
            Self::Other(what) => write!(f, "{what}"),
        }
    }
}

/// A problem at a position; the first of several is the one reported.
pub(crate) struct Found {
    pub(crate) position: usize,
    pub(crate) error: SpecError,
}

/// One `key = value` of a spec.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Empty for the keys above the first section.
    pub(crate) section: String,
    pub(crate) key: String,
    pub(crate) value: Value,
    pub(crate) at: Location,
    /// Byte in the text; overrides come after it.
    pub(crate) position: usize,
}

impl Entry {
    /// `section.key`, or the key alone above the first section.
    pub(crate) fn path(&self) -> String {
        keys::path(&self.section, &self.key)
    }
}

/// Entries of `text` with `overrides` laid over them, and the problems met.
pub(crate) fn read(
    text: &str,
    origin: &str,
    overrides: &[(&str, &str)],
) -> Result<(Vec<Entry>, Vec<Found>), SpecError> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or_else(
            || Location::Spec { origin: origin.to_owned() },
            |span| column_of(text, origin, span.start),
        );
        SpecError::new(at, Problem::Syntax(error.message().to_owned()))
    })?;
    let mut entries = Vec::new();
    let mut found = Vec::new();
    for (key, value) in table.into_inner() {
        let position = key.span().start;
        let at = line_of(text, origin, position);
        let key = key.into_inner().into_owned();
        match value.into_inner() {
            DeValue::Table(inner) if keys::is_section(&key) => {
                for (inner_key, inner_value) in inner {
                    let position = inner_key.span().start;
                    entries.push(Entry {
                        section: key.clone(),
                        key: inner_key.into_inner().into_owned(),
                        value: convert(inner_value.into_inner()),
                        at: line_of(text, origin, position),
                        position,
                    });
                }
            }
            DeValue::Table(_) if !keys::is_key("", &key) => {
                let hint = keys::section_hint(&key);
                let problem = Problem::UnknownSection { section: key, hint };
                let error = SpecError::new(at, problem);
                found.push(Found { position, error });
            }
            value => entries.push(Entry {
                section: String::new(),
                key,
                value: convert(value),
                at,
                position,
            }),
        }
    }
    for (index, (path, value)) in overrides.iter().enumerate() {
        let entry = read_override(path, value, text.len() + index)?;
        entries.retain(|old| (&old.section, &old.key) != (&entry.section, &entry.key));
        entries.push(entry);
    }
    entries.sort_by_key(|entry| entry.position);
    Ok((entries, found))
}

/// An override as an entry: its value as TOML reads it, or else a bare string,
/// so that `model.position=rotary` needs no quotes in a shell.
fn read_override(path: &str, value: &str, position: usize) -> Result<Entry, SpecError> {
    let at = Location::Override { text: format!("{path}={value}") };
    let path = path.trim();
    let (section, key) = path.split_once('.').unwrap_or(("", path));
    if key.is_empty() || key.contains('.') || (section.is_empty() && path.starts_with('.')) {
        let problem = Problem::Override;
        return Err(SpecError::new(at, problem));
    }
    if !section.is_empty() && !keys::is_section(section) {
        let problem =
            Problem::UnknownKey { key: path.to_owned(), hint: keys::section_hint(section) };
        return Err(SpecError::new(at, problem));
    }
    let value = value.trim();
    let value = match DeValue::parse(value) {
        Ok(parsed) => convert(parsed.into_inner()),
        Err(_) => Value::Text(value.to_owned()),
    };
    Ok(Entry { section: section.to_owned(), key: key.to_owned(), value, at, position })
}

fn convert(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(integer) => {
            match i128::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(integer) => Value::Integer(integer),
                Err(_) => Value::Other("a number of more than 38 digits".to_owned()),
            }
        }
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            // Too large for any number, unless infinity was written.
            Ok(number)
                if number.is_finite() || !float.as_str().contains(|c: char| c.is_ascii_digit()) =>
            {
                Value::Float(number)
            }
            _ => Value::Other(float.to_string()),
        },
        DeValue::Boolean(boolean) => Value::Boolean(boolean),
        DeValue::Datetime(_) => Value::Other("a date or time".to_owned()),
        DeValue::Array(values) => Value::Array(convert_all(values)),
        DeValue::Table(_) => Value::Other("a table".to_owned()),
    }
}

fn convert_all(values: DeArray<'_>) -> Vec<Value> {
    values.into_iter().map(|value: Spanned<DeValue<'_>>| convert(value.into_inner())).collect()
}

fn line_of(text: &str, origin: &str, byte: usize) -> Location {
    Location::Line {
        origin: origin.to_owned(),
        line: count_lines(&text.as_bytes()[..byte.min(text.len())]),
    }
}

fn column_of(text: &str, origin: &str, byte: usize) -> Location {
    let before = &text.as_bytes()[..byte.min(text.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    Location::Column {
        origin: origin.to_owned(),
        line: count_lines(before),
        column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
    }
}

fn count_lines(before: &[u8]) -> usize {
    before.iter().filter(|b| **b == b'\n').count() + 1
}
