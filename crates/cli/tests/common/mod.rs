//! Runs the `retrodict` binary in a temporary folder of its own.

#![allow(dead_code)] // every test file is a program of its own and uses a part of this
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

#[cfg(target_os = "linux")]
pub(crate) mod faults;
pub(crate) mod numbers;
#[cfg(target_os = "linux")]
pub(crate) mod slurm;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// A spec that trains in milliseconds.
pub(crate) const TINY: &str = r#"name = "tiny"
seeds = 2

[data]
kind = "reversal"
vocab_size = 40

[model]
layers = 1
heads = 2
dim = 8

[train]
batch_size = 8
epochs = 6

[probe]
every = 3

[checkpoint]
every = 2
"#;

/// The output of a finished process.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    /// Standard output of a command that must succeed.
    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.status, 0, "{}", self.stderr);
        self.stdout
    }

    /// Standard output as JSON, for any status.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The message on standard error, if there is one.
    pub(crate) fn message_or_nothing(&self) -> &str {
        let message = self.stderr.lines().find_map(|line| line.strip_prefix("retrodict: "));
        message.unwrap_or_default()
    }

    /// The one message on standard error.
    #[track_caller]
    pub(crate) fn message(&self) -> &str {
        let begins = |line: &&str| line.starts_with("retrodict: ") || line.starts_with("error: ");
        let messages = self.stderr.lines().filter(begins).count();
        assert_eq!(messages, 1, "not one message:\n{}", self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        &self.stderr
    }
}

/// A folder with `tiny.toml` in it, gone when this is dropped.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        folder.write("tiny.toml", TINY);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path().join(name), content).unwrap();
    }

    /// `retrodict` with arguments that have no spaces in them, to be run in this folder.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retrodict"));
        command.args(arguments.split_whitespace()).current_dir(self.path()).stdin(Stdio::null());
        command.env_remove("COLUMNS");
        command
    }

    pub(crate) fn run(&self, arguments: &str) -> Output {
        finish(self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn())
    }

    /// Every file below this folder with its content, and every folder without one.
    pub(crate) fn contents(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        contents(self.path())
    }

    /// The folder of the run with `seed` below `out`, which holds one experiment.
    pub(crate) fn run_dir(&self, out: &str, seed: u64) -> PathBuf {
        let experiment = only_entry(&self.path().join(out).join("runs"));
        only_entry(&experiment).join(format!("seed-{seed}"))
    }
}

/// Waits for a process whose output is piped.
pub(crate) fn finish(child: std::io::Result<Child>) -> Output {
    let output = child.unwrap().wait_with_output().unwrap();
    Output {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Every file below `folder` with its content, and every folder without one.
pub(crate) fn contents(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for path in entries(&next) {
            let content = if path.is_dir() { None } else { Some(fs::read(&path).unwrap()) };
            if content.is_none() {
                open.push(path.clone());
            }
            found.insert(path.strip_prefix(folder).unwrap().to_owned(), content);
        }
    }
    found
}

/// Steps of the whole checkpoints of a run, ascending; none before the run exists.
pub(crate) fn checkpoints(run: &Path) -> Vec<u64> {
    retrodict_lab::store::checkpoint_steps(&run.join("checkpoints")).unwrap()
}

/// Flips one bit in the middle of a file.
pub(crate) fn flip_a_bit(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// Cuts the last byte off a file.
pub(crate) fn truncate(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
}

pub(crate) fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn only_entry(folder: &Path) -> PathBuf {
    let mut entries = entries(folder);
    // A killed process may leave temporary files.
    entries.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'));
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries.remove(0)
}
