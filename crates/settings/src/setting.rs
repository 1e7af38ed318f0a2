//! The types that the value of a key may have.

use std::ops::RangeInclusive;

use crate::{Condition, Keyword, Value, join, nearest};

/// The type of a key's value.
pub trait Setting: Clone + PartialEq {
    /// The bounds of its values.
    type Range;

    /// The value that was written.
    ///
    /// # Errors
    /// The right form.
    fn parse(value: &Value, range: &Self::Range) -> Result<Self, Refused>;

    /// The value in TOML; `None` where the key is left out.
    fn text(&self) -> Option<String>;

    /// The revision of what the value means, where a later version changed that: it enters the
    /// hash, so that runs of the earlier meaning are told apart.
    fn revision(&self) -> Option<u32> {
        None
    }

    /// The values that are right: `a whole number from 1 to 16`.
    fn right(range: &Self::Range) -> String;
}

/// The reason that a value is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is of another type or out of range; the values that would be right.
    Right(String),
    /// Another reason, in a sentence.
    Because(String),
}

/// A range of numbers, and its description.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// Whether a number lies in it.
    pub holds: fn(f64) -> bool,
    /// The numbers in it, in words.
    pub says: &'static str,
}

/// Above 0.
pub const POSITIVE: Bound =
    Bound { holds: |x| x > 0.0 && x.is_finite(), says: "a finite number above 0" };
/// Any finite number.
pub const FINITE: Bound = Bound { holds: f64::is_finite, says: "a finite number" };
/// 0 or more.
pub const NOT_NEGATIVE: Bound =
    Bound { holds: |x| x >= 0.0 && x.is_finite(), says: "a finite number, 0 or more" };
/// From 0 to 1, both included.
pub const FRACTION: Bound =
    Bound { holds: |x| (0.0..=1.0).contains(&x), says: "a fraction from 0 to 1" };
/// Above 0, at most 1.
pub const PROPORTION: Bound =
    Bound { holds: |x| x > 0.0 && x <= 1.0, says: "a number above 0, and at most 1" };
/// From 0 to below 1.
pub const BELOW_ONE: Bound =
    Bound { holds: |x| (0.0..1.0).contains(&x), says: "a number from 0 to below 1" };

impl Setting for f64 {
    type Range = Bound;

    fn parse(value: &Value, bound: &Bound) -> Result<f64, Refused> {
        let number = match value {
            Value::Float(float) => *float,
            Value::Integer(integer) => *integer as f64,
            _ => f64::NAN,
        };
        // Adding 0 turns -0 into 0: one number, one hash.
        let number = (bound.holds)(number).then_some(number + 0.0);
        number.ok_or_else(|| Refused::Right(Self::right(bound)))
    }

    /// The shortest digits that read back to the same number; `1.0`, never `1`.
    fn text(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }

    fn right(bound: &Bound) -> String {
        bound.says.to_owned()
    }
}

impl Setting for [f64; 2] {
    type Range = Bound;

    fn parse(value: &Value, bound: &Bound) -> Result<[f64; 2], Refused> {
        if let Value::Array(values) = value
            && let [first, second] = values.as_slice()
            && let (Ok(first), Ok(second)) = (f64::parse(first, bound), f64::parse(second, bound))
        {
            return Ok([first, second]);
        }
        Err(Refused::Right(Self::right(bound)))
    }

    fn text(&self) -> Option<String> {
        Some(format!("[{:?}, {:?}]", self[0], self[1]))
    }

    fn right(bound: &Bound) -> String {
        format!("a list of two, each {}", bound.says)
    }
}

impl Setting for u64 {
    type Range = RangeInclusive<u64>;

    fn parse(value: &Value, range: &Self::Range) -> Result<u64, Refused> {
        let integer = match value {
            Value::Integer(integer) => u64::try_from(*integer).ok(),
            _ => None,
        };
        let integer = integer.filter(|integer| range.contains(integer));
        integer.ok_or_else(|| Refused::Right(Self::right(range)))
    }

    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn right(range: &Self::Range) -> String {
        match (range.start(), range.end()) {
            (start, &u64::MAX) => format!("a whole number from {start}"),
            (start, end) => format!("a whole number from {start} to {end}"),
        }
    }
}

impl Setting for usize {
    type Range = RangeInclusive<u64>;

    fn parse(value: &Value, range: &Self::Range) -> Result<usize, Refused> {
        let number = usize::try_from(u64::parse(value, range)?);
        number.map_err(|_| Refused::Right(Self::right(range)))
    }

    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn right(range: &Self::Range) -> String {
        u64::right(range)
    }
}

impl<S: Setting> Setting for Option<S> {
    type Range = S::Range;

    fn parse(value: &Value, range: &S::Range) -> Result<Option<S>, Refused> {
        S::parse(value, range).map(Some)
    }

    fn text(&self) -> Option<String> {
        self.as_ref()?.text()
    }

    fn right(range: &S::Range) -> String {
        S::right(range)
    }
}

impl Setting for bool {
    type Range = ();

    fn parse(value: &Value, (): &()) -> Result<bool, Refused> {
        match value {
            Value::Boolean(boolean) => Ok(*boolean),
            _ => Err(Refused::Right(Self::right(&()))),
        }
    }

    fn text(&self) -> Option<String> {
        Some(self.to_string())
    }

    fn right((): &()) -> String {
        "true or false".to_owned()
    }
}

/// [`Setting::parse`] of a [`Keyword`].
#[doc(hidden)]
pub fn parse_keyword<K: Keyword>(value: &Value) -> Result<K, Refused> {
    let words: Vec<&str> = K::WORDS.iter().map(|(word, _)| *word).collect();
    let known = match value {
        Value::Text(word) => K::from_word(word),
        _ => None,
    };
    known.ok_or_else(|| Refused::Right(one_of(&words, Some(value))))
}

/// The words that a keyword may be, with the one nearest to the value that was written.
pub(crate) fn one_of(words: &[&str], value: Option<&Value>) -> String {
    let right = join(words.iter().copied(), "or");
    match value {
        Some(Value::Text(word)) => match nearest(word, words.iter().copied()) {
            Some(near) => format!("{right}; did you mean \"{near}\"?"),
            None => right,
        },
        _ => right,
    }
}

/// How a key is treated beyond its type and default.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    pub(crate) later: bool,
    pub(crate) hashed: bool,
    pub(crate) fixed: bool,
    pub(crate) unhashed: bool,
    pub(crate) hidden: bool,
    pub(crate) when: Option<Condition>,
}

impl Options {
    /// No special treatment.
    pub fn new() -> Options {
        Options::default()
    }

    /// The key came with a later version. At its default it is left out of the hash, so that older
    /// specs keep theirs.
    pub fn later(self) -> Options {
        Options { later: true, ..self }
    }

    /// The hash has the key even where it does not apply, at its default, as early versions had.
    pub fn hashed(self) -> Options {
        Options { hashed: true, ..self }
    }

    /// A constant that only code changes, not a key.
    pub fn fixed(self) -> Options {
        Options { fixed: true, ..self }
    }

    /// The key is never part of the hash: it decides no number by itself, as a path does not.
    pub fn unhashed(self) -> Options {
        Options { unhashed: true, ..self }
    }

    /// The program writes the key, not the user: it stands in a resolved spec and in the hash, but in
    /// no documentation, list of options or table of runs.
    pub fn hidden(self) -> Options {
        Options { hidden: true, ..self }
    }

    /// The key applies only under this condition, on a key that is read before it.
    pub fn when(self, condition: Condition) -> Options {
        Options { when: Some(condition), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_without_an_upper_limit_names_none() {
        assert_eq!(u64::right(&(1..=u64::MAX)), "a whole number from 1");
        assert_eq!(u64::right(&(1..=7)), "a whole number from 1 to 7");
    }
}
