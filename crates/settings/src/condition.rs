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
    IsNot(&'static str),
    Above0,
}

impl Condition {
    /// `key` is one of `values`, written as in TOML but without quotes.
    pub const fn is(key: &'static str, values: &'static [&'static str]) -> Self {
        Self { key, test: Test::Is(values) }
    }

    /// `key` is not `value`, or does not apply itself.
    pub const fn is_not(key: &'static str, value: &'static str) -> Self {
        Self { key, test: Test::IsNot(value) }
    }

    /// `key` is a number above 0.
    pub const fn positive(key: &'static str) -> Self {
        Self { key, test: Test::Above0 }
    }

    /// Whether it holds for this value of the key, as TOML without quotes; `None` where the key does
    /// not apply.
    pub(crate) fn holds(&self, value: Option<&str>) -> bool {
        match self.test {
            Test::Is(values) => value.is_some_and(|value| values.contains(&value)),
            Test::IsNot(other) => value != Some(other),
            Test::Above0 => {
                value.and_then(|value| value.parse().ok()).is_some_and(|x: f64| x > 0.0)
            }
        }
    }

    /// The values that it asks for, one by one.
    pub(crate) fn wanted(&self) -> Vec<String> {
        match self.test {
            Test::Is(values) => values.iter().map(|value| (*value).to_owned()).collect(),
            Test::IsNot(value) => vec![format!("not {value}")],
            Test::Above0 => vec!["above 0".to_owned()],
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.test {
            Test::Is(values) => write!(f, "{} = {}", self.key, join(values.iter().copied(), "or")),
            Test::IsNot(value) => write!(f, "{} not {value}", self.key),
            Test::Above0 => write!(f, "{} above 0", self.key),
        }
    }
}
