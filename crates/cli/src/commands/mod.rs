//! The commands: each calls `lab` and `report` and prints the results.

mod audit;
mod augment;
mod bench;
mod compare;
mod completions;
mod data;
mod dry_run;
mod estimate;
mod export;
mod finetune;
mod invent;
mod language_model;
mod launch;
mod lesson;
mod locate;
mod man;
mod map;
mod record;
mod report;
mod reproduce;
mod run;
mod runs;
mod serve;
mod spec;
mod store;
mod sweep;
mod sweep_table;
mod sweep_work;
mod table;
mod theory;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use retrodict_lab::spec::{Spec, read_file, ready};
use retrodict_lab::store::{Status, Store};
use retrodict_lab::{Job, Outcome, Resources, gpu, memory};

pub(crate) use audit::audit;
pub(crate) use augment::augment;
pub(crate) use bench::bench;
pub(crate) use compare::compare;
pub(crate) use completions::completions;
pub(crate) use data::{DataArgs, data};
pub(crate) use export::export;
pub(crate) use finetune::finetune;
pub(crate) use invent::invent;
use language_model::refuse_model;
pub(crate) use launch::LaunchArgs;
pub(crate) use lesson::lesson;
pub(crate) use locate::locate;
pub(crate) use man::man;
pub(crate) use map::map;
pub(crate) use report::report;
pub(crate) use reproduce::reproduce;
pub(crate) use run::run;
pub(crate) use runs::runs;
pub(crate) use serve::serve;
pub(crate) use spec::spec;
pub(crate) use store::{StoreArgs, store};
pub(crate) use sweep::{SweepCommand, sweep};
pub(crate) use table::table;
pub(crate) use theory::{TheoryArgs, theory};

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A wrong command line or input.
    Usage(String),
    /// The work failed.
    Failed(String),
    /// Ctrl-C; the message says how to resume.
    Interrupted(String),
    /// Standard output was closed.
    ClosedPipe,
}

impl Failure {
    pub(crate) fn usage(error: impl ToString) -> Failure {
        Failure::Usage(error.to_string())
    }

    pub(crate) fn failed(error: impl ToString) -> Failure {
        Failure::Failed(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Failed(format!("cannot write to standard output: {error}")),
        }
    }
}

/// Prints to standard output.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// The `key=value` overrides of `--set`.
fn overrides(set: &[String]) -> Result<Vec<(&str, &str)>, Failure> {
    set.iter()
        .map(|text| {
            text.split_once('=').ok_or_else(|| {
                Failure::Usage(format!("--set {text}: give it as key=value, as in model.layers=2"))
            })
        })
        .collect()
}

/// The text of the file `named`, or else of the ready spec of that name.
fn spec_text(named: &Path) -> Result<String, Failure> {
    let name = named.display().to_string();
    let missing =
        || fs::metadata(named).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    match ready(&name) {
        Ok(text) if !named.is_file() => Ok(text.to_owned()),
        Err(unknown) if missing() => Err(Failure::Usage(format!(
            "there is no file `{name}`, and no ready spec of that name; {}",
            unknown.hint
        ))),
        _ => read_file(named).map_err(Failure::usage),
    }
}

/// The spec in the file `named`, or else the ready spec of that name, with the overrides of `set`.
pub(crate) fn load_spec(named: &Path, set: &[String]) -> Result<Spec, Failure> {
    let set = overrides(set)?;
    let (text, origin) = (spec_text(named)?, named.display().to_string());
    Spec::parse_with(&text, &origin, &set).map_err(Failure::usage)
}

/// A flag that Ctrl-C (or SIGTERM) sets; a second Ctrl-C ends the process at once.
pub(crate) fn stop_on_interrupt() -> Arc<AtomicBool> {
    flag_on_interrupt(|again| {
        if again {
            std::process::exit(i32::from(crate::INTERRUPTED));
        }
        eprintln!("\nretrodict: stopping after the steps under way; once more to stop at once");
    })
}

/// A flag that Ctrl-C (or SIGTERM) sets, after a call that says whether it was set before.
fn flag_on_interrupt(act: impl Fn(bool) + Send + 'static) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || act(flag.swap(true, Ordering::SeqCst))).unwrap_or_else(|error| {
        eprintln!(
            "retrodict: warning: cannot watch for Ctrl-C ({error}); it ends the process at once, \
             and the same command resumes"
        );
    });
    stop
}

/// `resources` with which the unfinished runs of `jobs` fit in memory, with a warning where that
/// takes fewer at a time.
fn fitted(jobs: &[Job<'_>], store: &Store, resources: Resources) -> Result<Resources, Failure> {
    gpu::check(jobs, &resources).map_err(Failure::usage)?;
    let fit = memory::fit(jobs, store, resources).map_err(Failure::usage)?;
    if let Some(warning) = fit.warning {
        eprintln!("retrodict: {warning}");
    }
    Ok(fit.resources)
}

/// One line for each run that did not complete.
pub(crate) fn complaints(jobs: &[Job<'_>], outcomes: &[Outcome]) -> Vec<String> {
    jobs.iter()
        .zip(outcomes)
        .filter(|(_, outcome)| outcome.status != Status::Complete)
        .map(|(job, outcome)| {
            let why = outcome.message.as_deref().unwrap_or("no reason given");
            format!("{} seed {}: {why}", job.experiment.spec.name, job.seed)
        })
        .collect()
}
