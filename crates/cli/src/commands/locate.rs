//! `retrodict locate`.

mod facts;

use retrodict_lab::locate::{self as lab, LocateError, LocateResult, Located};
use retrodict_lab::spec::Spec;
use retrodict_lab::store::{Status, Store};
use retrodict_lab::{Experiment, Job, run_all};
use retrodict_report::write_locate;

use super::{Failure, fitted, load_spec, print, refuse_model, stop_on_interrupt};
use crate::args::LocateArgs;
use crate::progress::show_progress;
use crate::table::{table, wrap};

pub(crate) fn locate(args: &LocateArgs) -> Result<(), Failure> {
    if let Some(file) = &args.facts.facts {
        return facts::locate(args, file);
    }
    refuse_model(&args.spec, "locate")?;
    let spec = load_spec(&args.spec, &args.set)?;
    let origin = args.spec.display().to_string();
    let seed = u64::from(args.seed);
    let experiment =
        Experiment::new(Spec { seeds: vec![seed], ..spec }, &origin).map_err(Failure::usage)?;
    let refused = |error: LocateError| match error {
        LocateError::Store(_) | LocateError::NoCheckpoint { .. } => Failure::failed(error),
        error => Failure::usage(format!("{origin}: {error}")),
    };
    lab::check(&experiment, seed).map_err(refused)?;
    let store = Store::open(&args.out).map_err(Failure::failed)?;
    let stop = stop_on_interrupt();
    let jobs: Vec<Job<'_>> = Job::of(&experiment).collect();
    let resources = fitted(&jobs, &store, args.resources.resources()?)?;
    let outcomes =
        show_progress(&experiment.spec.name, &jobs, || run_all(&jobs, &store, resources, &stop));
    for outcome in outcomes {
        match outcome.status {
            Status::Complete => {}
            Status::Interrupted => {
                let message = "the run is unfinished; the same command resumes it";
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
    for warning in &result.located.warnings {
        eprintln!("retrodict: {warning}");
    }
    if args.json {
        let text = serde_json::to_string(&result).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    print(&format!("{}\nfigures in {}\n", text(&result), folder.display()))
}

fn text(result: &LocateResult) -> String {
    let head = wrap(&format!(
        "{} ({}), seed {}, after {} steps",
        result.experiment, result.hash, result.seed, result.step
    ));
    format!("{head}\n{}", tables(&result.located))
}

fn tables(result: &Located) -> String {
    let mut text = "logit lens: NLL / rank among candidates\n".to_owned();
    let head = [String::new(), "candidates".to_owned()];
    let mut rows = vec![head.into_iter().chain(result.places.iter().cloned()).collect()];
    rows.extend(result.lens.iter().map(|group| {
        let places = group.places.iter().map(|at| format!("{:.2} / {:.1}", at.nll, at.rank));
        let head = [group.name.clone(), format!("{:.1}", group.candidates)];
        head.into_iter().chain(places).collect::<Vec<String>>()
    }));
    text += &table(&rows, 1, &[]);
    text + &patches(result) + &attribution(result)
}

/// The contribution of each part to the margin, in words; empty if it was not measured.
fn attribution(result: &Located) -> String {
    if result.attribution.is_empty() {
        return String::new();
    }
    let groups = result.attribution.iter().map(|group| group.name.clone());
    let mut rows = vec![[String::new()].into_iter().chain(groups).collect::<Vec<String>>()];
    let mut row = |name: &str, values: Vec<f64>| {
        let values = values.into_iter().map(|value| format!("{:.3}", value + 0.0));
        rows.push([name.to_owned()].into_iter().chain(values).collect());
    };
    row("margin", result.attribution.iter().map(|group| group.margin).collect());
    for (at, part) in result.parts.iter().enumerate() {
        row(part, result.attribution.iter().map(|group| group.parts[at]).collect());
    }
    format!("\ncontribution of each part to the margin\n{}", table(&rows, 1, &[]))
}

fn patches(result: &Located) -> String {
    let mut text = String::new();
    for patching in &result.patching {
        text += &wrap(&format!(
            "\npatching, {} ({} pairs): margin {:.2} clean, {:.2} corrupted; recovered\n",
            patching.title, patching.pairs, patching.clean_margin, patching.corrupted_margin
        ));
        let positions = patching.positions.iter().map(ToString::to_string);
        let mut rows = vec![[String::new()].into_iter().chain(positions).collect()];
        rows.extend(result.places.iter().zip(&patching.recovered).map(|(place, shares)| {
            let share = |share: &Option<f64>| match share {
                Some(share) => format!("{:.3}", share + 0.0),
                None => "–".to_owned(),
            };
            [place.clone()].into_iter().chain(shares.iter().map(share)).collect::<Vec<String>>()
        }));
        text += &table(&rows, 1, &[]);
    }
    text
}
