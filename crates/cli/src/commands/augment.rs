//! `retrodict augment`: training text of a file of facts, and leaks in such text.

use std::path::{Path, PathBuf};

use retrodict_corpus::augment::{self as text, AugmentError, Format, Settings, Summary};
use retrodict_corpus::leak::{Leak, LeakKind, leaks};
use retrodict_corpus::{FactFile, Finding, Severity, Templates};
use retrodict_facts::{Recipe, RecipeError};
use retrodict_lab::store::atomic;

use super::{Failure, print};
use crate::args::{AugmentArgs, TextFormat};
use crate::table::table;

/// The folder of the training text.
const OUT: &str = "augmented";
/// The most findings that are printed.
const MOST_FINDINGS: usize = 20;

pub(crate) fn augment(args: &AugmentArgs) -> Result<(), Failure> {
    if !(0.0..=1.0).contains(&args.train_fraction) {
        let value = args.train_fraction;
        return Err(Failure::Usage(format!(
            "--train-fraction is {value}, but must be a fraction from 0 to 1"
        )));
    }
    let recipe = |name: &String| {
        name.parse::<Recipe>()
            .map_err(|error: RecipeError| Failure::Usage(format!("--recipe {name}: {error}")))
    };
    let settings = Settings {
        recipes: args.recipe.iter().map(recipe).collect::<Result<_, _>>()?,
        train_fraction: args.train_fraction,
        held_phrasings: args.held_phrasings,
        seed: args.seed,
    };
    let (facts, templates) = read(&args.facts, args.templates.as_deref())?;
    let made = text::augment(&facts, &templates, &settings).map_err(refused)?;
    if let Some(file) = &args.check {
        let allowed = made.lines.iter().map(|line| line.sentence.text());
        let found =
            leaks(file, &facts, &templates, &made.split, allowed).map_err(Failure::usage)?;
        return report(file, &facts, &found, args.json);
    }
    let format = match args.format {
        TextFormat::Text => Format::Text,
        TextFormat::PromptCompletion => Format::PromptCompletion,
        TextFormat::Chat => Format::Chat,
        TextFormat::Alpaca => Format::Alpaca,
    };
    let (files, summary) = text::files(&facts, &templates, &settings, format, &made);
    let out = args.out.clone().unwrap_or_else(|| PathBuf::from(OUT));
    std::fs::create_dir_all(&out)
        .map_err(|error| Failure::Failed(format!("cannot make {}: {error}", out.display())))?;
    for (name, content) in &files {
        atomic::write(&out.join(name), content.as_bytes()).map_err(Failure::failed)?;
    }
    if args.json {
        let text = serde_json::to_string(&summary).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    print(&in_words(&summary, &files, &out))
}

/// The facts and their phrasings; what may be a mistake goes to standard error.
pub(crate) fn read(
    facts: &Path,
    templates: Option<&Path>,
) -> Result<(FactFile, Templates), Failure> {
    let facts = FactFile::read(facts).map_err(Failure::usage)?;
    let templates = match templates {
        Some(path) => Templates::read(path),
        None => Templates::plain(&facts),
    };
    let templates = templates.map_err(Failure::usage)?;
    let of_templates = templates.check(&facts).map_err(Failure::usage)?;
    complain(&facts.name, &facts.findings);
    complain(&templates.name, &of_templates);
    Ok((facts, templates))
}

/// Warnings first; notes only while there are few.
fn complain(file: &str, findings: &[Finding]) {
    let of = |severity| findings.iter().filter(move |finding| finding.severity == severity);
    let all: Vec<&Finding> = of(Severity::Warning).chain(of(Severity::Note)).collect();
    for finding in all.iter().take(MOST_FINDINGS) {
        let word = match finding.severity {
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let place = match finding.lines.last() {
            Some(line) => format!("{file}:{line}: "),
            None => String::new(),
        };
        eprintln!("retrodict: {word}: {place}{}", finding.message);
    }
    if all.len() > MOST_FINDINGS {
        let more = all.len() - MOST_FINDINGS;
        eprintln!("retrodict: and {more} more findings, all in summary.json of `augment`");
    }
}

fn refused(error: AugmentError) -> Failure {
    Failure::usage(error)
}

fn in_words(summary: &Summary, files: &[(&str, String)], out: &Path) -> String {
    let mut rows = vec![["".to_owned(), "lines".to_owned(), "words".to_owned()]];
    let row = |name: &str, size: &text::Size| {
        [name.to_owned(), size.lines.to_string(), size.words.to_string()]
    };
    rows.push(row("plain", &summary.plain));
    rows.extend(summary.added.iter().map(|(recipe, size)| row(recipe, size)));
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    let mut text = format!(
        "{} facts, {} of them in both directions; {:.2} times the words of the plain sentences\n\n{}",
        summary.fact_count,
        summary.trained_both,
        summary.words_ratio,
        table(&rows, 1, &[])
    );
    if summary.dropped > 0 {
        text += &format!(
            "\n{} sentences left out: they would state a held-out direction\n",
            summary.dropped
        );
    }
    text += "\nquestions\n";
    for (direction, [trained, held_out]) in &summary.questions {
        text += &format!("  {direction}: {trained} trained, {held_out} held out\n");
    }
    let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
    text + &format!("\n{} in {}\n", names.join(", "), out.display())
}

/// Prints the leaks; fails if there are some.
fn report(file: &Path, facts: &FactFile, found: &[Leak], json: bool) -> Result<(), Failure> {
    let name = file.display();
    if json {
        let text = serde_json::to_string(found).map_err(Failure::failed)?;
        print(&format!("{text}\n"))?;
    } else {
        let mut text = String::new();
        for leak in found {
            let how = match leak.kind {
                LeakKind::Phrasing => "states",
                LeakKind::Order => "may state, in other words,",
            };
            text += &format!(
                "{name}:{}: {how} what {}:{} holds out ({}: {} → {}): {}\n",
                leak.line,
                facts.name,
                leak.fact,
                leak.direction.word(),
                leak.source,
                leak.answer,
                leak.text
            );
        }
        print(&text)?;
    }
    let mut lines: Vec<usize> = found.iter().map(|leak| leak.line).collect();
    lines.dedup();
    match lines.len() {
        0 if json => Ok(()),
        0 => print(&format!("{name}: no line states a held-out direction\n")),
        count => {
            let (s, state) = if count == 1 { ("", "states") } else { ("s", "state") };
            let problem = format!("{count} line{s} of {name} {state} a held-out direction");
            Err(Failure::Failed(problem))
        }
    }
}
