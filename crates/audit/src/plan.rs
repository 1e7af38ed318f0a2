//! The questions of an audit, each with its candidate answers.

use std::collections::HashMap;

use retrodict_corpus::{Direction, FactFile, Pair, QuestionFiles, Template, Templates};
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
    phrasings: Phrasings,
}

/// The phrasings of the questions of one relation in one direction.
#[derive(Debug, Clone, PartialEq)]
enum Phrasings {
    /// Sentences with two blanks.
    Templates(Vec<Template>),
    /// Texts of a file: by source and candidate, its question and its answer in each phrasing.
    Texts(Vec<Vec<Pair>>),
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
        match &self.phrasings {
            Phrasings::Templates(templates) => templates.len(),
            Phrasings::Texts(texts) => texts.first().map_or(0, Vec::len),
        }
    }

    /// The request for a candidate after the question about a source.
    pub fn request(&self, phrasing: usize, source: usize, candidate: usize) -> Request {
        let templates = match &self.phrasings {
            Phrasings::Templates(templates) => templates,
            Phrasings::Texts(texts) => {
                let prompt = texts[source][phrasing].prompt.clone();
                return Request { prompt, answer: texts[candidate][phrasing].completion.clone() };
            }
        };
        let name = &self.candidates[candidate];
        let sentence = templates[phrasing].sentence(&self.sources[source], name);
        let (prompt, rest) = sentence.cut();
        // Without what follows the name.
        let end = rest.find(name.as_str()).map_or(rest.len(), |at| at + name.len());
        Request { prompt, answer: rest[..end].to_owned() }
    }

    /// A candidate as it answers the questions of a phrasing, without the space before it.
    pub(crate) fn answer(&self, phrasing: usize, candidate: usize) -> String {
        match &self.phrasings {
            Phrasings::Templates(_) => self.candidates[candidate].clone(),
            Phrasings::Texts(texts) => texts[candidate][phrasing].completion.trim().to_owned(),
        }
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
                let scored = scored(&right, candidates.names.len(), most, &mut random);
                let phrasings = templates.get(relation).map(|of| of.of(direction).to_vec());
                asked.push(Asked {
                    relation: relation.to_owned(),
                    direction,
                    sources: sources.names,
                    candidates: candidates.names,
                    right,
                    scored,
                    phrasings: Phrasings::Templates(phrasings.unwrap_or_default()),
                });
            }
        }
        Self { asked }
    }

    /// The questions of two files. Each has the answers to the same phrasing of the questions about
    /// other facts as candidates, drawn as in [`new`](Self::new).
    pub fn of_questions(files: &QuestionFiles, most: usize, seed: u32) -> Self {
        let mut random = RandomState::new(seed);
        let facts = &files.facts.facts;
        let asked = Direction::ALL.map(|direction| {
            let right: Vec<Vec<usize>> = (0..facts.len()).map(|fact| vec![fact]).collect();
            let names = |direction| -> Vec<String> {
                facts.iter().map(|fact| fact.source(direction).to_owned()).collect()
            };
            Asked {
                relation: facts.first().map_or_else(String::new, |fact| fact.relation.clone()),
                direction,
                sources: names(direction),
                candidates: names(direction.other()),
                scored: scored(&right, facts.len(), most, &mut random),
                right,
                phrasings: Phrasings::Texts(files.of(direction).to_vec()),
            }
        });
        Self { asked: asked.into() }
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

/// For each source, the candidates that are scored: the right ones, and others up to `most` in all,
/// which are drawn where there are more.
fn scored(
    right: &[Vec<usize>],
    count: usize,
    most: usize,
    random: &mut RandomState,
) -> Vec<Vec<usize>> {
    let of = right.iter().map(|right| {
        let mut others: Vec<usize> = (0..count).filter(|at| !right.contains(at)).collect();
        if count > most {
            random.shuffle(&mut others);
            others.truncate(most.saturating_sub(right.len()));
        }
        let mut scored: Vec<usize> = right.iter().copied().chain(others).collect();
        scored.sort_unstable();
        scored
    });
    of.collect()
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
