//! A file of facts, read and checked.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use retrodict_facts::RandomState;
use sha2::{Digest as _, Sha256};

use crate::check::{self, Finding};
use crate::read::{self, LARGEST_FILE};
use crate::{CorpusError, Fact, Trained};

/// The facts of a file, with warnings and notes about them. A fact that a line states in the direction
/// of an inverse relation stands here in the other: every fact has one form.
#[derive(Debug, Clone, PartialEq)]
pub struct FactFile {
    /// The file, as the user named it.
    pub name: String,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub digest: String,
    /// The facts, in the order of the file; exact repetitions are left out.
    pub facts: Vec<Fact>,
    /// The relation from object to subject, where the file names it, by relation; a symmetric
    /// relation is its own inverse.
    pub inverses: HashMap<String, String>,
    /// Possible mistakes, in the order of lines.
    pub findings: Vec<Finding>,
}

impl FactFile {
    /// The facts of a file.
    ///
    /// # Errors
    /// [`CorpusError`] names file, line and what would be right.
    pub fn read(path: &Path) -> Result<Self, CorpusError> {
        Self::parse(&path.display().to_string(), &bytes_of(path)?)
    }

    /// The facts in `bytes`; the ending of `name` says in which format.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, CorpusError> {
        let stated = read::stated(name, bytes)?;
        let (facts, inverses, mut findings) = check::resolved(name, stated)?;
        findings.extend(check::findings(&facts));
        findings.sort_by_key(|finding| finding.lines.first().copied());
        let digest = digest_of(&[bytes]);
        Ok(Self { name: name.to_owned(), digest, facts, inverses, findings })
    }

    /// The relations, in the order of their first fact.
    pub fn relations(&self) -> Vec<&str> {
        let mut relations: Vec<&str> = Vec::new();
        for fact in &self.facts {
            if !relations.contains(&fact.relation.as_str()) {
                relations.push(&fact.relation);
            }
        }
        relations
    }

    /// The trained directions of every fact: those of the file, and where it leaves them open, both
    /// directions of the first facts of a random order, `both_fraction` of them rounded half to even,
    /// and the forward direction of the others. Facts of one group are drawn together.
    pub fn split(&self, both_fraction: f64, seed: u32) -> Vec<Trained> {
        let mut drawn: Vec<Vec<usize>> = Vec::new();
        let mut groups: HashMap<&str, usize> = HashMap::new();
        for (at, fact) in self.facts.iter().enumerate().filter(|(_, f)| f.trained.is_none()) {
            let new = drawn.len();
            let place = fact.group.as_deref().map_or(new, |g| *groups.entry(g).or_insert(new));
            if place == new {
                drawn.push(Vec::new());
            }
            drawn[place].push(at);
        }
        RandomState::new(seed).shuffle(&mut drawn);
        let both = (both_fraction * drawn.len() as f64).round_ties_even() as usize;
        let forward = Trained::Only(crate::Direction::Forward);
        let mut split: Vec<Trained> =
            self.facts.iter().map(|fact| fact.trained.unwrap_or(forward)).collect();
        for &at in drawn[..both].iter().flatten() {
            split[at] = Trained::Both;
        }
        split
    }
}

/// The bytes of a file, if it is not too large.
pub(crate) fn bytes_of(path: &Path) -> Result<Vec<u8>, CorpusError> {
    let refuse = |problem: String| CorpusError::whole(&path.display().to_string(), problem);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| refuse(format!("it cannot be read: {error}")))?;
    // One byte more than allowed, so that an endless pipe counts as too large.
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| refuse(format!("it cannot be read: {error}")))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(refuse(format!("it is larger than {} MiB", LARGEST_FILE >> 20)));
    }
    Ok(bytes)
}

/// The SHA-256 of files, one after the other, in hexadecimal digits.
pub(crate) fn digest_of(files: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    files.iter().for_each(|bytes| digest.update(bytes));
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
