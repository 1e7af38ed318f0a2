//! Values of a sweep as text: `1,2,4`, `[0,5],[10]`, `range(1, 5)`.

use retrodict_settings::{Location, Place, Problem, SpecError, Value};

use super::axis::{Axis, Values};
use crate::spec::document::bare_value;

/// The axis of an override; `None` where it has a single value. `position` is behind the spec's
/// text.
///
/// # Errors
/// As [`Axis::new`], and for an empty value.
pub(super) fn axis((key, text): (&str, &str), position: usize) -> Result<Option<Axis>, SpecError> {
    let key = key.trim();
    // A list of seeds names seeds, and a name may hold a comma.
    if matches!(key, "seeds" | "name") {
        return Ok(None);
    }
    let place = Place { at: Location::Override { text: format!("{key}={text}") }, position };
    let refuse = |problem| SpecError::new(place.at.clone(), Problem::Other(problem));
    let parts = split(text);
    let function = |part: &str| Values::of_call(part).map_err(|p| refuse(format!("`{key}`: {p}")));
    let values = match &parts[..] {
        [only] => match function(only)? {
            Some(values) => values,
            None => return Ok(None),
        },
        _ => {
            let mut values = Vec::new();
            for part in &parts {
                if part.trim().is_empty() {
                    return Err(refuse(format!(
                        "`{key}` has an empty value; the values of a sweep are parted by single \
                         commas, as in model.layers=1,2,4"
                    )));
                }
                match function(part)? {
                    Some(Values::List(list)) => values.extend(list),
                    Some(Values::Between { .. }) => {
                        return Err(refuse(format!(
                            "`{key}`: `{}` cannot stand in a list",
                            part.trim()
                        )));
                    }
                    None => values.push(bare_value(part)),
                }
            }
            Values::List(values)
        }
    };
    let axis = Axis::new(key, values, place.clone())?;
    axis.list()?;
    Ok(Some(axis))
}

/// The parts between commas that are in no bracket and no quotes.
pub(super) fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0usize, None);
    for (at, character) in text.char_indices() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '[' | '(' | '{') => depth += 1,
            (None, ']' | ')' | '}') => depth = depth.saturating_sub(1),
            (None, ',') if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// `name(argument, …)`.
pub(super) struct Call<'t> {
    pub(super) name: &'t str,
    pub(super) arguments: Vec<&'t str>,
}

/// The call that `text` is.
pub(super) fn call(text: &str) -> Option<Call<'_>> {
    let (name, rest) = text.trim().split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    is_name.then(|| Call { name, arguments: split(inner) })
}

/// The values of an axis in a `[sweep]`: a list, or a function as text.
///
/// # Errors
/// The right form, for a message.
pub(super) fn values(key: &str, value: Value) -> Result<Values, String> {
    let right = "a list ([1, 2, 4]), \"range(start, stop, step)\", \"log_range(low, high, count)\", \
                 or, with sampling, \"uniform(low, high)\" or \"log_uniform(low, high)\"";
    match value {
        Value::Array(list) => Ok(Values::List(list)),
        Value::Text(text) => match Values::of_call(&text) {
            Ok(Some(values)) => Ok(values),
            Ok(None) => Err(format!("`{key}` in [sweep] is {text:?}; it must be {right}")),
            Err(problem) => Err(format!("`{key}`: {problem}")),
        },
        other => Err(format!("`{key}` in [sweep] is {other}; it must be {right}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_brackets_and_quotes_part_nothing() {
        assert_eq!(split("1,2, 4"), ["1", "2", " 4"]);
        assert_eq!(split("[0,5],[10]"), ["[0,5]", "[10]"]);
        assert_eq!(split("'a,b',\"c,d\""), ["'a,b'", "\"c,d\""]);
        assert_eq!(split("range(1, 5),9"), ["range(1, 5)", "9"]);
        assert_eq!(split(""), [""]);
        assert_eq!(split("]1,2"), ["]1", "2"]);
    }
}
