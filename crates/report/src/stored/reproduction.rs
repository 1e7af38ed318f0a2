//! The record of a reproduction.

use std::collections::BTreeMap;
use std::path::Path;

use retrodict_lab::store::{StoreError, atomic, read_if_there, seal, unseal};
use serde::{Deserialize, Serialize};

use crate::ReportError;

/// The file that holds it.
const FILE: &str = "reproduction.json";

/// The record of a reproduction, stored next to the runs, which do not contain it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reproduction {
    /// `quick` or `paper`.
    pub scale: String,
    /// Seeds of each experiment.
    pub seeds: usize,
    /// Its total time in seconds.
    pub wall_seconds: f64,
    /// The requested figures.
    #[serde(default)]
    pub figures: Vec<String>,
    /// The files of figures of the user's own, as they were read, by the figures' names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub own: BTreeMap<String, String>,
}

impl Reproduction {
    /// Writes it to `out`.
    ///
    /// # Errors
    /// [`ReportError`] if it cannot be written.
    pub fn write(&self, out: &Path) -> Result<(), ReportError> {
        Ok(atomic::write(&out.join(FILE), seal(self)?.as_bytes())?)
    }

    /// The record in `out`, if there is one.
    ///
    /// # Errors
    /// [`ReportError`] if it cannot be read, or is damaged.
    pub fn read(out: &Path) -> Result<Option<Reproduction>, ReportError> {
        let path = out.join(FILE);
        let Some(bytes) = read_if_there(&path)? else { return Ok(None) };
        let damaged = |what| {
            let what = format!("{what}; delete it: only the list of figures and the time are lost");
            StoreError::Damaged { path, what }
        };
        Ok(Some(unseal(&bytes).map_err(damaged)?.0))
    }
}
