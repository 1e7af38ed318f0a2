//! Named tensors in one or several files.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use crate::PretrainedError;
use crate::numbers::Kind;

/// Blocks that are decoded at once.
const CHUNK: usize = 1 << 16;

/// The place of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// The number of its file.
    pub(crate) file: usize,
    pub(crate) kind: Kind,
    /// Outermost dimension first.
    pub(crate) shape: Vec<usize>,
    /// Its first byte in the file.
    pub(crate) start: u64,
    pub(crate) bytes: u64,
}

/// All tensors of a checkpoint. Their bytes lie within their files, and fit their shapes.
#[derive(Debug, Default)]
pub(crate) struct Tensors {
    pub(crate) files: Vec<(PathBuf, File)>,
    pub(crate) entries: HashMap<String, Entry>,
}

impl Tensors {
    /// The first of the names that there is.
    pub(crate) fn find<'n>(&self, names: &[&'n str]) -> Option<(&'n str, &Entry)> {
        names.iter().find_map(|name| Some((*name, self.entries.get(*name)?)))
    }

    /// The numbers of a tensor, row-major.
    ///
    /// # Errors
    /// If the file ends or cannot be read.
    pub(crate) fn read(&mut self, entry: &Entry) -> Result<Vec<f32>, PretrainedError> {
        let (path, file) = &mut self.files[entry.file];
        let unreadable = |path: &Path, error| PretrainedError::unreadable(path, error);
        file.seek(SeekFrom::Start(entry.start)).map_err(|error| unreadable(path, error))?;
        let mut out = Vec::with_capacity(entry.shape.iter().product());
        let mut left = entry.bytes as usize;
        let mut buffer = vec![0; left.min(CHUNK * entry.kind.block().1)];
        while left > 0 {
            let part = left.min(buffer.len());
            file.read_exact(&mut buffer[..part]).map_err(|error| unreadable(path, error))?;
            entry.kind.decode(&buffer[..part], &mut out);
            left -= part;
        }
        Ok(out)
    }
}
