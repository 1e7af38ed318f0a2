//! Packed runs: many small runs in a few files, `OUT/segments/*.runs`. Each process that trains a
//! sweep appends to a segment of its own; a run is in it once its record is on disk. Of several
//! records of one run the complete one counts, or else the newest.

mod known;
mod record;
mod segment;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::StoreError;
use crate::spec::SpecHash;

pub(crate) use known::{PackedKeys, PackedRun};
pub(crate) use record::{Files, Header};

use known::Known;
use record::Summary;
use segment::{Base, SUFFIX, SegmentWriter, scan, write_heads};

/// A segment is followed by another from this size on.
const FULL: u64 = 256 << 20;

/// The packed runs of a store.
#[derive(Debug)]
pub(crate) struct Packs {
    folder: PathBuf,
    known: Mutex<Known>,
    writer: Mutex<Option<SegmentWriter>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whatever a panic interrupted, each value is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Packs {
    /// The packs below `out`; reads nothing yet.
    pub(crate) fn of(out: &Path) -> Packs {
        let folder = out.join("segments");
        Packs { folder, known: Mutex::default(), writer: Mutex::default() }
    }

    /// The run, if it is packed.
    ///
    /// # Errors
    /// [`StoreError`] if the folder cannot be read.
    pub(crate) fn find(
        &self,
        experiment: &str,
        hash: SpecHash,
        seed: u64,
    ) -> Result<Option<Arc<PackedRun>>, StoreError> {
        let known = self.refreshed()?;
        let places = known.by_key.get(&(hash, seed)).into_iter().flatten();
        let mut runs = places.map(|at| &known.runs[*at]);
        Ok(runs.find(|run| *run.experiment == *experiment).map(Arc::clone))
    }

    /// All packed runs.
    ///
    /// # Errors
    /// [`StoreError`] if the folder cannot be read.
    pub(crate) fn all(&self) -> Result<Vec<Arc<PackedRun>>, StoreError> {
        Ok(self.refreshed()?.runs.clone())
    }

    /// The damage of each damaged segment: the records before it count.
    ///
    /// # Errors
    /// [`StoreError`] if the folder cannot be read.
    pub(crate) fn damages(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.refreshed()?.damaged.values().cloned().collect())
    }

    /// Reads what other processes have appended.
    fn refreshed(&self) -> Result<MutexGuard<'_, Known>, StoreError> {
        let mut known = lock(&self.known);
        let paths = segments(&self.folder)?;
        if known.segments.keys().any(|known| paths.binary_search(&known.to_path_buf()).is_err()) {
            // Another process has compacted them: their records are elsewhere.
            *known = Known::default();
        }
        for path in paths {
            let before = known.segments.get(&*path).cloned();
            if known.damaged.contains_key(&*path) {
                continue;
            }
            let length = fs::metadata(&path).map(|metadata| metadata.len());
            if before.as_ref().is_some_and(|before| length.is_ok_and(|n| n == before.end)) {
                continue;
            }
            let path: Arc<Path> = path.into();
            let mut error = None;
            let read = scan(&path, before.as_ref(), |found| {
                error = error.take().or(known.add(found).err());
            });
            let read = read.and_then(|scanned| match error {
                Some(what) => Err(StoreError::damaged(&path, what)),
                None => Ok(scanned),
            });
            match read {
                Ok(Some(scanned)) => {
                    known.segments.insert(path, scanned);
                }
                Ok(None) => {}
                // One damaged file must not hide the others.
                Err(error) => {
                    known.damaged.insert(path, error.to_string());
                }
            }
        }
        Ok(known)
    }

    /// Appends a run with its files. It counts for other processes at once, and is safe once
    /// [`Packs::sync`] has returned. `keys` are those of its spec that apply, in TOML; `measure`
    /// gives the measure of an id.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub(crate) fn append(
        &self,
        header: Header,
        keys: BTreeMap<String, String>,
        measure: impl Fn(&str) -> Option<f64>,
        files: &Files,
    ) -> Result<(), StoreError> {
        self.append_with(
            |base| {
                let header = Header { changes: base.changes(&keys), ..header.clone() };
                let measures = base.measures.iter().map(|id| measure(id)).collect();
                Summary { header, measures }
            },
            &keys,
            |summary| summary.record(files),
        )
    }

    /// Appends a record: of a summary for the base of the segment, with its bytes.
    fn append_with(
        &self,
        summary: impl Fn(&Base) -> Summary,
        keys: &BTreeMap<String, String>,
        record: impl Fn(&Summary) -> Result<Vec<u8>, String>,
    ) -> Result<(), StoreError> {
        let base = {
            let mut writer = lock(&self.writer);
            if let Some(full) = writer.take_if(|writer| writer.len() >= FULL) {
                finish(full)?;
            }
            if writer.is_none() {
                *writer = Some(SegmentWriter::create(&self.folder, Base::new(keys.clone()))?);
            }
            writer.as_ref().map(|writer| Arc::clone(writer.base()))
        };
        let Some(base) = base else { return Ok(()) };
        // Compressing is most of the work: not under the lock.
        let summary_of = summary(&base);
        let unwritable = |what| StoreError::unwritable(&self.folder, what);
        let bytes = record(&summary_of).map_err(unwritable)?;
        // First what is known, then the writer, as everywhere.
        let mut known = lock(&self.known);
        let mut writer = lock(&self.writer);
        let Some(open) = writer.as_mut().filter(|open| *open.base() == base) else {
            // Another thread has begun another segment in the meantime.
            drop((known, writer));
            return self.append_with(summary, keys, record);
        };
        let found = open.append(summary_of, &bytes)?;
        let path = Arc::clone(open.path());
        known.segments.insert(path, open.scanned());
        known.add(found).map_err(unwritable)
    }

    /// Waits until all that was appended before is on disk.
    ///
    /// # Errors
    /// [`StoreError`] if that fails.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        let open = lock(&self.writer).as_ref().map(|open| (open.handle(), Arc::clone(open.path())));
        let Some((handle, path)) = open else { return Ok(()) };
        let handle = handle?;
        handle.sync_data().map_err(StoreError::io("sync", &path))?;
        match segment::is_removed(&handle) {
            true => Err(StoreError::unwritable(&path, "another process has removed it")),
            false => Ok(()),
        }
    }

    /// Ends the segment of this process, if it has one: the next run begins another.
    ///
    /// # Errors
    /// [`StoreError`] if its index cannot be written.
    pub(crate) fn close(&self) -> Result<(), StoreError> {
        lock(&self.writer).take().map_or(Ok(()), finish)
    }

    /// Writes the runs of all segments that nobody writes into as few as possible, and removes the
    /// old ones. Records that are superseded are left out. Returns the numbers of segments before
    /// and after.
    ///
    /// # Errors
    /// [`StoreError`] if a segment is damaged or cannot be written: then all old ones are kept.
    pub(crate) fn compact(&self) -> Result<(usize, usize), StoreError> {
        let (mut old, mut runs) = {
            let known = self.refreshed()?;
            if let Some(damage) = known.damaged.values().next() {
                return Err(StoreError::unwritable(&self.folder, damage));
            }
            // Also those whose first line was never finished.
            let all = segments(&self.folder)?;
            (all.into_iter().map(Arc::<Path>::from).collect::<Vec<_>>(), known.runs.clone())
        };
        old.retain(|path| segment::has_ended(path));
        runs.retain(|run| old.contains(&run.place.segment));
        runs.sort_by(|a, b| (&a.experiment, a.hash, a.seed).cmp(&(&b.experiment, b.hash, b.seed)));
        let new = Packs {
            folder: self.folder.clone(),
            known: Mutex::default(),
            writer: Mutex::default(),
        };
        for run in &runs {
            let body = run.place.body()?;
            new.append_with(
                |base| run.summary(base),
                &run.lines(),
                |summary| summary.record_of(&body),
            )?;
        }
        new.sync()?;
        new.close()?;
        let written = lock(&new.known).segments.len();
        for path in &old {
            segment::remove(path)?;
        }
        *lock(&self.known) = Known::default();
        Ok((old.len(), written))
    }
}

fn finish(writer: SegmentWriter) -> Result<(), StoreError> {
    writer.handle()?.sync_all().map_err(StoreError::io("sync", writer.path()))?;
    write_heads(&writer)
}

/// The segments in a folder, sorted; none where there is no folder.
fn segments(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(StoreError::io("read", folder)(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(StoreError::io("read", folder))?.path();
        if path.to_str().is_some_and(|path| path.ends_with(SUFFIX)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::expression::Expression;
    use crate::runs::{Query, list};
    use crate::store::manifest::{Kept, Status};
    use crate::store::{Store, atomic};

    /// A store of so many runs: every second one of another spec.
    fn store_of(count: u64, out: &Path) -> Store {
        let store = Store::open(out).unwrap();
        let files = Files::from([("metrics.parquet".to_owned(), vec![7; 100])]);
        for at in 0..count {
            let header = Header {
                experiment: "synthetic".to_owned(),
                hash: SpecHash(at / 2).to_string(),
                seed: at % 2,
                status: Status::Complete,
                kept: Kept::Metrics,
                message: None,
                last: Some((100, 600)),
                changes: BTreeMap::new(),
            };
            let keys = [("model.layers", at / 2 % 24), ("train.epochs", 100)];
            let keys = keys.map(|(key, value)| (key.to_owned(), value.to_string())).into();
            let measure =
                |id: &str| Some(at as f64 + id.len() as f64).filter(|_| id != "asymmetry");
            store.packs().append(header, keys, measure, &files).unwrap();
        }
        store.packs().sync().unwrap();
        store.packs().close().unwrap();
        store
    }

    /// `RETRODICT_LISTED=100000` measures a larger store; `RETRODICT_LISTED_IN` keeps it there.
    #[test]
    fn many_runs_are_listed_and_filtered() {
        let count = std::env::var("RETRODICT_LISTED").map_or(2000, |n| n.parse().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let kept = std::env::var_os("RETRODICT_LISTED_IN").map(PathBuf::from);
        let out = kept.unwrap_or_else(|| folder.path().to_owned());
        drop(store_of(count, &out));
        for condition in [None, Some("model.layers >= 12 and held_out_nll < 1000")] {
            let begun = Instant::now();
            let condition = condition.map(|text| Expression::parse(text).unwrap());
            let query = Query { condition: condition.clone(), ..Query::default() };
            let listing = list(&Store::view(&out).unwrap(), &query).unwrap();
            println!("{} of {count} runs in {:?}", listing.rows.len(), begun.elapsed());
            let names: Vec<_> = listing.columns.iter().map(|c| c.name().to_owned()).collect();
            assert!(names.contains(&"model.layers".to_owned()), "{names:?}");
            assert!(!names.contains(&"train.epochs".to_owned()), "{names:?}");
            match condition {
                None => assert_eq!(listing.rows.len() as u64, count),
                Some(_) => assert!((300..600).contains(&listing.rows.len())),
            }
        }
    }

    #[test]
    fn the_complete_record_counts_or_else_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let put = |status, kept, nll: f64| {
            let header = Header {
                experiment: "a".to_owned(),
                hash: SpecHash(1).to_string(),
                seed: 0,
                status,
                kept,
                message: None,
                last: None,
                changes: BTreeMap::new(),
            };
            let measure = |id: &str| (id == "train_nll").then_some(nll);
            store.packs().append(header, BTreeMap::new(), measure, &Files::new()).unwrap();
        };
        let found = || {
            // By a reader that knows nothing yet, and by the writer.
            let [new, own] = [&Store::view(folder.path()).unwrap(), &store].map(|store| {
                let run = store.packs().find("a", SpecHash(1), 0).unwrap().unwrap();
                (run.status, run.kept, run.measure("train_nll"))
            });
            assert_eq!(new, own);
            new
        };
        put(Status::Failed, Kept::Metrics, 1.0);
        put(Status::Failed, Kept::Metrics, 2.0);
        assert_eq!(found(), (Status::Failed, Kept::Metrics, Some(2.0)));
        put(Status::Complete, Kept::Metrics, 3.0);
        put(Status::Failed, Kept::Probes, 4.0);
        put(Status::Complete, Kept::Metrics, 5.0);
        assert_eq!(found(), (Status::Complete, Kept::Metrics, Some(3.0)));
        put(Status::Complete, Kept::Probes, 6.0);
        assert_eq!(found(), (Status::Complete, Kept::Probes, Some(6.0)));
        assert!(store.packs().find("b", SpecHash(1), 0).unwrap().is_none());
        store.packs().close().unwrap();
        assert_eq!(store.packs().compact().unwrap(), (1, 1));
        assert_eq!(found(), (Status::Complete, Kept::Probes, Some(6.0)));
    }

    #[test]
    fn a_reader_follows_records_that_are_compacted_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        drop(store_of(3, folder.path()));
        let reader = Store::view(folder.path()).unwrap();
        assert_eq!(reader.packs().all().unwrap().len(), 3);
        Store::open(folder.path()).unwrap().packs().compact().unwrap();
        let runs = reader.packs().all().unwrap();
        assert_eq!(runs.len(), 3);
        assert!(runs.iter().all(|run| run.place.files().is_ok()));
    }

    #[test]
    fn an_unfinished_record_is_ignored_and_anything_else_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        store_of(3, folder.path());
        let path = segments(&folder.path().join("segments")).unwrap().remove(0);
        segment::remove(&path.with_extension("none")).unwrap();
        let whole = fs::read(&path).unwrap();
        let listed = |bytes: &[u8]| {
            segment::remove(&path).unwrap();
            atomic::write(&path, bytes).unwrap();
            let store = Store::view(folder.path()).unwrap();
            (store.packs().all().unwrap().len(), store.damages().unwrap().len())
        };
        assert_eq!(listed(&whole), (3, 0));
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let mut counts = std::collections::BTreeSet::new();
        for end in (0..whole.len()).step_by(7) {
            let (runs, damages) = listed(&whole[..end]);
            assert_eq!(damages, 0, "cut at {end}");
            assert!(end >= first || runs == 0);
            counts.insert(runs);
        }
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [0, 1, 2]);
        for at in (0..first).chain(first + 20..first + 400).step_by(11) {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            assert_eq!(listed(&bytes).1, 1, "byte {at}");
        }
    }
}
