//! The columns of a table of runs.

use retrodict_settings::Key;

use crate::cell::Cell;
use crate::expression::near;
use crate::measures::{MEASURES, Measure};
use crate::spec::keys;
use crate::store::MetricsRow;

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// The experiment's name.
    Experiment,
    /// The spec's hash.
    Hash,
    /// The run's seed.
    Seed,
    /// The run's state.
    Status,
    /// The run's folder.
    Folder,
    /// The last epoch that has measures.
    Epoch,
    /// Steps taken when it ended.
    Step,
    /// A key of the spec.
    Key(String),
    /// A measure.
    Measure(&'static Measure),
}

/// Columns that are neither keys nor measures.
static OWN: [(&str, Column); 7] = [
    ("experiment", Column::Experiment),
    ("hash", Column::Hash),
    ("seed", Column::Seed),
    ("status", Column::Status),
    ("dir", Column::Folder),
    ("epoch", Column::Epoch),
    ("step", Column::Step),
];

/// The name of every column.
pub fn names() -> Vec<String> {
    let own = OWN.iter().map(|(name, _)| (*name).to_owned());
    let keys = keys().iter().map(Key::path).filter(|path| is_column(path));
    own.chain(keys).chain(MEASURES.iter().map(|measure| measure.id.to_owned())).collect()
}

/// Whether a key of a spec is a column: the experiment's name and the run's seed are columns of
/// their own.
pub(super) fn is_column(path: &str) -> bool {
    !matches!(path, "name" | "seeds")
}

impl Column {
    /// The column of that name.
    ///
    /// # Errors
    /// A message with the nearest name.
    pub fn parse(name: &str) -> Result<Column, String> {
        if let Some((_, column)) = OWN.iter().find(|(own, _)| *own == name) {
            return Ok(column.clone());
        }
        if let Some(measure) = MEASURES.iter().find(|measure| measure.id == name) {
            return Ok(Column::Measure(measure));
        }
        let names = names();
        if names.iter().any(|known| known == name) {
            return Ok(Column::Key(name.to_owned()));
        }
        let hint = match near(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "columns are keys of the spec (model.layers), measures (held_out_nll), \
                     experiment, hash, seed, status, dir, epoch and step"
                .to_owned(),
        };
        Err(format!("there is no column `{name}`; {hint}"))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Column::Key(path) => path,
            Column::Measure(measure) => measure.id,
            own => OWN.iter().find(|(_, column)| column == own).map_or("", |(name, _)| *name),
        }
    }

    /// Its value after an epoch; `None` where it is the same after all.
    pub(super) fn of_epoch(&self, epoch: &MetricsRow) -> Option<Cell> {
        match self {
            Column::Epoch => Some(Cell::Integer(epoch.epoch as i64)),
            Column::Step => Some(Cell::Integer(epoch.step as i64)),
            Column::Measure(measure) => Some(Cell::of_measure(epoch.get(measure.id))),
            _ => None,
        }
    }

    /// A cell of this column as a table on a terminal prints it.
    pub fn format(&self, cell: &Cell) -> String {
        match (self, cell) {
            (Column::Measure(measure), cell) => measure.format(cell.number()),
            (_, Cell::Missing) => "–".to_owned(),
            (_, cell) => cell.to_string(),
        }
    }
}
