//! Whether small models predict the order of recipes: Spearman's rank correlation of a measure of
//! the reverse in the small models with the same in the large one.

use std::collections::BTreeMap;
use std::path::Path;

use retrodict_engine::{Purpose, Stream};
use retrodict_lab::bootstrap::{RESAMPLES, SEED, interval_of_resamples};
use retrodict_lab::stats;
use serde::Serialize;

use crate::{FinetuneError, Row};

/// The columns of the runs of small models.
const COLUMNS: [&str; 3] = ["data.recipes", "rank_held_out", "held_out_nll"];

/// Draws of this resampling have streams of their own, behind those of the intervals.
const FIRST_STREAM: u32 = 1 << 24;

/// A run of a small model.
#[derive(Debug, Clone, PartialEq)]
pub struct SmallRun {
    /// The recipes, separated by commas, or `none`.
    pub condition: String,
    /// The level of the held-out answers: 1 first, 0.5 by chance, 0 last.
    pub level: f64,
    /// Their log probability, in nats.
    pub log_probability: f64,
}

/// A measure of the reverse that both models have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// The level.
    Level,
    /// The log probability of the right answer, which tells recipes apart where all rank first.
    LogProbability,
}

impl Compare {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Level, Self::LogProbability];

    /// The measure in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Level => "reverse level",
            Self::LogProbability => "log probability in reverse",
        }
    }

    fn small(self, run: &SmallRun) -> f64 {
        match self {
            Self::Level => run.level,
            Self::LogProbability => run.log_probability,
        }
    }

    fn large(self, row: &Row) -> &[f64] {
        match self {
            Self::Level => &row.reverse_level.values,
            Self::LogProbability => &row.reverse_log_probability.values,
        }
    }
}

impl SmallRun {
    /// The runs in a CSV file with the columns data.recipes, rank_held_out and held_out_nll.
    ///
    /// # Errors
    /// [`FinetuneError::Small`] names the file, the line and what would be right.
    pub fn read(path: &Path) -> Result<Vec<Self>, FinetuneError> {
        let refuse =
            |problem: String| FinetuneError::Small { file: path.display().to_string(), problem };
        let mut reader = csv::Reader::from_path(path)
            .map_err(|error| refuse(format!("it cannot be read: {error}")))?;
        let header = reader.headers().map_err(|error| refuse(error.to_string()))?.clone();
        let column = |name: &str| header.iter().position(|other| other == name);
        let [Some(recipes), Some(rank), Some(nll)] = COLUMNS.map(column) else {
            return Err(refuse(format!(
                "it has no column {}; `retrodict runs DIR --columns {} --csv` prints them",
                COLUMNS.into_iter().find(|name| column(name).is_none()).unwrap_or_default(),
                COLUMNS.join(",")
            )));
        };
        let mut runs = Vec::new();
        for (at, row) in reader.records().enumerate() {
            let row = row.map_err(|error| refuse(error.to_string()))?;
            let text = row.get(recipes).unwrap_or_default();
            let names = text.trim_matches(['[', ']']).split(',');
            let names = names.map(|name| name.trim().trim_matches('"').to_owned());
            let names: Vec<String> = names.filter(|name| !name.is_empty()).collect();
            let number = |column: usize| {
                row.get(column).unwrap_or_default().parse::<f64>().map_err(|_| {
                    let name = &header[column];
                    refuse(format!("line {}: {name} must be a number", at + 2))
                })
            };
            let condition = if names.is_empty() { "none".to_owned() } else { names.join(",") };
            let (level, log_probability) = (1.0 - number(rank)?, -number(nll)?);
            runs.push(Self { condition, level, log_probability });
        }
        Ok(runs)
    }
}

/// A condition in both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// The condition.
    pub condition: String,
    /// The mean of the measure in the small models.
    pub small: f64,
    /// The same in the large model.
    pub large: f64,
}

/// The order of conditions in small models against that in a large one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prediction {
    /// The measure.
    pub measure: Compare,
    /// The conditions that both have.
    pub conditions: Vec<Compared>,
    /// Spearman's rank correlation; `None` of fewer than three conditions, or where all are alike.
    pub correlation: Option<f64>,
    /// Its 95 % interval, by a bootstrap over the seeds of both: it says how sure the order of
    /// these conditions is, not how other conditions would be ordered. `None` where a condition has
    /// a single seed.
    pub interval: Option<[f64; 2]>,
    /// The share of all orders of the conditions whose correlation would be at least as high.
    pub p: Option<f64>,
}

impl Prediction {
    /// The comparison of runs of small models with rows of a large one.
    pub fn new(measure: Compare, small: &[SmallRun], rows: &[Row]) -> Self {
        let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for run in small {
            values.entry(&run.condition).or_default().push(measure.small(run));
        }
        let both: Vec<(&str, &[f64], &[f64])> = rows
            .iter()
            .filter_map(|row| {
                let small = values.get(row.condition.as_str())?;
                let large = measure.large(row);
                (!large.is_empty()).then_some((row.condition.as_str(), &small[..], large))
            })
            .collect();
        let mean = |values: &[f64]| stats::mean(values).unwrap_or(f64::NAN);
        let conditions: Vec<Compared> = both
            .iter()
            .map(|(name, small, large)| Compared {
                condition: (*name).to_owned(),
                small: mean(small),
                large: mean(large),
            })
            .collect();
        let means = |of: fn(&Compared) -> f64| conditions.iter().map(of).collect::<Vec<f64>>();
        let (small, large) = (means(|c| c.small), means(|c| c.large));
        let correlation = spearman(&small, &large);
        let resample = |number: u32| {
            let stream = Stream::new(SEED, Purpose::Resample, FIRST_STREAM + number);
            let mut index = 0;
            let mut taken = |values: &[f64]| {
                let sum: f64 = values
                    .iter()
                    .map(|_| {
                        index += 1;
                        values[stream.below(values.len(), index)]
                    })
                    .sum();
                sum / values.len() as f64
            };
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for (_, small, large) in &both {
                a.push(taken(small));
                b.push(taken(large));
            }
            spearman(&a, &b)
        };
        let seeds = both.iter().flat_map(|(_, small, large)| [small.len(), large.len()]).min();
        let interval = correlation.filter(|_| seeds > Some(1)).and_then(|_| {
            interval_of_resamples((0..RESAMPLES as u32).filter_map(resample).collect())
        });
        Self {
            measure,
            correlation,
            interval: interval.map(|interval| [interval.low, interval.high]),
            p: correlation.map(|found| share_as_high(&small, &large, found)),
            conditions,
        }
    }

    /// The result in a sentence.
    pub fn sentence(&self) -> String {
        let (count, measure) = (self.conditions.len(), self.measure.words());
        let Some((found, p)) = self.correlation.zip(self.p) else {
            return format!(
                "The order of recipes by {measure} cannot be compared: {count} conditions are in \
                 both, and three that differ are needed."
            );
        };
        let interval = match self.interval {
            Some([low, high]) => format!(", 95 % interval {low:.2} to {high:.2} over seeds"),
            None => " (from a single seed)".to_owned(),
        };
        let said = match p < LEVEL {
            true => "the small models predict it better than a random order would",
            false => "so few conditions cannot tell this from a random order",
        };
        format!(
            "Of {count} conditions, the order by {measure} in small models and in this one has a rank \
             correlation of {found:.2}{interval}; {:.1} % of random orders have one as high: {said}.",
            100.0 * p
        )
    }
}

/// Ranks from 1, ties sharing their mean.
fn ranks(values: &[f64]) -> Vec<f64> {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let same = values.iter().filter(|other| *other == value).count();
        below as f64 + (same as f64 + 1.0) / 2.0
    };
    values.iter().map(rank).collect()
}

/// Spearman's rank correlation; `None` of fewer than three values, or where one side is constant.
fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.len() < 3 || a.iter().chain(b).any(|value| !value.is_finite()) {
        return None;
    }
    let [a, b] = [ranks(a), ranks(b)];
    let middle = (a.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - middle) * (b - middle)).sum()
    };
    let spread = (product(&a, &a) * product(&b, &b)).sqrt();
    (spread > 0.0).then(|| product(&a, &b) / spread)
}

/// The level of the test, corrected for the two measures that are compared.
const LEVEL: f64 = 0.05 / Compare::ALL.len() as f64;

/// Up to so many values all orders are counted.
const ALL_COUNTED: usize = 8;

/// The share of orders of `b` whose correlation with `a` is at least `found`: of all orders, or of
/// drawn ones and the order itself.
fn share_as_high(a: &[f64], b: &[f64], found: f64) -> f64 {
    let as_high = |order: &[f64]| spearman(a, order).is_some_and(|r| r >= found - 1e-12);
    let mut order = b.to_vec();
    if b.len() <= ALL_COUNTED {
        let (mut high, mut all) = (0_u32, 0_u32);
        permutations(&mut order, 0, &mut |order| {
            all += 1;
            high += u32::from(as_high(order));
        });
        return f64::from(high) / f64::from(all);
    }
    let mut random = retrodict_facts::RandomState::new(SEED as u32);
    let mut high = 1;
    for _ in 0..RESAMPLES {
        random.shuffle(&mut order);
        high += u32::from(as_high(&order));
    }
    f64::from(high) / (RESAMPLES as f64 + 1.0)
}

/// Calls `each` with all orders of the values from `first` on.
fn permutations(values: &mut [f64], first: usize, each: &mut impl FnMut(&[f64])) {
    if first + 1 >= values.len() {
        return each(values);
    }
    for at in first..values.len() {
        values.swap(first, at);
        permutations(values, first + 1, each);
        values.swap(first, at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Estimate;

    fn rows(levels: &[(&str, [f64; 2])]) -> Vec<Row> {
        let row = |(name, values): &(&str, [f64; 2])| {
            let reverse_level = Estimate { values: values.to_vec(), ..Estimate::default() };
            Row { condition: (*name).to_owned(), reverse_level, ..Row::default() }
        };
        levels.iter().map(row).collect()
    }

    fn small(levels: &[(&str, f64)]) -> Vec<SmallRun> {
        levels
            .iter()
            .map(|(name, level)| {
                let (condition, log_probability) = ((*name).to_owned(), -1.0);
                SmallRun { condition, level: *level, log_probability }
            })
            .collect()
    }

    #[test]
    fn spearman_counts_ranks_and_shares_ties() {
        assert_eq!(spearman(&[1.0, 2.0, 9.0], &[10.0, 20.0, 21.0]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 9.0], &[3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(ranks(&[2.0, 1.0, 2.0]), [2.5, 1.0, 2.5]);
        // 1 − 6 Σd²/(n(n² − 1)) with d = (0, −1, 1, 0).
        let found = spearman(&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0]).unwrap();
        assert!((found - 0.8).abs() < 1e-12);
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[5.0; 3]), None);
        assert_eq!(share_as_high(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0], 1.0), 1.0 / 6.0);
    }

    #[test]
    fn conditions_of_both_are_compared() {
        let levels =
            [("none", 0.5), ("a", 0.6), ("b", 0.9), ("c", 0.95), ("d", 1.0), ("only here", 0.1)];
        let large = [("before", [0.5; 2]), ("none", [0.4, 0.5]), ("a", [0.7, 0.7])];
        let large =
            [&large[..], &[("b", [0.8, 0.9]), ("c", [0.95, 0.96]), ("d", [0.99, 1.0])]].concat();
        let runs = [small(&levels), small(&levels)].concat();
        let found = Prediction::new(Compare::Level, &runs, &rows(&large));
        assert_eq!(found.conditions.len(), 5);
        assert_eq!(found.correlation, Some(1.0));
        assert_eq!(found.interval, Some([1.0, 1.0]), "no seed changes the order");
        assert_eq!(found.p, Some(1.0 / 120.0));
        assert!(found.sentence().contains("better than a random order"), "{}", found.sentence());
        let single = Prediction::new(Compare::Level, &small(&levels), &rows(&large));
        assert_eq!((single.correlation, single.interval), (Some(1.0), None));
        let few = Prediction::new(Compare::Level, &small(&levels[..2]), &rows(&large));
        assert_eq!(few.correlation, None);
        assert!(few.sentence().contains("2 conditions"));
    }

    #[test]
    fn runs_are_read_and_a_missing_column_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("runs.csv");
        std::fs::write(
            &file,
            "held_out_nll,data.recipes,rank_held_out\n\
             1,\"[\"\"a\"\", \"\"b\"\"]\",0.25\n1,[],0.5\n",
        )
        .unwrap();
        let runs = SmallRun::read(&file).unwrap();
        assert_eq!(runs, small(&[("a,b", 0.75), ("none", 0.5)]));
        std::fs::write(&file, "seed,data.recipes\n").unwrap();
        let error = SmallRun::read(&file).unwrap_err().to_string();
        assert!(error.contains("no column rank_held_out"), "{error}");
    }
}
