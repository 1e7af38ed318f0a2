//! The parts of a run that must not depend on what happened to it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use retrodict_lab::Measure;
use retrodict_lab::store::{Store, read_metrics};

use super::contents;

/// The measures of an epoch as bits.
pub(crate) type Row = Vec<Option<u64>>;

/// Everything in a complete run's folder but times: measures by epoch, and the other files.
#[track_caller]
pub(crate) fn numbers(run: &Path) -> (Vec<Row>, BTreeMap<PathBuf, Option<Vec<u8>>>) {
    assert!(run.join("COMPLETE").is_file(), "{} is not complete", run.display());
    let rows = read_metrics(&run.join("metrics.parquet"), u64::MAX).unwrap().rows;
    let measures = || Measure::of_epochs().filter(|measure| measure.id != "seconds");
    let rows = rows.iter().map(|row| measures().map(|m| row.get(m.id).map(f64::to_bits)).collect());
    let mut files = contents(run);
    // Those with times in them.
    let timed = ["manifest.json", "metrics.parquet", "state.json"];
    files.retain(|path, _| !timed.iter().any(|name| path.ends_with(name)));
    // The claim of a process that was killed between its last file and its end.
    files.retain(|path, _| !path.to_string_lossy().starts_with(".claim-"));
    (rows.collect(), files)
}

/// Panics unless two stores hold the same runs with the same numbers.
#[track_caller]
pub(crate) fn assert_same_runs(out: &Path, other: &Path) {
    let [own, others] = [out, other].map(|out| Store::view(out).unwrap().runs().unwrap());
    let name = |run: &retrodict_lab::store::RunDir| (run.experiment.clone(), run.hash, run.seed);
    assert!(!own.is_empty());
    assert_eq!(
        own.iter().map(name).collect::<Vec<_>>(),
        others.iter().map(name).collect::<Vec<_>>()
    );
    for (run, other) in own.iter().zip(&others) {
        let (own, others) = (numbers(run.path()), numbers(other.path()));
        assert_eq!(own.0, others.0, "{}: other metrics", run.path().display());
        let [names, of_others] = [&own, &others].map(|of| of.1.keys().collect::<Vec<_>>());
        assert_eq!(names, of_others, "{}: other files", run.path().display());
        for (path, bytes) in &own.1 {
            assert!(others.1[path] == *bytes, "{} differs", run.path().join(path).display());
        }
    }
}
