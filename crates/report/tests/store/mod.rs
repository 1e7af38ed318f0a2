//! Runs in a store that nobody trained: their numbers are the test's.

use retrodict_lab::Experiment;
use retrodict_lab::store::{Kept, MetricsRow, Store};

/// Writes a complete run. `row` fills the row of an epoch, given as the share of training done.
pub(crate) fn write_run(
    store: &Store,
    experiment: &Experiment,
    seed: u64,
    epochs: u64,
    row: impl Fn(MetricsRow, f64) -> MetricsRow,
) {
    let run = store.run_dir(&experiment.spec.name, experiment.hash, seed).unwrap();
    let run = run.begin(experiment.spec.precision, Kept::All).unwrap();
    let at = |epoch: u64| row(MetricsRow::empty(epoch, 6 * epoch), epoch as f64 / epochs as f64);
    run.write_spec(&experiment.spec.to_toml()).unwrap();
    run.write_metrics(&(1..=epochs).map(at).collect::<Vec<_>>()).unwrap();
    run.mark_complete().unwrap();
}
