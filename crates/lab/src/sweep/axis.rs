//! An axis: a key with its values.

use retrodict_settings::{Location, Place, Problem, SpecError, Value};

use super::text::{Call, call};
use crate::spec::{document, keys};

/// A key with its values.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    pub(super) key: String,
    pub(super) values: Values,
    pub(super) place: Place,
}

/// The values of an axis.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    /// A list.
    List(Vec<Value>),
    /// All between two bounds, which only sampling can take.
    Between {
        low: f64,
        high: f64,
        /// Whether their logarithm is uniform.
        log: bool,
        /// Whether they are whole numbers, both bounds included.
        whole: bool,
    },
}

/// Digits of a computed value: enough to tell values apart, few enough to be read.
const DIGITS: usize = 12;
/// Digits of a sampled value.
const SAMPLED_DIGITS: usize = 6;

/// The most values of one axis.
const MOST_VALUES: f64 = 1e6;

impl Axis {
    /// The axis of a key, whose values are given.
    ///
    /// # Errors
    /// [`SpecError`] where the key cannot be swept, there is no value, or a value of a key that
    /// takes a list is none.
    pub(super) fn new(key: &str, values: Values, place: Place) -> Result<Axis, SpecError> {
        let refuse =
            |problem: String| Err(SpecError::new(place.at.clone(), Problem::Other(problem)));
        check_key(key, &place)?;
        let count = match &values {
            Values::List(list) => list.len(),
            Values::Between { .. } => 2,
        };
        if count == 0 {
            return refuse(format!("`{key}` has no value; give at least one, as in [1, 2]"));
        }
        if let Values::List(list) = &values
            && takes_list(key)
            && !list.iter().all(|value| matches!(value, Value::Array(_)))
        {
            let name = key.rsplit_once('.').map_or(key, |(_, name)| name);
            let whole = Value::Array(list.clone());
            return refuse(match place.at {
                Location::Override { .. } => format!(
                    "`{key}` takes a list, and commas part the values of a sweep: put one list in \
                     brackets, '{key}={whole}', and several one after the other, '{key}=[…],[…]'"
                ),
                _ => format!(
                    "`{key}` takes a list, so that its axis is a list of lists: \
                     {name} = [{whole}, […]]"
                ),
            });
        }
        if count > 1 && key.starts_with("checkpoint.") {
            return refuse(format!(
                "`{key}` is no axis: it does not change the numbers, so that all its runs would be \
                 one; set one value"
            ));
        }
        Ok(Axis { key: key.to_owned(), values, place })
    }

    /// Its values, if they can be listed.
    pub(super) fn list(&self) -> Result<&[Value], SpecError> {
        match &self.values {
            Values::List(list) => Ok(list),
            Values::Between { .. } => {
                let key = &self.key;
                let problem = format!(
                    "`{key}` has no list of values: `uniform` and `log_uniform` are for sampling \
                     (sampling = \"sobol\", samples = 64); elsewhere write a list, range(start, \
                     stop, step) or log_range(low, high, count)"
                );
                Err(SpecError::new(self.place.at.clone(), Problem::Other(problem)))
            }
        }
    }
}

/// Refuses what no point may set; an unknown key is refused with the first point.
///
/// # Errors
/// [`SpecError`] for an unknown section, for `name` and for `seeds`.
pub(super) fn check_key(key: &str, place: &Place) -> Result<(), SpecError> {
    let problem = match key {
        "seeds" => {
            "`seeds` is no axis: every point runs with all seeds; set them above the first \
             section, seeds = [0, 1, 2], or with --seeds"
        }
        "name" => "`name` is no axis: all points are one experiment, told apart by their hashes",
        _ => return document::entry(key, Value::Boolean(true), place.clone(), keys()).map(drop),
    };
    Err(SpecError::new(place.at.clone(), Problem::Other(problem.to_owned())))
}

/// Whether a key takes a list, so that a list of its values is a list of lists.
fn takes_list(key: &str) -> bool {
    let mut known = keys().iter().filter(|known| known.path() == key);
    known.any(|known| known.right.starts_with("a list"))
}

impl Values {
    /// The values that a text stands for, if it is one of the functions.
    ///
    /// # Errors
    /// The problem and the right form.
    pub(super) fn of_call(text: &str) -> Result<Option<Values>, String> {
        let Some(Call { name, arguments }) = call(text) else { return Ok(None) };
        let form = match name {
            "range" => "range(start, stop, step)",
            "log_range" => "log_range(low, high, count)",
            "uniform" => "uniform(low, high)",
            "log_uniform" => "log_uniform(low, high)",
            _ => return Ok(None),
        };
        let wrong = |why: &str| format!("`{text}` {why}; write {form}");
        let mut numbers = Vec::new();
        for argument in &arguments {
            match document::bare_value(argument) {
                Value::Integer(integer) => numbers.push((integer as f64, true)),
                Value::Float(float) if float.is_finite() => numbers.push((float, false)),
                _ => {
                    return Err(wrong(&format!(
                        "has the argument `{}`, which is no number",
                        argument.trim()
                    )));
                }
            }
        }
        let whole = numbers.iter().all(|(_, whole)| *whole);
        let both_whole = numbers.len() >= 2 && numbers[0].1 && numbers[1].1;
        let numbers: Vec<f64> = numbers.into_iter().map(|(number, _)| number).collect();
        let values = match (name, &numbers[..]) {
            ("range", [start, stop, rest @ ..]) if rest.len() <= 1 => {
                range(*start, *stop, rest.first().copied().unwrap_or(1.0), whole)
            }
            ("log_range", [low, high, count]) => log_range(*low, *high, *count, both_whole),
            ("uniform", [low, high]) if low < high => Ok(between(*low, *high, false, whole)),
            ("log_uniform", [low, high]) if *low > 0.0 && low < high => {
                Ok(between(*low, *high, true, whole))
            }
            ("uniform", [_, _]) => Err("needs a lower bound below its upper one"),
            ("log_uniform", [_, _]) => Err("needs a lower bound above 0 and below its upper one"),
            _ => Err("has the wrong number of arguments"),
        };
        values.map(Some).map_err(wrong)
    }

    /// The value at `unit`, from 0 to below 1.
    pub(super) fn at(&self, unit: f64) -> Value {
        match self {
            Values::List(list) => {
                list[((unit * list.len() as f64) as usize).min(list.len() - 1)].clone()
            }
            Values::Between { low, high, log, whole } => {
                // Every whole number has a unit of its own around it.
                let (from, to) = if *whole { (low - 0.5, high + 0.5) } else { (*low, *high) };
                let number = if *log {
                    let (from, to) = (libm::log(from), libm::log(to));
                    libm::exp(from + unit * (to - from))
                } else {
                    from + unit * (to - from)
                };
                if *whole {
                    Value::Integer(number.round().clamp(*low, *high) as i128)
                } else {
                    Value::Float(rounded(number, SAMPLED_DIGITS).clamp(*low, *high))
                }
            }
        }
    }
}

fn between(low: f64, high: f64, log: bool, whole: bool) -> Values {
    Values::Between { low, high, log, whole }
}

/// From `start` in steps, up to but without `stop`.
fn range(start: f64, stop: f64, step: f64, whole: bool) -> Result<Values, &'static str> {
    // A stop that rounding puts a hair behind a step is on it.
    let count = ((stop - start) / step - 1e-9).ceil();
    if count.is_nan() || count < 1.0 {
        return Err(
            "is empty: `stop`, which is left out, must lie beyond `start` in the step's direction",
        );
    }
    if count > MOST_VALUES {
        return Err("has more than a million values");
    }
    let value = |at: usize| number(start + at as f64 * step, whole);
    Ok(Values::List((0..count as usize).map(value).collect()))
}

/// `count` numbers from `low` to `high`, each the same multiple of the one before.
fn log_range(low: f64, high: f64, count: f64, whole: bool) -> Result<Values, &'static str> {
    if !(low > 0.0 && high > 0.0) {
        return Err("needs bounds above 0");
    }
    if !(2.0..=MOST_VALUES).contains(&count) || count.fract() != 0.0 {
        return Err("needs a whole count of at least 2");
    }
    let (from, to) = (libm::log(low), libm::log(high));
    let value = |at: usize| {
        let share = at as f64 / (count - 1.0);
        number(libm::exp(from + share * (to - from)), whole)
    };
    let mut values: Vec<Value> = (0..count as usize).map(value).collect();
    values.dedup();
    Ok(Values::List(values))
}

fn number(value: f64, whole: bool) -> Value {
    match whole {
        true => Value::Integer(value.round() as i128),
        false => Value::Float(rounded(value, DIGITS)),
    }
}

/// A number of at most `digits` significant digits.
fn rounded(value: f64, digits: usize) -> f64 {
    format!("{value:.0$e}", digits - 1).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> String {
        match Values::of_call(text).unwrap().unwrap() {
            Values::List(list) => Value::Array(list).to_string(),
            between => format!("{between:?}"),
        }
    }

    #[test]
    fn ranges_are_exact_and_half_open() {
        assert_eq!(list("range(1, 5, 2)"), "[1, 3]");
        assert_eq!(list("range(1, 4)"), "[1, 2, 3]");
        assert_eq!(list("range(3, 0, -1)"), "[3, 2, 1]");
        assert_eq!(list("range(0.1, 0.4, 0.1)"), "[0.1, 0.2, 0.3]");
        assert_eq!(list("log_range(1e-4, 1e-2, 3)"), "[0.0001, 0.001, 0.01]");
        assert_eq!(list("log_range(8, 64, 4)"), "[8, 16, 32, 64]");
        assert_eq!(list("log_range(1, 4, 9)"), "[1, 2, 3, 4]");
    }

    #[test]
    fn wrong_functions_get_their_form() {
        for (text, message) in [
            (
                "range(1, x, 1)",
                "`range(1, x, 1)` has the argument `x`, which is no number; write range(start, stop, step)",
            ),
            ("range(3, 1, 1)", "is empty"),
            ("range(1, 3, 0)", "more than a million"),
            ("range(1)", "wrong number of arguments"),
            ("log_range(0, 1, 3)", "bounds above 0"),
            ("log_range(1, 2, 1)", "a whole count of at least 2"),
            ("uniform(2, 1)", "lower bound below its upper one"),
            ("log_uniform(0, 1)", "lower bound above 0"),
        ] {
            let error = Values::of_call(text).unwrap_err();
            assert!(error.contains(message), "{error}");
        }
        assert_eq!(Values::of_call("rotary"), Ok(None));
        assert_eq!(Values::of_call("other(1)"), Ok(None));
    }

    #[test]
    fn samples_fill_their_range() {
        let whole = Values::of_call("uniform(1, 3)").unwrap().unwrap();
        let at = |unit: f64| whole.at(unit).to_string();
        assert_eq!([0.0, 0.32, 0.34, 0.66, 0.67, 0.999].map(at), ["1", "1", "2", "2", "3", "3"]);
        let rate = Values::of_call("log_uniform(1e-4, 1e-2)").unwrap().unwrap();
        assert_eq!(rate.at(0.5).to_string(), "0.001");
        assert_eq!(
            Values::List(vec![Value::Integer(1), Value::Integer(2)]).at(0.5),
            Value::Integer(2)
        );
    }
}
