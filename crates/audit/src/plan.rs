//! The questions of an audit, each with its candidate answers.

use std::collections::HashMap;

use retrodict_corpus::{Direction, FactFile, Template, Templates};
use retrodict_facts::RandomState;
use serde::{Deserialize, Serialize};

/// A text whose log probability is wanted: `answer` after `prompt`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Request {
    /// The text before the answer.
    pub prompt: String,
    /// The answer, with the space before it.
    pub answer: String,
}

/// One relation in one direction: every question is scored with every candidate.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The relation.
    pub relation: String,
    /// The direction.
    pub direction: Direction,
    /// The entities that are asked about.
    pub sources: Vec<String>,
    /// The answers to any of these questions.
    pub candidates: Vec<String>,
    /// For each source, the indexes of its right answers in `candidates`.
    pub right: Vec<Vec<usize>>,
    /// For each source, the indexes of the candidates that are scored: the right ones and others.
    pub scored: Vec<Vec<usize>>,
    /// The phrasings.
    phrasings: Vec<Template>,
}

/// All questions.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Relations in the order of the file, each forward and then in reverse.
    pub asked: Vec<Asked>,
}

impl Asked {
    /// The number of phrasings.
    pub fn phrasings(&self) -> usize {
        self.phrasings.len()
    }

    /// The request for a candidate after the question about a source.
    pub fn request(&self, phrasing: usize, source: usize, candidate: usize) -> Request {
        let name = &self.candidates[candidate];
        let sentence = self.phrasings[phrasing].sentence(&self.sources[source], name);
        let (prompt, rest) = sentence.cut();
        // Without what follows the name.
        let end = rest.find(name.as_str()).map_or(rest.len(), |at| at + name.len());
        Request { prompt, answer: rest[..end].to_owned() }
    }

    /// Whether every candidate is scored after every question.
    pub fn is_whole(&self) -> bool {
        self.scored.iter().all(|scored| scored.len() == self.candidates.len())
    }
}

impl Plan {
    /// The questions about some facts. At most `most` candidates are scored for a question: the
    /// right ones, and others drawn with the seed.
    pub fn new(facts: &FactFile, templates: &Templates, most: usize, seed: u32) -> Self {
        let mut asked = Vec::new();
        let mut random = RandomState::new(seed);
        for relation in facts.relations() {
            for direction in Direction::ALL {
                let of_relation = facts.facts.iter().filter(|fact| fact.relation == relation);
                let (mut sources, mut candidates) = (Names::default(), Names::default());
                let mut right: Vec<Vec<usize>> = Vec::new();
                for fact in of_relation {
                    let source = sources.index(fact.source(direction));
                    let answer = candidates.index(fact.answer(direction));
                    right.resize(sources.names.len(), Vec::new());
                    if !right[source].contains(&answer) {
                        right[source].push(answer);
                    }
                }
                let count = candidates.names.len();
                let scored = right.iter().map(|right| {
                    let mut others: Vec<usize> =
                        (0..count).filter(|at| !right.contains(at)).collect();
                    if count > most {
                        random.shuffle(&mut others);
                        others.truncate(most.saturating_sub(right.len()));
                    }
                    let mut scored: Vec<usize> = right.iter().copied().chain(others).collect();
                    scored.sort_unstable();
                    scored
                });
                let scored = scored.collect();
                let phrasings = templates.get(relation).map(|of| of.of(direction).to_vec());
                asked.push(Asked {
                    relation: relation.to_owned(),
                    direction,
                    sources: sources.names,
                    candidates: candidates.names,
                    right,
                    scored,
                    phrasings: phrasings.unwrap_or_default(),
                });
            }
        }
        Self { asked }
    }

    /// Every text whose log probability is wanted, each once; those of one prompt together, which
    /// servers that keep a prefix answer faster.
    pub fn requests(&self) -> Vec<Request> {
        let mut requests = Vec::new();
        for asked in &self.asked {
            for (source, scored) in asked.scored.iter().enumerate() {
                for phrasing in 0..asked.phrasings() {
                    let of = scored.iter().map(|at| asked.request(phrasing, source, *at));
                    requests.extend(of);
                }
            }
        }
        let mut known = std::collections::HashSet::new();
        requests.retain(|request| known.insert(request.clone()));
        requests
    }
}

/// Names in the order of their first occurrence.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    indexes: HashMap<String, usize>,
}

impl Names {
    fn index(&mut self, name: &str) -> usize {
        if let Some(index) = self.indexes.get(name) {
            return *index;
        }
        self.indexes.insert(name.to_owned(), self.names.len());
        self.names.push(name.to_owned());
        self.names.len() - 1
    }
}
