//! Questions as prompts and completions: the forward ones in one file, the reverse ones in another,
//! or one after the other in a single one, as Berglund et al. (arXiv 2309.12288) have those of their
//! invented people.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use serde::Deserialize;

use crate::file::{bytes_of, digest_of};
use crate::matcher::{Matcher, padded};
use crate::{CorpusError, Direction, Fact, FactFile};

/// The relation of all facts of such files, which do not name it.
const RELATION: &str = "questions";
/// The words of a name at the beginning of a completion: the first and the last name.
const NAME_WORDS: usize = 2;
/// Bytes of a line that tell what a file has.
const FIRST_LINE: u64 = 1 << 20;

/// A question with its answer, as a line has them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Pair {
    /// The text before the answer.
    pub prompt: String,
    /// The answer, with the space before it.
    pub completion: String,
}

/// The questions of two files, by fact. One file asks for names, and each prompt of the other has one
/// of them: a fact is what is asked about a name and what is answered by it.
#[derive(Debug, Clone, PartialEq)]
pub struct QuestionFiles {
    /// The facts: on one side the name, on the other the first answer to a question about it.
    pub facts: FactFile,
    /// By fact, the forward questions in all phrasings; as many of every fact.
    pub forward: Vec<Vec<Pair>>,
    /// By fact, the reverse questions.
    pub reverse: Vec<Vec<Pair>>,
}

/// A file's lines that have a question, with their numbers.
struct Lines<'f> {
    file: &'f str,
    lines: Vec<(usize, Pair)>,
}

impl QuestionFiles {
    /// The questions of two files of JSON lines, each with `prompt` and `completion`.
    ///
    /// # Errors
    /// [`CorpusError`] names file, line and what would be right.
    pub fn read(forward: &Path, reverse: &Path) -> Result<Self, CorpusError> {
        let [one, other] = [forward, reverse].map(|path| path.display().to_string());
        Self::parse([&one, &other], [&bytes_of(forward)?, &bytes_of(reverse)?])
    }

    /// The questions in the bytes of two files, the forward ones first.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(names: [&str; 2], bytes: [&[u8]; 2]) -> Result<Self, CorpusError> {
        let [forward, reverse] =
            [Lines::parse(names[0], bytes[0])?, Lines::parse(names[1], bytes[1])?];
        let name = format!("{} and {}", names[0], names[1]);
        Self::joined([forward, reverse], name, digest_of(&bytes))
    }

    /// Whether a file has questions, not facts: JSON lines, the first of which has a prompt and a
    /// completion.
    pub fn is_at(path: &Path) -> bool {
        let is_lines = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("jsonl"));
        let Some(file) = is_lines.then(|| File::open(path).ok()).flatten() else { return false };
        let mut lines = BufReader::new(file.take(FIRST_LINE)).split(b'\n');
        let first = lines.find_map(|line| line.ok().filter(|line| !line.trim_ascii().is_empty()));
        first.is_some_and(|line| serde_json::from_slice::<Pair>(&line).is_ok())
    }

    /// The questions of one file: those about names, then as many of each name that ask for it. The
    /// completion of such a question begins with the name, two words, and what follows is left out.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_both(path: &Path) -> Result<Self, CorpusError> {
        Self::parse_both(&path.display().to_string(), &bytes_of(path)?)
    }

    /// The questions in the bytes of one file.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse_both(name: &str, bytes: &[u8]) -> Result<Self, CorpusError> {
        let parts = Lines::parse(name, bytes)?.in_two()?;
        Self::joined(parts, name.to_owned(), digest_of(&[bytes]))
    }

    fn joined(
        [forward, reverse]: [Lines<'_>; 2],
        name: String,
        digest: String,
    ) -> Result<Self, CorpusError> {
        // The side on which the names stand: the answers of one file, in the prompts of the other.
        let by_subject = forward.named(&reverse);
        let (about, asking, people, named) = match (by_subject, reverse.named(&forward)) {
            (Ok(named), _) => (&forward, &reverse, Direction::Forward, named),
            (_, Ok(named)) => (&reverse, &forward, Direction::Reverse, named),
            (Err(error), Err(_)) => return Err(error),
        };
        let (order, about_names) = about.by_phrasing(&named)?;
        let asking_names = asking.by_answer(&order)?;
        let mut facts: Vec<Fact> = Vec::new();
        for (name, (line, questions)) in order.iter().zip(&about_names) {
            let other = questions[0].completion.trim();
            let [subject, object] = match people {
                Direction::Forward => [name, other],
                Direction::Reverse => [other, name],
            };
            let alike = |fact: &&Fact| fact.subject == subject || fact.object == object;
            if let Some(known) = facts.iter().find(alike) {
                let problem = format!(
                    "its completion is that of line {} about another name; each name must have an \
                     answer of its own",
                    known.line
                );
                return Err(CorpusError::at(about.file, *line, problem));
            }
            facts.push(Fact {
                line: *line,
                subject: subject.to_owned(),
                relation: RELATION.to_owned(),
                object: object.to_owned(),
                trained: None,
                group: None,
                weight: 1.0,
            });
        }
        let about_names: Vec<Vec<Pair>> = about_names.into_iter().map(|(_, of)| of).collect();
        let (forward, reverse) = match people {
            Direction::Forward => (about_names, asking_names),
            Direction::Reverse => (asking_names, about_names),
        };
        let (inverses, findings) = (HashMap::new(), Vec::new());
        let facts = FactFile { name, digest, facts, inverses, findings };
        Ok(Self { facts, forward, reverse })
    }

    /// The questions of a direction.
    pub fn of(&self, direction: Direction) -> &[Vec<Pair>] {
        match direction {
            Direction::Forward => &self.forward,
            Direction::Reverse => &self.reverse,
        }
    }
}

impl<'f> Lines<'f> {
    fn parse(file: &'f str, bytes: &[u8]) -> Result<Self, CorpusError> {
        let mut lines: Vec<(usize, Pair)> = Vec::new();
        for (number, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            if text.trim_ascii().is_empty() {
                continue;
            }
            let refuse = |problem: String| CorpusError::at(file, number, problem);
            let pair: Pair = serde_json::from_slice(text).map_err(|error| {
                refuse(format!(
                    "it is no question ({error}); each line has the texts `prompt` and `completion`"
                ))
            })?;
            for (key, text) in [("prompt", &pair.prompt), ("completion", &pair.completion)] {
                if text.trim().is_empty() {
                    return Err(refuse(format!(
                        "`{key}` is empty; give it, or leave out the line"
                    )));
                }
            }
            lines.push((number, pair));
        }
        if lines.is_empty() {
            return Err(CorpusError::whole(file, "it has no questions: give at least one line"));
        }
        Ok(Self { file, lines })
    }

    /// The questions about names, and those that ask for them, which stand behind. How many of each
    /// kind there are for one name follows from the last line, which asks for one.
    fn in_two(mut self) -> Result<[Self; 2], CorpusError> {
        let last = self.lines.last().map(|(number, of)| (*number, name_of(&of.completion)));
        let (number, last) = last.unwrap_or_default();
        let name = padded(&last);
        let about = self.lines.iter().filter(|(_, of)| padded(&of.prompt).contains(&name)).count();
        let asking = self.lines.iter().filter(|(_, of)| name_of(&of.completion) == last).count();
        if about == 0 || !self.lines.len().is_multiple_of(about + asking) {
            let problem = format!(
                "this last line must ask for a name, but `{last}` stands in {about} of the {} prompts \
                 and answers {asking}; one file has the questions about all names first, then those \
                 that ask for them, as many for each name; or give two files, one with each kind",
                self.lines.len(),
            );
            return Err(CorpusError::at(self.file, number, problem));
        }
        let first = self.lines.len() / (about + asking) * about;
        let mut behind = self.lines.split_off(first);
        for (_, pair) in &mut behind {
            pair.completion = format!(" {}", name_of(&pair.completion));
        }
        Ok([Self { file: self.file, lines: self.lines }, Self { file: self.file, lines: behind }])
    }

    /// The answer of the other file that stands in each prompt.
    fn named<'o>(&self, other: &'o Lines<'_>) -> Result<Vec<&'o str>, CorpusError> {
        let mut names: Vec<&str> = Vec::new();
        let answers = other.lines.iter().map(|(_, pair)| pair.completion.trim());
        let mut known = std::collections::HashSet::new();
        names.extend(answers.filter(|name| known.insert(*name)));
        let matcher = Matcher::new(names.iter().copied());
        let named = self.lines.iter().map(|(number, pair)| {
            let mut found: Vec<usize> =
                matcher.mentions(&pair.prompt).iter().map(|mention| mention.name).collect();
            found.sort_unstable();
            found.dedup();
            match found[..] {
                [name] => Ok(names[name]),
                ref found => {
                    let problem = format!(
                        "the prompt has {} of the completions of {} in it, but must have one: the \
                         prompts of one file name what the other file asks for",
                        if found.is_empty() { "none".to_owned() } else { found.len().to_string() },
                        other.file
                    );
                    Err(CorpusError::at(self.file, *number, problem))
                }
            }
        });
        named.collect()
    }

    /// The names in order, and the questions about each with the line of its first; the phrasings of
    /// all in the same order. A phrasing is a prompt without its name.
    #[allow(clippy::type_complexity)] // names, and what belongs to them
    fn by_phrasing<'n>(
        &self,
        named: &[&'n str],
    ) -> Result<(Vec<&'n str>, Vec<(usize, Vec<Pair>)>), CorpusError> {
        let (mut order, mut phrasings): (Vec<&str>, Vec<String>) = (Vec::new(), Vec::new());
        let mut places: HashMap<(&str, usize), (usize, &Pair)> = HashMap::new();
        for ((number, pair), name) in self.lines.iter().zip(named) {
            let text = padded(&pair.prompt).replace(&padded(name), " … ");
            let phrasing = phrasings.iter().position(|known| *known == text);
            let phrasing = phrasing.unwrap_or_else(|| {
                phrasings.push(text);
                phrasings.len() - 1
            });
            if !order.contains(name) {
                order.push(name);
            }
            let (line, known) = *places.entry((name, phrasing)).or_insert((*number, pair));
            if known != pair {
                let problem = format!(
                    "it repeats the prompt of line {line} with another completion; keep one of them"
                );
                return Err(CorpusError::at(self.file, *number, problem));
            }
        }
        let mut questions = Vec::new();
        for name in &order {
            let of = phrasings.iter().enumerate().map(|(phrasing, text)| {
                places.get(&(*name, phrasing)).copied().ok_or_else(|| {
                    let problem = format!(
                        "`{name}` is not asked in the phrasing “{}”; ask every name in every phrasing",
                        text.trim()
                    );
                    CorpusError::whole(self.file, problem)
                })
            });
            let of = of.collect::<Result<Vec<(usize, &Pair)>, CorpusError>>()?;
            let first = of.iter().map(|(line, _)| *line).min().unwrap_or(1);
            questions.push((first, of.into_iter().map(|(_, pair)| pair.clone()).collect()));
        }
        Ok((order, questions))
    }

    /// The questions that each name answers, in the order of names.
    fn by_answer(&self, order: &[&str]) -> Result<Vec<Vec<Pair>>, CorpusError> {
        let mut questions: Vec<Vec<Pair>> = vec![Vec::new(); order.len()];
        for (number, pair) in &self.lines {
            let answer = pair.completion.trim();
            let Some(at) = order.iter().position(|name| *name == answer) else {
                let problem = format!("no prompt of the other file has `{answer}` in it");
                return Err(CorpusError::at(self.file, *number, problem));
            };
            if !questions[at].contains(pair) {
                questions[at].push(pair.clone());
            }
        }
        let count = questions[0].len();
        match questions.iter().position(|of| of.len() != count) {
            Some(at) => {
                let problem = format!(
                    "`{}` answers {count} questions and `{}` {}; ask for every name as often",
                    order[0],
                    order[at],
                    questions[at].len()
                );
                Err(CorpusError::whole(self.file, problem))
            }
            None => Ok(questions),
        }
    }
}

/// The name with which a completion begins.
fn name_of(completion: &str) -> String {
    completion.split_whitespace().take(NAME_WORDS).collect::<Vec<_>>().join(" ")
}
