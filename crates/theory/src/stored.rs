//! Results of simulations below an output folder, `theory/<model>/<name>.json`: whole files only,
//! each with the version that wrote it.

use std::fs;
use std::path::{Path, PathBuf};

use retrodict_lab::name::check_name;
use retrodict_lab::store::{StoreError, atomic, read_if_there, seal, unseal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::TheoryError;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored<R> {
    version: String,
    result: R,
}

/// Writes a result atomically: readers see the old file or the new one.
pub(super) fn write<R: Serialize>(
    out: &Path,
    model: &str,
    name: &str,
    result: &R,
) -> Result<(), StoreError> {
    let path = path(out, model, name)?;
    let stored = Stored { version: retrodict_lab::VERSION.to_owned(), result };
    let text = seal(&stored).map_err(|error| StoreError::unwritable(&path, error))?;
    let folder = out.join("theory").join(model);
    fs::create_dir_all(&folder).map_err(StoreError::io("create", &folder))?;
    atomic::write(&path, text.as_bytes())
}

/// The result that is kept, if it is the wanted one; else makes it and keeps it.
pub(super) fn kept_or_made<R: Serialize + DeserializeOwned, E>(
    out: &Path,
    model: &str,
    name: &str,
    wanted: impl FnOnce(&R) -> bool,
    make: impl FnOnce() -> Result<R, E>,
) -> Result<R, TheoryError>
where
    TheoryError: From<E>,
{
    // A damaged file is made again.
    if let Ok(Some(result)) = read(out, model, name)
        && wanted(&result)
    {
        return Ok(result);
    }
    let result = make()?;
    write(out, model, name, &result)?;
    Ok(result)
}

/// Reads a result; `None` where there is no such file, or another version has written it.
pub(super) fn read<R: DeserializeOwned>(
    out: &Path,
    model: &str,
    name: &str,
) -> Result<Option<R>, StoreError> {
    let path = path(out, model, name)?;
    let Some(text) = read_if_there(&path)? else { return Ok(None) };
    // Another version may have had other fields.
    let (stored, _): (Stored<serde_json::Value>, bool) =
        unseal(&text).map_err(|what| StoreError::damaged(&path, what))?;
    if stored.version != retrodict_lab::VERSION {
        return Ok(None);
    }
    let damaged = |error| StoreError::damaged(&path, error);
    serde_json::from_value(stored.result).map(Some).map_err(damaged)
}

fn path(out: &Path, model: &str, name: &str) -> Result<PathBuf, StoreError> {
    check_name(name)?;
    Ok(out.join("theory").join(model).join(format!("{name}.json")))
}
