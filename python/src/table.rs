//! `Table`: columns that polars, pandas, DuckDB and PyArrow read without a copy.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow_array::ffi::FFI_ArrowSchema;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{
    Array as _, ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, RecordBatchIterator,
    StringArray,
};
use arrow_buffer::{NullBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use numpy::{PyArray1, PyArrayMethods as _};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};
use retrodict_lab::runs::{Column, Listing};
use retrodict_lab::store::MetricsRow;
use retrodict_lab::{Cell, Measure, nearest};

use crate::values::escaped;

/// Columns of one length, by name.
///
/// It has the Arrow PyCapsule interface: `polars.DataFrame(table)`, `pyarrow.table(table)`,
/// `duckdb.sql("from table")` and `pandas.DataFrame.from_arrow(table)` read it without a copy.
/// `table["held_out_nll"]` is a NumPy array; a missing number is NaN.
#[pyclass(frozen, module = "retrodict")]
pub(crate) struct Table {
    batch: RecordBatch,
}

/// A column of numbers. Missing ones are NaN in memory too, so that NumPy reads it without a copy.
pub(crate) fn floats(values: impl Iterator<Item = Option<f64>>) -> ArrayRef {
    let values: Vec<Option<f64>> = values.collect();
    let nulls: NullBuffer = values.iter().map(Option::is_some).collect();
    let numbers: Vec<f64> = values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect();
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    Arc::new(Float64Array::new(ScalarBuffer::from(numbers), nulls))
}

/// A column of whole numbers.
pub(crate) fn integers(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

fn of_cells(column: &Column, cells: &[&Cell]) -> ArrayRef {
    let all = |is: fn(&Cell) -> bool| cells.iter().all(|cell| **cell == Cell::Missing || is(cell));
    let integer = |cell: &&Cell| match cell {
        Cell::Integer(integer) => Some(*integer),
        _ => None,
    };
    let own = matches!(column, Column::Seed | Column::Epoch | Column::Step);
    let is_measure = matches!(column, Column::Measure(_));
    if own || (!is_measure && all(|cell| matches!(cell, Cell::Integer(_)))) {
        return integers(cells.iter().map(integer));
    }
    if is_measure || all(|cell| cell.number().is_some()) {
        return floats(cells.iter().map(|cell| cell.number()));
    }
    if all(|cell| matches!(cell, Cell::Boolean(_))) {
        let boolean = |cell: &&Cell| match cell {
            Cell::Boolean(boolean) => Some(*boolean),
            _ => None,
        };
        return Arc::new(cells.iter().map(boolean).collect::<BooleanArray>());
    }
    let text = |cell: &&Cell| (**cell != Cell::Missing).then(|| cell.to_string());
    Arc::new(cells.iter().map(text).collect::<StringArray>())
}

fn invalid(error: ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

impl Table {
    /// A table of these columns.
    pub(crate) fn new(columns: Vec<(String, ArrayRef)>) -> PyResult<Table> {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
            .collect();
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let batch =
            RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(invalid)?;
        Ok(Table { batch })
    }

    /// The rows of a listing of runs.
    pub(crate) fn of_listing(listing: &Listing) -> PyResult<Table> {
        let column = |(at, column): (usize, &Column)| {
            let cells: Vec<&Cell> = listing.rows.iter().filter_map(|row| row.get(at)).collect();
            (column.name().to_owned(), of_cells(column, &cells))
        };
        Table::new(listing.columns.iter().enumerate().map(column).collect())
    }

    /// The metrics of a run, one row an epoch.
    pub(crate) fn of_metrics(rows: &[MetricsRow]) -> PyResult<Table> {
        let whole = |of: fn(&MetricsRow) -> u64| integers(rows.iter().map(|r| Some(of(r) as i64)));
        let mut columns = vec![
            ("epoch".to_owned(), whole(|row| row.epoch)),
            ("step".to_owned(), whole(|row| row.step)),
        ];
        columns.extend(Measure::of_epochs().map(|measure| {
            (measure.id.to_owned(), floats(rows.iter().map(|row| row.get(measure.id))))
        }));
        Table::new(columns)
    }

    fn place(&self, name: &str) -> PyResult<usize> {
        self.batch.schema_ref().index_of(name).map_err(|_| {
            let names = self.batch.schema_ref().fields().iter().map(|field| field.name().as_str());
            let hint = nearest(name, names)
                .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            PyKeyError::new_err(format!("there is no column `{name}`{hint}"))
        })
    }
}

#[pymethods]
impl Table {
    /// The names of the columns.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.batch.schema_ref().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The number of rows.
    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    fn __contains__(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        PyList::new(py, self.columns())?.into_any().call_method0("__iter__")
    }

    /// A column as a NumPy array: read-only and without a copy where it holds numbers (float64, a
    /// missing one is NaN; int64 where none is missing), otherwise an array of objects.
    fn __getitem__<'py>(slf: &Bound<'py, Table>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let (py, table) = (slf.py(), slf.get());
        let column = table.batch.column(table.place(name)?);
        let container = slf.clone().into_any();
        if let Some(numbers) = column.as_any().downcast_ref::<Float64Array>() {
            return view(numbers.values(), container);
        }
        if let Some(numbers) = column.as_any().downcast_ref::<Int64Array>()
            && numbers.null_count() == 0
        {
            return view(numbers.values(), container);
        }
        let list = PyList::new(py, objects(py, column)?)?;
        py.import("numpy")?.call_method1("array", (list, "object"))
    }

    /// The columns as lists of Python objects; a missing value is None.
    fn to_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let columns = PyDict::new(py);
        for (field, column) in self.batch.schema_ref().fields().iter().zip(self.batch.columns()) {
            columns.set_item(field.name(), objects(py, column)?)?;
        }
        Ok(columns)
    }

    /// The table as a stream of the Arrow C interface.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // A consumer casts what it wants otherwise, as the interface allows.
        let _ = requested_schema;
        let schema = self.batch.schema();
        let batches = RecordBatchIterator::new([Ok(self.batch.clone())], schema);
        let stream = FFI_ArrowArrayStream::new(Box::new(batches));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }

    /// The schema of the Arrow C interface.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema =
            FFI_ArrowSchema::try_from(self.batch.schema_ref().as_ref()).map_err(invalid)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    fn __repr__(&self) -> String {
        let columns = self.columns();
        let shown = columns.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
        let more = if columns.len() > 8 { ", …" } else { "" };
        format!(
            "<Table of {} rows and {} columns: {shown}{more}>",
            self.batch.num_rows(),
            columns.len()
        )
    }

    fn _repr_html_(&self, py: Python<'_>) -> PyResult<String> {
        const MOST: usize = 20;
        let rows = self.batch.num_rows();
        let mut html = format!("<table><caption>{rows} rows</caption><tr>");
        for name in self.columns() {
            let _ = write!(html, "<th>{}</th>", escaped(&name));
        }
        let head = self.batch.slice(0, rows.min(MOST));
        let columns: Vec<Vec<Bound<'_, PyAny>>> =
            head.columns().iter().map(|column| objects(py, column)).collect::<PyResult<_>>()?;
        for row in 0..head.num_rows() {
            html += "</tr><tr>";
            for column in &columns {
                let cell = &column[row];
                let text = if cell.is_none() { "–".to_owned() } else { cell.str()?.to_string() };
                let _ = write!(html, "<td>{}</td>", escaped(&text));
            }
        }
        html += "</tr>";
        if rows > MOST {
            html += "<tr><td>…</td></tr>";
        }
        Ok(html + "</table>")
    }
}

/// A read-only array over the numbers of a column, which `container` keeps.
fn view<'py, T: numpy::Element>(
    numbers: &[T],
    container: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let numbers = numpy::ndarray::ArrayView1::from(numbers);
    // SAFETY: the table is frozen and owns the column, so that its numbers neither move nor change
    // for as long as the container lives.
    let array = unsafe { PyArray1::borrow_from_array(&numbers, container) };
    array.readwrite().make_nonwriteable();
    Ok(array.into_any())
}

/// The values of a column as Python objects.
fn objects<'py>(py: Python<'py>, column: &ArrayRef) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let any = column.as_any();
    let none = || py.None().into_bound(py);
    (0..column.len())
        .map(|at| {
            if column.is_null(at) {
                return Ok(none());
            }
            Ok(match column.data_type() {
                DataType::Float64 => {
                    let of = any.downcast_ref::<Float64Array>().map(|of| of.value(at));
                    of.into_pyobject(py)?
                }
                DataType::Int64 => {
                    let of = any.downcast_ref::<Int64Array>().map(|of| of.value(at));
                    of.into_pyobject(py)?
                }
                DataType::Boolean => {
                    let of = any.downcast_ref::<BooleanArray>().map(|of| of.value(at));
                    of.into_pyobject(py)?
                }
                _ => any.downcast_ref::<StringArray>().map(|of| of.value(at)).into_pyobject(py)?,
            })
        })
        .collect()
}
