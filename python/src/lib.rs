//! The native half of the Python package `retrodict`: it converts, and calls the crates.

mod arrays;
mod command;
mod data;
mod errors;
mod figure;
mod run;
mod spec;
mod stored;
mod table;
mod tensors;
mod theory;
mod trainer;
mod values;

use pyo3::prelude::*;

/// The native half of `retrodict`.
#[pymodule]
mod _native {
    use super::*;

    #[pymodule_export]
    use super::command::command;
    #[pymodule_export]
    use super::data::{Dataset, data};
    #[pymodule_export]
    use super::figure::Figure;
    #[pymodule_export]
    use super::run::{run, sweep};
    #[pymodule_export]
    use super::spec::{Spec, ready_specs, spec_reference};
    #[pymodule_export]
    use super::stored::{Run, Runs, Store};
    #[pymodule_export]
    use super::table::Table;
    #[pymodule_export]
    use super::tensors::{load_tensors, save_tensors};
    #[pymodule_export]
    use super::theory::{bilinear, one_layer, transfer};
    #[pymodule_export]
    use super::trainer::Trainer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("VERSION", retrodict_lab::VERSION)
    }
}
