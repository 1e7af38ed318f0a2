//! `retrodict sweep work`: makes one chunk of a sweep, as a job of a cluster does.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use retrodict_lab::launch::{Chunk, Launched};
use retrodict_lab::store::{Status, Store};
use retrodict_lab::sweep::{SweepRecord, status_of};
use retrodict_lab::{Job, Outcome, Progress, Resources, run_all};

use super::{Failure, complaints, fitted, flag_on_interrupt};
use crate::args::threads;
use crate::device::DeviceArg;
use crate::progress::show_progress;

/// How long a run that another process holds is waited for: the claim of a dead process on another
/// machine lasts two minutes.
const WAIT: Duration = Duration::from_secs(180);

#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// The folder that holds the store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The sweep
    #[arg(value_name = "ID")]
    id: String,
    /// The number of the chunk, from 1
    #[arg(value_name = "CHUNK")]
    chunk: NonZeroUsize,
    /// Cores to use [default: all]
    #[arg(long, value_name = "N", value_parser = threads)]
    threads: Option<NonZeroUsize>,
    /// Resume runs that another version or instruction set began
    #[arg(long)]
    allow_mixed: bool,
    /// Where training runs
    #[arg(long, value_enum, value_name = "DEVICE", default_value = "cpu")]
    device: DeviceArg,
}

/// Makes the runs of a chunk. Exit status 0: all are complete, or diverged; 1: some failed, or an
/// interruption came before any progress; 130: interrupted, and further than before.
pub(super) fn work(args: &WorkArgs) -> Result<(), Failure> {
    let failed = |message: String| Err(Failure::Failed(message));
    let record = SweepRecord::read(&args.dir, &args.id).map_err(Failure::failed)?;
    let store = Store::open(&args.dir).map_err(Failure::failed)?;
    let Some(launched) = Launched::read(&args.dir, record).map_err(Failure::failed)? else {
        return failed(format!("the sweep {} has no chunks", args.id));
    };
    if launched.is_cancelled() {
        return failed(format!("the sweep {} was cancelled", args.id));
    }
    let (number, chunks) = (args.chunk.get(), launched.launch.chunks);
    if number > chunks {
        return Err(Failure::Usage(format!(
            "the sweep {} has no chunk {number}; its last one is {chunks}",
            args.id
        )));
    }
    let chunk = Chunk::read(&launched.folder, &args.id, number).map_err(Failure::failed)?;
    let experiments = chunk.experiments().map_err(Failure::Failed)?;
    let points = experiments.iter().zip(&chunk.points);
    let jobs = points.flat_map(|(experiment, point)| {
        let job = |&seed| Job { experiment, seed, progress: Progress::default() };
        point.seeds.iter().map(job)
    });
    let jobs: Vec<Job<'_>> = jobs.collect();
    // An engine may repeat its signal; a checkpoint is being written meanwhile.
    let stop = flag_on_interrupt(|again| {
        if !again {
            eprintln!("retrodict: stopping after the steps under way");
        }
    });
    let resources = Resources {
        threads: args.threads,
        mixed: args.allow_mixed,
        keep: launched.launch.keep,
        gpu: args.device.open()?,
        ..Resources::default()
    };
    let resources = fitted(&jobs, &store, resources)?;
    let name = format!("chunk {number}");
    let mut outcomes = show_progress(&name, &jobs, || run_all(&jobs, &store, resources, &stop));
    wait_for_others(&jobs, &mut outcomes, &store, resources, &stop)?;

    let of = |status: Status| outcomes.iter().filter(move |outcome| outcome.status == status);
    let bad = complaints(&jobs, &outcomes).join("\n  ");
    if of(Status::Failed).next().is_some() {
        return failed(format!("chunk {number} is not complete\n  {bad}"));
    }
    if of(Status::Interrupted).next().is_some() {
        let further = jobs.iter().zip(&outcomes).any(|(job, outcome)| {
            let run = job.progress.snapshot();
            let ended = matches!(outcome.status, Status::Complete | Status::Diverged);
            (ended && !outcome.from_store) || run.done > run.first
        });
        return match further {
            true => Err(Failure::Interrupted(format!("chunk {number} is unfinished"))),
            false => failed(format!("chunk {number} was interrupted before its first step")),
        };
    }
    if !bad.is_empty() {
        eprintln!("retrodict: warning: {bad}");
    }
    eprintln!("chunk {number}: {} runs ended", jobs.len());
    Ok(())
}

/// Makes the runs again that another process held, until that has completed them or is gone.
fn wait_for_others(
    jobs: &[Job<'_>],
    outcomes: &mut [Outcome],
    store: &Store,
    resources: Resources,
    stop: &AtomicBool,
) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let mut held = Vec::new();
        for (at, (job, outcome)) in jobs.iter().zip(&*outcomes).enumerate() {
            let spec = &job.experiment.spec;
            let run = store.run_dir(&spec.name, job.experiment.hash, job.seed);
            let run = run.map_err(Failure::failed)?;
            // A run that failed in this process says so in its manifest.
            if outcome.status == Status::Failed && status_of(&run) != Some(Status::Failed) {
                held.push(at);
            }
        }
        if held.is_empty() || stop.load(Ordering::SeqCst) || begun.elapsed() > WAIT {
            return Ok(());
        }
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(100));
            if stop.load(Ordering::SeqCst) {
                return Ok(());
            }
        }
        let again = held.iter().map(|&at| Job {
            experiment: jobs[at].experiment,
            seed: jobs[at].seed,
            progress: Progress::default(),
        });
        let again: Vec<Job<'_>> = again.collect();
        let ended = run_all(&again, store, resources, stop);
        for (at, outcome) in held.into_iter().zip(ended) {
            outcomes[at] = outcome;
        }
    }
}
