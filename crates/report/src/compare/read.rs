//! A comparison from its text, refused with one clear message where it is wrong.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::file::{BASELINE, Comparison, Expect, Intervention, Task};
use super::{CompareError, plan};
use crate::missing::{Required, lacking};

/// Largest file that is read, in bytes.
const LARGEST_FILE: u64 = 1 << 20;
/// Most seeds; beyond lies a slip of the keyboard.
const MOST_SEEDS: usize = 10_000;

/// The fields that have no default.
const REQUIRED: [Required; 3] = [
    Required { path: "", fields: &["name", "title", "task"] },
    Required { path: "task", fields: &["id", "title", "claim", "intervention"] },
    Required {
        path: "task.intervention",
        fields: &["id", "name", "family", "idea", "source", "set"],
    },
];

impl Comparison {
    /// The comparison that `text` holds; `origin` is what the user calls the file. Its every
    /// experiment is made, so that nothing is left to be refused once training has begun.
    ///
    /// # Errors
    /// [`CompareError`] names the key, what it was and what would be right.
    pub fn parse(text: &str, origin: &str) -> Result<Comparison, CompareError> {
        let wrong = |error: toml::de::Error| match lacking(&error, text, origin, &REQUIRED) {
            Some(problem) => CompareError::Missing { problem },
            None => located(text, origin, &error),
        };
        let mut comparison: Comparison = toml::from_str(text).map_err(wrong)?;
        comparison.text = text.to_owned();
        comparison.origin = origin.to_owned();
        check(&comparison)?;
        for task in &comparison.tasks {
            plan(&comparison, task, &[0])?;
        }
        Ok(comparison)
    }

    /// [`Comparison::parse`] on a file.
    ///
    /// # Errors
    /// As there, and if the file cannot be read.
    pub fn load(path: &Path) -> Result<Comparison, CompareError> {
        let origin = path.display().to_string();
        let read = || {
            let mut text = Vec::new();
            // One byte more than allowed, so that a pipe without end is seen as too large.
            File::open(path)?.take(LARGEST_FILE + 1).read_to_end(&mut text)?;
            Ok(text)
        };
        let bytes =
            read().map_err(|source| CompareError::Read { origin: origin.clone(), source })?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(CompareError::TooLarge { origin, limit: LARGEST_FILE });
        }
        let text = String::from_utf8(bytes).map_err(|_| CompareError::Toml {
            at: origin.clone(),
            problem: "not valid TOML: the file is not UTF-8 text".to_owned(),
        })?;
        Comparison::parse(&text, &origin)
    }
}

/// Where the reader of TOML stopped: the line, and the key that stands on it where there is one.
fn located(text: &str, origin: &str, error: &toml::de::Error) -> CompareError {
    let Some(span) = error.span() else {
        return CompareError::Toml { at: origin.into(), problem: error.message().into() };
    };
    let before = text.get(..span.start).unwrap_or(text);
    let number = before.matches('\n').count() + 1;
    let line = text.lines().nth(number - 1).unwrap_or_default();
    let key = line.split_once('=').map(|(key, _)| key.trim().trim_matches('"'));
    let message = error.message().trim_end().replace('\n', "; ");
    let problem = match key {
        Some(key) if !message.contains('`') || message.starts_with("invalid") => {
            format!("`{key}`: {message}")
        }
        _ => message,
    };
    CompareError::Toml { at: format!("{origin}:{number}"), problem }
}

fn check(comparison: &Comparison) -> Result<(), CompareError> {
    let place = &comparison.origin;
    file_name(place, "name", &comparison.name)?;
    if !(1..=MOST_SEEDS).contains(&comparison.seeds) {
        let right = format!("a whole number from 1 to {MOST_SEEDS}");
        return Err(value(place, "seeds", &comparison.seeds.to_string(), &right));
    }
    if comparison.tasks.is_empty() {
        return Err(value(place, "task", "empty", "one task or more: [[task]] and its keys"));
    }
    let mut seen = BTreeSet::new();
    for task in &comparison.tasks {
        file_name(place, "id", &task.id)?;
        if !seen.insert(&task.id) {
            let (place, id) = (place.clone(), task.id.clone());
            return Err(CompareError::Twice { place, what: "task", id });
        }
        check_task(comparison, task)?;
    }
    Ok(())
}

fn check_task(comparison: &Comparison, task: &Task) -> Result<(), CompareError> {
    let place = place_of(comparison, task, None);
    if task.base.is_some() != task.spec.is_empty() {
        let found = if task.base.is_some() { "given beside `spec`" } else { "missing" };
        let right = "the name of a ready spec, or else [task.spec] must hold the whole spec";
        return Err(value(&place, "base", found, right));
    }
    let mut seen = BTreeSet::new();
    for intervention in &task.interventions {
        file_name(&place, "id", &intervention.id)?;
        if intervention.id == BASELINE {
            let right = "another name: the baseline is what `set` starts from";
            return Err(value(&place, "id", &format!("{BASELINE:?}"), right));
        }
        if !seen.insert(&intervention.id) {
            let id = intervention.id.clone();
            return Err(CompareError::Twice { place, what: "intervention", id });
        }
        check_expectation(&place_of(comparison, task, Some(intervention)), intervention)?;
    }
    Ok(())
}

fn check_expectation(place: &str, intervention: &Intervention) -> Result<(), CompareError> {
    for (key, bound, with) in [
        ("reach", intervention.reach, Expect::Helps),
        ("at_most", intervention.at_most, Expect::Fails),
    ] {
        let Some(bound) = bound else { continue };
        if !(0.0..=1.0).contains(&bound) {
            return Err(value(place, key, &bound.to_string(), "an accuracy from 0 to 1"));
        }
        if intervention.expect != Some(with) {
            let word = if with == Expect::Helps { "helps" } else { "fails" };
            let right = format!("left out, or stand beside expect = \"{word}\"");
            return Err(value(place, key, &bound.to_string(), &right));
        }
    }
    Ok(())
}

/// Names become files and anchors.
fn file_name(place: &str, key: &'static str, name: &str) -> Result<(), CompareError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 60 && name.chars().all(fits) {
        return Ok(());
    }
    let right = "lower-case letters, digits, `-` and `_`, 60 at most: it names files";
    Err(value(place, key, &format!("{name:?}"), right))
}

/// The file, the task and the intervention.
pub(super) fn place_of(
    comparison: &Comparison,
    task: &Task,
    intervention: Option<&Intervention>,
) -> String {
    let task = format!("{}: task `{}`", comparison.origin, task.id);
    intervention.map_or(task.clone(), |i| format!("{task}, intervention `{}`", i.id))
}

fn value(place: &str, key: &'static str, found: &str, right: &str) -> CompareError {
    let (place, found, right) = (place.to_owned(), found.to_owned(), right.to_owned());
    CompareError::Value { place, key, found, right }
}
