//! `retrodict locate`.

use std::fmt::Write as _;

use retrodict_lab::locate::{self as lab, LocateError, LocateResult};
use retrodict_lab::spec::Spec;
use retrodict_lab::store::{Status, Store};
use retrodict_lab::{Experiment, Job, run_all};
use retrodict_report::write_locate;

use super::{Failure, overrides, print, ready_spec, stop_on_interrupt};
use crate::args::LocateArgs;
use crate::progress::show_progress;

pub(crate) fn locate(args: &LocateArgs) -> Result<(), Failure> {
    let set = overrides(&args.set)?;
    let (spec, origin) = match &args.spec {
        Some(path) => (Spec::load(path, &set).map_err(Failure::usage)?, path.display().to_string()),
        None => (ready_spec("reversal-quick", &set)?, "reversal-quick".to_owned()),
    };
    let seed = u64::from(args.seed);
    let experiment =
        Experiment::new(Spec { seeds: vec![seed], ..spec }, &origin).map_err(Failure::usage)?;
    let refused = |error: LocateError| match error {
        LocateError::Store(_) | LocateError::NoCheckpoint { .. } => Failure::failed(error),
        error => Failure::usage(format!("{origin}: {error}")),
    };
    lab::check(&experiment, seed).map_err(refused)?;
    let store = Store::open(&args.out).map_err(Failure::failed)?;
    let stop = stop_on_interrupt()?;
    let jobs: Vec<Job<'_>> = Job::of(&experiment).collect();
    let resources = args.resources.resources();
    let outcomes = show_progress(&jobs, || run_all(&jobs, &store, resources, &stop));
    for outcome in outcomes {
        match outcome.status {
            Status::Complete => {}
            Status::Interrupted => {
                let message = "the run is unfinished; the same command goes on where it stopped";
                return Err(Failure::Interrupted(message.to_owned()));
            }
            _ => {
                let why = outcome.message.as_deref().unwrap_or("no reason given");
                return Err(Failure::Failed(format!("the run did not complete: {why}")));
            }
        }
    }
    let (_, threads) = resources.divide(experiment.step_flops(), 1);
    let result = lab::locate(&experiment, &store, seed, threads).map_err(refused)?;
    let folder = write_locate(&args.out, &result).map_err(Failure::failed)?;
    for warning in &result.warnings {
        eprintln!("retrodict: {warning}");
    }
    if args.json {
        let text = serde_json::to_string(&result).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    print(&format!("{}\nfigures in {}\n", table(&result), folder.display()))
}

fn table(result: &LocateResult) -> String {
    let mut text = format!(
        "{} ({}), seed {}, after {} steps\n\nlogit lens: NLL / rank among candidates\n{:>28} {:>10}",
        result.experiment, result.hash, result.seed, result.step, "", "candidates"
    );
    for place in &result.places {
        let _ = write!(text, " {place:>16}");
    }
    text.push('\n');
    for group in &result.lens {
        let _ = write!(text, "{:>28} {:>10.1}", group.name, group.candidates);
        for point in &group.places {
            let _ = write!(text, " {:>16}", format!("{:.2} / {:.1}", point.nll, point.rank));
        }
        text.push('\n');
    }
    for patching in &result.patching {
        let _ = write!(
            text,
            "\npatching, {} ({} pairs): margin {:.2} clean, {:.2} corrupted; recovered\n{:>28}",
            patching.title, patching.pairs, patching.clean_margin, patching.corrupted_margin, ""
        );
        for position in &patching.positions {
            let _ = write!(text, " {position:>10}");
        }
        text.push('\n');
        for (place, shares) in result.places.iter().zip(&patching.recovered) {
            let _ = write!(text, "{place:>28}");
            for share in shares {
                let share = share.map_or("–".to_owned(), |share| format!("{:.3}", share + 0.0));
                let _ = write!(text, " {share:>10}");
            }
            text.push('\n');
        }
    }
    if !result.attribution.is_empty() {
        text += "\nwhat each part adds to the margin\n";
    }
    for group in &result.attribution {
        let _ = writeln!(text, "{:>28}: margin {:.2}", group.name, group.margin);
        for (part, value) in result.parts.iter().zip(&group.parts) {
            let _ = writeln!(text, "{part:>28}  {:>8.3}", value + 0.0);
        }
    }
    text
}
