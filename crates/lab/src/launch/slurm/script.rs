//! The batch script of a sweep.

use std::num::NonZeroUsize;
use std::str::FromStr;

use super::super::Command;

/// The resources of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// Cores.
    pub cpus: NonZeroUsize,
    /// Memory.
    pub mem: Mem,
    /// Time.
    pub time: TimeLimit,
    /// Partition; the cluster's default if not given.
    pub partition: Option<Partition>,
}

/// The name of the jobs of a sweep. It finds them in the queue: no job id has to be kept.
pub fn job_name(id: &str) -> String {
    format!("retrodict-{id}")
}

/// The name of the script's file.
pub const FILE: &str = "job.sh";

/// The script: its array index is the number of the chunk.
///
/// Slurm signals the script some time before the end of its time. The script then has the program
/// write checkpoints and end, and requeues itself: no one has to be logged in. The program ends with
/// status 130 only where it was interrupted after it made progress, so this comes to an end.
pub fn text(command: &Command, resources: &Resources, options: &str) -> String {
    let Resources { cpus, mem, time, partition } = resources;
    let partition = match partition {
        Some(Partition(name)) => format!("#SBATCH --partition={name}\n"),
        None => String::new(),
    };
    let options = format!(" --threads {cpus}{options}");
    format!(
        "#!/bin/sh
# Makes one chunk of the sweep {id}; the array index is the chunk's number.
#SBATCH --job-name={name}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={cpus}
#SBATCH --mem={mem}
#SBATCH --time={time}
{partition}#SBATCH --requeue
#SBATCH --signal=B:USR1@{warning}
#SBATCH --output=/dev/null

exec >>{logs}/chunk-$(printf %05d \"$SLURM_ARRAY_TASK_ID\").txt 2>&1
out_of_time=0
trap 'out_of_time=1; kill -TERM $worker 2>/dev/null' USR1
trap 'kill -TERM $worker 2>/dev/null' TERM INT
echo \"job $SLURM_ARRAY_JOB_ID on $SLURMD_NODENAME, $(date)\"
{line} &
worker=$!
while :; do
    # A signal ends the waiting, not the program.
    wait $worker
    status=$?
    kill -0 $worker 2>/dev/null || break
done
if [ $out_of_time = 1 ] && [ $status = 130 ]; then
    echo 'the time limit is near: requeued'
    scontrol requeue \"$SLURM_JOB_ID\"
fi
exit $status
",
        id = command.id(),
        name = job_name(command.id()),
        mem = mem.0,
        time = time.0.div_ceil(60),
        warning = time.warning(),
        logs = command.logs(),
        line = command.line("\"$SLURM_ARRAY_TASK_ID\"", &options),
    )
}

/// The name of a partition, or several with commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition(String);

impl FromStr for Partition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ',' | '+');
        match !text.is_empty() && text.chars().all(plain) {
            true => Ok(Partition(text.to_owned())),
            false => Err("a partition is a name such as gpu, or several: short,long".to_owned()),
        }
    }
}

/// An amount of memory as Slurm takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mem(String);

impl Mem {
    /// A number of MiB.
    pub fn mib(mib: u64) -> Mem {
        Mem(format!("{mib}M"))
    }
}

impl FromStr for Mem {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(text);
        match digits.parse::<u32>() {
            Ok(1..) if digits.chars().all(|c| c.is_ascii_digit()) => Ok(Mem(text.to_owned())),
            _ => Err("memory is a whole number of MiB, or one with a unit: 500M, 4G".to_owned()),
        }
    }
}

/// A time limit in seconds, at least a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit(u64);

impl TimeLimit {
    /// A number of seconds, at least a minute.
    pub fn seconds(seconds: u64) -> TimeLimit {
        TimeLimit(seconds.max(60))
    }

    /// Seconds before the end at which the job is signalled. Slurm may be a minute early.
    fn warning(self) -> u64 {
        (self.0 / 10).clamp(30, 300)
    }
}

impl FromStr for TimeLimit {
    type Err = String;

    /// Slurm's forms: minutes, minutes:seconds, hours:minutes:seconds, days-hours,
    /// days-hours:minutes, days-hours:minutes:seconds.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "a time limit is a number of minutes, hours:minutes:seconds, or days-hours, and at \
             least a minute: 90, 1:30:00, 2-12"
                .to_owned()
        };
        let number = |part: &str| match part.chars().all(|c| c.is_ascii_digit()) {
            true => part.parse::<u32>().map(u64::from).map_err(|_| wrong()),
            false => Err(wrong()),
        };
        let (days, rest) = match text.split_once('-') {
            Some((days, rest)) => (Some(number(days)?), rest),
            None => (None, text),
        };
        let parts = rest.split(':').map(number).collect::<Result<Vec<u64>, _>>()?;
        let seconds = match (days, &parts[..]) {
            (None, [m]) => m * 60,
            (None, [m, s]) => m * 60 + s,
            (None, [h, m, s]) => h * 3600 + m * 60 + s,
            (Some(d), [h]) => d * 86_400 + h * 3600,
            (Some(d), [h, m]) => d * 86_400 + h * 3600 + m * 60,
            (Some(d), [h, m, s]) => d * 86_400 + h * 3600 + m * 60 + s,
            _ => return Err(wrong()),
        };
        if seconds < 60 { Err(wrong()) } else { Ok(TimeLimit(seconds)) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_script_is_as_documented() {
        let command = Command {
            program: PathBuf::from("/data/out/sweeps/retrodict-0123"),
            out: PathBuf::from("/data/my out"),
            folder: PathBuf::from("/data/my out/sweeps/ID"),
            id: "ID".to_owned(),
        };
        let resources = Resources {
            cpus: NonZeroUsize::MIN,
            mem: Mem::mib(700),
            time: "1:30:00".parse().unwrap(),
            partition: Some("short".parse().unwrap()),
        };
        let script = text(&command, &resources, " --isa avx2");
        for line in [
            "#SBATCH --job-name=retrodict-ID",
            "#SBATCH --cpus-per-task=1",
            "#SBATCH --mem=700M",
            "#SBATCH --time=90",
            "#SBATCH --partition=short",
            "#SBATCH --signal=B:USR1@300",
            "exec >>'/data/my out/sweeps/ID/logs'/chunk-$(printf %05d \"$SLURM_ARRAY_TASK_ID\").txt \
             2>&1",
            "/data/out/sweeps/retrodict-0123 sweep work '/data/my out' ID \
             \"$SLURM_ARRAY_TASK_ID\" --threads 1 --isa avx2 &",
        ] {
            assert!(script.lines().any(|other| other == line), "{line}\n\n{script}");
        }
        let plain = text(&command, &Resources { partition: None, ..resources }, "");
        assert!(!plain.contains("partition"), "{plain}");
        // Options stand before the first command, or Slurm does not see them.
        let first = plain.lines().position(|line| !line.is_empty() && !line.starts_with('#'));
        assert!(plain.lines().skip(first.unwrap()).all(|line| !line.starts_with("#SBATCH")));
    }

    #[test]
    fn options_that_would_change_the_script_are_refused() {
        for bad in ["", "a b", "a\n#SBATCH --x", "a;b", "$(x)", "a'b"] {
            assert!(bad.parse::<Partition>().is_err(), "{bad:?}");
            assert!(bad.parse::<Mem>().is_err(), "{bad:?}");
            assert!(bad.parse::<TimeLimit>().is_err(), "{bad:?}");
        }
        for bad in ["0", "-1", "+1", "4g", "4GB", "G", "1.5G", "99999999999"] {
            assert!(bad.parse::<Mem>().is_err(), "{bad:?}");
        }
        assert_eq!("4G".parse(), Ok(Mem("4G".to_owned())));
    }

    #[test]
    fn time_limits_have_slurms_forms() {
        for (text, seconds) in [
            ("90", 5400),
            ("90:30", 5430),
            ("1:30:00", 5400),
            ("2-12", 216_000),
            ("1-0:30", 88_200),
            ("1-0:0:5", 86_405),
        ] {
            assert_eq!(text.parse(), Ok(TimeLimit(seconds)), "{text}");
        }
        for bad in ["0", "0:59", "1:2:3:4", "1-", "-5", "1.5", "1h", "infinite", "1-1-1", ":"] {
            assert!(bad.parse::<TimeLimit>().is_err(), "{bad}");
        }
        let warning = |seconds| TimeLimit::seconds(seconds).warning();
        assert_eq!([60, 1000, 86_400].map(warning), [30, 100, 300]);
    }
}
