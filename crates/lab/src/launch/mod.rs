//! Sweeps that other processes make: on the nodes of a cluster, or wherever the user runs a command.
//!
//! The runs are divided into chunks of about equal time. Everything that a process needs to make a
//! chunk is in the folder of the sweep, which all machines share:
//!
//! ```text
//! OUT/sweeps/retrodict-<digest>   the program
//! OUT/sweeps/<id>/
//!   sweep.json                    the record of the sweep
//!   launch.json                   the number of chunks, and options of the engine
//!   chunks/00001.json             resolved specs and seeds
//!   logs/chunk-00001.txt          the output of the processes that made it
//!   job.sh or commands.txt        the launcher's own file
//!   CANCELLED                     the user has cancelled the sweep
//! ```
//!
//! A process writes its results into the run store, where claims keep two of them from writing the
//! same run. The state of a sweep is read from the store and from the engine's queue: no file has to
//! be kept up to date.

mod chunks;
pub mod commands;
pub mod slurm;
mod tracker;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use chunks::{Chunk, ChunkPoint, PlannedRun, divide};
pub use tracker::Tracker;

use crate::store::{Kept, StoreError, atomic, read, seal, unseal};
use crate::sweep::{Sweep, SweepRecord};

const LAUNCH: &str = "launch.json";
const CANCELLED: &str = "CANCELLED";

/// The content of `launch.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Launch {
    /// The number of chunks; they are numbered from 1.
    pub chunks: usize,
    /// The most chunks that may be made at a time, where there is a limit.
    pub max_jobs: Option<usize>,
    /// Options of the user for `sbatch`.
    pub sbatch: Vec<String>,
    /// The files of each run to keep.
    pub keep: Kept,
}

/// A sweep in its folder, with its chunks.
#[derive(Debug, Clone)]
pub struct Launched {
    /// The record.
    pub record: SweepRecord,
    /// The folder of the sweep.
    pub folder: PathBuf,
    /// How it was launched.
    pub launch: Launch,
}

impl Launched {
    /// Writes `sweep` with its chunks below `out`. `file` is the launcher's own file: its name, and
    /// its text for the command that makes a chunk ([`Command`]).
    ///
    /// # Errors
    /// [`StoreError`] if something cannot be written.
    pub fn write(
        out: &Path,
        sweep: &Sweep,
        record: SweepRecord,
        chunks: &[Vec<PlannedRun>],
        launch: Launch,
        (name, text): (&str, impl FnOnce(&Command) -> String),
    ) -> Result<Launched, StoreError> {
        let command = Command::of(out, &record)?;
        record.write(out, |inside| {
            for folder in ["chunks", "logs"].map(|name| inside.join(name)) {
                fs::create_dir(&folder).map_err(StoreError::io("create", &folder))?;
            }
            for (at, runs) in chunks.iter().enumerate() {
                Chunk::of(&record.id, at + 1, sweep, runs).write(inside)?;
            }
            let path = inside.join(LAUNCH);
            let sealed = seal(&launch).map_err(|error| StoreError::unwritable(&path, error))?;
            atomic::write_synced(&path, sealed.as_bytes())?;
            atomic::write_synced(&inside.join(name), text(&command).as_bytes())
        })?;
        Ok(Launched { folder: command.folder, record, launch })
    }

    /// The sweep of `record` below `out`; `None` if it was launched without chunks.
    ///
    /// # Errors
    /// [`StoreError`] if a file is damaged.
    pub fn read(out: &Path, record: SweepRecord) -> Result<Option<Launched>, StoreError> {
        let folder = record.folder(out);
        let folder = fs::canonicalize(&folder).map_err(StoreError::io("read", &folder))?;
        let path = folder.join(LAUNCH);
        if !path.exists() {
            return Ok(None);
        }
        let damaged = |what: String| StoreError::damaged(&path, what);
        let (launch, sealed): (Launch, bool) = unseal(&read(&path)?).map_err(damaged)?;
        if !sealed {
            return Err(damaged("its seal is missing".to_owned()));
        }
        Ok(Some(Launched { record, folder, launch }))
    }

    /// All chunks.
    ///
    /// # Errors
    /// [`StoreError`] if one is missing or damaged.
    pub fn chunks(&self) -> Result<Vec<Chunk>, StoreError> {
        (1..=self.launch.chunks).map(|n| Chunk::read(&self.folder, &self.record.id, n)).collect()
    }

    /// Whether the user has cancelled it.
    pub fn is_cancelled(&self) -> bool {
        self.folder.join(CANCELLED).exists()
    }

    /// Marks it as cancelled: no chunk is submitted again.
    ///
    /// # Errors
    /// [`StoreError`] if the mark cannot be written.
    pub fn cancel(&self) -> Result<(), StoreError> {
        atomic::write(&self.folder.join(CANCELLED), b"")
    }

    /// The log of a chunk.
    pub fn log(&self, chunk: usize) -> PathBuf {
        self.folder.join("logs").join(format!("chunk-{chunk:05}.txt"))
    }
}

/// The command that makes a chunk, with absolute paths.
#[derive(Debug, Clone)]
pub struct Command {
    program: PathBuf,
    out: PathBuf,
    folder: PathBuf,
    id: String,
}

impl Command {
    fn of(out: &Path, record: &SweepRecord) -> Result<Command, StoreError> {
        let out = fs::canonicalize(out).map_err(StoreError::io("read", out))?;
        let sweeps = out.join("sweeps");
        fs::create_dir_all(&sweeps).map_err(StoreError::io("create", &sweeps))?;
        let program = copy_program(&sweeps)?;
        Ok(Command { program, folder: record.folder(&out), id: record.id.clone(), out })
    }

    /// The id of the sweep.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The command as a line of a shell. `chunk` and `options` are not quoted.
    pub fn line(&self, chunk: &str, options: &str) -> String {
        let [program, out] = [&self.program, &self.out].map(|path| shell_quoted(path));
        format!("{program} sweep work {out} {} {chunk}{options}", self.id)
    }

    /// The folder of logs, quoted for a shell.
    pub fn logs(&self) -> String {
        shell_quoted(&self.folder.join("logs"))
    }
}

/// A path as one word of a POSIX shell.
fn shell_quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+');
    if text.chars().all(plain) {
        return text.into_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Copies this program beside the sweeps, unless it is there: other machines need not have it, and
/// a build in the meantime does not change the sweep.
fn copy_program(sweeps: &Path) -> Result<PathBuf, StoreError> {
    let here = std::env::current_exe().map_err(StoreError::io("find", Path::new("retrodict")))?;
    let read = |path: &Path| {
        let mut digest = Sha256::new();
        File::open(path).and_then(|mut file| io::copy(&mut file, &mut Writer(&mut digest)))?;
        Ok(digest.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    let name = format!("retrodict-{}", read(&here).map_err(StoreError::io("read", &here))?);
    let path = sweeps.join(&name);
    if !path.is_file() {
        let temporary = sweeps.join(format!(".{name}.tmp-{}", process::id()));
        fs::copy(&here, &temporary)
            .and_then(|_| File::open(&temporary)?.sync_all())
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(StoreError::io("write", &path))?;
    }
    Ok(path)
}

/// Feeds what is written to a digest.
struct Writer<'a>(&'a mut Sha256);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_single_words_of_a_shell() {
        for (path, quoted) in [
            ("/data/out-1/x_y.z", "/data/out-1/x_y.z"),
            ("/my data/$(rm)", "'/my data/$(rm)'"),
            ("/it's", r"'/it'\''s'"),
            ("/a\nb", "'/a\nb'"),
        ] {
            assert_eq!(shell_quoted(Path::new(path)), quoted);
        }
    }
}
