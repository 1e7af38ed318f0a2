//! The exceptions of the package, which its Python half defines.

use std::fmt::Display;

use pyo3::prelude::*;
use retrodict_lab::store::StoreError as LabStoreError;

pyo3::import_exception!(retrodict._errors, SpecError);
pyo3::import_exception!(retrodict._errors, StoreError);
pyo3::import_exception!(retrodict._errors, RunError);

/// A spec, a key or an argument that is refused, in the words of the command line.
pub(crate) fn spec(error: impl Display) -> PyErr {
    SpecError::new_err(error.to_string())
}

/// A store that cannot be read or written.
pub(crate) fn store(error: LabStoreError) -> PyErr {
    StoreError::new_err(error.to_string())
}

/// Emits a warning, which a filter may turn into an exception.
pub(crate) fn warn(py: Python<'_>, message: &str) -> PyResult<()> {
    py.import("warnings")?.call_method1("warn", (message, py.get_type::<RunWarning>(), 2))?;
    Ok(())
}

pyo3::import_exception!(retrodict._errors, RunWarning);
