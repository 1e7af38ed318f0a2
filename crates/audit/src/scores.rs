//! Log probabilities of answers after prompts: a file that grows as they are computed.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{AuditError, Request};

/// The log probability of an answer after a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The sum over its tokens, in nats.
    pub log_probability: f64,
    /// The number of its tokens.
    pub tokens: usize,
}

#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    request: Request,
    #[serde(flatten)]
    score: Score,
}

/// Scores by request.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores(HashMap<Request, Score>);

impl Scores {
    /// The scores of a file of JSON lines, each with prompt, answer, log_probability and tokens. A
    /// last line that was cut off is left out.
    ///
    /// # Errors
    /// [`AuditError::Scores`] names the line.
    pub fn read(path: &Path) -> Result<Self, AuditError> {
        let refuse = |line, problem: String| AuditError::Scores {
            file: path.display().to_string(),
            line,
            problem,
        };
        let file = File::open(path)
            .map_err(|error| refuse(None, format!("it cannot be read: {error}")))?;
        let mut scores = HashMap::new();
        let mut reader = BufReader::new(file);
        let mut text = String::new();
        for number in 1.. {
            text.clear();
            let read = reader.read_line(&mut text);
            if read.map_err(|error| refuse(Some(number), format!("it cannot be read: {error}")))?
                == 0
            {
                break;
            }
            if text.trim().is_empty() {
                continue;
            }
            let line: Line = match serde_json::from_str(&text) {
                Ok(line) => line,
                Err(_) if !text.ends_with('\n') => break,
                Err(error) => {
                    let problem = format!(
                        "it is no score ({error}); each line has prompt, answer, log_probability and \
                         tokens"
                    );
                    return Err(refuse(Some(number), problem));
                }
            };
            let Score { log_probability, tokens } = line.score;
            if !(log_probability <= 1e-6 && log_probability.is_finite() && tokens > 0) {
                let problem = format!(
                    "log_probability is {log_probability} with {tokens} tokens, but must be a finite \
                     number, 0 or below, over at least one token"
                );
                return Err(refuse(Some(number), problem));
            }
            scores.insert(line.request, line.score);
        }
        Ok(Self(scores))
    }

    /// The score of a request, if it is known.
    pub fn get(&self, request: &Request) -> Option<Score> {
        self.0.get(request).copied()
    }

    /// Adds a score.
    pub fn insert(&mut self, request: Request, score: Score) {
        self.0.insert(request, score);
    }

    /// The requests without a score.
    pub fn missing(&self, requests: &[Request]) -> Vec<Request> {
        requests.iter().filter(|request| !self.0.contains_key(request)).cloned().collect()
    }
}

/// A file of scores that is written while they come: what a process knew when it was killed is kept.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    file: File,
}

impl Record {
    /// Opens the file to append to, or makes it with its folder. A line that was cut off is taken
    /// away.
    ///
    /// # Errors
    /// [`AuditError::Scores`] if it cannot be written.
    pub fn open(path: &Path) -> Result<Self, AuditError> {
        let refuse = |error: io::Error| unwritable(path, &error);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(refuse)?;
        }
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(refuse(error)),
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).open(path).map_err(refuse)?;
        file.set_len(whole as u64).map_err(refuse)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Appends a score.
    ///
    /// # Errors
    /// As [`open`](Self::open), and for a score that is not finite, which could not be read again.
    pub fn add(&mut self, request: &Request, score: Score) -> Result<(), AuditError> {
        if !score.log_probability.is_finite() {
            let problem = format!(
                "the log probability of “{}” is {}, which no file can hold",
                request.answer, score.log_probability
            );
            return Err(AuditError::Scores {
                file: self.path.display().to_string(),
                line: None,
                problem,
            });
        }
        let line = Line { request: request.clone(), score };
        let mut text = serde_json::to_string(&line).unwrap_or_default();
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|error| unwritable(&self.path, &error))
    }
}

fn unwritable(path: &Path, error: &io::Error) -> AuditError {
    let problem = format!("it cannot be written: {error}");
    AuditError::Scores { file: path.display().to_string(), line: None, problem }
}
