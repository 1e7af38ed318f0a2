//! Progress on standard error: on a terminal a bar for each running seed and one for all, otherwise
//! a plain line every ten seconds.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use retrodict_lab::spec::SpecHash;
use retrodict_lab::{Job, Snapshot};
use retrodict_report::whole_seconds;

use crate::terminal;

/// The time between two readings of the runs' progress.
const TICK: Duration = Duration::from_millis(100);
/// The time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Draws the progress of `jobs`, which belong to the figure or experiment `name`, while `work`
/// runs, and returns the result of `work`.
pub(crate) fn show_progress<R: Send>(
    name: &str,
    jobs: &[Job<'_>],
    work: impl FnOnce() -> R + Send,
) -> R {
    let ended = AtomicBool::new(false);
    let result = thread::scope(|scope| {
        let draw = || {
            if std::io::stderr().is_terminal() {
                bars(name, jobs, &ended);
            } else {
                lines(name, jobs, &ended);
            }
        };
        let drawing = thread::Builder::new().name("progress".to_owned()).spawn_scoped(scope, draw);
        let _end = End(&ended, drawing.as_ref().ok().map(|drawing| drawing.thread().clone()));
        if let Err(error) = drawing {
            eprintln!(
                "retrodict: warning: no progress is shown: a thread cannot be started ({error})"
            );
        }
        work()
    });
    // Those that came after the last drawing, or without any.
    warnings(jobs).iter().for_each(|warning| eprintln!("{warning}"));
    result
}

/// A bar for work that is counted, on a terminal only.
pub(crate) struct Counter(ProgressBar);

impl Counter {
    pub(crate) fn new(prefix: impl Into<Cow<'static, str>>) -> Counter {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix} {bar:16} {pos} of {len}  {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(prefix);
        Counter(bar)
    }

    pub(crate) fn show(&self, at: usize, of: usize) {
        self.0.set_length(of as u64);
        self.0.set_position(at as u64);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Ends the drawing, also where the work panics: the scope waits for it.
struct End<'a>(&'a AtomicBool, Option<Thread>);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        if let Some(drawing) = &self.1 {
            drawing.unpark();
        }
    }
}

/// All jobs together.
struct Overall {
    finished: usize,
    /// The share of all work done, 0 to 1.
    fraction: f64,
    left: Option<Duration>,
    failed: usize,
    /// The run of the lowest held-out NLL among those that have ended, and that NLL.
    best: Option<(usize, f64)>,
}

/// The work of each run, in operations: a figure may have runs of milliseconds and runs of hours.
fn works(jobs: &[Job<'_>]) -> Vec<f64> {
    /// To count the steps of an experiment takes its data set.
    const MOST_COUNTED: usize = 200;
    let mut experiments: Vec<SpecHash> = jobs.iter().map(|job| job.experiment.hash).collect();
    experiments.dedup();
    if experiments.len() > MOST_COUNTED {
        return jobs.iter().map(|job| (job.experiment.work() as f64).max(1.0)).collect();
    }
    let mut steps: HashMap<SpecHash, f64> = HashMap::new();
    let work = |job: &Job<'_>| {
        let steps = steps.entry(job.experiment.hash).or_insert_with(|| {
            // Other seeds have as many, or nearly as many where a recipe is random.
            job.experiment.steps_of(job.seed).map_or(1.0, |steps| steps.total as f64)
        });
        (*steps * job.experiment.step_flops() as f64).max(1.0)
    };
    jobs.iter().map(work).collect()
}

fn overall(snapshots: &[Snapshot], works: &[f64], elapsed: Duration) -> Overall {
    let part = |done: u64, total: u64| if total > 0 { done as f64 / total as f64 } else { 0.0 };
    let all: f64 = works.iter().sum();
    let mut fraction = 0.0;
    let mut before = 0.0;
    for (run, work) in snapshots.iter().zip(works) {
        fraction += work * if run.finished { 1.0 } else { part(run.done, run.total) };
        // Runs that the store already had took no time.
        before +=
            work * if run.started { part(run.first, run.total) } else { f64::from(run.finished) };
    }
    let (fraction, now) = (fraction / all, (fraction - before) / all);
    let left = (now > 0.005)
        .then(|| Duration::from_secs_f64(elapsed.as_secs_f64() * (1.0 - fraction) / now));
    let ended = snapshots.iter().enumerate().filter(|(_, run)| run.finished && !run.failed);
    let nll = ended.map(|(at, run)| (at, run.held_out_nll)).filter(|(_, nll)| nll.is_finite());
    Overall {
        finished: snapshots.iter().filter(|run| run.finished).count(),
        fraction,
        left,
        failed: snapshots.iter().filter(|run| run.failed).count(),
        best: nll.min_by(|a, b| a.1.total_cmp(&b.1)),
    }
}

/// The state of all jobs in words: the time left, failures, and of a sweep the best run so far.
fn in_words(state: &Overall, jobs: &[Job<'_>], with_best: bool) -> String {
    let mut parts: Vec<String> = state.left.map(time_left).into_iter().collect();
    if state.failed > 0 {
        parts.push(format!("{} failed", state.failed));
    }
    let hash = |at: usize| jobs.get(at).map(|job| job.experiment.hash);
    let is_sweep = jobs.windows(2).any(|two| two[0].experiment.hash != two[1].experiment.hash);
    if let Some((at, nll)) = state.best.filter(|_| is_sweep && with_best)
        && let Some(hash) = hash(at)
    {
        // The beginning of a hash is enough to find it in a listing.
        let hash: String = hash.to_string().chars().take(8).collect();
        parts.push(format!("best held-out NLL {nll:.3} ({hash} seed {})", jobs[at].seed));
    }
    parts.join(", ")
}

fn bars(name: &str, jobs: &[Job<'_>], ended: &AtomicBool) {
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    let style = |template: &str| {
        ProgressStyle::with_template(template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸ ")
    };
    let total = all.add(ProgressBar::new(1000));
    let width = terminal::width(&Term::stderr()).unwrap_or(80);
    let (prefix, bar) = match width {
        ..80 => (18, 8),
        80..100 => (26, 16),
        _ => (32, 16),
    };
    let template = |colour: &str| {
        style(&format!("{{prefix:{prefix}!}} {{bar:{bar}{colour}}} {{percent:>3}} %  {{msg}}"))
    };
    if !terminal::no_color() && std::env::var_os("NO_COLOR").is_some() {
        // It is empty, which the library treats as set.
        console::set_colors_enabled_stderr(true);
    }
    total.set_style(template(if terminal::no_color() { "" } else { ".cyan" }));
    let running = template("");
    let mut shown: Vec<Option<ProgressBar>> = jobs.iter().map(|_| None).collect();
    let (works, begun) = (works(jobs), Instant::now());
    loop {
        let last = ended.load(Ordering::Acquire);
        let snapshots: Vec<Snapshot> = jobs.iter().map(|job| job.progress.snapshot()).collect();
        for ((job, run), bar) in jobs.iter().zip(&snapshots).zip(&mut shown) {
            let runs = run.started && !run.finished && !last;
            if runs && bar.is_none() {
                let new = all.insert_before(&total, ProgressBar::new(run.total));
                new.set_style(running.clone());
                new.set_prefix(titled(
                    &job.experiment.spec.name,
                    &format!(" seed {}", job.seed),
                    prefix,
                ));
                *bar = Some(new);
            }
            if let Some(open) = bar.as_ref() {
                open.set_position(run.done);
                open.set_message(losses(run, width >= 100));
                if !runs {
                    open.finish_and_clear();
                    *bar = None;
                }
            }
        }
        for warning in warnings(jobs) {
            // If it cannot be drawn, the terminal is gone.
            let _ = all.println(warning);
        }
        let state = overall(&snapshots, &works, begun.elapsed());
        let count = format!(": {} of {} runs", state.finished, jobs.len());
        total.set_prefix(titled(name, &count, prefix));
        total.set_position((1000.0 * state.fraction) as u64);
        // A line that wraps would be drawn anew each time, not over itself.
        total.set_message(in_words(&state, jobs, width >= 120));
        if last {
            total.finish_and_clear();
            return;
        }
        thread::park_timeout(TICK);
    }
}

fn lines(name: &str, jobs: &[Job<'_>], ended: &AtomicBool) {
    let (works, begun) = (works(jobs), Instant::now());
    let mut next = LINE_EVERY;
    loop {
        let last = ended.load(Ordering::Acquire);
        warnings(jobs).iter().for_each(|warning| eprintln!("{warning}"));
        if last {
            return;
        }
        if begun.elapsed() >= next {
            next += LINE_EVERY;
            let snapshots: Vec<Snapshot> = jobs.iter().map(|job| job.progress.snapshot()).collect();
            let state = overall(&snapshots, &works, begun.elapsed());
            let percent = 100.0 * state.fraction;
            let mut line =
                format!("{name}: {} of {} runs, {percent:.0} %", state.finished, jobs.len());
            let words = in_words(&state, jobs, true);
            if !words.is_empty() {
                let _ = write!(line, ", {words}");
            }
            eprintln!("{line}");
        }
        thread::park_timeout(TICK);
    }
}

/// The warnings of the runs since the last call.
fn warnings(jobs: &[Job<'_>]) -> Vec<String> {
    let warnings = jobs.iter().flat_map(|job| {
        let warnings = job.progress.take_warnings();
        warnings.into_iter().map(move |warning| {
            let name = &job.experiment.spec.name;
            format!("retrodict: warning: {name} seed {}: {warning}", job.seed)
        })
    });
    warnings.collect()
}

/// `name` and the text after it in `width` columns; the name is shortened to fit.
fn titled(name: &str, rest: &str, width: usize) -> String {
    let room = width.saturating_sub(rest.chars().count());
    format!("{}{rest}", name.chars().take(room).collect::<String>())
}

fn losses(run: &Snapshot, with_epoch: bool) -> String {
    if run.train_nll.is_nan() {
        return String::new();
    }
    let mut text = format!("train {:.3}", run.train_nll);
    if !run.held_out_nll.is_nan() {
        let _ = write!(text, " held-out {:.2}", run.held_out_nll);
    }
    if with_epoch {
        let _ = write!(text, " epoch {}", run.epoch);
    }
    text
}

fn time_left(left: Duration) -> String {
    format!("{} left", whole_seconds(left.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(done: u64, first: u64, finished: bool) -> Snapshot {
        let (train_nll, held_out_nll) = (f64::NAN, f64::NAN);
        let (total, epoch, started) = (100, 0, true);
        let failed = false;
        Snapshot { total, done, first, epoch, train_nll, held_out_nll, started, finished, failed }
    }

    /// Three runs of seconds do not predict the end of one of hours.
    #[test]
    fn the_time_left_is_that_of_the_work_left() {
        let runs = [run(100, 0, true), run(100, 0, true), run(100, 0, true), run(10, 0, false)];
        let state = overall(&runs, &[1.0, 1.0, 1.0, 997.0], Duration::from_secs(100));
        assert_eq!(state.finished, 3);
        assert!((state.fraction - 0.1027).abs() < 1e-12, "{}", state.fraction);
        let left = state.left.expect("more than 0.5 % is done").as_secs_f64();
        assert!((left - 100.0 * 0.8973 / 0.1027).abs() < 1e-6, "{left}");
        // The work of an earlier start took no time in this one.
        let state = overall(&[run(60, 50, false)], &[7.0], Duration::from_secs(10));
        let left = state.left.expect("a tenth is done").as_secs_f64();
        assert!((left - 40.0).abs() < 1e-6, "{left}");
    }
}
