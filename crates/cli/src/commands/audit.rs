//! `retrodict audit MODEL FACTS…`.

#[cfg(feature = "models")]
mod local;
mod published;

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use retrodict_audit::{
    AuditError, AuditResult, Generated, Limits, Plan, RelationResult, Scores, Server,
    audit as statistics,
};
use retrodict_corpus::{FactFile, QuestionFiles};
use retrodict_report::write_audit;

use super::augment::read;
use super::{Failure, print, stop_on_interrupt};
use crate::args::AuditArgs;
use crate::progress::Counter;
use crate::table::table;

/// The environment variable of the server's key.
const KEY: &str = "RETRODICT_API_KEY";
/// The beginning of the name of the file of scores, in the folder of the audit.
const SCORES: &str = "scores";
/// The word that asks for the requests alone.
const REQUESTS: &str = "requests";
/// The word that asks for a summary of results that were measured elsewhere.
const PUBLISHED: &str = "published";

pub(crate) fn audit(args: &AuditArgs) -> Result<(), Failure> {
    if args.rate.is_some_and(|rate| !(rate > 0.0 && rate.is_finite())) {
        return Err(Failure::Usage("--rate must be a number above 0".to_owned()));
    }
    if args.model == PUBLISHED {
        return published::published(args);
    }
    let (facts, plan) = planned(args)?;
    let requests = plan.requests();
    if args.model == REQUESTS {
        let lines = requests.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
        return print(&format!("{}\n", lines.map_err(Failure::failed)?.join("\n")));
    }
    let (path, name, none) = (Path::new(&args.model), args.model.clone(), Generated::default());
    let (scores, generated, model) = if args.model.contains("://") {
        let (scores, model) = ask(args, &requests)?;
        (scores, none, model)
    } else if is_model(path) {
        let (scores, generated) = run(path, &plan, &requests, &args.out)?;
        (scores, generated, name)
    } else {
        (Scores::read(path).map_err(Failure::usage)?, none, name)
    };
    let result = statistics(&facts, &plan, &scores, &generated, &model).map_err(|error| {
        Failure::Usage(format!(
            "{}: {error}; `retrodict audit requests FACTS` prints what must be scored",
            args.model
        ))
    })?;
    let page = write_audit(&args.out, &result).map_err(Failure::failed)?;
    if args.json {
        let text = serde_json::to_string(&result).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    print(&format!("{}\n{}\n", in_words(&result), page.display()))
}

/// The facts, and the questions about them.
fn planned(args: &AuditArgs) -> Result<(FactFile, Plan), Failure> {
    let most = args.candidates.map_or(usize::MAX, |most| most as usize);
    let of_questions = |files: QuestionFiles| {
        let plan = Plan::of_questions(&files, most, args.seed);
        (files.facts, plan)
    };
    match &args.facts[..] {
        [file] if QuestionFiles::is_at(file) && args.templates.is_none() => {
            QuestionFiles::read_both(file).map(of_questions).map_err(Failure::usage)
        }
        [file] if !QuestionFiles::is_at(file) => {
            let (facts, templates) = read(file, args.templates.as_deref())?;
            let plan = Plan::new(&facts, &templates, most, args.seed);
            Ok((facts, plan))
        }
        [forward, reverse] if args.templates.is_none() => {
            QuestionFiles::read(forward, reverse).map(of_questions).map_err(Failure::usage)
        }
        [_] | [_, _] => Err(Failure::Usage(
            "--templates goes with a file of facts; files of prompts and completions have their own \
             phrasings"
                .to_owned(),
        )),
        files => Err(Failure::Usage(format!(
            "{} files are given; give one file of facts, or two of prompts and completions: the \
             forward one, and the reverse one",
            files.len()
        ))),
    }
}

/// Whether a path is that of a model, not of a file of scores.
fn is_model(path: &Path) -> bool {
    path.is_dir() || path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf"))
}

#[cfg(feature = "models")]
use local::run;

/// Refuses to run a model.
#[cfg(not(feature = "models"))]
fn run(
    path: &Path,
    _: &Plan,
    _: &[retrodict_audit::Request],
    _: &Path,
) -> Result<(Scores, Generated), Failure> {
    Err(Failure::Usage(format!(
        "{} is a model, and this program was built without them; build it with `cargo install --path \
         crates/cli --features models`, or serve the model and give its address",
        path.display()
    )))
}

/// Asks the server for the scores that are missing. Returns them, and the model's name.
fn ask(
    args: &AuditArgs,
    requests: &[retrodict_audit::Request],
) -> Result<(Scores, String), Failure> {
    let key = std::env::var(KEY).ok().filter(|key| !key.is_empty());
    let limits = Limits {
        at_once: args.at_once.get(),
        per_second: args.rate,
        retries: args.retries as usize,
        ..Limits::default()
    };
    let refused = |error: AuditError| match error {
        AuditError::Interrupted => Failure::Interrupted(error.to_string()),
        AuditError::Address { .. } => Failure::usage(error),
        error => Failure::failed(error),
    };
    let server = Server::new(&args.model, args.model_name.as_deref(), key, limits);
    let server = server.map_err(refused)?;
    let file = scores_file(&args.out, server.model());
    let mut scores = kept(&file)?;
    let stop = stop_on_interrupt();
    let counter = Counter::new("log probabilities");
    let last = AtomicUsize::new(0);
    let filled = server.fill(&mut scores, requests, &file, &stop, |known, all| {
        counter.show(known, all);
        last.store(known, Ordering::Relaxed);
    });
    drop(counter);
    filled.map_err(|error| {
        let known = last.load(Ordering::Relaxed);
        if known > 0 {
            let (all, file) = (requests.len(), file.display());
            eprintln!("retrodict: {known} of {all} log probabilities are kept in {file}");
        }
        refused(error)
    })?;
    Ok((scores, server.model().to_owned()))
}

/// The file of a model's scores in the folder of the audit: those of one model are not another's.
fn scores_file(out: &Path, model: &str) -> PathBuf {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let name: String = model.chars().map(|c| if plain(c) { c } else { '_' }).collect();
    out.join(format!("{SCORES}-{name}.jsonl"))
}

/// The scores of a file that may be missing.
fn kept(file: &Path) -> Result<Scores, Failure> {
    match file.exists() {
        true => Scores::read(file).map_err(Failure::failed),
        false => Ok(Scores::default()),
    }
}

fn in_words(result: &AuditResult) -> String {
    let head = [
        "facts",
        "number",
        "forward",
        "reverse",
        "asymmetry",
        "95 % interval",
        "p",
        "first forward",
        "first reverse",
    ];
    let in_own_words = result.all.forward_exact.is_some();
    let said = ["said forward", "said reverse"].into_iter().filter(|_| in_own_words);
    let mut rows = vec![head.into_iter().chain(said).map(str::to_owned).collect()];
    let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
    let row = |of: &RelationResult| {
        let interval = of.asymmetry_interval;
        let mut cells = vec![
            if of.relation.is_empty() { "all".to_owned() } else { of.relation.clone() },
            of.facts.to_string(),
            number(of.forward_level),
            number(of.reverse_level),
            number(of.asymmetry),
            interval.map_or("–".to_owned(), |[low, high]| format!("{low:.3} to {high:.3}")),
            of.p.map_or("–".to_owned(), |p| {
                if p < 0.001 { "< 0.001".into() } else { format!("{p:.3}") }
            }),
            number(of.forward_top1),
            number(of.reverse_top1),
        ];
        if in_own_words {
            cells.extend([of.forward_exact, of.reverse_exact].map(number));
        }
        cells
    };
    rows.push(row(&result.all));
    if result.relations.len() > 1 {
        rows.extend(result.relations.iter().map(row));
    }
    let mut text = format!("{}\n\n{}", result.all.verdict.sentence(), table(&rows, 1, &[]));
    if let Some(share) = result.false_curses {
        text += &format!("\nof permuted facts, {share:.3} would be taken for a curse\n");
    }
    text
}
