//! NumPy arrays: tokens and numbers in, numbers out.

use numpy::{
    Element, IntoPyArray as _, PyArray2, PyArrayDescrMethods as _, PyArrayDyn, PyArrayMethods as _,
    PyReadonlyArrayDyn, PyUntypedArray, PyUntypedArrayMethods as _,
};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

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

    /// Reads an integer array `[rows, tokens]` in any memory order, or a sequence of rows that may
    /// differ in length; every token is below `vocab`.
    pub(crate) fn of(what: &str, given: &Bound<'_, PyAny>, vocab: usize) -> PyResult<Tokens> {
        let mut tokens = Tokens::default();
        if let Ok(array) = given.cast::<PyArray2<i64>>() {
            tokens.read(what, array, vocab)?;
        } else if given.is_instance_of::<PyString>() {
            return Err(PyTypeError::new_err(format!("{what} is a text; it must hold tokens")));
        } else if is_array(given)? {
            let array = integers(what, given)?;
            let array = array.cast::<PyArray2<i64>>().map_err(|_| shape(what))?;
            tokens.read(what, array, vocab)?;
        } else {
            for row in given.try_iter()? {
                let row = row?;
                let row = if is_array(&row)? { integers(what, &row)? } else { row };
                for token in row.try_iter().map_err(|_| shape(what))? {
                    let token = token?.extract::<i64>().map_err(|_| range(what, vocab))?;
                    tokens.push(what, token, vocab)?;
                }
                tokens.ends.push(tokens.flat.len());
            }
        }
        if tokens.rows().any(<[u32]>::is_empty) {
            return Err(PyValueError::new_err(format!("{what} has a row without tokens")));
        }
        Ok(tokens)
    }

    fn read(&mut self, what: &str, array: &Bound<'_, PyArray2<i64>>, vocab: usize) -> PyResult<()> {
        fits(what, array.as_untyped())?;
        let array = array.try_readonly().map_err(|e| PyValueError::new_err(e.to_string()))?;
        self.flat.reserve(array.len());
        self.ends.reserve(array.shape()[0]);
        for row in array.as_array().rows() {
            for token in row {
                self.push(what, *token, vocab)?;
            }
            self.ends.push(self.flat.len());
        }
        Ok(())
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

/// Whether NumPy takes an object for an array, as those of PyTorch and JAX.
fn is_array(given: &Bound<'_, PyAny>) -> PyResult<bool> {
    let is_sequence = given.is_instance_of::<PyList>() || given.is_instance_of::<PyTuple>();
    Ok(!is_sequence && given.hasattr("__array__")?)
}

/// The numbers of an array of any integer type as int64.
fn integers<'py>(what: &str, given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let array = given.py().import("numpy")?.call_method1("asarray", (given,))?;
    let array = array.cast_into::<PyUntypedArray>()?;
    let dtype = array.dtype();
    if !matches!(dtype.kind(), b'i' | b'u') {
        return Err(PyTypeError::new_err(format!(
            "{what} has the type {}; tokens are whole numbers",
            dtype.str()?
        )));
    }
    fits(what, &array)?;
    array.call_method1("astype", ("int64",))
}

/// Refuses an array before it is read to its end: one of stride 0 may be longer than the memory.
fn fits(what: &str, array: &Bound<'_, PyUntypedArray>) -> PyResult<()> {
    /// Far more than a batch.
    const MOST: usize = 1 << 28;
    match array.len() {
        0..=MOST => Ok(()),
        tokens => Err(PyValueError::new_err(format!(
            "{what} has {tokens} tokens; at most {MOST} are read at once"
        ))),
    }
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
