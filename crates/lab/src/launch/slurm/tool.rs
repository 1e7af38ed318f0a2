//! Calls Slurm's own programs. Each has a time limit: without its controller a program of Slurm may
//! wait for minutes.

use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

/// The longest that a program may take.
const LIMIT: Duration = Duration::from_secs(60);
/// The most bytes of output that are read.
const MOST_BYTES: u64 = 64 << 20;
/// The most characters of a message that are shown.
const MOST_SHOWN: usize = 500;

/// A program of Slurm that did not do its work.
#[derive(Debug, Error)]
pub enum SlurmError {
    /// There is no such program.
    #[error(
        "cannot run `{program}` ({source}): the launcher slurm needs Slurm's programs; log in to a \
         machine that has them, or use --launcher commands"
    )]
    NotThere {
        /// The program.
        program: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// It failed, and said why.
    #[error("`{program}` failed: {message}")]
    Failed {
        /// The program.
        program: &'static str,
        /// Its message.
        message: String,
    },
}

/// Runs `program` in `folder` and returns its output.
pub(super) fn call(
    program: &'static str,
    arguments: &[String],
    folder: &Path,
) -> Result<String, SlurmError> {
    call_within(LIMIT, program, arguments, folder)
}

fn call_within(
    limit: Duration,
    program: &'static str,
    arguments: &[String],
    folder: &Path,
) -> Result<String, SlurmError> {
    let failed = |message: String| SlurmError::Failed { program, message };
    let mut child = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| SlurmError::NotThere { program, source })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let begun = Instant::now();
    thread::scope(|scope| {
        let out = scope.spawn(|| read_all(stdout));
        let err = scope.spawn(|| read_all(stderr));
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if begun.elapsed() < limit => thread::sleep(Duration::from_millis(10)),
                Ok(None) => break Err(format!("no answer within {} s", limit.as_secs())),
                Err(error) => break Err(error.to_string()),
            }
        };
        if status.is_err() {
            // It may have ended meanwhile.
            let _ = child.kill();
            let _ = child.wait();
        }
        let [out, err] = [out, err].map(|reader| reader.join().unwrap_or_default());
        match status {
            Ok(status) if status.success() => Ok(out),
            Ok(status) if err.trim().is_empty() => Err(failed(format!("{status}"))),
            Ok(_) => Err(failed(shown(&err))),
            Err(message) => Err(failed(message)),
        }
    })
}

fn read_all(stream: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What was read before an error is all there is.
        let _ = stream.take(MOST_BYTES).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A message of another program in one line, without control characters.
pub(super) fn shown(message: &str) -> String {
    let lines = message.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.collect::<Vec<_>>().join("; ");
    let plain = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MOST_SHOWN).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn sh(limit: u64, script: &str) -> Result<String, String> {
        let arguments = ["-c", script].map(str::to_owned);
        let limit = Duration::from_millis(limit);
        let result = call_within(limit, "sh", &arguments, Path::new("/"));
        result.map_err(|error| error.to_string())
    }

    #[test]
    fn output_is_returned_and_failures_are_one_line() {
        assert_eq!(sh(10_000, "echo 12; echo noise >&2"), Ok("12\n".to_owned()));
        let error = sh(10_000, "printf 'sbatch: error: a\\n\\033[1mb\\n' >&2; exit 1");
        assert_eq!(error, Err("`sh` failed: sbatch: error: a;  [1mb".to_owned()));
        assert_eq!(sh(10_000, "exit 3"), Err("`sh` failed: exit status: 3".to_owned()));
        assert_eq!(sh(100, "exec sleep 60"), Err("`sh` failed: no answer within 0 s".to_owned()));
        // More than a pipe holds.
        assert_eq!(sh(10_000, "head -c 300000 /dev/zero").unwrap().len(), 300_000);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = call("no-such-sbatch", &[], Path::new("/")).unwrap_err().to_string();
        assert!(error.contains("cannot run `no-such-sbatch`"), "{error}");
        assert!(error.contains("use --launcher commands"), "{error}");
    }
}
