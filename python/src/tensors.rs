//! Tensors as arrays, and files of them.

use std::borrow::Cow;
use std::path::PathBuf;

use numpy::{PyArrayDyn, PyArrayMethods as _, PyUntypedArrayMethods as _};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use retrodict_lab::store::{Tensor, Values, read_tensors, write_tensors};

use crate::arrays::array;
use crate::errors;

/// Tensors as arrays by name, which take over their numbers.
pub(crate) fn arrays(
    py: Python<'_>,
    tensors: impl IntoIterator<Item = Tensor<'static>>,
) -> PyResult<Bound<'_, PyDict>> {
    let by_name = PyDict::new(py);
    for tensor in tensors {
        let numbers = match tensor.values {
            Values::F32(values) => array(py, values.into_owned(), &tensor.shape)?,
            Values::F64(values) => array(py, values.into_owned(), &tensor.shape)?,
        };
        by_name.set_item(&*tensor.name, numbers)?;
    }
    Ok(by_name)
}

/// Writes arrays to a `.safetensors` file.
#[pyfunction]
pub(crate) fn save_tensors(path: PathBuf, tensors: &Bound<'_, PyDict>) -> PyResult<()> {
    let busy = |error: numpy::BorrowError| PyValueError::new_err(error.to_string());
    let mut all = Vec::new();
    for (name, array) in tensors.iter() {
        let name: String = name.extract()?;
        let (shape, values) = if let Ok(array) = array.cast::<PyArrayDyn<f32>>() {
            let values = array.try_readonly().map_err(busy)?;
            (
                array.shape().to_vec(),
                Values::F32(Cow::Owned(values.as_array().iter().copied().collect())),
            )
        } else if let Ok(array) = array.cast::<PyArrayDyn<f64>>() {
            let values = array.try_readonly().map_err(busy)?;
            (
                array.shape().to_vec(),
                Values::F64(Cow::Owned(values.as_array().iter().copied().collect())),
            )
        } else {
            return Err(PyTypeError::new_err(format!("`{name}` must be float32 or float64")));
        };
        all.push(Tensor { name: name.into(), shape: shape.into(), values });
    }
    write_tensors(&path, &all).map_err(errors::store)
}

/// The arrays of a `.safetensors` file.
#[pyfunction]
pub(crate) fn load_tensors<'py>(py: Python<'py>, path: PathBuf) -> PyResult<Bound<'py, PyDict>> {
    arrays(py, read_tensors(&path).map_err(errors::store)?)
}
