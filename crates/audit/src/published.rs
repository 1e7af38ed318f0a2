//! Results of single facts that were measured elsewhere: the published ones of Berglund et al. (arXiv
//! 2309.12288), and the `audit.csv` of an audit, summed up in the same way.

use std::path::Path;

use retrodict_facts::RandomState;
use retrodict_lab::bootstrap::interval_of_mean;
use serde::Serialize;

use crate::AuditError;
use crate::result::{DRAWS, SEED};
use crate::statistics::{mean, p_of_sign_flips};

/// The columns of Berglund et al. that name a fact: a child, the kind of parent, and the parent.
const PARENTS: [&str; 3] = ["child", "parent_type", "parent"];
/// The columns of `audit.csv` that name a fact.
const AUDIT: [&str; 3] = ["subject", "relation", "object"];

/// The measure of a file's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// The log probability of the right answer, in nats.
    LogProbability,
    /// The share of answers in the model's own words that are right.
    Accuracy,
}

/// A fact and its values.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    subject: String,
    relation: String,
    object: String,
    forward: f64,
    reverse: f64,
}

impl Row {
    /// The fact.
    fn key(&self) -> [&str; 3] {
        [&self.subject, &self.relation, &self.object]
    }
}

/// The results of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Published {
    /// The file, as the user named it.
    pub file: String,
    /// The model, where a column names it.
    pub model: Option<String>,
    /// The measure of its values.
    pub measure: Measure,
    rows: Vec<Row>,
}

/// Means over the facts of a file.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PublishedResult {
    /// The file.
    pub file: String,
    /// The model, where a column of the file names it.
    pub model: Option<String>,
    /// The measure.
    pub measure: Measure,
    /// The facts: those that all files have.
    pub facts: usize,
    /// The subjects of these facts.
    pub subjects: usize,
    /// The facts of the file that another file lacks.
    pub left_out: usize,
    /// The mean forward: of the object after the subject, or of a parent after the child.
    pub forward: f64,
    /// The mean in reverse.
    pub reverse: f64,
    /// The mean of the forward value minus the reverse one, over subjects; the facts of one subject
    /// are one observation.
    pub asymmetry: f64,
    /// Its 95 % interval, by a percentile bootstrap over subjects. `None` of a single one.
    pub interval: Option<[f64; 2]>,
    /// The two-sided p-value of no asymmetry, by sign flips of the differences.
    pub p: Option<f64>,
}

impl Published {
    /// Reads a file: CSV with `child`, `parent`, `parent_type` and a model's `MODEL_parent_logprob`
    /// and `MODEL_child_logprob` (or `MODEL_can_find_parent` and `MODEL_can_find_child`), or an
    /// `audit.csv`. A fact that stands twice counts once.
    ///
    /// # Errors
    /// [`AuditError::Scores`] names file, line and what would be right.
    pub fn read(path: &Path) -> Result<Self, AuditError> {
        let file = path.display().to_string();
        let refuse = |line: Option<usize>, problem: String| AuditError::Scores {
            file: file.clone(),
            line,
            problem,
        };
        let unreadable = |error: csv::Error| {
            let line = error.position().and_then(|at| usize::try_from(at.line()).ok());
            refuse(line, format!("it cannot be read: {error}"))
        };
        let mut reader = csv::Reader::from_path(path).map_err(unreadable)?;
        let header = reader.headers().map_err(unreadable)?.clone();
        let Columns { fact, values, measure, model } =
            Columns::of(&header).map_err(|problem| refuse(Some(1), problem))?;
        let mut rows: Vec<Row> = Vec::new();
        let mut known = std::collections::HashSet::new();
        for record in reader.records() {
            let record = record.map_err(unreadable)?;
            let line = record.position().and_then(|at| usize::try_from(at.line()).ok());
            let [subject, relation, object] =
                fact.map(|column| record.get(column).unwrap_or_default().trim().to_owned());
            let number = |column: usize| {
                let text = record.get(column).unwrap_or_default().trim();
                let allowed = match measure {
                    Measure::LogProbability => f64::MIN..=1e-6,
                    Measure::Accuracy => 0.0..=1.0,
                };
                let right = match measure {
                    Measure::LogProbability => "a finite number, 0 or below",
                    Measure::Accuracy => "a number from 0 to 1",
                };
                text.parse::<f64>().ok().filter(|value| allowed.contains(value)).ok_or_else(|| {
                    refuse(line, format!("{} is `{text}`, but must be {right}", &header[column]))
                })
            };
            let [forward, reverse] = [number(values[0])?, number(values[1])?];
            let row = Row { subject, relation, object, forward, reverse };
            if known.insert(row.key().map(str::to_owned)) {
                rows.push(row);
            }
        }
        Ok(Self { file, model, measure, rows })
    }

    /// The means of each file, over the facts that all have.
    ///
    /// # Errors
    /// [`AuditError::Scores`] if they have none in common.
    pub fn summed(files: &[Self]) -> Result<Vec<PublishedResult>, AuditError> {
        let keys: Vec<std::collections::HashSet<[&str; 3]>> =
            files.iter().map(|file| file.rows.iter().map(Row::key).collect()).collect();
        files
            .iter()
            .map(|file| {
                let of = file.rows.iter();
                let rows: Vec<&Row> =
                    of.filter(|row| keys.iter().all(|keys| keys.contains(&row.key()))).collect();
                file.summed_over(&rows).ok_or_else(|| AuditError::Scores {
                    file: file.file.clone(),
                    line: None,
                    problem: match files.len() {
                        1 => "it has no facts: give at least one line".to_owned(),
                        _ => "no fact of it is in all the other files".to_owned(),
                    },
                })
            })
            .collect()
    }

    /// `None` without rows.
    fn summed_over(&self, rows: &[&Row]) -> Option<PublishedResult> {
        let mut by_subject: std::collections::BTreeMap<&str, Vec<f64>> = Default::default();
        for row in rows {
            by_subject.entry(&row.subject).or_default().push(row.forward - row.reverse);
        }
        let differences: Vec<f64> = by_subject.values().filter_map(|of| mean(of)).collect();
        let values = |of: fn(&Row) -> f64| mean(&rows.iter().map(|r| of(r)).collect::<Vec<_>>());
        Some(PublishedResult {
            file: self.file.clone(),
            model: self.model.clone(),
            measure: self.measure,
            facts: rows.len(),
            subjects: differences.len(),
            left_out: self.rows.len() - rows.len(),
            forward: values(|row| row.forward)?,
            reverse: values(|row| row.reverse)?,
            asymmetry: mean(&differences)?,
            interval: interval_of_mean(&differences).map(|of| [of.low, of.high]),
            p: p_of_sign_flips(&differences, DRAWS, &mut RandomState::new(SEED)),
        })
    }
}

/// The columns of a file, by index.
struct Columns {
    /// Subject, relation and object.
    fact: [usize; 3],
    /// The forward value and the reverse one.
    values: [usize; 2],
    measure: Measure,
    model: Option<String>,
}

impl Columns {
    /// The columns of a header.
    ///
    /// # Errors
    /// The problem in words.
    fn of(header: &csv::StringRecord) -> Result<Self, String> {
        let place = |name: &str| header.iter().position(|other| other == name);
        let log_probabilities = ["forward_log_probability", "reverse_log_probability"];
        if let ([Some(subject), Some(relation), Some(object)], [Some(forward), Some(reverse)]) =
            (AUDIT.map(place), log_probabilities.map(place))
        {
            let (fact, values) = ([subject, relation, object], [forward, reverse]);
            return Ok(Self { fact, values, measure: Measure::LogProbability, model: None });
        }
        let right = "the columns are child, parent, parent_type, and a model's \
                     MODEL_parent_logprob and MODEL_child_logprob or MODEL_can_find_parent and \
                     MODEL_can_find_child; or those of an audit.csv";
        let [Some(child), Some(kind), Some(parent)] = PARENTS.map(place) else {
            return Err(format!("it is no file of results: {right}"));
        };
        let mut found: Vec<Self> = Vec::new();
        for (forward, name) in header.iter().enumerate() {
            for (ends, measure) in [
                (["_parent_logprob", "_child_logprob"], Measure::LogProbability),
                (["_can_find_parent", "_can_find_child"], Measure::Accuracy),
            ] {
                let Some(model) = name.strip_suffix(ends[0]) else { continue };
                let other = format!("{model}{}", ends[1]);
                let reverse = place(&other).ok_or_else(|| {
                    format!("there is no column `{other}` beside `{name}`; {right}")
                })?;
                let (fact, values) = ([child, kind, parent], [forward, reverse]);
                found.push(Self { fact, values, measure, model: Some(model.to_owned()) });
            }
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(format!("it has no model's results: {right}")),
            count => Err(format!("it has the results of {count} models; keep one a file")),
        }
    }
}
