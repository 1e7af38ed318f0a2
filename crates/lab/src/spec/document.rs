//! A spec's text as a flat list of entries: section, key, value and position.

use retrodict_settings::{
    Entry, Key, Located, Location, Place, Problem, SpecError, Value, is_section, section_hint,
};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// The section that [`Sweep`](crate::sweep::Sweep) reads.
const SWEEP: &str = "sweep";

/// The text of a spec, taken apart.
pub(crate) struct Document<'t> {
    /// The keys with their values.
    pub(crate) entries: Vec<Entry>,
    /// The problems met.
    pub(crate) found: Vec<Located>,
    /// The value of `sweep` with its position, if it is there.
    pub(crate) sweep: Option<(usize, DeValue<'t>)>,
}

/// The parts of `text`.
///
/// # Errors
/// [`SpecError`] where it is not TOML.
pub(crate) fn read<'t>(
    text: &'t str,
    origin: &str,
    keys: &[Key],
) -> Result<Document<'t>, SpecError> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or_else(
            || Location::Spec { origin: origin.to_owned() },
            |span| column_of(text, origin, span.start),
        );
        SpecError::new(at, Problem::Syntax(error.message().to_owned()))
    })?;
    let mut document = Document { entries: Vec::new(), found: Vec::new(), sweep: None };
    for (key, value) in table.into_inner() {
        let position = key.span().start;
        let at = line_of(text, origin, position);
        let key = key.into_inner().into_owned();
        match value.into_inner() {
            value if key == SWEEP => document.sweep = Some((position, value)),
            DeValue::Table(inner) if is_section(keys, &key) => {
                for (inner_key, inner_value) in inner {
                    let position = inner_key.span().start;
                    document.entries.push(Entry {
                        section: key.clone(),
                        key: inner_key.into_inner().into_owned(),
                        value: convert(inner_value.into_inner()),
                        place: Place { at: line_of(text, origin, position), position },
                    });
                }
            }
            DeValue::Table(_)
                if !keys.iter().any(|known| known.section.is_empty() && known.name == key) =>
            {
                let hint = section_hint(keys, &key);
                let problem = Problem::UnknownSection { section: key, hint };
                let error = SpecError::new(at, problem);
                document.found.push(Located { position, error });
            }
            value => document.entries.push(Entry {
                section: String::new(),
                key,
                value: convert(value),
                place: Place { at, position },
            }),
        }
    }
    Ok(document)
}

/// Sets the entry of a key in place of the one that is there.
pub(crate) fn set(entries: &mut Vec<Entry>, entry: Entry) {
    entries.retain(|old| (&old.section, &old.key) != (&entry.section, &entry.key));
    entries.push(entry);
}

/// An override as an entry: its value as TOML, or else as a bare string, so that
/// `model.position=rotary` needs no quotes in a shell. `position` is behind the text.
pub(crate) fn read_override(
    (path, value): (&str, &str),
    position: usize,
    keys: &[Key],
) -> Result<Entry, SpecError> {
    let at = Location::Override { text: format!("{path}={value}") };
    entry(path, bare_value(value), Place { at, position }, keys)
}

/// The entry of a key with its section.
///
/// # Errors
/// [`SpecError`] if there is no such section.
pub(crate) fn entry(
    path: &str,
    value: Value,
    place: Place,
    keys: &[Key],
) -> Result<Entry, SpecError> {
    let path = path.trim();
    let (section, key) = path.split_once('.').unwrap_or(("", path));
    if key.is_empty() || key.contains('.') || (section.is_empty() && path.starts_with('.')) {
        return Err(SpecError::new(place.at, Problem::Override));
    }
    if !section.is_empty() && !is_section(keys, section) {
        let problem =
            Problem::UnknownKey { key: path.to_owned(), hint: section_hint(keys, section) };
        return Err(SpecError::new(place.at, problem));
    }
    Ok(Entry { section: section.to_owned(), key: key.to_owned(), value, place })
}

/// A value as TOML, or else as a bare string.
pub(crate) fn bare_value(text: &str) -> Value {
    let text = text.trim();
    match DeValue::parse(text) {
        Ok(parsed) => convert(parsed.into_inner()),
        // Common spellings of numbers: `.001`, `1.`.
        Err(_) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Value::Float(number),
            _ => Value::Text(text.to_owned()),
        },
    }
}

/// A value of TOML.
pub(crate) fn convert(value: DeValue<'_>) -> Value {
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

/// The line of a byte of `text`.
pub(crate) fn line_of(text: &str, origin: &str, byte: usize) -> Location {
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
