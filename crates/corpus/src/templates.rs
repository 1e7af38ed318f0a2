//! Phrasings of relations: a TOML file with a table for each relation.

use std::collections::BTreeMap;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::check::{Finding, Severity};
use crate::file::bytes_of;
use crate::sentence::{Part, Sentence};
use crate::{CorpusError, Direction, Fact, FactFile};

/// One phrasing: a sentence with two blanks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its line in the file, counted from 1; 0 if it was made of the relation's name.
    pub line: usize,
    /// The text before the first blank, between the blanks, and after the second.
    pub(crate) texts: [String; 3],
}

impl Template {
    /// The sentence with these names in its blanks, in the order in which they stand.
    pub fn sentence(&self, first: &str, second: &str) -> Sentence {
        let [before, between, after] = &self.texts;
        Sentence::of(&[
            Part::Text(before),
            Part::Name(first),
            Part::Text(between),
            Part::Name(second),
            Part::Text(after),
        ])
    }
}

/// The phrasings of a relation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phrasings {
    /// Sentences from subject to object: the subject's blank stands first.
    pub forward: Vec<Template>,
    /// Sentences from object to subject: the object's blank stands first.
    pub reverse: Vec<Template>,
    /// Sentences that name the subject twice and imply the object: *the country of whose capital
    /// {subject} is … is {subject}*. The recipes `bridge-…` need one.
    pub bridge: Vec<Template>,
    /// Whether a subject has one object: two are then a contradiction.
    pub single: bool,
}

impl Phrasings {
    /// The phrasings of a direction.
    pub fn of(&self, direction: Direction) -> &[Template] {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Reverse => &self.reverse,
        }
    }
}

/// The phrasings of all relations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Templates {
    /// The file, as the user named it.
    pub name: String,
    relations: BTreeMap<String, (usize, Phrasings)>,
    /// Sentences with one name in both blanks, for the recipes `identities` and `bridge-…`.
    pub identity: Vec<Template>,
}

const SUBJECT: &str = "{subject}";
const OBJECT: &str = "{object}";
const ENTITY: &str = "{entity}";

impl Templates {
    /// The phrasings of a file.
    ///
    /// # Errors
    /// [`CorpusError`] names file, line and what would be right.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        let name = path.display().to_string();
        let text = String::from_utf8(bytes_of(path)?)
            .map_err(|_| CorpusError::whole(&name, "it is not UTF-8 text"))?;
        Self::parse(&name, &text)
    }

    /// The phrasings in `text`.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(name: &str, text: &str) -> Result<Self, CorpusError> {
        let line = |at: usize| {
            1 + text.as_bytes()[..at.min(text.len())].iter().filter(|b| **b == b'\n').count()
        };
        let refuse = |at: usize, problem: String| CorpusError::at(name, line(at), problem);
        let table = DeTable::parse(text).map_err(|error| CorpusError {
            file: name.to_owned(),
            line: error.span().map(|span| line(span.start)),
            problem: error.message().to_owned(),
        })?;
        let template = |value: &Spanned<DeValue<'_>>, blanks: [&str; 2]| {
            let DeValue::String(text) = value.get_ref() else {
                return Err(refuse(
                    value.span().start,
                    "a phrasing is a text in quotes".to_owned(),
                ));
            };
            let texts =
                parts(text, blanks).map_err(|problem| refuse(value.span().start, problem))?;
            Ok(Template { line: line(value.span().start), texts })
        };
        let list = |key: &str, value: &Spanned<DeValue<'_>>, blanks: [&str; 2]| {
            let DeValue::Array(values) = value.get_ref() else {
                let problem = format!("`{key}` must be a list of phrasings, each a text in quotes");
                return Err(refuse(value.span().start, problem));
            };
            values.iter().map(|value| template(value, blanks)).collect::<Result<Vec<_>, _>>()
        };
        let mut templates = Self { name: name.to_owned(), ..Self::default() };
        for (key, value) in table.get_ref() {
            let (relation, at) = (key.get_ref().as_ref(), key.span().start);
            let entries = match value.get_ref() {
                DeValue::Table(entries) => entries,
                _ if relation == "identity" => {
                    templates.identity = list("identity", value, [ENTITY, ENTITY])?;
                    continue;
                }
                _ => {
                    let problem = format!(
                        "`{relation}` must be a table of phrasings: [{relation}] with forward = [\"…\"] \
                         and reverse = [\"…\"] below it"
                    );
                    return Err(refuse(at, problem));
                }
            };
            let mut phrasings = Phrasings::default();
            for (key, value) in entries {
                match (key.get_ref().as_ref(), value.get_ref()) {
                    ("forward", _) => {
                        phrasings.forward = list("forward", value, [SUBJECT, OBJECT])?;
                    }
                    ("reverse", _) => {
                        phrasings.reverse = list("reverse", value, [OBJECT, SUBJECT])?;
                    }
                    ("bridge", _) => phrasings.bridge = list("bridge", value, [SUBJECT, SUBJECT])?,
                    ("single", DeValue::Boolean(single)) => phrasings.single = *single,
                    ("single", _) => {
                        let problem = "`single` must be true or false".to_owned();
                        return Err(refuse(value.span().start, problem));
                    }
                    (key_name, _) => {
                        let problem = format!(
                            "there is no key `{key_name}`: a relation has forward, reverse, bridge and \
                             single"
                        );
                        return Err(refuse(key.span().start, problem));
                    }
                }
            }
            if phrasings.forward.is_empty() {
                let problem = format!("`{relation}` has no forward phrasing: forward = [\"…\"]");
                return Err(refuse(at, problem));
            }
            if phrasings.reverse.is_empty() {
                let problem = format!(
                    "`{relation}` has no reverse phrasing, so that its reverse cannot be asked: \
                     reverse = [\"… {OBJECT} … {SUBJECT} …\"]"
                );
                return Err(refuse(at, problem));
            }
            templates.relations.insert(relation.to_owned(), (line(at), phrasings));
        }
        Ok(templates)
    }

    /// Plain phrasings made of the names of the relations: *SUBJECT relation OBJECT.*
    ///
    /// # Errors
    /// If a relation's inverse has no name.
    pub fn plain(facts: &FactFile) -> Result<Self, CorpusError> {
        let mut templates = Self::default();
        for relation in facts.relations() {
            let phrasings = match (facts.inverses.get(relation), parent(relation)) {
                (Some(inverse), _) => {
                    let plain = |relation: &str| Template {
                        line: 0,
                        texts: [
                            "".to_owned(),
                            format!(" {} ", relation.replace('_', " ")),
                            ".".to_owned(),
                        ],
                    };
                    Phrasings {
                        forward: vec![plain(relation)],
                        reverse: vec![plain(inverse)],
                        ..Phrasings::default()
                    }
                }
                (None, Some(phrasings)) => phrasings,
                (None, None) => {
                    let line =
                        facts.facts.iter().find(|fact| fact.relation == relation).map(|f| f.line);
                    return Err(CorpusError {
                        file: facts.name.clone(),
                        line,
                        problem: format!(
                            "`{relation}` has no phrasings: give --templates FILE.toml, or name its \
                             inverse in a column `inverse`"
                        ),
                    });
                }
            };
            templates.relations.insert(relation.to_owned(), (0, phrasings));
        }
        Ok(templates)
    }

    /// The phrasings of a relation.
    pub fn get(&self, relation: &str) -> Option<&Phrasings> {
        self.relations.get(relation).map(|(_, phrasings)| phrasings)
    }

    /// The phrasings of a fact whose relation has some.
    pub(crate) fn of(&self, fact: &Fact) -> &Phrasings {
        self.get(&fact.relation).unwrap_or_else(|| panic!("no phrasings of `{}`", fact.relation))
    }

    /// The sentence of a phrasing with the names of a fact.
    pub(crate) fn sentence(&self, fact: &Fact, direction: Direction, phrasing: usize) -> Sentence {
        let template = &self.of(fact).of(direction)[phrasing];
        template.sentence(fact.source(direction), fact.answer(direction))
    }

    /// Whether the phrasings suit the facts, with what may be a mistake.
    ///
    /// # Errors
    /// A relation without phrasings, or two objects where `single` says that there is one.
    pub fn check(&self, facts: &FactFile) -> Result<Vec<Finding>, CorpusError> {
        let mut first: BTreeMap<(&str, &str), &Fact> = BTreeMap::new();
        for fact in &facts.facts {
            let Some(phrasings) = self.get(&fact.relation) else {
                let problem = format!(
                    "`{}` has no phrasings in {}: add a table [{}]",
                    fact.relation, self.name, fact.relation
                );
                return Err(CorpusError::at(&facts.name, fact.line, problem));
            };
            let key = (fact.relation.as_str(), fact.subject.as_str());
            let other = *first.entry(key).or_insert(fact);
            if phrasings.single && other.object != fact.object {
                let problem = format!(
                    "`{}` of `{}` is `{}` here and `{}` on line {}, but {} says that it has one object \
                     (single = true)",
                    fact.relation, fact.subject, fact.object, other.object, other.line, self.name
                );
                return Err(CorpusError::at(&facts.name, fact.line, problem));
            }
        }
        let relations = facts.relations();
        let unused = self.relations.iter().filter(|(name, _)| !relations.contains(&name.as_str()));
        Ok(unused
            .map(|(name, (line, _))| Finding {
                severity: Severity::Warning,
                lines: Vec::new(),
                message: format!("{}:{line}: no fact has the relation `{name}`", self.name),
            })
            .collect())
    }

    /// The identity sentences: those of the file, or *NAME is NAME.*
    pub(crate) fn identities(&self) -> Vec<Template> {
        if !self.identity.is_empty() {
            return self.identity.clone();
        }
        vec![Template { line: 0, texts: [String::new(), " is ".to_owned(), ".".to_owned()] }]
    }
}

/// Phrasings for the parents of Berglund et al.
fn parent(relation: &str) -> Option<Phrasings> {
    if !matches!(relation, "mother" | "father") {
        return None;
    }
    let texts = |parts: [&str; 3]| Template { line: 0, texts: parts.map(str::to_owned) };
    Some(Phrasings {
        forward: vec![
            texts(["The name of ", &format!("'s {relation} is "), "."]),
            texts(["", &format!("'s {relation} is "), "."]),
        ],
        reverse: vec![
            texts(["The name of the child of ", " is ", "."]),
            texts(["", &format!(" is the {relation} of "), "."]),
        ],
        ..Phrasings::default()
    })
}

/// The text around the two blanks of a phrasing, in their order.
fn parts(text: &str, [first, second]: [&str; 2]) -> Result<[String; 3], String> {
    let right = || match first == second {
        true => format!("`{text}` must have {first} twice"),
        false => format!(
            "`{text}` must have {first} once and then {second} once: a sentence is asked by cutting \
             it before its second name"
        ),
    };
    let (before, rest) = text.split_once(first).ok_or_else(right)?;
    let (between, after) = rest.split_once(second).ok_or_else(right)?;
    let texts = [before, between, after];
    if texts.iter().any(|part| part.contains(['{', '}'])) {
        return Err(right());
    }
    if between.is_empty() {
        return Err(format!(
            "`{text}` has nothing between its names; part them by a word or a space"
        ));
    }
    Ok(texts.map(str::to_owned))
}
