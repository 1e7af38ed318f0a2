//! `manifest.json`: program, machine and times of a run, and how it ended.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, SystemTime};

use retrodict_engine::Isa;
use serde::{Deserialize, Serialize};

use super::{atomic, error::StoreError, read::read, sealed};

/// The last second of the year 9999, from 1970 on.
const LAST_SECOND: u64 = 253_402_300_799;

/// The state of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It has begun. A killed run keeps this status; only a running one is locked.
    Running,
    /// It ran to its last epoch.
    Complete,
    /// Its loss became NaN or infinite.
    Diverged,
    /// Another error ended it.
    Failed,
    /// The user ended it; it can be resumed.
    Interrupted,
}

impl Status {
    /// Its name, in files and tables.
    pub fn word(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Complete => "complete",
            Status::Diverged => "diverged",
            Status::Failed => "failed",
            Status::Interrupted => "interrupted",
        }
    }
}

/// The files of a run that are kept beside its spec, manifest, metrics and answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kept {
    /// No others.
    Metrics,
    /// Probes.
    Probes,
    /// Probes, and the checkpoints that its spec has.
    #[default]
    All,
}

impl Kept {
    pub(crate) fn is_all(&self) -> bool {
        *self == Kept::All
    }
}

/// The machine that a run ran on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The processor's name.
    pub cpu: String,
    /// Cores that the process could use.
    pub cores: usize,
    /// The operating system.
    pub os: String,
    /// The instruction set that the kernels used.
    pub isa: String,
    /// The GPU that the run was trained on, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<String>,
}

impl Machine {
    /// This machine.
    pub fn here() -> Self {
        // Of thousands of short runs each has it.
        static HERE: OnceLock<Machine> = OnceLock::new();
        HERE.get_or_init(Machine::read).clone()
    }

    fn read() -> Self {
        Self {
            cpu: cpu_name().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: thread::available_parallelism().map_or(1, |cores| cores.get()),
            os: std::env::consts::OS.to_owned(),
            isa: Isa::detect().to_string(),
            gpu: None,
        }
    }
}

/// The seeds of a run, every default filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSeeds {
    /// The run's seed.
    pub run: u64,
    /// The seed of the data set.
    pub data: u64,
    /// The seed of the initial weights.
    pub init: u64,
    /// The seed of the order of batches, and of dropout.
    pub order: u64,
}

/// A part of a run that one program made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The step that it resumed from.
    pub from_step: u64,
    /// The program.
    pub version: String,
    /// Its commit, if known.
    pub commit: Option<String>,
    /// Its instruction set.
    pub isa: String,
}

/// The content of `manifest.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the program.
    pub version: String,
    /// Commit of the build, if known.
    pub commit: Option<String>,
    /// Parts of the run by step, where more than one program or instruction set made it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Part>,
    /// The experiment's name.
    pub experiment: String,
    /// The spec's hash, 16 hexadecimal digits.
    pub spec_hash: String,
    /// Hash of the shorter run that this one extends, 16 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continued_from: Option<String>,
    /// `f32`, `bf16` or `f64`; empty in early versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub precision: String,
    /// The run's seeds.
    pub seeds: RunSeeds,
    /// The machine.
    pub machine: Machine,
    /// When it began, RFC 3339 in UTC.
    pub start: String,
    /// When it ended, RFC 3339 in UTC.
    pub end: Option<String>,
    /// Seconds that it ran, including earlier parts if it was resumed.
    pub wall_seconds: f64,
    /// The average time of a step in milliseconds, without evaluation and writing.
    pub ms_per_step: Option<f64>,
    /// Its state.
    pub status: Status,
    /// Steps taken.
    pub last_step: u64,
    /// Why it did not complete.
    pub message: Option<String>,
    /// The files that were kept.
    #[serde(default, skip_serializing_if = "Kept::is_all")]
    pub kept: Kept,
}

impl Manifest {
    /// Writes it to `path` atomically, sealed.
    pub fn write(&self, path: &Path) -> Result<(), StoreError> {
        atomic::write(path, &self.bytes(path)?)
    }

    /// The bytes of the file; `path` is their destination.
    pub(super) fn bytes(&self, path: &Path) -> Result<Vec<u8>, StoreError> {
        let text = sealed::seal(self).map_err(|error| StoreError::unwritable(path, error))?;
        Ok(text.into_bytes())
    }

    /// Reads it from `path`.
    pub fn read(path: &Path) -> Result<Self, StoreError> {
        Manifest::of(path, &read(path)?)
    }

    /// Parses the manifest in `bytes`, which were read from `path`.
    pub(super) fn of(path: &Path, bytes: &[u8]) -> Result<Self, StoreError> {
        let (manifest, _) =
            sealed::unseal(bytes).map_err(|error| StoreError::damaged(path, error))?;
        Ok(manifest)
    }
}

/// The time now, RFC 3339 in UTC, to the second.
pub fn utc_now() -> String {
    utc(SystemTime::now())
}

/// The nearest time from 1970 to 9999, which are those that can be written: a clock may be wrong.
fn utc(time: SystemTime) -> String {
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(LAST_SECOND);
    let time = time.clamp(SystemTime::UNIX_EPOCH, last);
    humantime::format_rfc3339_seconds(time).to_string()
}

fn cpu_name() -> Option<String> {
    // There is no such file outside Linux.
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_gives_a_valid_time() {
        let day = Duration::from_secs(86_400);
        let at = |time: Option<SystemTime>| utc(time.unwrap());
        let epoch = SystemTime::UNIX_EPOCH;
        assert_eq!(at(epoch.checked_sub(day)), "1970-01-01T00:00:00Z");
        assert_eq!(at(epoch.checked_add(day)), "1970-01-02T00:00:00Z");
        let after = epoch.checked_add(Duration::from_secs(LAST_SECOND + 1));
        assert_eq!(at(after), "9999-12-31T23:59:59Z");
    }
}
