//! The record of a sweep, `OUT/sweeps/<id>/sweep.json`: its runs, when and how they were started.
//! The results of the runs are in the store alone.
//!
//! A record never changes once it is written. What changes while a cluster works stands in other
//! files of the same folder.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::Sweep;
use crate::experiment::Experiment;
use crate::spec::SpecHash;
use crate::store::{RunDir, Status, Store, StoreError, atomic, read, seal, unseal};

/// The folder of all sweeps below the output folder.
const SWEEPS: &str = "sweeps";
const RECORD: &str = "sweep.json";

/// How the runs of a sweep are started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Launcher {
    /// By the process that wrote the record.
    Local,
    /// As jobs of Slurm.
    Slurm,
    /// By the user, with one shell command for each chunk of runs.
    Commands,
}

impl Launcher {
    /// Its name, in files and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Launcher::Local => "local",
            Launcher::Slurm => "slurm",
            Launcher::Commands => "commands",
        }
    }
}

/// The content of `sweep.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepRecord {
    /// The name of its folder: the time to the millisecond, and four hexadecimal digits. Ids sort
    /// by time.
    pub id: String,
    /// When it was written, RFC 3339 in UTC.
    pub created: String,
    /// Version of the program.
    pub version: String,
    /// Commit of the build, if known.
    pub commit: Option<String>,
    /// The command line, the program first.
    pub command: Vec<String>,
    /// How its runs are started.
    pub launcher: Launcher,
    /// The swept keys.
    pub keys: Vec<String>,
    /// Its runs: every point with every seed.
    pub points: Vec<RecordedPoint>,
}

/// The runs of one point of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedPoint {
    /// The experiment's name.
    pub experiment: String,
    /// The spec's hash, 16 hexadecimal digits.
    pub spec_hash: String,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The estimated seconds of one run on the machine that wrote the record, if that is known.
    pub seconds: Option<f64>,
}

/// The numbers of runs by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct SweepProgress {
    /// Runs to their last epoch.
    pub complete: usize,
    /// Runs whose loss became NaN or infinite.
    pub diverged: usize,
    /// Runs that another error ended, or whose manifest cannot be read.
    pub failed: usize,
    /// Runs that have begun and not ended. A killed run stays among them until it is resumed.
    pub running: usize,
    /// Runs that were interrupted; they can be resumed.
    pub unfinished: usize,
    /// Runs that have not begun.
    pub new: usize,
}

impl SweepProgress {
    /// All runs.
    pub fn total(&self) -> usize {
        self.ended() + self.failed + self.running + self.unfinished + self.new
    }

    /// Runs that need no more work: complete, or diverged.
    pub fn ended(&self) -> usize {
        self.complete + self.diverged
    }

    /// Counts a run of this status; `None` if it has not begun.
    pub fn add(&mut self, status: Option<Status>) {
        *match status {
            None => &mut self.new,
            Some(Status::Complete) => &mut self.complete,
            Some(Status::Diverged) => &mut self.diverged,
            Some(Status::Failed) => &mut self.failed,
            Some(Status::Running) => &mut self.running,
            Some(Status::Interrupted) => &mut self.unfinished,
        } += 1;
    }
}

/// The status of a run; `None` if it has not begun. A run whose manifest cannot be read would fail.
pub fn status_of(run: &RunDir) -> Option<Status> {
    run.status().unwrap_or(Some(Status::Failed))
}

impl SweepRecord {
    /// The record of `sweep`, which this process starts now. `seconds` is the estimate for a run of
    /// each point.
    pub fn new(
        sweep: &Sweep,
        launcher: Launcher,
        command: Vec<String>,
        seconds: impl Fn(usize) -> Option<f64>,
    ) -> SweepRecord {
        let experiments = sweep.points.iter().map(|point| &point.experiment);
        SweepRecord::of(experiments, sweep.keys.clone(), launcher, command, seconds)
    }

    /// The record of some experiments, such as those of a figure, which this process starts now;
    /// those named twice once.
    pub fn of<'e>(
        experiments: impl IntoIterator<Item = &'e Experiment>,
        keys: Vec<String>,
        launcher: Launcher,
        command: Vec<String>,
        seconds: impl Fn(usize) -> Option<f64>,
    ) -> SweepRecord {
        let mut points: Vec<RecordedPoint> = Vec::new();
        let mut places: HashMap<(String, String), usize> = HashMap::new();
        for (at, experiment) in experiments.into_iter().enumerate() {
            let (name, hash) = (experiment.spec.name.clone(), experiment.hash.to_string());
            let seeds = &experiment.spec.seeds;
            match places.entry((name.clone(), hash.clone())) {
                Entry::Occupied(place) => {
                    let known = &mut points[*place.get()].seeds;
                    let new = seeds.iter().filter(|seed| !known.contains(seed));
                    let new: Vec<u64> = new.copied().collect();
                    known.extend(new);
                }
                Entry::Vacant(place) => {
                    place.insert(points.len());
                    points.push(RecordedPoint {
                        experiment: name,
                        spec_hash: hash,
                        seeds: seeds.clone(),
                        seconds: seconds(at),
                    });
                }
            }
        }
        let now = SystemTime::now();
        SweepRecord {
            id: id(now),
            created: created(now),
            version: crate::VERSION.to_owned(),
            commit: crate::COMMIT.map(str::to_owned),
            command,
            launcher,
            keys,
            points,
        }
    }

    /// Writes it below `out`, unless the newest record there is of the same runs by the same
    /// launcher: a command that resumes.
    ///
    /// # Errors
    /// As [`write`](SweepRecord::write).
    pub fn write_once(&self, out: &Path) -> Result<(), StoreError> {
        let newest = SweepRecord::list(out)?.into_iter().next();
        // One that cannot be read is of another sweep.
        let newest = newest.and_then(|id| SweepRecord::read(out, &id).ok());
        match newest.is_some_and(|newest| newest.is_same(self)) {
            true => Ok(()),
            false => self.write(out, |_| Ok(())),
        }
    }

    /// Whether both are the same runs by the same launcher.
    pub fn is_same(&self, other: &SweepRecord) -> bool {
        let runs = |record: &SweepRecord| {
            let points = record.points.iter();
            let run =
                |p: &RecordedPoint| (p.experiment.clone(), p.spec_hash.clone(), p.seeds.clone());
            points.map(run).collect::<Vec<_>>()
        };
        self.launcher == other.launcher && runs(self) == runs(other)
    }

    /// The folder of this sweep below `out`.
    pub fn folder(&self, out: &Path) -> PathBuf {
        folder_of(out, &self.id)
    }

    /// Makes the folder of this sweep below `out`, with the record and what `fill` writes into it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written, or is already there.
    pub fn write(
        &self,
        out: &Path,
        fill: impl FnOnce(&Path) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let sweeps = out.join(SWEEPS);
        if fs::symlink_metadata(&sweeps).is_ok_and(|metadata| metadata.is_symlink()) {
            return Err(StoreError::Linked { path: sweeps });
        }
        fs::create_dir_all(&sweeps).map_err(StoreError::io("create", &sweeps))?;
        let folder = self.folder(out);
        if folder.exists() {
            let error = io::ErrorKind::AlreadyExists.into();
            return Err(StoreError::io("create", &folder)(error));
        }
        atomic::write_folder(&folder, |inside| {
            fill(inside)?;
            let path = inside.join(RECORD);
            let text = seal(self).map_err(|error| StoreError::unwritable(&path, error))?;
            atomic::write_synced(&path, text.as_bytes())
        })
    }

    /// The record of the sweep `id` below `out`.
    ///
    /// # Errors
    /// [`StoreError`] if it is missing or damaged, or `id` is no id.
    pub fn read(out: &Path, id: &str) -> Result<SweepRecord, StoreError> {
        if !is_id(id) {
            // A path that leads elsewhere, perhaps.
            let path = out.join(SWEEPS);
            return Err(StoreError::damaged(&path, format!("no sweep can be called {id:?}")));
        }
        let path = folder_of(out, id).join(RECORD);
        let damaged = |what: String| StoreError::damaged(&path, what);
        let (record, sealed): (SweepRecord, bool) = unseal(&read(&path)?).map_err(damaged)?;
        if !sealed {
            return Err(damaged("its seal is missing".to_owned()));
        }
        if record.id != id {
            return Err(damaged(format!("it is the record of the sweep {}", record.id)));
        }
        Ok(record)
    }

    /// The ids of all sweeps below `out`, the newest first.
    ///
    /// # Errors
    /// [`StoreError`] if the folder cannot be read.
    pub fn list(out: &Path) -> Result<Vec<String>, StoreError> {
        let sweeps = out.join(SWEEPS);
        let entries = match fs::read_dir(&sweeps) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::io("read", &sweeps)(error)),
        };
        let mut ids = Vec::new();
        for entry in entries {
            let entry = entry.map_err(StoreError::io("read", &sweeps))?;
            ids.extend(entry.file_name().into_string().ok().filter(|name| is_id(name)));
        }
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// The folders of its runs in `store`, point by point.
    ///
    /// # Errors
    /// [`StoreError`] if a name or hash of the record is impossible.
    pub fn runs(&self, store: &Store) -> Result<Vec<RunDir>, StoreError> {
        let of = |p: &RecordedPoint| runs_of(store, &p.experiment, &p.spec_hash, &p.seeds);
        Ok(self.points.iter().map(of).collect::<Result<Vec<_>, _>>()?.concat())
    }

    /// How far its runs are.
    ///
    /// # Errors
    /// As [`SweepRecord::runs`].
    pub fn progress(&self, store: &Store) -> Result<SweepProgress, StoreError> {
        let mut progress = SweepProgress::default();
        self.runs(store)?.iter().for_each(|run| progress.add(status_of(run)));
        Ok(progress)
    }
}

/// The folders of the runs of one point of a file with sweeps.
pub(crate) fn runs_of(
    store: &Store,
    experiment: &str,
    spec_hash: &str,
    seeds: &[u64],
) -> Result<Vec<RunDir>, StoreError> {
    let hash = spec_hash.parse::<SpecHash>();
    let hash = hash.map_err(|error| StoreError::damaged(Path::new(SWEEPS), error))?;
    seeds.iter().map(|&seed| store.run_dir(experiment, hash, seed)).collect()
}

fn folder_of(out: &Path, id: &str) -> PathBuf {
    out.join(SWEEPS).join(id)
}

/// RFC 3339 to the millisecond; a wrong clock gives a time from 1970 to 9999, which can be written.
fn created(now: SystemTime) -> String {
    const LAST_SECOND: u64 = 253_402_300_799;
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(LAST_SECOND);
    let now = now.clamp(SystemTime::UNIX_EPOCH, last);
    humantime::format_rfc3339_millis(now).to_string()
}

/// `20261127-161142-483-3f9a`: the digits tell sweeps of one millisecond apart.
fn id(now: SystemTime) -> String {
    let time: String = created(now)
        .chars()
        .filter_map(|c| match c {
            'T' | '.' => Some('-'),
            c => c.is_ascii_digit().then_some(c),
        })
        .collect();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let digest = Sha256::digest(format!("{host} {} {now:?}", process::id()));
    format!("{time}-{:02x}{:02x}", digest[0], digest[1])
}

fn is_id(text: &str) -> bool {
    let is_digits = |part: &str, count| {
        part.len() == count && part.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
    };
    let parts: Vec<&str> = text.split('-').collect();
    parts.len() == 4 && parts.iter().zip([8, 6, 3, 4]).all(|(part, count)| is_digits(part, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep() -> Sweep {
        let text = "name = \"tiny\"\nseeds = 3\n[data]\nkind = \"chain\"\n";
        Sweep::parse(text, "mine.toml", &[("model.layers", "1,2")]).unwrap()
    }

    fn record() -> SweepRecord {
        let command = vec!["retrodict".to_owned(), "run".to_owned()];
        SweepRecord::new(&sweep(), Launcher::Slurm, command, |at| (at == 1).then_some(0.25))
    }

    #[test]
    fn records_are_written_listed_and_read() {
        let out = tempfile::tempdir().unwrap();
        assert_eq!(SweepRecord::list(out.path()).unwrap(), [""; 0]);
        let older = record();
        older.write(out.path(), |_| Ok(())).unwrap();
        std::thread::sleep(Duration::from_millis(2));
        let newer = record();
        let fill = |inside: &Path| atomic::write_synced(&inside.join("chunks.json"), b"{}");
        newer.write(out.path(), fill).unwrap();
        fs::write(out.path().join("sweeps/notes.txt"), "mine").unwrap();
        assert_eq!(SweepRecord::list(out.path()).unwrap(), [newer.id.clone(), older.id]);
        assert_eq!(SweepRecord::read(out.path(), &newer.id).unwrap(), newer);
        assert!(newer.folder(out.path()).join("chunks.json").is_file());
        // A folder of the same name is never replaced.
        let error = newer.write(out.path(), |_| Ok(())).unwrap_err().to_string();
        assert!(error.starts_with("cannot create "), "{error}");
    }

    #[test]
    fn damage_other_ids_and_paths_are_refused() {
        let out = tempfile::tempdir().unwrap();
        let record = record();
        record.write(out.path(), |_| Ok(())).unwrap();
        let path = record.folder(out.path()).join(RECORD);
        let text = fs::read_to_string(&path).unwrap();
        let other = "20261127-161142-483-3f9a";
        fs::rename(record.folder(out.path()), out.path().join(SWEEPS).join(other)).unwrap();
        let refused = |id: &str| SweepRecord::read(out.path(), id).unwrap_err().to_string();
        assert!(refused(other).contains("it is the record of the sweep"), "{}", refused(other));
        let path = out.path().join(SWEEPS).join(other).join(RECORD);
        fs::write(&path, text.replace("\"slurm\"", "\"local\"")).unwrap();
        assert!(refused(other).contains("is damaged"), "{}", refused(other));
        for id in ["", "..", "../runs", "20261127-161142-483-3f9a/..", "20261127-161142-483-3F9A"] {
            assert!(refused(id).contains("no sweep can be called"), "{}", refused(id));
        }
    }

    #[test]
    fn progress_counts_every_run_once() {
        let out = tempfile::tempdir().unwrap();
        let store = Store::open(out.path()).unwrap();
        let record = record();
        assert_eq!(record.runs(&store).unwrap().len(), 6);
        let new = SweepProgress { new: 6, ..SweepProgress::default() };
        assert_eq!(record.progress(&store).unwrap(), new);
        assert_eq!((new.total(), new.ended()), (6, 0));
        let mut one_each = SweepProgress::default();
        let all = [
            Status::Running,
            Status::Complete,
            Status::Diverged,
            Status::Failed,
            Status::Interrupted,
        ];
        all.map(Some).into_iter().chain([None]).for_each(|status| one_each.add(status));
        let expected = SweepProgress {
            complete: 1,
            diverged: 1,
            failed: 1,
            running: 1,
            unfinished: 1,
            new: 1,
        };
        assert_eq!((one_each, one_each.total(), one_each.ended()), (expected, 6, 2));
    }

    #[test]
    fn ids_sort_by_time_and_a_wrong_clock_gives_one() {
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let [early, late, last] = [1, 1_800_000_000, u64::from(u32::MAX) * 1000].map(at).map(id);
        assert!(early < late && late < last, "{early} {late} {last}");
        assert!([&early, &late, &last].iter().all(|id| is_id(id)), "{early} {late} {last}");
        assert!(early.starts_with("19700101-000001-000-"), "{early}");
    }
}
