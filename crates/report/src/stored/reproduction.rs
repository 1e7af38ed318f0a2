//! The record of a reproduction.

use std::fs;
use std::path::Path;

use retrodict_lab::store::atomic;
use serde::{Deserialize, Serialize};

use crate::ReportError;

/// The file that holds it.
const FILE: &str = "reproduction.json";

/// The record of a reproduction, stored next to the runs, which do not contain it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
}

impl Reproduction {
    /// Writes it to `out`.
    ///
    /// # Errors
    /// [`ReportError`] if it cannot be written.
    pub fn write(&self, out: &Path) -> Result<(), ReportError> {
        let text = serde_json::to_vec_pretty(self)?;
        Ok(atomic::write(&out.join(FILE), &text)?)
    }

    /// The record in `out`, if there is a readable one.
    pub fn read(out: &Path) -> Option<Reproduction> {
        serde_json::from_slice(&fs::read(out.join(FILE)).ok()?).ok()
    }
}
