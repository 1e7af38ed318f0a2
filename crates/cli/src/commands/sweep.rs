//! `retrodict sweep status|follow|cancel`: sweeps that other processes make.

use std::io::IsTerminal as _;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use retrodict_lab::launch::slurm::{Follower, Poll, TaskState};
use retrodict_lab::launch::{Launched, Tracker};
use retrodict_lab::store::Store;
use retrodict_lab::sweep::{Launcher, SweepProgress, SweepRecord};
use serde_json::json;

use super::launch::count;
use super::sweep_work::{WorkArgs, work};
use super::{Failure, flag_on_interrupt, print};

/// The time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug, Subcommand)]
pub(crate) enum SweepCommand {
    /// Print the progress of a sweep.
    #[command(after_help = "Example:\n  retrodict sweep status retrodict-out")]
    Status {
        #[command(flatten)]
        of: SweepArgs,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the progress of a sweep to its end, and submit lost jobs again.
    #[command(after_help = "Example:\n  retrodict sweep follow retrodict-out")]
    Follow {
        #[command(flatten)]
        of: SweepArgs,
        /// Seconds between two looks
        #[arg(long, value_name = "SECONDS", default_value = "15")]
        poll: NonZeroU32,
    },
    /// End the jobs of a sweep. They write checkpoints; the `run` command resumes.
    #[command(after_help = "Example:\n  retrodict sweep cancel retrodict-out")]
    Cancel(SweepArgs),
    /// Train one chunk of a sweep: the command that jobs run.
    #[command(after_help = "Example:\n  retrodict sweep work out 20261127-161142-483-3f9a 1")]
    Work(WorkArgs),
}

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// The folder that holds the store
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// The sweep, or the beginning of its id [default: the newest]
    #[arg(value_name = "ID")]
    id: Option<String>,
}

pub(crate) fn sweep(command: &SweepCommand) -> Result<(), Failure> {
    match command {
        SweepCommand::Status { of, json } => status(of, *json),
        SweepCommand::Follow { of, poll } => {
            let every = Duration::from_secs(u64::from(poll.get()));
            let (record, store) = of.find()?;
            let end = match launched(&record, of)? {
                Some(launched) if record.launcher == Launcher::Slurm => {
                    follow(&launched, &store, &of.dir, every)?
                }
                _ => watch(&record, &store, &of.dir, every)?,
            };
            match end.complaint {
                Some(complaint) => Err(Failure::Failed(complaint)),
                None => print(&format!("{}\n", states(&end.runs))),
            }
        }
        SweepCommand::Cancel(of) => cancel(of),
        SweepCommand::Work(args) => work(args),
    }
}

impl SweepArgs {
    /// The record, and the store of its runs.
    fn find(&self) -> Result<(SweepRecord, Store), Failure> {
        let ids = SweepRecord::list(&self.dir).map_err(Failure::failed)?;
        let dir = self.dir.display();
        let Some(newest) = ids.first() else {
            return Err(Failure::Failed(format!("{dir} holds no sweep")));
        };
        let id = match &self.id {
            None => newest,
            Some(part) => {
                match &ids.iter().filter(|id| id.starts_with(part)).collect::<Vec<_>>()[..] {
                    [one] => *one,
                    [] => {
                        return Err(Failure::Usage(format!(
                            "{dir} holds no sweep {part}; the newest is {newest}"
                        )));
                    }
                    several => {
                        return Err(Failure::Usage(format!(
                            "{} sweeps in {dir} begin with {part}; give more of the id",
                            several.len()
                        )));
                    }
                }
            }
        };
        let record = SweepRecord::read(&self.dir, id).map_err(Failure::failed)?;
        Ok((record, Store::view(&self.dir).map_err(Failure::failed)?))
    }
}

fn launched(record: &SweepRecord, of: &SweepArgs) -> Result<Option<Launched>, Failure> {
    Launched::read(&of.dir, record.clone()).map_err(Failure::failed)
}

/// The end of a sweep that was followed.
#[derive(Debug, Default)]
pub(super) struct End {
    runs: SweepProgress,
    /// The chunks left undone, and why.
    pub(super) complaint: Option<String>,
}

/// Follows a sweep of Slurm to its end; Ctrl-C leaves its jobs running.
pub(super) fn follow(
    launched: &Launched,
    store: &Store,
    out: &Path,
    every: Duration,
) -> Result<End, Failure> {
    let mut follower = Follower::new(launched, store).map_err(Failure::failed)?;
    let mut last = None;
    to_the_end(&launched.record, out, every, || {
        let poll = follower.poll();
        for (chunk, end) in &poll.again {
            let log = launched.log(*chunk);
            let log = log.display();
            line_above(&format!("chunk {chunk} is submitted again ({end}); log: {log}"));
        }
        let (text, over, runs, warning) = (in_words(&poll), poll.over, poll.runs, &poll.warning);
        if *warning != last
            && let Some(warning) = warning
        {
            line_above(&format!("retrodict: warning: {warning}"));
        }
        last.clone_from(warning);
        let complaint = over.then(|| complaint(&poll, launched)).flatten();
        Look { text, over, runs, complaint }
    })
}

/// Follows a sweep whose processes are the user's.
fn watch(record: &SweepRecord, store: &Store, out: &Path, every: Duration) -> Result<End, Failure> {
    let mut tracker = Tracker::new(vec![record.runs(store).map_err(Failure::failed)?]);
    to_the_end(record, out, every, || {
        tracker.refresh();
        let runs = tracker.progress();
        let over = runs.ended() + runs.failed == runs.total();
        let complaint = (over && runs.failed > 0).then(|| states(&runs));
        Look { text: states(&runs), over, runs, complaint }
    })
}

/// One look at a sweep.
struct Look {
    text: String,
    over: bool,
    runs: SweepProgress,
    complaint: Option<String>,
}

/// Looks until it is over, and shows what is seen: on a terminal in place, else in lines.
fn to_the_end(
    record: &SweepRecord,
    out: &Path,
    every: Duration,
    mut look: impl FnMut() -> Look,
) -> Result<End, Failure> {
    let stop = flag_on_interrupt(|_| {});
    let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(0));
    if let Some(bar) = &bar {
        let style = ProgressStyle::with_template("{bar:24} {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸ "));
    }
    let (mut shown, mut shown_at) = (String::new(), Instant::now());
    loop {
        let begun = Instant::now();
        let seen = look();
        match &bar {
            Some(bar) => {
                bar.set_length(seen.runs.total() as u64);
                bar.set_position(seen.runs.ended() as u64);
                bar.set_message(seen.text.clone());
            }
            None if seen.text != shown
                && (shown.is_empty() || shown_at.elapsed() >= LINE_EVERY) =>
            {
                eprintln!("{}", seen.text);
                (shown, shown_at) = (seen.text.clone(), Instant::now());
            }
            None => {}
        }
        if seen.over {
            bar.inspect(ProgressBar::finish_and_clear);
            return Ok(End { runs: seen.runs, complaint: seen.complaint });
        }
        // A look at very many runs on a slow file server must not be all that it does.
        let next = begun + every.max(10 * begun.elapsed());
        while Instant::now() < next {
            if stop.load(Ordering::SeqCst) {
                bar.inspect(ProgressBar::finish_and_clear);
                return Err(Failure::Interrupted(left_running(record, out)));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn left_running(record: &SweepRecord, out: &Path) -> String {
    let (id, out) = (&record.id, out.display());
    let cancel = match record.launcher {
        Launcher::Slurm => format!("; cancel them with: retrodict sweep cancel {out} {id}"),
        Launcher::Local | Launcher::Commands => String::new(),
    };
    format!("the sweep runs on; follow it with: retrodict sweep follow {out} {id}{cancel}")
}

/// A line that a bar does not overwrite.
fn line_above(line: &str) {
    let clear = if std::io::stderr().is_terminal() { "\r\x1b[2K" } else { "" };
    eprintln!("{clear}{line}");
}

/// The counts that are not zero.
fn states(runs: &SweepProgress) -> String {
    let counts = [
        (runs.complete, "complete"),
        (runs.diverged, "diverged"),
        (runs.failed, "failed"),
        (runs.running, "running"),
        (runs.unfinished, "unfinished"),
        (runs.new, "new"),
    ];
    let shown = counts.iter().filter(|(n, _)| *n > 0);
    let parts: Vec<String> = shown.map(|(n, word)| format!("{n} {word}")).collect();
    format!("{}: {}", count(runs.total(), "run"), parts.join(", "))
}

fn in_words(poll: &Poll) -> String {
    let mut text = format!("{}; jobs: {} running", states(&poll.runs), poll.running);
    if poll.waiting > 0 {
        text += &format!(", {} waiting ({})", poll.waiting, poll.reasons.join(", "));
    }
    text
}

/// The complaint about chunks left undone at the end.
fn complaint(poll: &Poll, launched: &Launched) -> Option<String> {
    let mut parts = Vec::new();
    for &chunk in &poll.given_up {
        let log = launched.log(chunk);
        let end = last_line(&log);
        let log = log.display();
        parts.push(format!(
            "chunk {chunk} is given up: its last jobs brought it no further ({end}); log: {log}"
        ));
    }
    if !poll.cancelled.is_empty() {
        let chunks = count(poll.cancelled.len(), "chunk");
        parts.push(format!("{chunks} cancelled; the same `run` command resumes what is left"));
    }
    (!parts.is_empty()).then(|| format!("{}\n  {}", states(&poll.runs), parts.join("\n  ")))
}

/// The last line of a log, without control characters.
fn last_line(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(4096)..]).into_owned();
    let line = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output");
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn status(of: &SweepArgs, as_json: bool) -> Result<(), Failure> {
    let (record, store) = of.find()?;
    let launched = launched(&record, of)?;
    let runs = record.progress(&store).map_err(Failure::failed)?;
    let mut text = format!(
        "sweep {} ({}, {})\n  {}\n  {}\n",
        record.id,
        record.launcher.word(),
        record.created,
        record.command.join(" "),
        states(&runs)
    );
    let mut object = json!({
        "id": record.id,
        "created": record.created,
        "launcher": record.launcher.word(),
        "command": record.command,
        "runs": runs,
    });
    if let Some(launched) = launched {
        let chunks = launched.chunks().map_err(Failure::failed)?;
        let folders = chunks.iter().map(|chunk| chunk.runs(&store)).collect::<Result<_, _>>();
        let mut tracker = Tracker::new(folders.map_err(Failure::failed)?);
        tracker.refresh();
        let left = tracker.left();
        let done = chunks.len() - left.len();
        text += &format!("  {}: {done} done", count(chunks.len(), "chunk"));
        let mut of_chunks = json!({"total": chunks.len(), "done": done});
        if record.launcher == Launcher::Slurm {
            let tasks = launched.tasks().map_err(Failure::failed)?;
            let state = |chunk: &&usize| tasks.get(**chunk).filter(|state| state.lives());
            let lost = left.iter().filter(|chunk| state(chunk).is_none()).count();
            let running = left.iter().filter(|c| state(c) == Some(&TaskState::Active)).count();
            let waiting = left.len() - lost - running;
            text += &format!(", {running} running, {waiting} waiting, {lost} without a job");
            for (key, n) in [("running", running), ("waiting", waiting), ("without_job", lost)] {
                of_chunks[key] = json!(n);
            }
            object["cancelled"] = json!(launched.is_cancelled());
            if launched.is_cancelled() {
                text += "\n  cancelled; the same `run` command resumes what is left";
            } else if lost > 0 {
                let dir = of.dir.display();
                let id = &record.id;
                text += &format!("\n  submit them again with: retrodict sweep follow {dir} {id}");
            }
        }
        object["chunks"] = of_chunks;
        text += "\n";
    }
    print(&if as_json { format!("{object}\n") } else { text })
}

/// Ends the jobs of a sweep, and waits until they have ended.
fn cancel(of: &SweepArgs) -> Result<(), Failure> {
    /// Seconds. Slurm kills what has not ended 30 s after its signal, unless it is set up otherwise.
    const LONGEST: u32 = 120;
    let (record, store) = of.find()?;
    let launched = match (record.launcher, launched(&record, of)?) {
        (Launcher::Slurm, Some(launched)) => launched,
        _ => {
            return Err(Failure::Usage(format!(
                "the sweep {} was started with --launcher {}: end its processes where they run",
                record.id,
                record.launcher.word()
            )));
        }
    };
    launched.cancel().map_err(Failure::failed)?;
    let mut ended = launched.end_jobs();
    for second in 1.. {
        let tasks = launched.tasks().map_err(Failure::failed)?;
        let alive = tasks.iter().filter(|(_, _, state)| state.lives()).count();
        if alive == 0 {
            break;
        }
        if second > LONGEST {
            let why = ended.err().map_or_else(String::new, |error| format!(": {error}"));
            return Err(Failure::Failed(format!("{} still alive{why}", count(alive, "job"))));
        }
        thread::sleep(Duration::from_secs(1));
        // A job that is just being requeued cannot be ended, and is alive afterwards.
        if ended.is_err() || second % 10 == 0 {
            ended = launched.end_jobs();
        }
    }
    let runs = record.progress(&store).map_err(Failure::failed)?;
    print(&format!("cancelled {}\n{}\n", record.id, states(&runs)))
}
