//! Values of a spec: Python objects as the text that follows `--set key=`, and back.

use std::fmt::Write as _;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};
use toml::de::DeValue;

/// The keys and values of keyword arguments, in order: `model__layers=4` is
/// `("model.layers", "4")`.
pub(crate) fn overrides(keywords: Option<&Bound<'_, PyDict>>) -> PyResult<Vec<(String, String)>> {
    let Some(keywords) = keywords else { return Ok(Vec::new()) };
    let one = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let key = key_of(&key.extract::<String>()?);
        let text = text(&key, &value)?;
        Ok((key, text))
    };
    keywords.iter().map(one).collect()
}

/// A keyword as a key: `model__layers` is `model.layers`.
pub(crate) fn key_of(keyword: &str) -> String {
    keyword.replacen("__", ".", 1)
}

/// A value as the command line takes it.
pub(crate) fn text(key: &str, value: &Bound<'_, PyAny>) -> PyResult<String> {
    match value.cast::<PyString>() {
        Ok(word) if is_bare(&word.to_cow()?) => Ok(word.to_cow()?.into_owned()),
        _ => toml(key, value, 0),
    }
}

/// A value in TOML.
pub(crate) fn toml(key: &str, value: &Bound<'_, PyAny>, depth: usize) -> PyResult<String> {
    /// A list of lists is already more than any key takes.
    const DEEPEST: usize = 4;
    if value.is_instance_of::<PyBool>() {
        return Ok(if value.is_truthy()? { "true" } else { "false" }.to_owned());
    }
    if value.is_instance_of::<PyInt>() {
        return Ok(value.str()?.to_cow()?.into_owned());
    }
    if let Ok(number) = value.cast::<PyFloat>() {
        let number = number.value();
        return Ok(if number.is_nan() { "nan".to_owned() } else { format!("{number:?}") });
    }
    if let Ok(word) = value.cast::<PyString>() {
        return Ok(quoted(&word.to_cow()?));
    }
    let is_list = value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>();
    if is_list && depth < DEEPEST {
        let items: Vec<String> =
            value.try_iter()?.map(|item| toml(key, &item?, depth + 1)).collect::<PyResult<_>>()?;
        return Ok(format!("[{}]", items.join(", ")));
    }
    // Numbers and arrays of NumPy and of other libraries.
    if depth < DEEPEST && !value.is_none() && value.hasattr("tolist")? {
        return toml(key, &value.call_method0("tolist")?, depth + 1);
    }
    let found = value.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "`{key}` is {found}; a value is a number, a text, True or False, or a list of them, and a \
         key that is to have its default is left out"
    )))
}

/// Whether a text needs no quotes, as on a command line.
fn is_bare(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(plain)
        && !matches!(text, "true" | "false" | "inf" | "nan")
}

/// A basic string of TOML.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// The Python object of a value in TOML.
pub(crate) fn object<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    match DeValue::parse(text) {
        Ok(value) => of_toml(py, value.into_inner()),
        Err(_) => Ok(text.into_pyobject(py)?.into_any()),
    }
}

fn of_toml<'py>(py: Python<'py>, value: DeValue<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        DeValue::Boolean(boolean) => boolean.into_pyobject(py)?.to_owned().into_any(),
        DeValue::Integer(integer) => {
            let number = i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(0);
            number.into_pyobject(py)?.into_any()
        }
        DeValue::Float(float) => {
            float.as_str().parse::<f64>().unwrap_or(f64::NAN).into_pyobject(py)?.into_any()
        }
        DeValue::Array(values) => {
            let values = values.into_iter().map(|value| of_toml(py, value.into_inner()));
            PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        DeValue::String(text) => text.into_pyobject(py)?.into_any(),
        DeValue::Datetime(time) => time.to_string().into_pyobject(py)?.into_any(),
        DeValue::Table(_) => py.None().into_bound(py),
    })
}

/// A text for HTML.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
