//! Held-out directions that a text states.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::file::bytes_of;
use crate::matcher::{Matcher, padded};
use crate::{CorpusError, Directed, Direction, FactFile, Templates, Trained};

/// A held-out direction, and its phrasings.
type HeldDirection = (Directed, Vec<String>);

/// The held-out directions of some facts.
pub(crate) struct HeldOut {
    matcher: Matcher,
    /// The held-out directions by source and answer, and each one's phrasings.
    by_pair: HashMap<(usize, usize), Vec<HeldDirection>>,
}

impl HeldOut {
    pub(crate) fn new(facts: &FactFile, templates: &Templates, split: &[Trained]) -> Self {
        let (mut names, mut indexes) = (Vec::new(), HashMap::new());
        for fact in &facts.facts {
            for name in [fact.subject.as_str(), fact.object.as_str()] {
                indexes.entry(name).or_insert_with(|| {
                    names.push(name);
                    names.len() - 1
                });
            }
        }
        let mut by_pair: HashMap<_, Vec<_>> = HashMap::new();
        for (at, (fact, trained)) in facts.facts.iter().zip(split).enumerate() {
            for direction in Direction::ALL.into_iter().filter(|d| !trained.includes(*d)) {
                let pair =
                    [fact.source(direction), fact.answer(direction)].map(|name| indexes[name]);
                let count = templates.of(fact).of(direction).len();
                let sentence = |phrasing| templates.sentence(fact, direction, phrasing).text();
                let phrasings = (0..count).map(|phrasing| padded(&sentence(phrasing))).collect();
                let directed = Directed { fact: at, direction };
                by_pair.entry((pair[0], pair[1])).or_default().push((directed, phrasings));
            }
        }
        Self { matcher: Matcher::new(names.into_iter()), by_pair }
    }

    /// A held-out direction of which the text contains a phrasing, without regard to case and
    /// punctuation.
    pub(crate) fn stated_in(&self, text: &str) -> Option<Directed> {
        let mentioned = self.matcher.all(text);
        let text = padded(text);
        let pairs = mentioned.iter().flat_map(|&a| mentioned.iter().map(move |&b| (a, b)));
        let held_out = pairs.filter_map(|pair| self.by_pair.get(&pair)).flatten();
        let stated = held_out.filter(|(_, phrasings)| phrasings.iter().any(|p| text.contains(p)));
        stated.map(|(directed, _)| *directed).min()
    }

    /// Held-out directions whose two names stand in one sentence in the order of the question, that
    /// which is asked about first.
    fn named_in(&self, text: &str) -> Vec<Directed> {
        let mentions = self.matcher.mentions(text);
        let mut found = Vec::new();
        for (at, first) in mentions.iter().enumerate() {
            let rest = mentions[at + 1..].iter();
            for second in rest.take_while(|mention| mention.sentence == first.sentence) {
                let held_out = self.by_pair.get(&(first.name, second.name));
                found.extend(held_out.into_iter().flatten().map(|(directed, _)| *directed));
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// How a text states a held-out direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LeakKind {
    /// In the words of a phrasing.
    Phrasing,
    /// In other words: its names stand in one sentence in the order of the held-out question.
    Order,
}

/// A line of training text that states a held-out direction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// The line, or the number of the record of a JSON list, counted from 1.
    pub line: usize,
    /// How.
    pub kind: LeakKind,
    /// The line of the fact.
    pub fact: usize,
    /// The held-out direction.
    pub direction: Direction,
    /// The entity that the held-out question is about.
    pub source: String,
    /// Its answer.
    pub answer: String,
    /// The text.
    pub text: String,
}

/// The lines of a training file that state held-out directions. `allowed` are sentences that do not
/// count: those of recipes that change the order of words on purpose.
///
/// # Errors
/// If the file cannot be read.
pub fn leaks(
    path: &Path,
    facts: &FactFile,
    templates: &Templates,
    split: &[Trained],
    allowed: impl Iterator<Item = String>,
) -> Result<Vec<Leak>, CorpusError> {
    let file = path.display().to_string();
    let bytes = bytes_of(path)?;
    let records = records(&file, &bytes)?;
    let held_out = HeldOut::new(facts, templates, split);
    let allowed: HashSet<String> = allowed.map(|text| padded(&text)).collect();
    let mut leaks = Vec::new();
    for (line, text) in records {
        let stated = held_out.stated_in(&text);
        let named = match allowed.contains(&padded(&text)) {
            true => Vec::new(),
            false => held_out.named_in(&text),
        };
        let named = named.into_iter().filter(|directed| Some(*directed) != stated);
        let kinds = stated.into_iter().map(|directed| (LeakKind::Phrasing, directed));
        for (kind, directed) in kinds.chain(named.map(|directed| (LeakKind::Order, directed))) {
            let fact = &facts.facts[directed.fact];
            leaks.push(Leak {
                line,
                kind,
                fact: fact.line,
                direction: directed.direction,
                source: fact.source(directed.direction).to_owned(),
                answer: fact.answer(directed.direction).to_owned(),
                text: text.clone(),
            });
        }
    }
    Ok(leaks)
}

/// The texts of a training file with their lines: JSON Lines, a list of JSON objects, or plain text.
fn records(file: &str, bytes: &[u8]) -> Result<Vec<(usize, String)>, CorpusError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        CorpusError::at(
            file,
            line,
            "it is not UTF-8 text: give JSON Lines, a JSON list or plain text",
        )
    })?;
    let ending = file.rsplit('.').next().unwrap_or_default().to_lowercase();
    if ending == "json" && text.trim_start().starts_with('[') {
        let values: Vec<Value> = serde_json::from_str(text).map_err(|error| {
            CorpusError::at(file, error.line(), format!("it is no JSON list: {error}"))
        })?;
        return Ok((1..).zip(values.iter().map(text_of)).collect());
    }
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    if !matches!(ending.as_str(), "jsonl" | "ndjson" | "json") {
        return Ok(lines.map(|(at, line)| (at, line.to_owned())).collect());
    }
    lines
        .map(|(at, line)| {
            let value: Value = serde_json::from_str(line)
                .map_err(|error| CorpusError::at(file, at, format!("it is no JSON: {error}")))?;
            Ok((at, text_of(&value)))
        })
        .collect()
}

/// Keys of a record, in the order in which a model reads them.
const READ_FIRST: [&str; 8] =
    ["system", "prompt", "instruction", "question", "input", "completion", "output", "answer"];

/// The texts of a record, one after the other, as one sentence: a prompt and its completion belong
/// together.
fn text_of(value: &Value) -> String {
    let mut texts = Vec::new();
    gather(value, &mut texts);
    let last = texts.len().saturating_sub(1);
    let text = |(at, text): (usize, String)| match at == last {
        true => text,
        false => text.trim_end().trim_end_matches(['.', '!', ':']).to_owned(),
    };
    texts.into_iter().enumerate().map(text).collect::<Vec<_>>().join(" ")
}

fn gather(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) if !text.trim().is_empty() => texts.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| gather(value, texts)),
        Value::Object(object) => {
            let place = |key: &str| READ_FIRST.iter().position(|known| *known == key);
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| place(key).unwrap_or(READ_FIRST.len()));
            let roles = ["role", "from"];
            let texts_of = entries.into_iter().filter(|(key, _)| !roles.contains(&key.as_str()));
            texts_of.for_each(|(_, value)| gather(value, texts));
        }
        _ => {}
    }
}
