//! Packed runs as rows: what their headers say, without unpacking their files.

use super::run::keys_in_order;
use crate::cell::Cell;
use crate::measures::MEASURES;
use crate::store::RunDir;

/// The row of a packed run.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedRow {
    /// Every key that applies, in the order of a spec.
    pub keys: Vec<(String, Cell)>,
    /// The last epoch and its step.
    pub last: Option<(u64, u64)>,
    /// In the order of [`MEASURES`]; NaN where one does not apply.
    pub measures: Vec<f64>,
}

/// The row of a run, if it is packed.
pub fn packed_row(run: &RunDir) -> Option<PackedRow> {
    let packed = run.packed()?;
    let key = |path: String| Some((packed.keys.get(&path)?.clone(), path));
    let keys = keys_in_order().into_iter().filter_map(key);
    let measure =
        |measure: &crate::measures::Measure| packed.measure(measure.id).unwrap_or(f64::NAN);
    Some(PackedRow {
        keys: keys.map(|(cell, path)| (path, cell)).collect(),
        last: packed.last,
        measures: MEASURES.iter().map(measure).collect(),
    })
}
