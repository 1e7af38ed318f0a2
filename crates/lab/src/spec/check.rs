//! Takes entries one by one, each checked against its type and range; problems
//! are gathered, so that the first in the text is the one reported.

use std::ops::RangeInclusive;

use super::document::{Entry, Found, Value};
use super::error::{Location, Problem, SpecError};
use super::keys::{self, join};
use super::keyword::Keyword;
use retrodict_settings::nearest;

/// A range of numbers, and how to say it.
#[derive(Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) holds: fn(f64) -> bool,
    pub(crate) says: &'static str,
}

pub(crate) const POSITIVE: Bound =
    Bound { holds: |x| x > 0.0 && x.is_finite(), says: "a finite number above 0" };
pub(crate) const NOT_NEGATIVE: Bound =
    Bound { holds: |x| x >= 0.0 && x.is_finite(), says: "a finite number, 0 or more" };
pub(crate) const FRACTION: Bound =
    Bound { holds: |x| (0.0..=1.0).contains(&x), says: "a fraction from 0 to 1" };
pub(crate) const PART: Bound =
    Bound { holds: |x| x > 0.0 && x <= 1.0, says: "a number above 0, and at most 1" };
pub(crate) const BELOW_ONE: Bound =
    Bound { holds: |x| (0.0..1.0).contains(&x), says: "a number from 0 to below 1" };

/// Entries that wait to be taken, and the problems met so far.
pub(crate) struct Checker {
    entries: Vec<Entry>,
    found: Vec<Found>,
    origin: String,
}

impl Checker {
    pub(crate) fn new(entries: Vec<Entry>, found: Vec<Found>, origin: &str) -> Self {
        Self { entries, found, origin: origin.to_owned() }
    }

    /// The spec as a whole, where a problem has no line of its own.
    pub(crate) fn whole(&self) -> Location {
        Location::Spec { origin: self.origin.clone() }
    }

    /// Notes a problem with `entry`.
    pub(crate) fn refuse(&mut self, entry: &Entry, problem: Problem) {
        let at = entry.at.clone();
        let error = SpecError::new(at, problem);
        self.found.push(Found { position: entry.position, error });
    }

    /// Notes a problem of the spec as a whole, to be reported if there is no other.
    pub(crate) fn refuse_whole(&mut self, problem: Problem) {
        let at = self.whole();
        let error = SpecError::new(at, problem);
        self.found.push(Found { position: usize::MAX, error });
    }

    /// Notes that `entry` holds a wrong value.
    pub(crate) fn refuse_value(&mut self, entry: &Entry, right: impl Into<String>) {
        let problem = Problem::Value {
            key: entry.path(),
            found: entry.value.to_string(),
            right: right.into(),
        };
        self.refuse(entry, problem);
    }

    /// Takes the entry of a key, if it is there.
    pub(crate) fn take(&mut self, section: &str, key: &str) -> Option<Entry> {
        let index =
            self.entries.iter().position(|entry| entry.section == section && entry.key == key)?;
        Some(self.entries.remove(index))
    }

    /// The entry of a key, left in place.
    pub(crate) fn entry(&self, section: &str, key: &str) -> Option<Entry> {
        self.entries.iter().find(|entry| entry.section == section && entry.key == key).cloned()
    }

    /// A whole number in `range`; `default` where it is not given.
    pub(crate) fn integer(
        &mut self,
        section: &str,
        key: &str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> u64 {
        self.optional_integer(section, key, range).unwrap_or(default)
    }

    /// [`Checker::integer`] as a size in memory.
    pub(crate) fn size(
        &mut self,
        section: &str,
        key: &str,
        default: usize,
        range: RangeInclusive<u64>,
    ) -> usize {
        // Every range of a size ends far below 2^32.
        self.optional_integer(section, key, range).map_or(default, |size| size as usize)
    }

    /// A whole number in `range`, if it is given.
    pub(crate) fn optional_integer(
        &mut self,
        section: &str,
        key: &str,
        range: RangeInclusive<u64>,
    ) -> Option<u64> {
        let entry = self.take(section, key)?;
        let integer = integer_in(&entry.value, &range);
        if integer.is_none() {
            let right = format!("a whole number from {} to {}", range.start(), range.end());
            self.refuse_value(&entry, right);
        }
        integer
    }

    /// A number within `bound`; `default` where it is not given.
    pub(crate) fn number(&mut self, section: &str, key: &str, default: f64, bound: Bound) -> f64 {
        let Some(entry) = self.take(section, key) else {
            return default;
        };
        number_in(&entry.value, bound).unwrap_or_else(|| {
            self.refuse_value(&entry, bound.says);
            default
        })
    }

    /// Two numbers within `bound`; `default` where they are not given.
    pub(crate) fn two_numbers(
        &mut self,
        section: &str,
        key: &str,
        default: [f64; 2],
        bound: Bound,
    ) -> [f64; 2] {
        let Some(entry) = self.take(section, key) else {
            return default;
        };
        if let Value::Array(values) = &entry.value
            && let [first, second] = values.as_slice()
            && let (Some(first), Some(second)) = (number_in(first, bound), number_in(second, bound))
        {
            return [first, second];
        }
        self.refuse_value(&entry, format!("a list of two, each {}", bound.says));
        default
    }

    /// true or false; `default` where it is not given.
    pub(crate) fn boolean(&mut self, section: &str, key: &str, default: bool) -> bool {
        let Some(entry) = self.take(section, key) else {
            return default;
        };
        if let Value::Boolean(boolean) = entry.value {
            return boolean;
        }
        self.refuse_value(&entry, "true or false");
        default
    }

    /// One of a few words; `default` where it is not given.
    pub(crate) fn keyword<K: Keyword>(&mut self, section: &str, key: &str, default: K) -> K {
        let Some(entry) = self.take(section, key) else {
            return default;
        };
        if let Value::Text(word) = &entry.value
            && let Some(value) = K::from_word(word)
        {
            return value;
        }
        self.refuse_value(&entry, one_of::<K>(&entry.value));
        default
    }

    /// Refuses every entry that nobody took, then reports the first problem.
    pub(crate) fn finish(mut self) -> Result<(), SpecError> {
        for entry in std::mem::take(&mut self.entries) {
            let problem = if entry.section.is_empty() && keys::is_section(&entry.key) {
                let section = entry.key.clone();
                Problem::NotASection { section }
            } else {
                Problem::UnknownKey {
                    key: entry.path(),
                    hint: keys::key_hint(&entry.section, &entry.key),
                }
            };
            self.refuse(&entry, problem);
        }
        // The sort is stable: of two problems with one key, the first met stays first.
        self.found.sort_by_key(|found| found.position);
        match self.found.into_iter().next() {
            Some(found) => Err(found.error),
            None => Ok(()),
        }
    }
}

/// What a keyword must be, with the nearest one to what it was.
pub(crate) fn one_of<K: Keyword>(value: &Value) -> String {
    let words = || K::WORDS.iter().map(|(word, _)| *word);
    let right = join(words(), "or");
    match value {
        Value::Text(word) => match nearest(word, words()) {
            Some(near) => format!("{right}; did you mean \"{near}\"?"),
            None => right,
        },
        _ => right,
    }
}

/// The whole number that `value` is, if it lies in `range`.
pub(crate) fn integer_in(value: &Value, range: &RangeInclusive<u64>) -> Option<u64> {
    match value {
        Value::Integer(integer) => u64::try_from(*integer).ok().filter(|i| range.contains(i)),
        _ => None,
    }
}

fn number_in(value: &Value, bound: Bound) -> Option<f64> {
    let number = match value {
        Value::Float(float) => *float,
        Value::Integer(integer) => *integer as f64,
        _ => return None,
    };
    // Adding 0 turns -0 into 0: one number, one hash.
    (bound.holds)(number).then_some(number + 0.0)
}
