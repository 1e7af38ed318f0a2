//! Chunks: runs that one process makes, sized by their estimated time.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::experiment::Experiment;
use crate::spec::Spec;
use crate::store::{RunDir, Store, StoreError, atomic, read, seal, unseal};
use crate::sweep::{Sweep, runs_of};

/// A run to be made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannedRun {
    /// The index of its point in the sweep.
    pub point: usize,
    /// Its seed.
    pub seed: u64,
    /// Its estimated seconds.
    pub seconds: f64,
}

/// Divides runs into at most `most` chunks of at most `seconds` each, or as much more as `most`
/// makes necessary, and of about equal time. A run that takes longer is a chunk of its own.
/// Neighbours stay together. No chunk is empty.
pub fn divide(runs: &[PlannedRun], seconds: f64, most: usize) -> Vec<Vec<PlannedRun>> {
    let most = most.max(1);
    let total: f64 = runs.iter().map(time).sum();
    let room = seconds.max(total / most as f64).max(1e-6);
    // As many chunks, but no small one at the end.
    let mut room = total / (total / room).ceil().max(1.0);
    loop {
        let chunks = fill(runs, room);
        if chunks.len() <= most {
            return chunks;
        }
        room *= 1.2;
    }
}

/// The seconds of a run. An estimate of nothing must not make an endless chunk.
fn time(run: &PlannedRun) -> f64 {
    if run.seconds > 1e-6 { run.seconds } else { 1e-6 }
}

/// Chunks of at most `room` seconds, or of one run.
fn fill(runs: &[PlannedRun], room: f64) -> Vec<Vec<PlannedRun>> {
    let mut chunks: Vec<Vec<PlannedRun>> = Vec::new();
    let mut taken = f64::INFINITY;
    for run in runs {
        taken += time(run);
        match chunks.last_mut() {
            // Sums of equal times may be a rounding error too large.
            Some(chunk) if taken <= room * (1.0 + 1e-9) => chunk.push(*run),
            _ => {
                chunks.push(vec![*run]);
                taken = time(run);
            }
        }
    }
    chunks
}

/// A file of a chunk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chunk {
    /// The id of the sweep.
    pub sweep: String,
    /// Its number, from 1.
    pub number: usize,
    /// The estimated seconds of all its runs, one after the other.
    pub seconds: f64,
    /// Its runs by point.
    pub points: Vec<ChunkPoint>,
}

/// Runs of a chunk that share a spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkPoint {
    /// The experiment's name.
    pub experiment: String,
    /// The spec's hash, 16 hexadecimal digits.
    pub spec_hash: String,
    /// The seeds of the runs.
    pub seeds: Vec<u64>,
    /// The resolved spec, TOML.
    pub spec: String,
}

impl Chunk {
    /// The chunk of these runs of `sweep`; `id` is that of its record.
    pub(super) fn of(id: &str, number: usize, sweep: &Sweep, runs: &[PlannedRun]) -> Chunk {
        let mut points = Vec::new();
        for runs in runs.chunk_by(|a, b| a.point == b.point) {
            let experiment = &sweep.points[runs[0].point].experiment;
            points.push(ChunkPoint {
                experiment: experiment.spec.name.clone(),
                spec_hash: experiment.hash.to_string(),
                seeds: runs.iter().map(|run| run.seed).collect(),
                spec: experiment.spec.to_toml(),
            });
        }
        let seconds = runs.iter().map(|run| run.seconds).sum();
        Chunk { sweep: id.to_owned(), number, seconds, points }
    }

    /// Writes it below the folder of its sweep.
    pub(super) fn write(&self, folder: &Path) -> Result<(), StoreError> {
        let path = path_of(folder, self.number);
        let text = seal(self).map_err(|error| StoreError::unwritable(&path, error))?;
        atomic::write_synced(&path, text.as_bytes())
    }

    /// The chunk with this number of the sweep `id`, whose folder is `folder`.
    ///
    /// # Errors
    /// [`StoreError`] if it is missing, damaged, or of another sweep.
    pub fn read(folder: &Path, id: &str, number: usize) -> Result<Chunk, StoreError> {
        let path = path_of(folder, number);
        let damaged = |what: String| StoreError::damaged(&path, what);
        let (chunk, sealed): (Chunk, bool) = unseal(&read(&path)?).map_err(damaged)?;
        if !sealed {
            return Err(damaged("its seal is missing".to_owned()));
        }
        if (&*chunk.sweep, chunk.number) != (id, number) {
            let Chunk { sweep, number, .. } = chunk;
            return Err(damaged(format!("it is chunk {number} of the sweep {sweep}")));
        }
        Ok(chunk)
    }

    /// The experiments of its points. Their specs have the seeds of the whole sweep, and are stored
    /// so; the seeds of this chunk are in [`Chunk::points`].
    ///
    /// # Errors
    /// Says which spec this program reads differently from the one that wrote it.
    pub fn experiments(&self) -> Result<Vec<Experiment>, String> {
        let experiment = |point: &ChunkPoint| {
            let origin = format!("chunk {} of the sweep {}", self.number, self.sweep);
            let spec = Spec::parse(&point.spec, &origin).map_err(|error| error.to_string())?;
            let found = Experiment::stored(spec, &origin).map_err(|error| error.to_string())?;
            match found.hash.to_string() == point.spec_hash {
                true => Ok(found),
                false => Err(format!(
                    "{origin}: its spec {} has the hash {} in this version; use the program that \
                     wrote the sweep",
                    point.spec_hash, found.hash
                )),
            }
        };
        self.points.iter().map(experiment).collect()
    }

    /// The folders of its runs.
    ///
    /// # Errors
    /// [`StoreError`] if a name or hash is impossible.
    pub fn runs(&self, store: &Store) -> Result<Vec<RunDir>, StoreError> {
        let of = |p: &ChunkPoint| runs_of(store, &p.experiment, &p.spec_hash, &p.seeds);
        Ok(self.points.iter().map(of).collect::<Result<Vec<_>, _>>()?.concat())
    }
}

fn path_of(folder: &Path, number: usize) -> PathBuf {
    folder.join("chunks").join(format!("{number:05}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(seconds: &[f64]) -> Vec<PlannedRun> {
        let run = |(at, &seconds)| PlannedRun { point: at, seed: 0, seconds };
        seconds.iter().enumerate().map(run).collect()
    }

    fn sizes(seconds: &[f64], each: f64, most: usize) -> Vec<usize> {
        divide(&runs(seconds), each, most).iter().map(Vec::len).collect()
    }

    #[test]
    fn chunks_take_about_the_same_time() {
        assert_eq!(sizes(&[1.0; 10], 5.0, 1000), [5, 5]);
        // Three of 4 seconds, not two of 5 and one of 2.
        assert_eq!(sizes(&[1.0; 12], 5.0, 1000), [4, 4, 4]);
        assert_eq!(sizes(&[9.0, 3.0, 3.0, 3.0], 9.0, 1000), [1, 3]);
        // A run is never divided, whatever it takes.
        assert_eq!(sizes(&[100.0, 1.0, 1.0], 10.0, 1000), [1, 2]);
        assert_eq!(sizes(&[1.0; 10], 0.1, 4).len(), 4);
        assert_eq!(sizes(&[2.0, 2.0, 1.0, 1.0], 0.1, 1000), [1; 4]);
    }

    #[test]
    fn every_run_is_in_one_chunk_in_order_whatever_is_estimated() {
        for seconds in [&[0.0; 7][..], &[f64::NAN, 1.0, 0.0, 2e9], &[1e-300; 5], &[3.0], &[]] {
            for (each, most) in [(0.0, 3), (1.0, 1), (1e9, 1000), (1.0, 0)] {
                let chunks = divide(&runs(seconds), each, most);
                let points: Vec<usize> = chunks.concat().iter().map(|run| run.point).collect();
                assert_eq!(points, (0..seconds.len()).collect::<Vec<_>>());
                assert!(chunks.len() <= most.max(1) && chunks.iter().all(|c| !c.is_empty()));
            }
        }
    }

    #[test]
    fn a_chunk_reads_back_and_holds_its_specs() {
        let text = "name = \"tiny\"\nseeds = 3\n[data]\nkind = \"chain\"\n";
        let sweep = Sweep::parse(text, "mine.toml", &[("model.layers", "1,2")]).unwrap();
        let run = |point, seed| PlannedRun { point, seed, seconds: 2.0 };
        let chunk = Chunk::of("id", 7, &sweep, &[run(0, 2), run(1, 0), run(1, 1)]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("chunks")).unwrap();
        chunk.write(folder.path()).unwrap();
        assert_eq!(Chunk::read(folder.path(), "id", 7).unwrap(), chunk);
        let error = Chunk::read(folder.path(), "other", 7).unwrap_err().to_string();
        assert!(error.contains("it is chunk 7 of the sweep id"), "{error}");
        let experiments = chunk.experiments().unwrap();
        let seeds = chunk.points.iter().map(|point| point.seeds.clone()).collect::<Vec<_>>();
        assert_eq!(seeds, [vec![2], vec![0, 1]]);
        // The stored spec of a run is that of the whole sweep.
        assert_eq!(experiments[1].spec, sweep.points[1].experiment.spec);
        assert_eq!(experiments[1].hash, sweep.points[1].experiment.hash);
        assert_eq!((chunk.points.len(), chunk.seconds), (2, 6.0));
        let mut other = chunk;
        other.points[0].spec_hash = "0123456789abcdef".to_owned();
        assert!(other.experiments().unwrap_err().contains("use the program that wrote"));
    }
}
