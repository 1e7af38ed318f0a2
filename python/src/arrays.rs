//! NumPy arrays: tokens and numbers in, numbers out.

use numpy::{
    Element, IntoPyArray as _, PyArray2, PyArrayDyn, PyArrayMethods as _, PyReadonlyArrayDyn,
    PyUntypedArrayMethods as _,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Rows of tokens, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    flat: Vec<u32>,
    ends: Vec<usize>,
}

impl Tokens {
    /// The rows.
    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        let start = |at: usize| if at == 0 { 0 } else { self.ends[at - 1] };
        (0..self.ends.len()).map(move |at| &self.flat[start(at)..self.ends[at]])
    }

    /// The rows, each of its own.
    pub(crate) fn to_vecs(&self) -> Vec<Vec<u32>> {
        self.rows().map(<[u32]>::to_vec).collect()
    }

    /// Reads an integer array `[rows, tokens]`, or a sequence of rows that may differ in length;
    /// every token is below `vocab`.
    pub(crate) fn of(what: &str, given: &Bound<'_, PyAny>, vocab: usize) -> PyResult<Tokens> {
        let mut tokens = Tokens::default();
        let read = [
            tokens.fast::<i64>(what, given, vocab),
            tokens.fast::<i32>(what, given, vocab),
            tokens.fast::<u32>(what, given, vocab),
        ];
        if let Some(read) = read.into_iter().flatten().next() {
            read?;
        } else if given.hasattr("dtype")? {
            let as_integers = integers(what, given)?;
            match tokens.fast::<i64>(what, &as_integers, vocab) {
                Some(read) => read?,
                None => return Err(shape(what)),
            }
        } else if given.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(format!("{what} is a text; it must hold tokens")));
        } else {
            for row in given.try_iter()? {
                let row = row?;
                let row = if row.hasattr("dtype")? { integers(what, &row)? } else { row };
                for token in row.try_iter().map_err(|_| shape(what))? {
                    tokens.push(
                        what,
                        token?.extract::<i64>().map_err(|_| range(what, vocab))?,
                        vocab,
                    )?;
                }
                tokens.ends.push(tokens.flat.len());
            }
        }
        if tokens.rows().any(<[u32]>::is_empty) {
            return Err(PyValueError::new_err(format!("{what} has a row without tokens")));
        }
        Ok(tokens)
    }

    /// Reads a two-dimensional array of this type, in any memory order; `None` for any other object.
    fn fast<N: Element + Copy + Into<i64>>(
        &mut self,
        what: &str,
        given: &Bound<'_, PyAny>,
        vocab: usize,
    ) -> Option<PyResult<()>> {
        let array = given.cast::<PyArray2<N>>().ok()?;
        let mut read = || {
            let array =
                array.try_readonly().map_err(|error| PyValueError::new_err(error.to_string()))?;
            for row in array.as_array().rows() {
                for token in row {
                    self.push(what, (*token).into(), vocab)?;
                }
                self.ends.push(self.flat.len());
            }
            Ok(())
        };
        Some(read())
    }

    fn push(&mut self, what: &str, token: i64, vocab: usize) -> PyResult<()> {
        match usize::try_from(token) {
            Ok(token) if token < vocab => {
                self.flat.push(token as u32);
                Ok(())
            }
            _ => Err(range(what, vocab)),
        }
    }
}

/// The integers of an array of any integer type.
fn integers<'py>(what: &str, array: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    if !matches!(kind.as_str(), "i" | "u") {
        let dtype = array.getattr("dtype")?.str()?;
        return Err(PyTypeError::new_err(format!(
            "{what} has the type {dtype}; tokens are whole numbers"
        )));
    }
    array.call_method1("astype", ("int64",))
}

fn shape(what: &str) -> PyErr {
    PyValueError::new_err(format!(
        "{what} must be an integer array [rows, tokens], or a list of lists of tokens"
    ))
}

fn range(what: &str, vocab: usize) -> PyErr {
    PyValueError::new_err(format!("{what}: a token is a whole number from 0 to {}", vocab - 1))
}

/// An array of numbers as this type; `expected` is its shape.
pub(crate) fn numbers<'py, T: Element>(
    what: &str,
    given: &Bound<'py, PyAny>,
    expected: &[usize],
) -> PyResult<PyReadonlyArrayDyn<'py, T>> {
    let py = given.py();
    let numpy = py.import("numpy")?;
    let array = numpy.call_method1("asarray", (given,))?;
    let kind: String = array.getattr("dtype")?.getattr("kind")?.extract()?;
    if !matches!(kind.as_str(), "f" | "i" | "u" | "b") {
        let dtype = array.getattr("dtype")?.str()?;
        return Err(PyTypeError::new_err(format!("{what} has the type {dtype}; it must be real")));
    }
    let array = numpy.call_method1("ascontiguousarray", (array, T::get_dtype(py)))?;
    let array = array
        .cast_into::<PyArrayDyn<T>>()
        .map_err(|error| PyTypeError::new_err(error.to_string()))?;
    if array.shape() != expected {
        return Err(PyValueError::new_err(format!(
            "{what} has the shape {:?}; it must be {expected:?}",
            array.shape()
        )));
    }
    array.try_readonly().map_err(|error| PyValueError::new_err(error.to_string()))
}

/// An array that takes over these numbers, row-major.
pub(crate) fn array<'py, T: Element>(
    py: Python<'py>,
    numbers: Vec<T>,
    shape: &[usize],
) -> PyResult<Bound<'py, PyAny>> {
    let flat = numbers.into_pyarray(py);
    if shape.len() == 1 {
        return Ok(flat.into_any());
    }
    Ok(flat.reshape(shape)?.into_any())
}
