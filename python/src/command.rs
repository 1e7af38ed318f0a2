//! The command `retrodict`, which the package installs.

use std::ffi::OsString;

use pyo3::prelude::*;

/// Runs the command line in `arguments`, the program's name first, and returns the exit status.
/// Ends the process at a wrong option and after help.
#[pyfunction]
pub(crate) fn command(py: Python<'_>, arguments: Vec<OsString>) -> u8 {
    py.detach(|| retrodict_cli::run_hosted(arguments))
}
