//! The launcher for Slurm: a sweep as array jobs.
//!
//! The state of a job is in Slurm's queue, found by the name of the sweep's jobs, and the state of a
//! run in the store. A follower keeps nothing: it may be ended and started again at any time, on any
//! machine of the cluster.

mod follow;
mod queue;
mod script;
mod tool;

use std::path::Path;

use super::Launched;

pub use follow::{Follower, Poll};
pub use queue::{TaskState, Tasks};
pub use script::{FILE, Mem, Partition, Resources, TimeLimit, job_name, text};
pub use tool::SlurmError;

use queue::{SACCT, SQUEUE};
use tool::call;

/// The most tasks of an array where Slurm does not say.
const DEFAULT_MOST: usize = 1000;

/// The most tasks that an array may have here.
///
/// # Errors
/// [`SlurmError`] if Slurm does not answer.
pub fn most_tasks() -> Result<usize, SlurmError> {
    let text = call("scontrol", &["show".to_owned(), "config".to_owned()], Path::new("/"))?;
    Ok(most_of(&text).unwrap_or(DEFAULT_MOST))
}

/// The largest index is one less than `MaxArraySize`, and indices begin at 1 here.
fn most_of(config: &str) -> Option<usize> {
    let line = config.lines().find_map(|line| line.trim().strip_prefix("MaxArraySize"))?;
    let size: usize = line.trim().strip_prefix('=')?.trim().parse().ok()?;
    size.checked_sub(1).filter(|&most| most > 0)
}

impl Launched {
    /// Submits these chunks as one array job, at most `at_once` of them at a time: the job's id.
    ///
    /// # Errors
    /// [`SlurmError`] with the message of `sbatch`.
    pub fn submit(&self, chunks: &[usize], at_once: Option<usize>) -> Result<u64, SlurmError> {
        let mut arguments = vec!["--parsable".to_owned(), array(chunks, at_once)];
        arguments.extend(self.launch.sbatch.iter().cloned());
        arguments.push(self.folder.join(FILE).display().to_string());
        let answer = call("sbatch", &arguments, &self.folder)?;
        // `12` or `12;cluster`.
        let id = answer.trim().split(';').next().and_then(|id| id.parse().ok());
        id.ok_or_else(|| SlurmError::Failed {
            program: "sbatch",
            message: format!("its answer is no job: {}", tool::shown(&answer)),
        })
    }

    /// The jobs of this sweep that Slurm's queue lists: those that live, and those that ended in the
    /// last minutes.
    ///
    /// # Errors
    /// [`SlurmError`] if Slurm does not answer.
    pub fn tasks(&self) -> Result<Tasks, SlurmError> {
        Ok(Tasks::of_squeue(&self.ask("squeue", &SQUEUE)?))
    }

    /// The ended jobs that Slurm's accounting lists; none where there is no accounting.
    fn ended(&self) -> Tasks {
        self.ask("sacct", &SACCT).map_or_else(|_| Tasks::default(), |text| Tasks::of_sacct(&text))
    }

    fn ask(&self, program: &'static str, columns: &[&str]) -> Result<String, SlurmError> {
        let mut arguments = vec![format!("--name={}", job_name(&self.record.id))];
        arguments.extend(columns.iter().map(|&option| option.to_owned()));
        call(program, &arguments, &self.folder)
    }

    /// Ends all jobs of this sweep. They may take some seconds to write their checkpoints.
    ///
    /// # Errors
    /// [`SlurmError`] if Slurm does not answer, or refuses.
    pub fn end_jobs(&self) -> Result<(), SlurmError> {
        call("scancel", &[format!("--name={}", job_name(&self.record.id))], &self.folder)?;
        Ok(())
    }

    /// Lets requeued tasks begin at once: Slurm has them wait for two minutes.
    fn hurry(&self, tasks: &Tasks) {
        // The user's own times stay.
        let has_begin = |option: &String| option.starts_with("--begin") || option.starts_with("-b");
        if self.launch.sbatch.iter().any(has_begin) {
            return;
        }
        for (chunk, job, state) in tasks.iter() {
            if *state == TaskState::Waiting("BeginTime".to_owned()) {
                let arguments = ["update", &format!("jobid={job}_{chunk}"), "StartTime=now"];
                // It would only begin later.
                let _ = call("scontrol", &arguments.map(str::to_owned), &self.folder);
            }
        }
    }
}

/// The option `--array` with ranges: `--array=1-5,7%2`.
fn array(chunks: &[usize], at_once: Option<usize>) -> String {
    let ranges = chunks.chunk_by(|a, b| a + 1 == *b).map(|range| match range {
        [one] => one.to_string(),
        _ => format!("{}-{}", range[0], range[range.len() - 1]),
    });
    let limit = at_once.map_or_else(String::new, |most| format!("%{most}"));
    format!("--array={}{limit}", ranges.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_are_ranges() {
        assert_eq!(array(&[1, 2, 3, 7, 9, 10], None), "--array=1-3,7,9-10");
        assert_eq!(array(&[4], Some(2)), "--array=4%2");
    }

    #[test]
    fn the_size_of_an_array_is_in_the_configuration() {
        let config = "Configuration data\nMaxArraySize            = 1001\nMaxJobCount = 10000\n";
        assert_eq!(most_of(config), Some(1000));
        for other in ["", "MaxArraySize", "MaxArraySize = x", "MaxArraySize = 0", "MaxArraySize=1"]
        {
            assert_eq!(most_of(other), None, "{other}");
        }
    }
}
