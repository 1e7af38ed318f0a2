//! From a point of a grid to a spec.

use std::error::Error;

use retrodict_settings::{Entry, Located, Problem, SpecError};

use super::SweepError;
use super::grid::Assigned;
use crate::cell::Cell;
use crate::expression::Expression;
use crate::spec::{Spec, document, keys};

/// The spec that all points share.
pub(super) struct Base<'o> {
    pub(super) entries: Vec<Entry>,
    /// The problems of its text, reported with the first point.
    pub(super) found: Vec<Located>,
    /// The spec's name as the user gave it.
    pub(super) origin: &'o str,
}

impl Base<'_> {
    /// The spec of a point. A key with a condition that does not hold there is left as the base has
    /// it; a condition sees all keys without conditions, and those with one that stand before it.
    pub(super) fn spec(
        &mut self,
        assigned: &[Assigned],
        conditions: &[(String, Expression)],
    ) -> Result<Spec, SweepError> {
        let condition = |key: &str| conditions.iter().find(|(of, _)| of == key).map(|(_, c)| c);
        let (always, sometimes): (Vec<_>, Vec<_>) =
            assigned.iter().partition(|assigned| condition(&assigned.key).is_none());
        let mut entries = self.entries.clone();
        for assigned in always {
            document::set(&mut entries, entry(assigned)?);
        }
        let mut spec = self.read(&entries, assigned)?;
        for one in sometimes {
            let lines = spec.lines();
            let value = |name: &str| {
                let line = lines.iter().find(|line| line.path() == name);
                line.map_or(Cell::Missing, |line| Cell::of_toml(&line.value))
            };
            if condition(&one.key).is_some_and(|condition| condition.holds(&value)) {
                document::set(&mut entries, entry(one)?);
                spec = self.read(&entries, assigned)?;
            }
        }
        Ok(spec)
    }

    fn read(&mut self, entries: &[Entry], assigned: &[Assigned]) -> Result<Spec, SweepError> {
        let found = std::mem::take(&mut self.found);
        Spec::resolve(entries.to_vec(), found, self.origin, false).map_err(|error| {
            let hint = match &*error.problem {
                Problem::NoEffect { key, .. } if has(assigned, key) => format!(
                    "; to sweep `{key}` at the other points alone, give its axis a condition: \
                     \"{key}\" = {{ values = […], when = \"…\" }}"
                ),
                Problem::NoEffect { key, .. } => format!(
                    "; to set `{key}` at the other points alone, make it an axis with a condition: \
                     \"{key}\" = {{ values = […], when = \"…\" }}"
                ),
                _ => String::new(),
            };
            at_point(error, assigned, hint)
        })
    }
}

fn has(assigned: &[Assigned], key: &str) -> bool {
    assigned.iter().any(|assigned| assigned.key == key)
}

fn entry(assigned: &Assigned) -> Result<Entry, SpecError> {
    document::entry(&assigned.key, assigned.value.clone(), assigned.place.clone(), keys())
}

/// An error with the point that it belongs to; a plain spec has none.
pub(super) fn at_point(
    error: impl Into<SweepError> + Error + Send + Sync + 'static,
    assigned: &[Assigned],
    hint: String,
) -> SweepError {
    if assigned.is_empty() {
        return error.into();
    }
    let values: Vec<String> =
        assigned.iter().map(|assigned| format!("{} = {}", assigned.key, assigned.value)).collect();
    SweepError::Point { point: values.join(", "), source: Box::new(error), hint }
}
