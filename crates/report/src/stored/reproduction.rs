//! How a reproduction went.

use std::fs;
use std::path::Path;

use retrodict_lab::store::atomic;
use serde::{Deserialize, Serialize};

use crate::ReportError;

/// The file that holds it.
const FILE: &str = "reproduction.json";

/// How a reproduction went; kept beside the store, for it cannot be read off the runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reproduction {
    /// `quick` or `paper`.
    pub scale: String,
    /// Seeds of each experiment.
    pub seeds: usize,
    /// Seconds that it took, all runs together.
    pub wall_seconds: f64,
    /// The figures that were asked for.
    #[serde(default)]
    pub figures: Vec<String>,
}

impl Reproduction {
    /// Keeps it in `out`.
    ///
    /// # Errors
    /// [`ReportError`] if it cannot be written.
    pub fn write(&self, out: &Path) -> Result<(), ReportError> {
        let text = serde_json::to_vec_pretty(self)?;
        Ok(atomic::write(&out.join(FILE), &text)?)
    }

    /// What is kept in `out`, if anything (that can be read) is.
    pub fn read(out: &Path) -> Option<Reproduction> {
        serde_json::from_slice(&fs::read(out.join(FILE)).ok()?).ok()
    }
}
