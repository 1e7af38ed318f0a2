//! Reading of files: regular ones only.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::error::StoreError;

/// The bytes of a file; `None` where there is none.
///
/// # Errors
/// [`StoreError`] if it cannot be read, or is not a regular file: to open a FIFO would wait for
/// ever.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {
            fs::read(path).map(Some).map_err(StoreError::io("read", path))
        }
        Ok(_) => Err(StoreError::io("read", path)(io::Error::other("it is not a regular file"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// The bytes of a file.
///
/// # Errors
/// As [`read_if_there`]; also where there is none.
pub fn read(path: &Path) -> Result<Vec<u8>, StoreError> {
    let missing = || StoreError::io("read", path)(io::ErrorKind::NotFound.into());
    read_if_there(path)?.ok_or_else(missing)
}

/// A file, opened for reading.
///
/// # Errors
/// As [`read`].
pub(super) fn open(path: &Path) -> Result<File, StoreError> {
    let metadata = fs::metadata(path).map_err(StoreError::io("read", path))?;
    if !metadata.is_file() {
        return Err(StoreError::io("read", path)(io::Error::other("it is not a regular file")));
    }
    File::open(path).map_err(StoreError::io("read", path))
}
