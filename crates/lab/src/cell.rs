//! A value in a row of a table of runs: of a key, a measure or a property of the run.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// It does not apply, or was not measured.
    Missing,
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Number(f64),
    /// A text; also a list, as it stands in a spec.
    Text(String),
    /// `true` or `false`.
    Boolean(bool),
}

impl Cell {
    /// The value of a key as a spec writes it, in TOML.
    pub fn of_toml(text: &str) -> Cell {
        if let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            return Cell::Text(inner.to_owned());
        }
        match text {
            "true" => return Cell::Boolean(true),
            "false" => return Cell::Boolean(false),
            _ => {}
        }
        let integer = text.parse().ok().map(Cell::Integer);
        let number = || text.parse().ok().map(Cell::Number);
        integer.or_else(number).unwrap_or_else(|| Cell::Text(text.to_owned()))
    }

    /// It as a spec writes it: the opposite of [`Cell::of_toml`].
    pub(crate) fn to_toml(&self) -> String {
        match self {
            // A list is a text that stands without quotes.
            Cell::Text(text) if !text.starts_with('[') => format!("\"{text}\""),
            cell => cell.to_string(),
        }
    }

    /// The value of a measure; not finite is missing.
    pub fn of_measure(value: Option<f64>) -> Cell {
        value.filter(|value| value.is_finite()).map_or(Cell::Missing, Cell::Number)
    }

    /// It as a number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Cell::Integer(integer) => Some(*integer as f64),
            Cell::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The order of two values of one type; `None` where there is none.
    pub fn compare(&self, other: &Cell) -> Option<Ordering> {
        match (self, other) {
            (Cell::Integer(a), Cell::Integer(b)) => Some(a.cmp(b)),
            (Cell::Text(a), Cell::Text(b)) => Some(a.cmp(b)),
            (Cell::Boolean(a), Cell::Boolean(b)) => Some(a.cmp(b)),
            (Cell::Missing, Cell::Missing) => Some(Ordering::Equal),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }

    /// An order of all values: numbers, texts, truth values, missing ones last.
    pub fn sorting(&self, other: &Cell) -> Ordering {
        let class = |cell: &Cell| match cell {
            Cell::Integer(_) | Cell::Number(_) => 0,
            Cell::Text(_) => 1,
            Cell::Boolean(_) => 2,
            Cell::Missing => 3,
        };
        let within = || self.compare(other).unwrap_or(Ordering::Equal);
        class(self).cmp(&class(other)).then_with(within)
    }
}

/// In full precision, as a spec and CSV write it; empty where it is missing.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cell::Missing => Ok(()),
            Cell::Integer(integer) => write!(f, "{integer}"),
            Cell::Number(number) => write!(f, "{number:?}"),
            Cell::Text(text) => write!(f, "{text}"),
            Cell::Boolean(boolean) => write!(f, "{boolean}"),
        }
    }
}
