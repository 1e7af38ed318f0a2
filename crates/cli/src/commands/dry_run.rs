//! `retrodict run --dry-run`: every run, and what they will take.

use retrodict_lab::store::{Status, Store, StoreError};
use retrodict_lab::sweep::Sweep;
use retrodict_report::whole_seconds;
use serde_json::{Value, json};

use super::estimate::Estimates;
use super::launch::planned;
use super::run::{keep, swept};
use super::sweep_table::{shown_cell, size};
use super::{Failure, print};
use crate::args::RunArgs;
use crate::table::{table, wrap};

/// The most models that are timed: the reader waits.
const MOST_TIMED: usize = 16;

/// The state of a run in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Complete,
    /// The run diverged, and would do so again.
    Diverged,
    /// The run would be resumed.
    Unfinished,
    New,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Complete => "complete",
            State::Diverged => "diverged",
            State::Unfinished => "unfinished",
            State::New => "new",
        }
    }

    fn is_left(self) -> bool {
        matches!(self, State::Unfinished | State::New)
    }
}

/// Prints every run with its state, and the totals. Trains and writes nothing.
pub(super) fn dry_run(sweep: &Sweep, args: &RunArgs) -> Result<(), Failure> {
    let store = match Store::view(&args.out) {
        Ok(store) => Some(store),
        Err(StoreError::NoStore { .. }) => None,
        Err(error) => return Err(Failure::failed(error)),
    };
    let mut states = Vec::new();
    for point in &sweep.points {
        let of = |&seed: &u64| state(store.as_ref(), &point.experiment, seed);
        let seeds = point.experiment.spec.seeds.iter();
        states.push(seeds.map(of).collect::<Result<Vec<State>, _>>().map_err(Failure::failed)?);
    }
    let count = |state: State| states.iter().flatten().filter(|other| **other == state).count();
    let left = states.iter().flatten().filter(|state| state.is_left()).count();
    let mut estimates = Estimates::new(args.resources.resources()?).timing_at_most(MOST_TIMED);
    let (mut seconds, mut bytes) = (0.0, 0.0);
    for (point, states) in sweep.points.iter().zip(&states) {
        let runs = states.iter().filter(|state| state.is_left()).count();
        if let (true, Some(&seed)) = (runs > 0, point.experiment.spec.seeds.first()) {
            // Other seeds take as long, or nearly so where a recipe is random.
            seconds += runs as f64 * estimates.seconds(&point.experiment, seed, left)?;
            let each =
                point.experiment.disk_bytes(seed, keep(args, sweep)).map_err(Failure::failed)?;
            bytes += runs as f64 * each as f64;
        }
    }
    let (memory, disk) = (estimates.mib(), bytes / f64::from(1 << 20));
    let all = states.iter().flatten().count();
    if args.json {
        let runs = sweep.points.iter().zip(&states).flat_map(|(point, states)| {
            let seeds = point.experiment.spec.seeds.iter().zip(states);
            seeds.map(move |(seed, state)| {
                json!({
                    "swept": swept(sweep, point),
                    "hash": point.experiment.hash.to_string(),
                    "seed": seed,
                    "state": state.word(),
                })
            })
        });
        let result = json!({
            "runs": Value::Array(runs.collect()),
            "total": {
                "runs": all,
                "complete": count(State::Complete),
                "diverged": count(State::Diverged),
                "unfinished": count(State::Unfinished),
                "new": count(State::New),
                "seconds": seconds,
                "memory_mib": memory,
                "disk_mib": disk,
            },
        });
        return print(&format!("{result}\n"));
    }
    let mut rows = vec![sweep.keys.clone()];
    rows[0].extend(["hash", "seed", "state"].map(str::to_owned));
    for (point, states) in sweep.points.iter().zip(&states) {
        for (seed, state) in point.experiment.spec.seeds.iter().zip(states) {
            let mut row: Vec<String> = point.swept.iter().map(shown_cell).collect();
            row.push(point.experiment.hash.to_string());
            row.extend([seed.to_string(), state.word().to_owned()]);
            rows.push(row);
        }
    }
    let state_column = rows[0].len() - 1;
    print(&table(&rows, sweep.keys.len(), &[state_column]))?;
    let mut parts = vec![format!("{} complete", count(State::Complete))];
    for state in [State::Diverged, State::Unfinished, State::New] {
        let n = count(state);
        if n > 0 {
            parts.push(format!("{n} {}", state.word()));
        }
    }
    let s = if all == 1 { "" } else { "s" };
    let mut text = format!("{all} run{s} ({}): {}\n", size(sweep), parts.join(", "));
    if left > 0 {
        text += &format!(
            "those that are left: about {} here, {memory:.0} MiB of memory at a time, {disk:.1} \
             MiB of disk\n",
            whole_seconds(seconds.max(1.0))
        );
    }
    if let Some(chunks) = planned(sweep, args, store.as_ref())? {
        text += &format!("as chunks for other processes: {chunks}\n");
    }
    print(&wrap(&text))
}

fn state(
    store: Option<&Store>,
    experiment: &retrodict_lab::Experiment,
    seed: u64,
) -> Result<State, StoreError> {
    let Some(store) = store else { return Ok(State::New) };
    let folder = store.run_dir(&experiment.spec.name, experiment.hash, seed)?;
    Ok(match folder.status()? {
        None => State::New,
        Some(Status::Complete) => State::Complete,
        Some(Status::Diverged) => State::Diverged,
        Some(_) => State::Unfinished,
    })
}
