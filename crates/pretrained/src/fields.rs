//! The fields of a model's description, from `config.json` or the metadata of a GGUF file.

use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::{Map, Value};

use crate::PretrainedError;

/// Sizes beyond these are typing errors, and products of them fit into 64 bits.
pub(crate) const LAYERS: RangeInclusive<u64> = 1..=1_000;
pub(crate) const WIDTH: RangeInclusive<u64> = 1..=1 << 18;
pub(crate) const TOKENS: RangeInclusive<u64> = 1..=1 << 24;

/// The fields of a description, and its file.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    pub(crate) path: &'a Path,
    pub(crate) object: &'a Map<String, Value>,
    /// The prefix of each key.
    pub(crate) prefix: &'a str,
}

impl<'a> Fields<'a> {
    /// The value of a key; null is none.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        let value = self.object.get(&format!("{}{key}", self.prefix));
        value.filter(|value| !value.is_null())
    }

    pub(crate) fn refuse(&self, key: &str, problem: &str) -> PretrainedError {
        PretrainedError::file(self.path, format!("`{}{key}` {problem}", self.prefix))
    }

    /// A whole number within bounds.
    pub(crate) fn number(
        &self,
        key: &str,
        default: Option<usize>,
        bounds: RangeInclusive<u64>,
    ) -> Result<usize, PretrainedError> {
        match (self.get(key), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.refuse(key, "is missing")),
            (Some(value), _) => match value.as_u64().filter(|number| bounds.contains(number)) {
                Some(number) => Ok(number as usize),
                None => {
                    let (low, high) = bounds.into_inner();
                    let problem =
                        format!("is {value}, but must be a whole number from {low} to {high}");
                    Err(self.refuse(key, &problem))
                }
            },
        }
    }

    /// A number above 0.
    pub(crate) fn positive(&self, key: &str, default: Option<f64>) -> Result<f64, PretrainedError> {
        match (self.get(key), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(self.refuse(key, "is missing")),
            (Some(value), _) => {
                let number = value.as_f64().filter(|number| *number > 0.0 && number.is_finite());
                number.ok_or_else(|| self.refuse(key, &format!("is {value}, no number above 0")))
            }
        }
    }

    /// A flag.
    pub(crate) fn flag(&self, key: &str, default: bool) -> Result<bool, PretrainedError> {
        let Some(value) = self.get(key) else { return Ok(default) };
        value.as_bool().ok_or_else(|| self.refuse(key, &format!("is {value}, not true or false")))
    }

    /// Refuses any other value than this one; none is right.
    pub(crate) fn only(&self, key: &str, right: &Value) -> Result<(), PretrainedError> {
        match self.get(key) {
            Some(value) if value != right => {
                Err(self.refuse(key, &format!("is {value}; this program runs models with {right}")))
            }
            _ => Ok(()),
        }
    }
}
