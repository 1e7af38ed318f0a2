//! The measures of a run, one entry each.
//!
//! The table of `run` and its `--json`, the columns of `metrics.parquet`, the claims of
//! `paper/*.toml`, comparisons, the page and `docs/store.md` all read [`MEASURES`]: a new measure
//! is one new entry.

mod table;

use serde::{Deserialize, Deserializer, de};

use crate::experiment::Experiment;
use crate::knowledge::Knowledge;
use crate::result::RunResult;
use crate::store::MetricsRow;
use retrodict_settings::nearest;

pub use table::MEASURES;

/// A number that describes a run.
#[derive(Debug)]
pub struct Measure {
    /// Its name in files: a column, a key of `--json`, `measure` of a claim.
    pub id: &'static str,
    /// The heading of its column, without the unit.
    pub heading: &'static str,
    /// The heading in the table of `run`; `None` leaves it out there.
    pub brief: Option<&'static str>,
    /// Its unit.
    pub unit: Unit,
    /// The better values.
    pub better: Better,
    /// The other listings that show it.
    pub shown: Shown,
    /// One sentence for `docs/store.md`.
    pub doc: &'static str,
    /// When and how it is measured.
    pub value: Value,
}

/// The unit of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nats, capped at 115.13 per sentence.
    Nats,
    /// A fraction from 0 to 1.
    Fraction,
    /// A ratio, without unit.
    Ratio,
    /// An index from 0 to 1 in tables, not clamped elsewhere.
    Index,
    /// A rank, counted from 1, or a count.
    Count,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
}

impl Unit {
    /// Its name in documentation.
    pub fn word(self) -> &'static str {
        match self {
            Unit::Nats => "nats",
            Unit::Fraction => "fraction",
            Unit::Ratio => "ratio",
            Unit::Index => "index",
            Unit::Count => "count",
            Unit::Milliseconds => "ms",
            Unit::Seconds => "s",
        }
    }
}

/// The better values of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Larger ones.
    Higher,
    /// Smaller ones.
    Lower,
    /// Neither: it is descriptive.
    Neither,
}

/// The listings that include a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shown {
    /// `run --json` and the page's table of runs.
    JsonAndPage,
    /// The same, but the page only where entities have several tokens: with one token it repeats
    /// the measure of the whole entity.
    JsonAndPageOfSeveralTokens,
    /// `run --json` only.
    Json,
    /// The page's table of runs only.
    Page,
    /// None: it serves claims and is a column.
    Nowhere,
}

/// How a measure is computed.
#[derive(Clone, Copy, Debug)]
pub enum Value {
    /// After every epoch; a column of `metrics.parquet`. A run's value is the last epoch's.
    Epoch {
        /// The epochs that have a value.
        when: When,
        /// The value of an epoch.
        of: fn(&Epoch) -> Option<f64>,
    },
    /// From the results stored at the end of the run; `None` where it does not apply.
    Run(fn(&Experiment, &RunResult) -> Option<f64>),
}

/// The epochs after which a measure is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Every epoch of every run.
    Always,
    /// Every epoch, where there is something to measure.
    Known,
    /// The epochs of probes and the last one.
    Probed,
    /// Every epoch where entities have one token; otherwise as [`When::Probed`].
    Ranked,
}

impl When {
    /// Whether the measure is left out between probes, in a run whose entities have `tokens` tokens.
    pub(crate) fn skips(self, tokens: usize) -> bool {
        self == When::Probed || (self == When::Ranked && tokens > 1)
    }
}

/// All inputs of the measures of an epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epoch {
    /// The scores of the training sentences, in training mode: means over batches of each batch's
    /// mean.
    pub train: TrainScores,
    /// The scores of the data set's own training sentences after the epoch, without dropout and
    /// with the weights at rest; `None` between probes.
    pub train_eval: Option<Scores>,
    /// The scores of the held-out sentences after the epoch; `None` without any.
    pub held_out: Option<Scores>,
    /// Ranks and indexes after the epoch.
    pub knowledge: Knowledge,
    /// Seconds of training so far.
    pub seconds: f64,
}

/// NLL is capped here: 1e-50 is added to a probability before its logarithm (paper, section 5).
const NLL_CAP: f64 = 115.129_254_649_702_28;

/// An NLL up to the cap; NaN stays NaN.
pub(crate) fn capped(nll: f64) -> f64 {
    if nll > NLL_CAP { NLL_CAP } else { nll }
}

/// Means over training sentences.
#[derive(Clone, Copy, Debug, Default)]
pub struct TrainScores {
    /// NLL of the last entity, summed over its tokens, in nats.
    pub nll: f64,
    /// NLL of its first token, in nats.
    pub first_token_nll: f64,
}

/// Means over sentences.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scores {
    /// NLL of the last entity, summed over its tokens, in nats.
    pub nll: f64,
    /// NLL of its first token, in nats.
    pub first_token_nll: f64,
    /// The fraction whose last entity ranks first in every token.
    pub top1: f64,
}

impl Measure {
    /// The measure `id` of the program itself.
    ///
    /// # Panics
    /// If there is none; in a constant, when the program is compiled.
    pub const fn named(id: &str) -> &'static Measure {
        let mut at = 0;
        while at < MEASURES.len() {
            if equal(MEASURES[at].id, id) {
                return &MEASURES[at];
            }
            at += 1;
        }
        panic!("there is no such measure")
    }

    /// The measure `id`.
    ///
    /// # Errors
    /// A message that names the nearest, or all.
    pub fn find(id: &str) -> Result<&'static Measure, String> {
        let ids = || MEASURES.iter().map(|measure| measure.id);
        MEASURES.iter().find(|measure| measure.id == id).ok_or_else(|| {
            let hint = match nearest(id, ids()) {
                Some(right) => format!("did you mean `{right}`?"),
                None => format!("there are {}", ids().collect::<Vec<_>>().join(", ")),
            };
            format!("there is no measure `{id}`; {hint}")
        })
    }

    /// Those measured after every epoch, in the order of their columns.
    pub fn of_epochs() -> impl Iterator<Item = &'static Measure> {
        MEASURES.iter().filter(|measure| matches!(measure.value, Value::Epoch { .. }))
    }

    /// Those of `run --json`.
    pub fn of_json() -> impl Iterator<Item = &'static Measure> {
        use Shown::{Json, JsonAndPage, JsonAndPageOfSeveralTokens};
        let shown = [Json, JsonAndPage, JsonAndPageOfSeveralTokens];
        MEASURES.iter().filter(move |measure| shown.contains(&measure.shown))
    }

    /// Those of the page's table of runs, whose entities have `tokens` tokens.
    pub fn of_page(tokens: usize) -> impl Iterator<Item = &'static Measure> {
        MEASURES.iter().filter(move |measure| match measure.shown {
            Shown::JsonAndPage | Shown::Page => true,
            Shown::JsonAndPageOfSeveralTokens => tokens > 1,
            Shown::Json | Shown::Nowhere => false,
        })
    }

    /// The heading of its column, with the unit where it has one.
    pub fn heading_with_unit(&self) -> String {
        match self.unit {
            Unit::Fraction | Unit::Ratio | Unit::Index | Unit::Count => self.heading.to_owned(),
            unit => format!("{} ({})", self.heading, unit.word()),
        }
    }

    /// Its value in a run; `None` where it does not apply.
    pub fn of(&self, experiment: &Experiment, run: &RunResult) -> Option<f64> {
        if let Some(packed) = run.packed() {
            return packed.measure(self.id);
        }
        match self.value {
            Value::Epoch { .. } => run.last?.get(self.id),
            Value::Run(of) => of(experiment, run),
        }
    }

    /// A value as a table prints it.
    pub fn format(&self, value: Option<f64>) -> String {
        let clamped = |x: f64| if self.unit == Unit::Index { x.clamp(0.0, 1.0) } else { x };
        match value.map(clamped) {
            Some(x) if x != 0.0 && x.abs() < 0.01 => format!("{x:.5}"),
            Some(x) => format!("{x:.3}"),
            None => "–".to_owned(),
        }
    }
}

impl PartialEq for Measure {
    fn eq(&self, other: &Measure) -> bool {
        self.id == other.id
    }
}

impl Eq for Measure {}

impl<'de> Deserialize<'de> for &'static Measure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let id = String::deserialize(deserializer)?;
        Measure::find(&id).map_err(de::Error::custom)
    }
}

/// `==` for texts in constants.
const fn equal(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut same = a.len() == b.len();
    let mut at = 0;
    while same && at < a.len() {
        same = a[at] == b[at];
        at += 1;
    }
    same
}

/// The number of measures of an epoch.
pub(crate) const EPOCH_MEASURES: usize = {
    let (mut at, mut count) = (0, 0);
    while at < MEASURES.len() {
        count += matches!(MEASURES[at].value, Value::Epoch { .. }) as usize;
        at += 1;
    }
    count
};

impl Experiment {
    /// The NLL of guessing a whole entity uniformly over the vocabulary, in nats: the sum over its
    /// tokens, as every NLL of an entity is.
    pub fn guessing_nll(&self) -> f64 {
        self.objective.entity_length as f64 * (self.network.vocab() as f64).ln()
    }

    /// That number as a formula: `2 ln 802`.
    pub fn guessing_label(&self) -> String {
        let vocab = self.network.vocab();
        match self.objective.entity_length {
            1 => format!("ln {vocab}"),
            tokens => format!("{tokens} ln {vocab}"),
        }
    }
}

impl MetricsRow {
    /// The row of an epoch.
    pub fn measured(number: u64, step: u64, epoch: &Epoch) -> MetricsRow {
        let mut row = MetricsRow::empty(number, step);
        for (slot, measure) in row.values.iter_mut().zip(Measure::of_epochs()) {
            if let Value::Epoch { of, .. } = measure.value {
                *slot = of(epoch);
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_an_unknown_one_gets_the_nearest() {
        for (at, measure) in MEASURES.iter().enumerate() {
            assert!(MEASURES[..at].iter().all(|other| other.id != measure.id), "{}", measure.id);
            assert_eq!(Measure::named(measure.id), measure);
            assert!(measure.doc.ends_with('.'), "{}", measure.id);
        }
        let error = Measure::find("held_out_top").unwrap_err();
        assert_eq!(error, "there is no measure `held_out_top`; did you mean `held_out_top1`?");
    }

    #[test]
    fn an_epoch_has_a_column_for_each_of_its_measures() {
        let train = TrainScores { nll: 1.0, first_token_nll: 2.0 };
        let mut epoch = Epoch { train, seconds: 4.0, ..Epoch::default() };
        epoch.knowledge.in_context.of_type.rank = Some(0.25);
        let row = MetricsRow::measured(1, 6, &epoch);
        assert_eq!((row.epoch, row.step), (1, 6));
        let known = Measure::of_epochs().filter_map(|m| Some((m.id, row.get(m.id)?)));
        assert_eq!(
            known.collect::<Vec<_>>(),
            [
                ("train_nll", 1.0),
                ("train_first_token_nll", 2.0),
                ("rank_type", 0.25),
                ("seconds", 4.0),
            ]
        );
    }

    #[test]
    fn an_index_is_clamped_in_tables_alone() {
        let asymmetry = Measure::named("asymmetry");
        assert_eq!(asymmetry.format(Some(1.25)), "1.000");
        assert_eq!(asymmetry.format(Some(-0.5)), "0.000");
        assert_eq!(Measure::named("held_out_nll_over_uniform").format(Some(1.25)), "1.250");
    }
}
