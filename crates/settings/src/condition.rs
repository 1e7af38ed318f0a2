//! When a key applies.

use crate::nearest::join;

/// A condition on another key's value, under which a key applies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// The other key, with its section.
    pub key: &'static str,
    test: Test,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Test {
    /// The value is one of these, as TOML without quotes.
    Is(&'static [&'static str]),
    Above0,
}

impl Condition {
    /// `key` is one of `values`, written as in TOML but without quotes.
    pub const fn is(key: &'static str, values: &'static [&'static str]) -> Self {
        Self { key, test: Test::Is(values) }
    }

    /// `key` is a number above 0.
    pub const fn positive(key: &'static str) -> Self {
        Self { key, test: Test::Above0 }
    }

    /// Whether it holds for this value of the key, as TOML without quotes.
    pub(crate) fn holds(&self, value: &str) -> bool {
        match self.test {
            Test::Is(values) => values.contains(&value),
            Test::Above0 => value.parse::<f64>().is_ok_and(|number| number > 0.0),
        }
    }

    /// The values that it asks for, one by one.
    pub(crate) fn wanted(&self) -> Vec<String> {
        match self.test {
            Test::Is(values) => values.iter().map(|value| (*value).to_owned()).collect(),
            Test::Above0 => vec!["above 0".to_owned()],
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.test {
            Test::Is(values) => write!(f, "{} = {}", self.key, join(values.iter().copied(), "or")),
            Test::Above0 => write!(f, "{} above 0", self.key),
        }
    }
}
