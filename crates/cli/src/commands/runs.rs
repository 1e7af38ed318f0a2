//! `retrodict runs DIR`: the runs of a store, one a row.

use retrodict_lab::Cell;
use retrodict_lab::runs::{Column, Listing, Query, list};
use retrodict_lab::store::Store;
use serde_json::{Map, Value, json};

use super::{Failure, print};
use crate::args::RunsArgs;
use crate::table::table;

pub(crate) fn runs(args: &RunsArgs) -> Result<(), Failure> {
    let query =
        Query::parse(args.condition.as_deref(), args.columns.as_deref(), args.sort.as_deref())
            .map_err(Failure::Usage)?;
    let store = Store::view(&args.dir).map_err(Failure::failed)?;
    let listing = list(&store, &query).map_err(Failure::failed)?;
    warn(&listing);
    // The process is about to end: dropping a hundred thousand runs takes longer than printing few.
    std::mem::forget(store);
    if args.json {
        let object = |row: &Vec<Cell>| {
            let cells = listing.columns.iter().zip(row);
            let object: Map<String, Value> =
                cells.map(|(column, cell)| (column.name().to_owned(), json!(cell))).collect();
            Value::Object(object)
        };
        return print(&format!("{}\n", Value::Array(listing.rows.iter().map(object).collect())));
    }
    if args.csv {
        return print(&csv(&listing)?);
    }
    let mut rows = vec![names(&listing)];
    rows.extend(listing.rows.iter().map(|row| {
        listing.columns.iter().zip(row).map(|(column, cell)| column.format(cell)).collect()
    }));
    let left: Vec<usize> = (0..rows[0].len())
        .filter(|&at| {
            let words = [Column::Experiment, Column::Hash, Column::Status, Column::Folder];
            words.contains(&listing.columns[at])
        })
        .collect();
    print(&table(&rows, 0, &left))?;
    let s = if listing.rows.len() == 1 { "" } else { "s" };
    eprintln!("{} run{s}", listing.rows.len());
    Ok(())
}

/// One warning for each run that has no row.
pub(super) fn warn(listing: &Listing) {
    for warning in &listing.warnings {
        eprintln!("retrodict: warning: {warning}; the run is left out");
    }
}

fn names(listing: &Listing) -> Vec<String> {
    listing.columns.iter().map(|column| column.name().to_owned()).collect()
}

/// The listing as CSV, numbers in full precision.
pub(super) fn csv(listing: &Listing) -> Result<String, Failure> {
    let cells = |row: &Vec<Cell>| row.iter().map(ToString::to_string).collect();
    let rows = listing.rows.iter().map(cells).collect();
    let table = retrodict_report::Table { header: names(listing), rows };
    let bytes = table.to_csv().map_err(Failure::failed)?;
    String::from_utf8(bytes).map_err(Failure::failed)
}
