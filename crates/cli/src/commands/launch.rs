//! `retrodict run --launcher slurm|commands`: divides a sweep into chunks for other processes.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, ValueEnum};
use retrodict_lab::launch::slurm::{self, Mem, Partition, TimeLimit};
use retrodict_lab::launch::{Command, Launch, Launched, PlannedRun, commands, divide};
use retrodict_lab::store::{Status, Store};
use retrodict_lab::sweep::{Launcher, Sweep, SweepRecord, status_of};
use retrodict_lab::{Isa, Resources};
use retrodict_report::whole_seconds;
use serde_json::json;

use super::estimate::Estimates;
use super::record::command_line;
use super::run::{keep, longest_first};
use super::sweep::{End, follow};
use super::{Failure, print};
use crate::args::{ResourceArgs, RunArgs, threads};

/// The most models that are timed, and whose memory is predicted: the user waits.
const MOST_TIMED: usize = 16;
/// The estimated minutes of a chunk: long beside the start of a job, short beside a day.
const CHUNK_MINUTES: f64 = 30.0;
/// Chunks of a file of commands, which has no limit of its own.
const MOST_COMMANDS: usize = 100_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LauncherName {
    /// In this process.
    Local,
    /// As array jobs of Slurm, which are followed.
    Slurm,
    /// Write one shell command a chunk, for any other engine.
    Commands,
}

/// The options of `run` for its launchers.
#[derive(Debug, Args)]
pub(crate) struct LaunchArgs {
    /// Where the runs are made (docs/sweeps.md)
    #[arg(long, value_enum, default_value = "local", help_heading = "Launchers")]
    launcher: LauncherName,
    /// Estimated minutes of a chunk (slurm, commands) [default: 30]
    #[arg(long, value_name = "N", value_parser = minutes, help_heading = "Launchers")]
    chunk_minutes: Option<f64>,
    /// Cores for each chunk (slurm, commands) [default: 1]
    #[arg(long, value_name = "N", value_parser = threads, help_heading = "Launchers")]
    cpus: Option<NonZeroUsize>,
    /// The most chunks at a time (slurm) [default: as many as Slurm starts]
    #[arg(long, value_name = "N", help_heading = "Launchers")]
    max_jobs: Option<NonZeroUsize>,
    /// Partition (slurm) [default: the cluster's]
    #[arg(long, value_name = "NAME", help_heading = "Launchers")]
    partition: Option<Partition>,
    /// Time limit of a job, as Slurm writes it: 90, 1:30:00, 2-12 (slurm) [default: three times the
    /// estimate, at least 15 minutes]
    #[arg(long, value_name = "TIME", help_heading = "Launchers")]
    time_limit: Option<TimeLimit>,
    /// Memory of a job: 500M, 4G (slurm) [default: from the predicted memory]
    #[arg(long, value_name = "SIZE", help_heading = "Launchers")]
    mem: Option<Mem>,
    /// Another option for sbatch, such as --sbatch=--account=physics; may be repeated (slurm)
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true, help_heading = "Launchers")]
    sbatch: Vec<String>,
    /// Seconds between two looks at the queue (slurm) [default: 15]
    #[arg(long, value_name = "SECONDS", help_heading = "Launchers")]
    poll: Option<NonZeroU32>,
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes = text.parse::<f64>().ok().filter(|minutes| *minutes > 0.0 && *minutes < 1e6);
    minutes.ok_or_else(|| "it must be a number of minutes, such as 30 or 0.5".to_owned())
}

impl LaunchArgs {
    /// The launcher.
    ///
    /// # Errors
    /// Names an option that would do nothing with it.
    pub(super) fn launcher(&self, resources: &ResourceArgs) -> Result<Launcher, Failure> {
        let launcher = match self.launcher {
            LauncherName::Local => Launcher::Local,
            LauncherName::Slurm => Launcher::Slurm,
            LauncherName::Commands => Launcher::Commands,
        };
        if launcher != Launcher::Local && crate::HOSTED.load(Ordering::Relaxed) {
            return Err(Failure::Usage(format!(
                "--launcher {}: the command of the Python package starts no copies of itself; \
                 build the program for it: cargo install --path crates/cli",
                launcher.word()
            )));
        }
        let chunks = &[Launcher::Slurm, Launcher::Commands][..];
        let slurm = &[Launcher::Slurm][..];
        let given = [
            ("--chunk-minutes", self.chunk_minutes.is_some(), chunks),
            ("--cpus", self.cpus.is_some(), chunks),
            ("--max-jobs", self.max_jobs.is_some(), slurm),
            ("--partition", self.partition.is_some(), slurm),
            ("--time-limit", self.time_limit.is_some(), slurm),
            ("--mem", self.mem.is_some(), slurm),
            ("--sbatch", !self.sbatch.is_empty(), slurm),
            ("--poll", self.poll.is_some(), slurm),
        ];
        for (option, is_given, launchers) in given {
            if is_given && !launchers.contains(&launcher) {
                let words: Vec<_> = launchers.iter().map(|launcher| launcher.word()).collect();
                return Err(Failure::Usage(format!(
                    "{option} has no effect with --launcher {}; it is an option of {}",
                    launcher.word(),
                    words.join(" and ")
                )));
            }
        }
        for (option, is_given) in resources.of_this_machine() {
            if is_given && launcher != Launcher::Local {
                return Err(Failure::Usage(format!(
                    "{option} has no effect with --launcher {}; --cpus is the number of cores of \
                     each chunk",
                    launcher.word()
                )));
            }
        }
        Ok(launcher)
    }

    fn cpus(&self) -> NonZeroUsize {
        self.cpus.unwrap_or(NonZeroUsize::MIN)
    }

    fn chunk_seconds(&self) -> f64 {
        60.0 * self.chunk_minutes.unwrap_or(CHUNK_MINUTES)
    }
}

/// The division of the runs that are left.
pub(super) struct Plan {
    /// The runs of each chunk.
    chunks: Vec<Vec<PlannedRun>>,
    /// The estimated seconds of a run of each point; `None` where none is left.
    seconds: Vec<Option<f64>>,
    /// The estimated seconds of the longest chunk.
    longest: f64,
}

impl Plan {
    /// Divides the runs that are not in `store` into at most `most` chunks.
    fn new(
        sweep: &Sweep,
        args: &LaunchArgs,
        store: Option<&Store>,
        most: usize,
    ) -> Result<Plan, Failure> {
        let mut left: Vec<(usize, Vec<u64>)> = Vec::new();
        for at in longest_first(sweep) {
            let experiment = &sweep.points[at].experiment;
            let mut seeds = Vec::new();
            for &seed in &experiment.spec.seeds {
                let run =
                    |store: &Store| store.run_dir(&experiment.spec.name, experiment.hash, seed);
                let status = match store.map(run) {
                    Some(run) => status_of(&run.map_err(Failure::failed)?),
                    None => None,
                };
                if !matches!(status, Some(Status::Complete | Status::Diverged)) {
                    seeds.push(seed);
                }
            }
            left.push((at, seeds));
        }
        let all: usize = left.iter().map(|(_, seeds)| seeds.len()).sum();
        let (cpus, here) = (args.cpus(), cores(args.cpus()));
        let resources = Resources { threads: Some(here), ..Resources::default() };
        let mut estimates = Estimates::new(resources).timing_at_most(MOST_TIMED);
        let mut seconds = vec![None; sweep.points.len()];
        let mut runs = Vec::new();
        for (at, seeds) in left {
            let Some(&first) = seeds.first() else { continue };
            let of_one = estimates.seconds(&sweep.points[at].experiment, first, all)?;
            // This machine may have fewer cores than a chunk will have.
            let of_one = of_one * here.get() as f64 / cpus.get() as f64;
            seconds[at] = Some(of_one);
            runs.extend(seeds.iter().map(|&seed| PlannedRun { point: at, seed, seconds: of_one }));
        }
        let chunks = match runs.is_empty() {
            true => Vec::new(),
            false => divide(&runs, args.chunk_seconds(), most),
        };
        let time = |runs: &Vec<PlannedRun>| runs.iter().map(|run| run.seconds).sum::<f64>();
        let longest = chunks.iter().map(time).fold(0.0, f64::max);
        Ok(Plan { chunks, seconds, longest })
    }

    /// The number of chunks and their size, in words.
    fn words(&self, cpus: NonZeroUsize) -> String {
        let (chunks, cores) = (count(self.chunks.len(), "chunk"), count(cpus.get(), "core"));
        let longest = whole_seconds(self.longest.max(1.0));
        format!("{chunks} of at most about {longest} each on {cores}")
    }
}

/// `count` cores, or as many as there are here.
fn cores(count: NonZeroUsize) -> NonZeroUsize {
    std::thread::available_parallelism().map_or(count, |here| here.min(count))
}

pub(super) fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The chunks that the launcher would make, in words, for a list of runs.
pub(super) fn planned(
    sweep: &Sweep,
    args: &RunArgs,
    store: Option<&Store>,
) -> Result<Option<String>, Failure> {
    if args.launch.launcher(&args.resources)? == Launcher::Local {
        return Ok(None);
    }
    let plan = Plan::new(sweep, &args.launch, store, MOST_COMMANDS)?;
    Ok((!plan.chunks.is_empty()).then(|| plan.words(args.launch.cpus())))
}

/// Starts a sweep by other processes, and follows it if they are jobs of Slurm. `None` where the
/// rest is up to the user.
pub(super) fn launch(
    sweep: &Sweep,
    args: &RunArgs,
    launcher: Launcher,
    isa: Option<Isa>,
    store: &Store,
) -> Result<Option<End>, Failure> {
    let options = &args.launch;
    let is_slurm = launcher == Launcher::Slurm;
    let most = match is_slurm {
        true => slurm::most_tasks().map_err(Failure::failed)?,
        false => MOST_COMMANDS,
    };
    let every = Duration::from_secs(options.poll.map_or(15, NonZeroU32::get).into());
    let plain = SweepRecord::new(sweep, launcher, command_line(), |_| None);
    if is_slurm && let Some(launched) = at_work(&plain, &args.out)? {
        let id = &launched.record.id;
        eprintln!("retrodict: this sweep was submitted before, as {id}; it is followed");
        return follow(&launched, store, &args.out, every).map(Some);
    }
    let plan = Plan::new(sweep, options, Some(store), most)?;
    if plan.chunks.is_empty() {
        return Ok(Some(End::default()));
    }
    let record = SweepRecord::new(sweep, launcher, command_line(), |at| plan.seconds[at]);
    let isa = isa.map_or_else(String::new, |isa| format!(" --isa {isa}"));
    let passed_on = format!("{}{isa}", args.resources.passed_on());
    let cpus = options.cpus();
    let launch = Launch {
        chunks: plan.chunks.len(),
        max_jobs: options.max_jobs.map(NonZeroUsize::get),
        sbatch: options.sbatch.clone(),
        keep: keep(args, sweep),
    };
    if !is_slurm {
        let text = |command: &Command| commands::text(command, plan.chunks.len(), cpus, &passed_on);
        let file = (commands::FILE, text);
        let launched = Launched::write(&args.out, sweep, record, &plan.chunks, launch, file)
            .map_err(Failure::failed)?;
        written(&launched, &plan, args)?;
        return Ok(None);
    }
    let default_time = (3.0 * plan.longest).clamp(900.0, 1e9) as u64;
    let resources = slurm::Resources {
        cpus,
        mem: match &options.mem {
            Some(mem) => mem.clone(),
            None => predicted(sweep, cpus)?,
        },
        time: options.time_limit.unwrap_or(TimeLimit::seconds(default_time)),
        partition: options.partition.clone(),
    };
    let text = |command: &Command| slurm::text(command, &resources, &passed_on);
    let file = (slurm::FILE, text);
    let launched = Launched::write(&args.out, sweep, record, &plan.chunks, launch, file)
        .map_err(Failure::failed)?;
    let all: Vec<usize> = (1..=launched.launch.chunks).collect();
    let job = launched.submit(&all, launched.launch.max_jobs).map_err(|error| {
        // Slurm knows nothing of it.
        let _ = std::fs::remove_dir_all(&launched.folder);
        Failure::failed(error)
    })?;
    let (id, out) = (&launched.record.id, args.out.display());
    eprintln!(
        "sweep {id}: {}, submitted as job {job}\nCtrl-C leaves the jobs running; then: retrodict \
         sweep status|follow|cancel {out}",
        plan.words(cpus)
    );
    follow(&launched, store, &args.out, every).map(Some)
}

/// The launched sweep equal to `record` whose jobs are still at work, if there is one.
fn at_work(record: &SweepRecord, out: &Path) -> Result<Option<Launched>, Failure> {
    for id in SweepRecord::list(out).map_err(Failure::failed)? {
        // One that cannot be read is another's.
        let Ok(other) = SweepRecord::read(out, &id) else { continue };
        if !other.is_same(record) {
            continue;
        }
        let Some(launched) = Launched::read(out, other).map_err(Failure::failed)? else { continue };
        let tasks = launched.tasks().map_err(Failure::failed)?;
        if !launched.is_cancelled() && tasks.iter().any(|(_, _, state)| state.lives()) {
            return Ok(Some(launched));
        }
    }
    Ok(None)
}

/// The memory of a job: a quarter more than the prediction, and the program itself.
fn predicted(sweep: &Sweep, cpus: NonZeroUsize) -> Result<Mem, Failure> {
    let resources = Resources { threads: Some(cpus), ..Resources::default() };
    let mut most: u64 = 0;
    for at in longest_first(sweep).into_iter().take(MOST_TIMED) {
        let experiment = &sweep.points[at].experiment;
        let (at_once, threads) = resources.divide(experiment.step_flops(), usize::MAX);
        let bytes = experiment.memory(threads).map_err(Failure::failed)?.total();
        most = most.max(bytes.saturating_mul(at_once as u64));
    }
    Ok(Mem::mib(256 + (most >> 20) / 4 * 5))
}

/// Says where the commands are.
fn written(launched: &Launched, plan: &Plan, args: &RunArgs) -> Result<(), Failure> {
    let path = launched.folder.join(commands::FILE).display().to_string();
    if args.json {
        let (sweep, chunks) = (&launched.record.id, launched.launch.chunks);
        return print(&format!(
            "{}\n",
            json!({"sweep": sweep, "chunks": chunks, "commands": path})
        ));
    }
    print(&format!(
        "sweep {}: {}\ncommands in {path}\nrun each line once, in any order, such as with: \
         parallel < {path}\nwatch them with: retrodict sweep follow {}\n",
        launched.record.id,
        plan.words(args.launch.cpus()),
        args.out.display()
    ))
}
