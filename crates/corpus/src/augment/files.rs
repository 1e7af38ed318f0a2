//! The files of a training text.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{Augmented, Format, Line, Settings};
use crate::{Direction, FactFile, Finding, Question, Templates, questions};

/// The content of a training text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The version of the program.
    pub version: &'static str,
    /// The file of facts.
    pub facts: String,
    /// The SHA-256 of that file.
    pub facts_sha256: String,
    /// The file of phrasings; empty if they were made of the names of relations.
    pub templates: String,
    /// The recipes, in order.
    pub recipes: Vec<String>,
    /// The seed of the split and of random recipes.
    pub seed: u32,
    /// The number of facts.
    pub fact_count: usize,
    /// Facts trained in both directions.
    pub trained_both: usize,
    /// Lines and words of the plain sentences.
    pub plain: Size,
    /// Lines and words that each recipe added; those of a sentence that several recipes made count
    /// to the last.
    pub added: BTreeMap<String, Size>,
    /// Words of the whole text over words of the plain sentences.
    pub words_ratio: f64,
    /// Sentences that recipes would have added, but that state a held-out direction.
    pub dropped: usize,
    /// The number of questions, trained and held out, by direction.
    pub questions: BTreeMap<&'static str, [usize; 2]>,
    /// Possible mistakes in the facts or the phrasings.
    pub findings: Vec<Finding>,
}

/// A number of lines and of words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Lines.
    pub lines: usize,
    /// Words, parted by white space.
    pub words: usize,
}

impl Size {
    fn add(&mut self, line: &Line) {
        self.lines += line.times;
        self.words += line.times * line.sentence.words();
    }
}

/// The files of a training text with their contents, and their summary.
pub fn files(
    facts: &FactFile,
    templates: &Templates,
    settings: &Settings,
    format: Format,
    text: &Augmented,
) -> (Vec<(&'static str, String)>, Summary) {
    let all = questions(facts, templates, &text.split, settings.held_phrasings);
    let of = |direction: Direction| all.iter().filter(move |q| q.direction == direction);
    let (mut train, mut manifest) = (String::new(), String::new());
    let (mut plain, mut added) = (Size::default(), BTreeMap::<String, Size>::new());
    let mut number = 0;
    for line in &text.lines {
        match line.recipes.last() {
            None => plain.add(line),
            Some(recipe) => added.entry(recipe.clone()).or_default().add(line),
        }
        for _ in 0..line.times {
            number += 1;
            push(&mut train, &format.value(&line.sentence));
            push(
                &mut manifest,
                &json!({
                    "line": number,
                    "fact": line.fact.map(|at| facts.facts[at].line),
                    "relation": line.fact.map(|at| facts.facts[at].relation.as_str()),
                    "direction": line.direction,
                    "phrasing": line.phrasing,
                    "recipes": line.recipes,
                    "words": line.sentence.words(),
                }),
            );
        }
    }
    let total = plain.words + added.values().map(|size| size.words).sum::<usize>();
    let mut findings = facts.findings.clone();
    findings.extend(templates.check(facts).unwrap_or_default());
    let count = |direction| {
        let trained = of(direction).filter(|question| question.trained).count();
        [trained, of(direction).count() - trained]
    };
    let summary = Summary {
        version: env!("CARGO_PKG_VERSION"),
        facts: facts.name.clone(),
        facts_sha256: facts.digest.clone(),
        templates: templates.name.clone(),
        recipes: settings.recipes.iter().map(ToString::to_string).collect(),
        seed: settings.seed,
        fact_count: facts.facts.len(),
        trained_both: text.split.iter().filter(|t| **t == crate::Trained::Both).count(),
        plain,
        added,
        words_ratio: total as f64 / plain.words.max(1) as f64,
        dropped: text.dropped,
        questions: Direction::ALL.into_iter().map(|d| (d.word(), count(d))).collect(),
        findings,
    };
    let asked = |direction| {
        let mut lines = String::new();
        of(direction).for_each(|question: &Question| push(&mut lines, question));
        lines
    };
    let mut whole = serde_json::to_string_pretty(&summary).unwrap_or_default();
    whole.push('\n');
    let files = vec![
        ("train.jsonl", train),
        ("questions-forward.jsonl", asked(Direction::Forward)),
        ("questions-reverse.jsonl", asked(Direction::Reverse)),
        ("manifest.jsonl", manifest),
        ("summary.json", whole),
    ];
    (files, summary)
}

/// Appends a JSON object as a line.
fn push(lines: &mut String, value: &impl Serialize) {
    // Texts and numbers always have a JSON form.
    lines.push_str(&serde_json::to_string(value).unwrap_or_default());
    lines.push('\n');
}
