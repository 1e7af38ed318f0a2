//! The measures of one intervention.

use std::collections::BTreeMap;

use retrodict_lab::binomial::interval_of_fraction;
use retrodict_lab::bootstrap::{
    Interval, interval_of_mean, interval_of_resamples, nested_means, p_of_no_difference,
};
use retrodict_lab::store::MetricsRow;
use retrodict_lab::{Experiment, Measure, stats};
use serde::Serialize;

use super::Planned;
use super::columns::{
    BLIND_SWAP_RATE, COLUMNS, CONTROL_ACCURACY, Column, FORWARD_ACCURACY, RANK_HELD_OUT,
    REVERSE_ACCURACY, REVERSE_NLL,
};
use super::file::{Family, Intervention};
use super::plan::{difference, setting};
use super::published::Published;
use super::side_effects::{Rates, SideEffect};
use super::verdict::{self, Difference, Evidence, Verdict};
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
    /// Over seeds alone.
    fn of(values: Vec<f64>) -> Self {
        let interval = interval_of_mean(&values);
        Self::with(values, interval)
    }

    /// Over seeds and questions. `rate` says that a question is answered or not: where all or none
    /// are, a bootstrap has no spread, and the interval is the exact binomial one.
    fn nested(values: Vec<f64>, questions: &[Vec<f64>], rate: bool) -> Self {
        if questions.len() < 2 {
            return Self::of(values);
        }
        let mut all = questions.iter().flatten();
        let trials = all.clone().count();
        let interval = match all.clone().sum::<f64>() {
            sum if rate && sum == 0.0 => Some(interval_of_fraction(0, trials)),
            _ if rate && all.all(|&right| right == 1.0) => {
                Some(interval_of_fraction(trials, trials))
            }
            _ => interval_of_resamples(nested_means(questions)),
        };
        Self::with(values, interval)
    }

    fn with(values: Vec<f64>, interval: Option<Interval>) -> Self {
        Self {
            mean: stats::mean(&values),
            low: interval.map(|i| i.low),
            high: interval.map(|i| i.high),
            values,
        }
    }

    fn interval(&self) -> Option<Interval> {
        let (low, high) = self.low.zip(self.high)?;
        Some(Interval { low, high })
    }
}

/// A row of the table: the baseline or an intervention.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its place, counted from 1: by reverse accuracy discounted by side effects, then by the rank
    /// among held-out answers, then by reverse NLL.
    pub rank: usize,
    /// The intervention's id, or `baseline`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Which part of training it changes; `None` of the baseline.
    pub family: Option<Family>,
    /// Its effect on the reverse.
    pub verdict: Verdict,
    /// Its side effects.
    pub side_effects: Vec<SideEffect>,
    /// Reverse accuracy × (1 − blind swaps) × forward accuracy × control accuracy.
    pub discounted_accuracy: Option<f64>,
    /// Its reverse accuracy less the baseline's, paired by seed and question.
    pub accuracy_difference: Option<Difference>,
    /// The same of the rank among held-out answers.
    pub rank_difference: Option<Difference>,
    /// The published direction of effect, and whether it came out.
    pub published: Option<Published>,
    /// Complete runs.
    pub seeds: usize,
    /// Runs that were asked for.
    pub seeds_asked: usize,
    /// Task, model, training, seeds and questions: all that the verdict reaches.
    pub setting: String,
    /// The measures of every comparison, by id.
    #[serde(flatten)]
    measures: BTreeMap<&'static str, Measured>,
    /// The NLL of uniform guessing, in nats.
    pub guessing_nll: f64,
    /// The accuracy of a guess among the held-out answers.
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
    /// The keys of its spec that differ from the baseline's; the whole spec of the baseline.
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

    /// The normalised rank of the right answers among the held-out answers.
    pub fn rank_held_out(&self) -> &Measured {
        self.measured(RANK_HELD_OUT)
    }

    /// The trained part of the held-out facts, answered right.
    pub fn forward_accuracy(&self) -> &Measured {
        self.measured(FORWARD_ACCURACY)
    }

    /// Questions without an answer, answered as if every relation had a reverse.
    pub fn blind_swap_rate(&self) -> &Measured {
        self.measured(BLIND_SWAP_RATE)
    }

    /// The measure of a column.
    pub(super) fn measured(&self, id: &str) -> &Measured {
        &self.measures[id]
    }

    /// The verdict as a table says it, with the side effects of what answers.
    pub fn words(&self) -> String {
        let words = verdict::words(self.verdict, self.reverse_accuracy().mean);
        let effects: Vec<String> = self.side_effects.iter().map(SideEffect::words).collect();
        match effects.is_empty() {
            true => words.to_owned(),
            false => format!("{words}; {}", effects.join(", ")),
        }
    }

    /// The verdict with its reach.
    pub fn sentence(&self) -> String {
        format!("{}, at this setting: {}", self.words(), self.setting)
    }

    /// The numbers that decide; `None` unless every run is complete.
    pub(super) fn evidence(&self) -> Option<Evidence> {
        let complete = self.seeds == self.seeds_asked;
        let evidence = Evidence {
            accuracy: self.reverse_accuracy().interval()?,
            answers: self.accuracy_difference?,
            rank: self.rank_held_out().interval(),
            ranks: self.rank_difference,
            chance: self.chance,
        };
        complete.then_some(evidence)
    }

    /// The rates of side effects.
    pub(super) fn rates(&self) -> Rates {
        Rates {
            blind_swaps: self.blind_swap_rate().mean,
            forward: self.forward_accuracy().mean,
            control: self.measured(CONTROL_ACCURACY).mean,
        }
    }
}

/// The rows of a task, not judged yet. `found` are the complete runs of each experiment, if it has
/// any.
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
    let tokens = first.tokens_an_epoch.mean;
    let [accuracy, rank] = [REVERSE_ACCURACY, RANK_HELD_OUT].map(|id| {
        let means = |stored: &Option<Stored>| resampled(stored.as_ref()?, id, seeds_asked);
        found.iter().map(means).collect::<Vec<_>>()
    });
    let against = |means: &[Option<Vec<f64>>], at: usize| {
        let (own, base) = means[at].as_ref().zip(means[0].as_ref())?;
        Some(from_baseline(own, base))
    };
    for (at, row) in rows.iter_mut().enumerate() {
        row.extra_tokens = row.tokens_an_epoch.mean.zip(tokens).map(|(own, base)| own - base);
        if row.intervention.is_some() {
            row.accuracy_difference = against(&accuracy, at);
            row.rank_difference = against(&rank, at);
        }
    }
    Ok(rows)
}

/// The resampled means of a measure; `None` unless every run is complete and has it.
fn resampled(stored: &Stored, id: &str, seeds_asked: usize) -> Option<Vec<f64>> {
    let column = COLUMNS.iter().find(|column| column.id == id)?;
    let questions = questions(stored, column.measure);
    let nested = match questions.is_empty() {
        true => stored.values(column.measure).into_iter().map(|value| vec![value]).collect(),
        false => questions,
    };
    let complete = nested.len() == seeds_asked && seeds_asked > 1;
    let whole = complete && nested.iter().flatten().all(|value| value.is_finite());
    whole.then(|| nested_means(&nested))
}

fn from_baseline(own: &[f64], baseline: &[f64]) -> Difference {
    let differences = own.iter().zip(baseline).map(|(own, base)| own - base);
    let mean = differences.clone().sum::<f64>() / own.len() as f64;
    let p = p_of_no_difference(differences);
    Difference { mean, p, p_corrected: p }
}

/// The outcomes of single questions, by seed; empty unless every run has them.
fn questions(stored: &Stored, measure: &Measure) -> Vec<Vec<f64>> {
    let of = |run: &retrodict_lab::RunResult| -> Option<Vec<f64>> {
        Some(run.by_question.get(measure.id)?.iter().map(|&x| f64::from(x)).collect())
    };
    stored.runs.iter().map(of).collect::<Option<_>>().unwrap_or_default()
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
        let measured = stored.map(|stored| {
            let questions = questions(stored, column.measure);
            Measured::nested(stored.values(column.measure), &questions, column.is_rate())
        });
        (column.id, measured.unwrap_or_default())
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
        side_effects: Vec::new(),
        discounted_accuracy: None,
        accuracy_difference: None,
        rank_difference: None,
        published: None,
        seeds: runs.len(),
        seeds_asked,
        setting: setting(experiment, runs.len())?,
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

    #[test]
    fn where_all_or_none_are_right_the_interval_is_exact() {
        let of = |right: f64, rate| {
            Measured::nested(vec![right; 2], &[vec![right; 10], vec![right; 10]], rate)
        };
        let root = 0.025_f64.powf(1.0 / 20.0);
        let (none, all) = (of(0.0, true), of(1.0, true));
        assert_eq!((none.low, all.high), (Some(0.0), Some(1.0)));
        assert!((none.high.unwrap() - (1.0 - root)).abs() < 1e-9, "{none:?}");
        assert!((all.low.unwrap() - root).abs() < 1e-9, "{all:?}");
        assert_eq!(of(0.0, false).high, Some(0.0), "a rank counts no successes");
        // Files of earlier versions, without questions.
        assert_eq!(Measured::nested(vec![0.0; 2], &[], true), Measured::of(vec![0.0; 2]));
    }

    #[test]
    fn a_difference_needs_no_more_than_means_of_the_same_resamples() {
        let differs = from_baseline(&[0.5, 0.6, 0.7], &[0.4, 0.5, 0.6]);
        assert!((differs.mean - 0.1).abs() < 1e-12 && differs.p == 0.5, "{differs:?}");
    }
}
