//! `retrodict table DIR`: everything of all runs as one tidy table.

use std::path::Path;

use retrodict_lab::runs::{tidy, tidy_epochs, to_parquet};
use retrodict_lab::store::{Store, atomic};

use super::runs::{csv, warn};
use super::{Failure, print};
use crate::args::TableArgs;

pub(crate) fn table(args: &TableArgs) -> Result<(), Failure> {
    let extension = |path: &Path| path.extension().map(|e| e.to_string_lossy().to_lowercase());
    let to = args.to.as_deref().map(|path| (path, extension(path).unwrap_or_default()));
    if let Some((path, other)) = &to
        && !matches!(other.as_str(), "csv" | "parquet")
    {
        let path = path.display();
        return Err(Failure::Usage(format!("--to {path}: the file must end in .parquet or .csv")));
    }
    let store = Store::view(&args.dir).map_err(Failure::failed)?;
    let listing = match args.epochs {
        true => tidy_epochs(&store, |_| true),
        false => tidy(&store, |_| true),
    };
    let listing = listing.map_err(Failure::failed)?;
    warn(&listing);
    let Some((path, extension)) = to else { return print(&csv(&listing)?) };
    let bytes = match extension.as_str() {
        "parquet" => to_parquet(&listing).map_err(Failure::failed)?,
        _ => csv(&listing)?.into_bytes(),
    };
    atomic::write(path, &bytes).map_err(Failure::failed)?;
    let (rows, columns) = (listing.rows.len(), listing.columns.len());
    eprintln!("{rows} rows of {columns} columns in {}", path.display());
    Ok(())
}
