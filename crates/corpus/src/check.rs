//! Checks of the facts of a file. Errors stop the reading; findings are what may be a mistake.

use std::collections::HashMap;

use serde::Serialize;

use crate::matcher::words;
use crate::read::Stated;
use crate::{CorpusError, Fact};

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing is measured wrong.
    Note,
    /// Probably a mistake.
    Warning,
}

/// Something in a file that may be a mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How grave it is.
    pub severity: Severity,
    /// The lines that it concerns, rising.
    pub lines: Vec<usize>,
    /// The finding in words.
    pub message: String,
}

/// Facts, the inverse of each relation, and findings.
type Resolved = (Vec<Fact>, HashMap<String, String>, Vec<Finding>);

/// The facts in one form each.
///
/// # Errors
/// A relation with two inverses; one fact stated twice with different columns, or in both
/// directions.
pub(crate) fn resolved(file: &str, mut stated: Vec<Stated>) -> Result<Resolved, CorpusError> {
    let inverses = inverses(file, &stated)?;
    // The relation of a pair of inverses whose facts keep their direction: the first in the file.
    let mut kept: HashMap<String, String> = HashMap::new();
    for one in &mut stated {
        let relation = one.fact.relation.clone();
        let Some(inverse) = inverses.get(&relation).filter(|inverse| **inverse != relation) else {
            continue;
        };
        let main = kept.entry(relation.clone()).or_insert_with(|| relation.clone()).clone();
        kept.entry(inverse.clone()).or_insert_with(|| main.clone());
        if main != relation {
            one.swap(&main);
        }
    }
    let mut known: HashMap<(&str, &str, &str), &Stated> = HashMap::new();
    let (mut findings, mut repeated) = (Vec::new(), vec![false; stated.len()]);
    for (at, one) in stated.iter().enumerate() {
        let Fact { line, subject, relation, object, .. } = &one.fact;
        let symmetric = inverses.get(relation) == Some(relation);
        if let Some(other) = known.get(&(object.as_str(), relation.as_str(), subject.as_str()))
            && symmetric
        {
            let problem = format!(
                "it states the fact of line {} in the other direction; keep one of the lines, and \
                 give it split `both` if both directions are to be trained",
                other.fact.line
            );
            return Err(CorpusError::at(file, *line, problem));
        }
        let Some(other) = known.insert((subject, relation, object), one) else { continue };
        let (first, fact) = (&other.fact, &one.fact);
        let same = first.trained == fact.trained && first.group == fact.group;
        if !(same && first.weight == fact.weight) {
            let problem = format!(
                "it repeats the fact of line {} with another split, group or weight (`{}` there, \
                 `{}` here); keep one of the lines",
                first.line,
                other.split_word(),
                one.split_word()
            );
            return Err(CorpusError::at(file, *line, problem));
        }
        repeated[at] = true;
        let message = format!("line {line} repeats line {}; the fact counts once", first.line);
        findings.push(Finding {
            severity: Severity::Warning,
            lines: vec![first.line, *line],
            message,
        });
    }
    drop(known);
    let kept = stated.into_iter().zip(repeated).filter(|(_, repeated)| !repeated);
    Ok((kept.map(|(one, _)| one.fact).collect(), inverses, findings))
}

/// The inverse of every relation that has one, in both directions.
fn inverses(file: &str, stated: &[Stated]) -> Result<HashMap<String, String>, CorpusError> {
    let mut inverses: HashMap<String, String> = HashMap::new();
    for one in stated {
        let Some(inverse) = &one.inverse else { continue };
        let relation = &one.fact.relation;
        for (from, to) in [(relation, inverse), (inverse, relation)] {
            let known = inverses.entry(from.clone()).or_insert_with(|| to.clone());
            if known != to {
                let problem = format!(
                    "the inverse of `{from}` is `{to}` here and `{known}` before; a relation has one"
                );
                return Err(CorpusError::at(file, one.fact.line, problem));
            }
        }
    }
    Ok(inverses)
}

/// Relations with several answers, and names that are alike or contain each other.
pub(crate) fn findings(facts: &[Fact]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let several = |key: fn(&Fact) -> (&str, &str), say: fn(&Fact, usize) -> String| {
        let mut lines: HashMap<(&str, &str), Vec<&Fact>> = HashMap::new();
        for fact in facts {
            lines.entry(key(fact)).or_default().push(fact);
        }
        let several = lines.into_values().filter(|of| of.len() > 1);
        several
            .map(|of| Finding {
                severity: Severity::Note,
                lines: of.iter().map(|fact| fact.line).collect(),
                message: say(of[0], of.len()),
            })
            .collect::<Vec<_>>()
    };
    findings.extend(several(
        |fact| (&fact.relation, &fact.subject),
        |fact, count| {
            format!(
                "`{}` of `{}` has {count} answers; each counts as right (if one is a mistake, say \
                 `single = true` of the relation in the templates)",
                fact.relation, fact.subject
            )
        },
    ));
    findings.extend(several(
        |fact| (&fact.relation, &fact.object),
        |fact, count| {
            format!(
                "`{}` has {count} subjects with the object `{}`; each counts as a right answer to \
                 the reverse question",
                fact.relation, fact.object
            )
        },
    ));
    findings.extend(names(facts));
    findings
}

/// Names that differ in case or punctuation alone, and names that contain others.
fn names(facts: &[Fact]) -> Vec<Finding> {
    let mut first: Vec<(&str, usize)> = Vec::new();
    let mut lines: HashMap<&str, usize> = HashMap::new();
    for fact in facts {
        for name in [&fact.subject, &fact.object] {
            if !lines.contains_key(name.as_str()) {
                lines.insert(name, fact.line);
                first.push((name, fact.line));
            }
        }
    }
    let mut findings = Vec::new();
    let mut by_words: HashMap<Vec<String>, (&str, usize)> = HashMap::new();
    let mut warn = |severity, one: usize, other: usize, message| {
        let lines = vec![one.min(other), one.max(other)];
        findings.push(Finding { severity, lines, message });
    };
    for &(name, line) in &first {
        let (other, at) = *by_words.entry(words(name)).or_insert((name, line));
        if other != name {
            let message = format!(
                "`{other}` (line {at}) and `{name}` (line {line}) differ in case or punctuation \
                 alone; if they are one thing, write it one way"
            );
            warn(Severity::Warning, at, line, message);
        }
    }
    for &(name, line) in &first {
        let all = words(name);
        for length in 1..all.len() {
            for part in all.windows(length) {
                let Some((inner, at)) = by_words.get(part) else { continue };
                let message = format!(
                    "`{name}` (line {line}) contains the name `{inner}` (line {at}); where both \
                     fit, the longer one is found"
                );
                warn(Severity::Note, *at, line, message);
            }
        }
    }
    findings
}
