//! What was measured of one intervention.

use std::collections::BTreeMap;

use retrodict_lab::Experiment;
use retrodict_lab::bootstrap::interval_of_mean;
use retrodict_lab::stats;
use retrodict_lab::store::MetricsRow;
use serde::Serialize;

use super::Planned;
use super::columns::{COLUMNS, Column, FORWARD_ACCURACY, REVERSE_ACCURACY, REVERSE_NLL};
use super::file::{Family, Intervention};
use super::plan::difference;
use super::verdict::{By, Intervals, Published, Verdict, published, verdict};
use crate::ReportError;
use crate::stored::Stored;

/// The part of its last accuracy that a run must reach for the first time.
const REACHED: f64 = 0.95;

/// A measure over seeds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// `None` where it does not apply.
    pub mean: Option<f64>,
    /// The lower end of the 95 % interval of the mean; `None` of fewer than two seeds.
    pub low: Option<f64>,
    /// The upper end.
    pub high: Option<f64>,
    /// One a complete seed; NaN (null in JSON) where it does not apply.
    pub values: Vec<f64>,
}

impl Measured {
    fn of(values: Vec<f64>) -> Self {
        let interval = interval_of_mean(&values);
        Self {
            mean: stats::mean(&values),
            low: interval.map(|i| i.low),
            high: interval.map(|i| i.high),
            values,
        }
    }
}

/// A row of the table: the baseline or an intervention.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its place, counted from 1: by reverse accuracy, then by reverse NLL.
    pub rank: usize,
    /// The intervention's id, or `baseline`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Which part of training it changes; `None` of the baseline.
    pub family: Option<Family>,
    /// What it does to the reverse.
    pub verdict: Verdict,
    /// Which measure decided.
    pub by: Option<By>,
    /// What is published of it, and whether it came out so.
    pub published: Option<Published>,
    /// Complete runs.
    pub seeds: usize,
    /// Runs that were asked for.
    pub seeds_asked: usize,
    /// The measures of every comparison, by id.
    #[serde(flatten)]
    measures: BTreeMap<&'static str, Measured>,
    /// The NLL of uniform guessing, in nats.
    pub guessing_nll: f64,
    /// The accuracy of a guess among these candidates.
    pub chance: Option<f64>,
    /// Training tokens of an epoch.
    pub tokens_an_epoch: Measured,
    /// The same over the baseline's.
    pub extra_tokens: Option<f64>,
    /// Seconds until the reverse accuracy first stood at 95 % of its last value; NaN where that
    /// is 0.
    pub seconds_to_reach: Measured,
    /// Seconds of a whole run.
    pub wall_seconds: Measured,
    /// The hash of its spec.
    pub spec_hash: String,
    /// The number that its task is drawn over, where it is.
    pub dose: Option<f64>,
    /// What its spec says otherwise than the baseline's; the whole spec of the baseline.
    pub spec: String,
    /// Its words; `None` of the baseline.
    #[serde(skip)]
    pub intervention: Option<Intervention>,
}

impl Row {
    /// Held-out questions answered right.
    pub fn reverse_accuracy(&self) -> &Measured {
        self.measured(REVERSE_ACCURACY)
    }

    /// NLL of the held-out sentences, in nats.
    pub fn reverse_nll(&self) -> &Measured {
        self.measured(REVERSE_NLL)
    }

    /// What is trained of the held-out facts, answered right.
    pub fn forward_accuracy(&self) -> &Measured {
        self.measured(FORWARD_ACCURACY)
    }

    /// The measure of a column.
    pub(super) fn measured(&self, id: &str) -> &Measured {
        &self.measures[id]
    }

    /// Whether its reverse NLL, which may clear the baseline's, is still no better than guessing.
    pub fn is_no_better_than_guessing(&self) -> bool {
        self.reverse_nll().mean.is_some_and(|nll| nll >= self.guessing_nll)
    }

    /// The verdict as a table says it.
    pub fn words(&self) -> &'static str {
        match (self.verdict, self.by) {
            (Verdict::Baseline, _) => "baseline",
            (Verdict::Helps, Some(By::Nll)) if self.is_no_better_than_guessing() => {
                "lower NLL, still above guessing"
            }
            (Verdict::Helps, Some(By::Nll)) => "helps, in NLL alone",
            (Verdict::Helps, _) => "helps",
            (Verdict::Guesses, _) => "knows the type, guesses the answer",
            (Verdict::DoesNotHelp, _) => "does not help",
            (Verdict::Hurts, Some(By::Nll)) => "hurts, in NLL alone",
            (Verdict::Hurts, _) => "hurts",
            (Verdict::Open, _) => "open",
        }
    }
}

/// The rows of a task, ranked. `found` are the complete runs of each experiment, if it has any.
pub(super) fn rows(
    planned: &[Planned<'_>],
    found: &[Option<Stored>],
    seeds_asked: usize,
) -> Result<Vec<Row>, ReportError> {
    let baseline = planned.first().map(|planned| &planned.experiment);
    let mut rows = planned
        .iter()
        .zip(found)
        .map(|(planned, stored)| row(planned, stored.as_ref(), seeds_asked, baseline))
        .collect::<Result<Vec<Row>, ReportError>>()?;
    let Some(first) = rows.first() else { return Ok(rows) };
    let (base, tokens) = (intervals(first), first.tokens_an_epoch.mean);
    for row in &mut rows {
        row.extra_tokens = row.tokens_an_epoch.mean.zip(tokens).map(|(own, base)| own - base);
        let Some(intervention) = &row.intervention else { continue };
        (row.verdict, row.by) = verdict(intervals(row), base, row.chance);
        row.published = published(intervention, row.verdict, row.reverse_accuracy().mean);
    }
    // A measure that is missing stands last.
    let accuracy = |row: &Row| row.reverse_accuracy().mean.unwrap_or(f64::NEG_INFINITY);
    let nll = |row: &Row| row.reverse_nll().mean.unwrap_or(f64::INFINITY);
    rows.sort_by(|a, b| accuracy(b).total_cmp(&accuracy(a)).then(nll(a).total_cmp(&nll(b))));
    for (row, rank) in rows.iter_mut().zip(1..) {
        row.rank = rank;
    }
    Ok(rows)
}

/// The intervals that decide; `None` unless every run is complete.
fn intervals(row: &Row) -> Option<Intervals> {
    let of = |measured: &Measured| {
        let (low, high) = measured.low.zip(measured.high)?;
        Some(retrodict_lab::bootstrap::Interval { low, high })
    };
    let complete = row.seeds == row.seeds_asked;
    let (accuracy, nll) = of(row.reverse_accuracy()).zip(of(row.reverse_nll()))?;
    complete.then_some(Intervals { accuracy, nll })
}

fn row(
    planned: &Planned<'_>,
    stored: Option<&Stored>,
    seeds_asked: usize,
    baseline: Option<&Experiment>,
) -> Result<Row, ReportError> {
    let experiment = &planned.experiment;
    let runs = stored.map_or(&[][..], |stored| &stored.runs);
    let measured = |column: &Column| {
        let values = stored.map(|stored| stored.values(column.measure)).unwrap_or_default();
        (column.id, Measured::of(values))
    };
    let tokens = runs
        .iter()
        .map(|run| Ok(experiment.training_tokens(run.seed)? as f64))
        .collect::<Result<Vec<f64>, ReportError>>()?;
    let reached = stored.map(|s| s.curves.iter().map(|rows| seconds_to_reach(rows)).collect());
    let took = runs.iter().map(|run| run.manifest.as_ref().map_or(f64::NAN, |m| m.wall_seconds));
    let chances: Vec<f64> = runs.iter().filter_map(|run| run.answers?.chance).collect();
    let spec = match (planned.intervention, baseline) {
        (Some(_), Some(baseline)) => difference(baseline, experiment),
        _ => experiment.spec.to_toml(),
    };
    Ok(Row {
        rank: 0,
        id: planned.id().to_owned(),
        name: planned.intervention.map_or_else(|| "nothing".to_owned(), |i| i.name.clone()),
        family: planned.intervention.map(|intervention| intervention.family),
        verdict: Verdict::Baseline,
        by: None,
        published: None,
        seeds: runs.len(),
        seeds_asked,
        measures: COLUMNS.iter().map(measured).collect(),
        guessing_nll: experiment.guessing_nll(),
        chance: stats::mean(&chances),
        tokens_an_epoch: Measured::of(tokens),
        extra_tokens: None,
        seconds_to_reach: Measured::of(reached.unwrap_or_default()),
        wall_seconds: Measured::of(took.collect()),
        spec_hash: experiment.hash.to_string(),
        dose: planned.dose,
        spec,
        intervention: planned.intervention.cloned(),
    })
}

/// Seconds of training until the held-out accuracy first stood at 95 % of its last value; NaN
/// where that is 0, or nothing is held out.
fn seconds_to_reach(rows: &[MetricsRow]) -> f64 {
    let last = rows.last().and_then(|row| row.get("held_out_top1")).unwrap_or(0.0);
    if last <= 0.0 {
        return f64::NAN;
    }
    let reached =
        |row: &&MetricsRow| row.get("held_out_top1").is_some_and(|top1| top1 >= REACHED * last);
    rows.iter().find(reached).map_or(f64::NAN, |row| row.get("seconds").unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_reached_its_accuracy_when_it_first_stands_near_it() {
        let rows = |top1: &[f64]| -> Vec<MetricsRow> {
            let row = |(i, &top1): (usize, &f64)| {
                let number = i as u64 + 1;
                MetricsRow::empty(number, number)
                    .with("held_out_top1", top1)
                    .with("seconds", 2.0 * number as f64)
            };
            top1.iter().enumerate().map(row).collect()
        };
        assert_eq!(seconds_to_reach(&rows(&[0.1, 0.75, 0.77, 0.7, 0.8])), 6.0);
        assert_eq!(seconds_to_reach(&rows(&[0.9, 0.2])), 2.0, "once it was better");
        assert!(seconds_to_reach(&rows(&[0.3, 0.0])).is_nan());
        assert!(seconds_to_reach(&[]).is_nan());
    }
}
