//! Sweep records of commands that make many experiments.

use std::path::Path;

use retrodict_lab::Experiment;
use retrodict_lab::sweep::{Launcher, SweepRecord};

use super::Failure;

/// The arguments of this process, the program first.
pub(super) fn command_line() -> Vec<String> {
    std::env::args_os().map(|text| text.to_string_lossy().into_owned()).collect()
}

/// Records the runs of several experiments as a sweep, so that they can be followed as one is. One
/// experiment by itself is none.
pub(super) fn record_sweep<'e>(
    out: &Path,
    experiments: impl IntoIterator<Item = &'e Experiment>,
) -> Result<(), Failure> {
    let experiments: Vec<&Experiment> = experiments.into_iter().collect();
    if experiments.len() < 2 {
        return Ok(());
    }
    let keys = differing_keys(&experiments);
    let record = SweepRecord::of(experiments, keys, Launcher::Local, command_line(), |_| None);
    record.write_once(out).map_err(Failure::failed)
}

/// The keys that not all of these have with the same value, in the order of a spec.
fn differing_keys(experiments: &[&Experiment]) -> Vec<String> {
    let mut values: Vec<(String, Vec<String>)> = Vec::new();
    for experiment in experiments {
        for line in experiment.spec.lines() {
            let (path, value) = (line.path(), line.value.to_string());
            match values.iter_mut().find(|(known, _)| *known == path) {
                Some((_, known)) => known.push(value),
                None => values.push((path, vec![value])),
            }
        }
    }
    let differs = |values: &[String]| {
        values.len() < experiments.len() || values.iter().any(|value| *value != values[0])
    };
    let skipped = |path: &str| matches!(path, "name" | "seeds");
    let differing = values.into_iter().filter(|(path, of)| !skipped(path) && differs(of));
    differing.map(|(path, _)| path).collect()
}
