//! Sweeps: many experiments of one spec, with the values of some keys given as lists.
//!
//! A sweep is written in a section `[sweep]` of the spec, or as `--set key=1,2,4`; `docs/sweeps.md`
//! has the grammar. [`Sweep::parse`] turns both into a list of experiments. Each has the hash of a
//! plain run with its values; of equal ones the first is kept.
//!
//! ```
//! use retrodict_lab::sweep::Sweep;
//!
//! let text = "data.kind = \"chain\"\n[sweep]\n\"model.layers\" = [1, 2]\n";
//! let sweep = Sweep::parse(text, "mine.toml", &[("train.lr", "1e-3,1e-2,1e-1")])?;
//! assert_eq!(sweep.keys, ["model.layers", "train.lr"]);
//! assert_eq!(sweep.points.len(), 6);
//! # Ok::<(), retrodict_lab::sweep::SweepError>(())
//! ```

mod axis;
mod file;
mod grid;
mod record;
mod resolve;
mod sample;
mod text;

use std::collections::HashSet;

use retrodict_settings::{Location, Problem};
use thiserror::Error;

use crate::cell::Cell;
use crate::experiment::{Experiment, ExperimentError};
use crate::spec::{SpecError, SpecHash, document, keys};

pub(crate) use record::runs_of;
pub use record::{Launcher, RecordedPoint, SweepProgress, SweepRecord, status_of};

use axis::Axis;
use grid::Grid;
use resolve::Base;

/// The largest number of points that a sweep may list.
pub const MOST_POINTS: usize = 1_000_000;

/// The experiments of a sweep.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// Every swept key, in the order in which they are written.
    pub keys: Vec<String>,
    /// The experiments; no two have the same hash.
    pub points: Vec<Point>,
    /// Points that were left out since they are equal to an earlier one.
    pub repeated: usize,
    /// Whether a key is swept at all: a plain spec is a single point.
    pub is_swept: bool,
}

/// One experiment of a sweep.
#[derive(Debug, Clone)]
pub struct Point {
    /// The experiment.
    pub experiment: Experiment,
    /// The value of each of [`Sweep::keys`]; missing where the key does not apply.
    pub swept: Vec<Cell>,
}

/// Why there is no such sweep.
#[derive(Debug, Error)]
pub enum SweepError {
    /// The spec, its sweep or an override is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The spec is well-formed but cannot be run.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// One of the points is wrong.
    #[error("{source} (at {point}){hint}")]
    Point {
        /// Its swept keys with their values.
        point: String,
        /// The problem.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// The remedy that a sweep has and a plain spec has not, or nothing.
        hint: String,
    },
}

impl Sweep {
    /// The sweep of the spec in `text`, whose user calls it `origin`. An override of one value sets
    /// a key at all points; one of several, `("model.layers", "1,2,4")`, is an axis.
    ///
    /// # Errors
    /// [`SweepError`] names the key and what would be right.
    pub fn parse(
        text: &str,
        origin: &str,
        overrides: &[(&str, &str)],
    ) -> Result<Sweep, SweepError> {
        let mut document = document::read(text, origin, keys())?;
        let (mut fixed, mut axes) = (Vec::new(), Vec::<Axis>::new());
        for (index, pair) in overrides.iter().enumerate() {
            let position = text.len() + index;
            let key = pair.0.trim();
            axes.retain(|axis| axis.key != key);
            fixed.push(key.to_owned());
            match text::axis(*pair, position)? {
                Some(axis) => axes.push(axis),
                None => {
                    let entry = document::read_override(*pair, position, keys())?;
                    document::set(&mut document.entries, entry);
                }
            }
        }
        let is_swept = document.sweep.is_some() || !axes.is_empty();
        let place = |position| document::line_of(text, origin, position);
        let mut grids = match document.sweep {
            Some((position, value)) => file::grids(position, value, &place)?,
            None => vec![Grid::default()],
        };
        for grid in &mut grids {
            fixed.iter().for_each(|key| grid.fix(key));
            grid.product.extend(axes.iter().cloned().map(grid::Factor::of_axis));
        }
        let base = Base { entries: document.entries, found: document.found, origin };
        Self::of(grids, base, is_swept)
    }

    fn of(grids: Vec<Grid>, mut base: Base<'_>, is_swept: bool) -> Result<Sweep, SweepError> {
        let mut keys: Vec<String> = Vec::new();
        for key in grids.iter().flat_map(Grid::keys) {
            if !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        let count = grids.iter().map(Grid::count).fold(0, usize::saturating_add);
        if count > MOST_POINTS {
            let at = Location::Spec { origin: base.origin.to_owned() };
            let count = if count == usize::MAX { "Too many".to_owned() } else { count.to_string() };
            let problem = format!(
                "the sweep has {count} points; at most {MOST_POINTS} make one sweep: shorten its \
                 lists, or sample them (sampling = \"sobol\", samples = 1000)"
            );
            return Err(SpecError::new(at, Problem::Other(problem)).into());
        }
        let mut seen: HashSet<SpecHash> = HashSet::new();
        let (mut points, mut repeated) = (Vec::new(), 0);
        for grid in &grids {
            for at in 0..grid.count() {
                let assigned = grid.point(at);
                let spec = base.spec(&assigned, &grid.conditions)?;
                if !seen.insert(spec.hash()) {
                    repeated += 1;
                    continue;
                }
                let lines = if keys.is_empty() { Vec::new() } else { spec.lines() };
                let value = |key: &String| {
                    let line = lines.iter().find(|line| line.path() == *key);
                    line.map_or(Cell::Missing, |line| Cell::of_toml(&line.value))
                };
                let swept = keys.iter().map(value).collect();
                let experiment = Experiment::new(spec, base.origin)
                    .map_err(|error| resolve::at_point(error, &assigned, String::new()))?;
                points.push(Point { experiment, swept });
            }
        }
        Ok(Sweep { keys, points, repeated, is_swept })
    }
}
