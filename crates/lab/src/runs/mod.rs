//! The runs of a store as rows of a table: one a run, or one an epoch.

mod column;
mod export;
mod packed;
mod run;

use std::cmp::Ordering;
use std::collections::HashMap;

pub use column::{Column, names};
pub use export::to_parquet;
pub use packed::{PackedRow, packed_row};

use crate::cell::Cell;
use crate::expression::{Expression, ExpressionError};
use crate::measures::{MEASURES, Measure, Value};
use crate::store::{RunDir, Store, StoreError};

use run::{ListedRun, listed_runs};

/// A table of cells.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, as wide as the columns.
    pub rows: Vec<Vec<Cell>>,
    /// One line for each run that cannot be read; it has no row.
    pub warnings: Vec<String>,
}

/// The runs to list, and how.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only runs for which this holds.
    pub condition: Option<Expression>,
    /// The columns; chosen if not given.
    pub columns: Option<Vec<Column>>,
    /// The columns to sort by, the first one first; `true` for the largest first.
    pub sort: Vec<(Column, bool)>,
}

impl Query {
    /// A query of texts, as the command line has them: columns and sorting keys are parted by
    /// commas; a sorting key with a minus sorts the largest first.
    ///
    /// # Errors
    /// [`ExpressionError`] or a message with the nearest name.
    pub fn parse(
        condition: Option<&str>,
        columns: Option<&str>,
        sort: Option<&str>,
    ) -> Result<Query, String> {
        let parts = |text: &str| -> Vec<String> {
            text.split(',').map(|part| part.trim().to_owned()).collect()
        };
        let condition = condition
            .map(|text| -> Result<Expression, ExpressionError> {
                let condition = Expression::parse(text)?;
                let names = names();
                condition.check(names.iter().map(String::as_str))?;
                Ok(condition)
            })
            .transpose()
            .map_err(|error| format!("--where {error}"))?;
        let columns = columns
            .map(|text| parts(text).iter().map(|name| Column::parse(name)).collect())
            .transpose()
            .map_err(|error: String| format!("--columns: {error}"))?;
        let key = |part: &String| {
            let (name, descending) =
                part.strip_prefix('-').map_or((part.as_str(), false), |name| (name, true));
            Column::parse(name).map(|column| (column, descending))
        };
        let sort = sort
            .map(|text| parts(text).iter().map(key).collect::<Result<Vec<_>, String>>())
            .transpose()
            .map_err(|error| format!("--sort: {error}"))?;
        Ok(Query { condition, columns, sort: sort.unwrap_or_default() })
    }
}

/// The runs of `store` that a query selects, one a row.
///
/// # Errors
/// [`StoreError`] if the store's folders cannot be read.
pub fn list(store: &Store, query: &Query) -> Result<Listing, StoreError> {
    let (runs, warnings) = selected(store, query)?;
    let columns = query.columns.clone().unwrap_or_else(|| chosen(&runs, store));
    let row = |run: &ListedRun| columns.iter().map(|column| run.cell(column, store)).collect();
    let rows = runs.iter().map(row).collect();
    Ok(Listing { columns, rows, warnings })
}

/// The runs that a query selects, in its order.
fn selected(store: &Store, query: &Query) -> Result<(Vec<ListedRun>, Vec<String>), StoreError> {
    let (mut runs, warnings) = listed_runs(store, |_| true)?;
    if let Some(condition) = &query.condition {
        let mut columns: HashMap<&str, Column> = HashMap::new();
        for name in condition.names() {
            columns.extend(Column::parse(name).ok().map(|column| (name, column)));
        }
        runs.retain(|run| {
            let value = |name: &str| {
                columns.get(name).map_or(Cell::Missing, |column| run.cell(column, store))
            };
            condition.holds(&value)
        });
    }
    if query.sort.is_empty() {
        return Ok((runs, warnings));
    }
    let cells = |run: &ListedRun| -> Vec<Cell> {
        query.sort.iter().map(|(column, _)| run.cell(column, store)).collect()
    };
    let mut keyed: Vec<(Vec<Cell>, ListedRun)> =
        runs.into_iter().map(|run| (cells(&run), run)).collect();
    let order = |a: &[Cell], b: &[Cell]| {
        let each = a.iter().zip(b).zip(&query.sort).map(|((a, b), (_, descending))| {
            let missing = |cell: &Cell| *cell == Cell::Missing;
            match a.sorting(b) {
                // Missing ones are last in both directions.
                order if *descending && !missing(a) && !missing(b) => order.reverse(),
                order => order,
            }
        });
        each.fold(Ordering::Equal, Ordering::then)
    };
    keyed.sort_by(|(a, _), (b, _)| order(a, b));
    Ok((keyed.into_iter().map(|(_, run)| run).collect(), warnings))
}

/// The runs that a condition selects.
///
/// # Errors
/// [`StoreError`] if the store's folders cannot be read.
pub fn select(store: &Store, condition: Option<Expression>) -> Result<Vec<RunDir>, StoreError> {
    let query = Query { condition, ..Query::default() };
    let (runs, _) = selected(store, &query)?;
    Ok(runs.into_iter().map(ListedRun::into_folder).collect())
}

/// The columns of a listing without any given: the run, the keys that differ between runs, and the
/// main measures of epochs that any run has.
fn chosen(runs: &[ListedRun], store: &Store) -> Vec<Column> {
    let mut columns = vec![Column::Experiment, Column::Hash, Column::Seed, Column::Status];
    columns.extend(run::differing_keys(runs));
    let main = |measure: &&Measure| {
        measure.brief.is_some() && matches!(measure.value, Value::Epoch { .. })
    };
    let measured =
        |column: &Column| runs.iter().any(|run| run.cell(column, store) != Cell::Missing);
    columns.extend(MEASURES.iter().filter(main).map(Column::Measure).filter(measured));
    columns
}

/// Everything of the wanted runs, one a row: every key of their specs, seed, status and every
/// measure.
///
/// # Errors
/// [`StoreError`] if the store's folders cannot be read.
pub fn tidy(store: &Store, wanted: impl Fn(&RunDir) -> bool) -> Result<Listing, StoreError> {
    let (runs, warnings) = listed_runs(store, wanted)?;
    let columns = all_columns(&runs, MEASURES.iter());
    let rows =
        runs.iter().map(|run| columns.iter().map(|c| run.cell(c, store)).collect()).collect();
    Ok(Listing { columns, rows, warnings })
}

/// Everything of all epochs of the wanted runs, one a row: every key of the runs' specs, seed,
/// status, epoch, step and every measure of an epoch.
///
/// # Errors
/// [`StoreError`] if the store's folders cannot be read.
pub fn tidy_epochs(store: &Store, wanted: impl Fn(&RunDir) -> bool) -> Result<Listing, StoreError> {
    let (runs, mut warnings) = listed_runs(store, wanted)?;
    let columns = all_columns(&runs, Measure::of_epochs());
    let mut rows = Vec::new();
    for run in &runs {
        let of_run: Vec<Cell> = columns
            .iter()
            .map(|column| match column {
                Column::Measure(_) | Column::Epoch | Column::Step => Cell::Missing,
                column => run.cell(column, store),
            })
            .collect();
        match run.epochs() {
            Ok(epochs) => rows.extend(epochs.iter().map(|epoch| {
                let cells = columns.iter().zip(&of_run);
                cells.map(|(column, own)| column.of_epoch(epoch).unwrap_or(own.clone())).collect()
            })),
            Err(error) => warnings.push(error.to_string()),
        }
    }
    Ok(Listing { columns, rows, warnings })
}

fn all_columns(
    runs: &[ListedRun],
    measures: impl Iterator<Item = &'static Measure>,
) -> Vec<Column> {
    let mut columns = vec![Column::Experiment, Column::Hash, Column::Seed, Column::Status];
    columns.extend(run::keys_of(runs));
    columns.extend([Column::Epoch, Column::Step]);
    columns.extend(measures.map(Column::Measure));
    columns
}
