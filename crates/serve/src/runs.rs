//! The list of runs, in windows, and the details of one.

use std::sync::{Arc, Mutex, PoisonError};

use retrodict_lab::measures::Value as Taken;
use retrodict_lab::runs::{Column, Query, names};
use retrodict_lab::spec::keys;
use retrodict_lab::{MEASURES, Measure};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::scan::Shared;
use crate::source::Source;
use crate::table::Table;

/// The most rows of a window.
const MOST_ROWS: usize = 500;
/// The most columns of a window.
const MOST_COLUMNS: usize = 120;
/// The lists that are kept.
const KEPT: usize = 6;

/// The list of a query, as texts, at a generation of the table.
type Kept = ((u64, String, String), Arc<Vec<u32>>);

/// Lists of runs that were filtered and sorted, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Lists(Mutex<Vec<Kept>>);

impl Lists {
    /// The runs that a condition selects, sorted, in the table as it is now.
    ///
    /// # Errors
    /// [`Failure`] names the character or the nearest name.
    pub(crate) fn select(
        &self,
        table: &Table,
        condition: &str,
        sort: &str,
    ) -> Result<Arc<Vec<u32>>, Failure> {
        let key = (table.generation, condition.to_owned(), sort.to_owned());
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, list)) = lock().iter().find(|(known, _)| *known == key) {
            return Ok(Arc::clone(list));
        }
        let given = |text: &'_ str| (!text.trim().is_empty()).then(|| text.to_owned());
        let query = Query::parse(given(condition).as_deref(), None, given(sort).as_deref());
        // The page has a field, not an option.
        let query = query.map_err(|e| Failure::bad(e.trim_start_matches("--where ")))?;
        let list = Arc::new(table.select(&query));
        let mut lists = lock();
        lists.push((key, Arc::clone(&list)));
        let old = lists.len().saturating_sub(KEPT);
        lists.drain(..old);
        Ok(list)
    }
}

/// Rows `from..from + count` of a list as JSON, each with the run's place in the table.
///
/// # Errors
/// [`Failure`] names a column that does not exist.
pub(crate) fn window(
    table: &Table,
    list: &[u32],
    columns: &str,
    from: usize,
    count: usize,
) -> Result<Value, Failure> {
    let parse = |name: &str| Column::parse(name.trim()).map_err(Failure::bad);
    let columns: Vec<Column> = match columns.trim() {
        "" => Vec::new(),
        names => names.split(',').take(MOST_COLUMNS).map(parse).collect::<Result<_, _>>()?,
    };
    let places: Vec<_> = columns.iter().map(|column| table.place(column)).collect();
    let from = from.min(list.len());
    let rows = list[from..].iter().take(count.min(MOST_ROWS));
    let rows: Vec<Value> = rows
        .map(|&run| {
            let cells: Vec<_> = places.iter().map(|place| table.cell(run, place)).collect();
            json!({ "run": run, "cells": cells })
        })
        .collect();
    Ok(json!({
        "total": list.len(), "from": from, "rows": rows, "generation": table.generation,
    }))
}

/// The columns that a page offers: the keys that differ in a list, the measures that any run has,
/// and the names of all.
pub(crate) fn columns(table: &Table, list: &[u32]) -> Value {
    let doc = |path: &str| keys().iter().find(|key| key.path() == path).map(|key| key.doc.clone());
    let differing: Vec<Value> = table
        .differing(list)
        .into_iter()
        .map(|(name, values)| json!({ "name": name, "values": values, "doc": doc(&name) }))
        .collect();
    let known = MEASURES.iter().enumerate().filter(|(at, _)| table.has_measure(*at));
    let measures: Vec<Value> = known.map(|(_, measure)| describe(measure)).collect();
    json!({ "keys": differing, "measures": measures, "names": names() })
}

fn describe(measure: &Measure) -> Value {
    json!({
        "id": measure.id,
        "heading": measure.heading,
        "label": measure.heading_with_unit(),
        "unit": measure.unit.word(),
        "doc": measure.doc,
        "brief": measure.brief,
        "of_epochs": matches!(measure.value, Taken::Epoch { .. }),
    })
}

/// The run of a name `experiment/hash/seed`, or of its place in the table.
///
/// # Errors
/// [`Failure`] if there is none.
pub(crate) fn find(table: &Table, name: &str) -> Result<u32, Failure> {
    let missing = || Failure::missing("there is no such run in this folder");
    if let Ok(place) = name.parse() {
        return table.run(place).map(|_| place).ok_or_else(missing);
    }
    let mut parts = name.rsplitn(3, '/');
    let (Some(seed), Some(hash), Some(experiment)) = (parts.next(), parts.next(), parts.next())
    else {
        return Err(Failure::bad("a run is named as experiment/hash/seed"));
    };
    let place = hash.parse().ok().and_then(|hash| {
        let place = table.find_run(table.find_setting(experiment, hash)?, seed.parse().ok()?)?;
        table.run(place).map(|_| place)
    });
    place.ok_or_else(missing)
}

/// Everything about one run as JSON: state, manifest, spec, epochs with effective weights.
///
/// # Errors
/// [`Failure`] if there is none.
pub(crate) fn detail(source: &Source, shared: &Shared, name: &str) -> Result<Value, Failure> {
    let (place, run, experiment, hash, epochs, warning) = {
        let table = shared.read();
        let place = find(&table, name)?;
        let run = *table.run(place).ok_or_else(|| Failure::missing("the run was removed"))?;
        let setting = table.setting(run.setting);
        let name = format!("{}/{}/{}", setting.experiment, setting.hash, run.seed);
        let warning = table.warnings.get(&name).cloned();
        (place, run, setting.experiment.clone(), setting.hash, setting.epochs, warning)
    };
    let folder = source.run(&experiment, hash, run.seed).map_err(Failure::unreadable)?;
    let spec = source.spec(&folder);
    let (text, lines) = spec.map_or((None, Vec::new()), |(text, lines)| (Some(text), lines));
    let lines: Vec<Value> =
        lines.iter().map(|line| json!([line.path(), line.value, line.default])).collect();
    let manifest = folder.read_manifest().ok();
    let message = manifest.as_ref().and_then(|manifest| manifest.message.clone());
    Ok(json!({
        "run": place,
        "name": format!("{experiment}/{hash}/{}", run.seed),
        "experiment": experiment,
        "hash": hash.to_string(),
        "seed": run.seed,
        "status": run.status.word(),
        "message": message.or(warning),
        "epoch": run.epoch,
        "epochs": epochs,
        "step": run.step,
        "manifest": manifest,
        "spec": text,
        "lines": lines,
        "probes": source.probes(&folder),
    }))
}
