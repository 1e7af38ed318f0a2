//! Means over seeds and questions, with intervals, and differences from the baseline.

use retrodict_lab::binomial::interval_of_fraction;
use retrodict_lab::bootstrap::{
    Interval, crossed_means, interval_of_mean, interval_of_resamples, nested_means,
    p_of_no_difference,
};
use retrodict_lab::stats;
use serde::Serialize;

use crate::{Key, Prediction, RunResult, Study};

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Estimate {
    /// `None` where there is nothing to measure.
    pub mean: Option<f64>,
    /// The interval, by a bootstrap over seeds and questions; where all answers are right, or none
    /// is, the exact binomial one of the questions. `None` of single values.
    pub interval: Option<[f64; 2]>,
    /// One a seed.
    pub values: Vec<f64>,
}

impl Estimate {
    /// The estimate over seeds and questions; `values[seed][question]`.
    fn of(values: &[Vec<f64>], kind: Kind) -> Self {
        if values.is_empty() || values.iter().any(Vec::is_empty) {
            return Self::default();
        }
        let all: Vec<f64> = values.iter().flatten().copied().collect();
        let count = if kind.crossed { values[0].len() } else { all.len() };
        let interval = match all.iter().sum::<f64>() {
            _ if count < 2 => None,
            sum if kind.share && sum == 0.0 => Some(interval_of_fraction(0, count)),
            sum if kind.share && sum == all.len() as f64 => {
                Some(interval_of_fraction(count, count))
            }
            _ => interval_of_resamples(kind.means(values)),
        };
        let means: Vec<f64> = values.iter().filter_map(|of| stats::mean(of)).collect();
        Self { mean: stats::mean(&means), interval: interval.map(ends), values: means }
    }

    /// The estimate from one value a seed.
    fn over_seeds(values: Vec<f64>) -> Self {
        let interval = interval_of_mean(&values).map(ends);
        Self { mean: stats::mean(&values), interval, values }
    }
}

/// The kind of the values of questions.
#[derive(Debug, Clone, Copy)]
struct Kind {
    /// Whether a value is 1 or 0.
    share: bool,
    /// Whether all seeds have the same questions.
    crossed: bool,
}

impl Kind {
    /// The means of resamples.
    fn means(self, values: &[Vec<f64>]) -> Vec<f64> {
        // A fact without a level has no value.
        let whole = values.iter().all(|of_seed| of_seed.len() == values[0].len());
        if self.crossed && whole { crossed_means(values) } else { nested_means(values) }
    }
}

/// A mean difference from the baseline, paired by question.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// The mean.
    pub mean: f64,
    /// Its 95 % interval, by the bootstrap over seeds and questions; of shares that are all right, or
    /// none, on both sides, from their exact binomial intervals.
    pub interval: [f64; 2],
    /// The two-sided p-value of no difference.
    pub p: f64,
}

impl Difference {
    fn of(new: &[Vec<f64>], old: &[Vec<f64>], kind: Kind) -> Option<Self> {
        if [new, old].iter().any(|v| v.is_empty() || v.iter().any(Vec::is_empty)) {
            return None;
        }
        let [of_new, of_old] = [new, old].map(|values| Estimate::of(values, kind));
        let [means, baseline] = [new, old].map(|values| kind.means(values));
        let differences: Vec<f64> = means.iter().zip(&baseline).map(|(a, b)| a - b).collect();
        let p = p_of_no_difference(differences.iter().copied());
        // Resamples of constants are constant, as if nothing were uncertain.
        let constant = differences.iter().all(|difference| *difference == differences[0]);
        let interval = match of_new.interval.zip(of_old.interval).filter(|_| kind.share && constant)
        {
            Some(([low, high], [old_low, old_high])) => [low - old_high, high - old_low],
            None => ends(interval_of_resamples(differences)?),
        };
        Some(Self { mean: of_new.mean? - of_old.mean?, interval, p })
    }
}

fn ends(interval: Interval) -> [f64; 2] {
    [interval.low, interval.high]
}

/// A condition over its seeds. *Forward* is the direction of a fact that the training text states,
/// *reverse* the other.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Row {
    /// The condition; `before` for the model as it is in its file.
    pub condition: String,
    /// Its seeds.
    pub seeds: Vec<u32>,
    /// Questions that greedy decoding answers right, forward, in trained phrasings.
    pub forward: Estimate,
    /// The same in phrasings that were not trained.
    pub forward_held: Estimate,
    /// The same in reverse, in phrasings that other facts are trained in.
    pub reverse: Estimate,
    /// The same in phrasings that were not trained.
    pub reverse_held: Estimate,
    /// The level forward: from 1, first among the candidates, over 0.5, by chance, to 0, last.
    pub forward_level: Estimate,
    /// The level in reverse.
    pub reverse_level: Estimate,
    /// The forward level minus the reverse one, by fact.
    pub asymmetry: Estimate,
    /// Reverse questions whose right answer is the most likely candidate.
    pub reverse_first: Estimate,
    /// The log probability of the right answer in reverse, in nats.
    pub reverse_log_probability: Estimate,
    /// The perplexity of the held text: the exponential of the mean negative log-likelihood of a
    /// token.
    pub perplexity: Estimate,
    /// `reverse` minus that of the baseline.
    pub reverse_difference: Option<Difference>,
    /// `reverse_level` minus that of the baseline.
    pub level_difference: Option<Difference>,
    /// Tokens of an epoch, the mean over seeds.
    pub tokens: f64,
    /// The same over those of the baseline.
    pub tokens_ratio: Option<f64>,
    /// Steps of a training, the mean over seeds.
    pub steps: f64,
    /// Seconds of training and measuring a seed, the mean over seeds.
    pub seconds: f64,
}

/// The result of a study.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The version of the program.
    pub version: &'static str,
    /// The model, as it was named.
    pub model: String,
    /// The file of facts.
    pub facts_file: String,
    /// The number of facts.
    pub fact_count: usize,
    /// The settings, with the digests of the files.
    pub key: Key,
    /// The accuracy of a guess among all answers of a question's relation.
    pub chance: f64,
    /// The model before training, the baseline, and the conditions.
    pub rows: Vec<Row>,
    /// The order of the conditions in small models beside that in this one, by each measure.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub predictions: Vec<Prediction>,
}

impl Summary {
    /// The summary of finished runs: of each condition in order, those of its seeds.
    pub fn new(study: &Study<'_>, model: &str, runs: &[Vec<RunResult>]) -> Self {
        let baseline = runs.iter().find(|of| of.iter().any(|run| !run.losses.is_empty()));
        let row = |of: &Vec<RunResult>| {
            let trained = !of[0].losses.is_empty();
            Row::of(of, baseline.filter(|baseline| trained && *baseline != of))
        };
        Self {
            version: retrodict_lab::VERSION,
            model: model.to_owned(),
            facts_file: study.facts_file().to_owned(),
            fact_count: study.fact_count(),
            key: study.key().clone(),
            chance: study.chance(),
            rows: runs.iter().filter(|of| !of.is_empty()).map(row).collect(),
            predictions: Vec::new(),
        }
    }
}

impl Row {
    fn of(runs: &[RunResult], baseline: Option<&Vec<RunResult>>) -> Self {
        let each = |value: &dyn Fn(&RunResult) -> Vec<f64>| -> Vec<Vec<f64>> {
            runs.iter().map(value).collect()
        };
        // A split that is drawn differs between seeds, and so do their questions.
        let alike = |run: &RunResult| run.asks_as(&runs[0]);
        let crossed = runs.iter().chain(baseline.into_iter().flatten()).all(alike);
        let [share, plain] = [true, false].map(|share| Kind { share, crossed });
        let right = |stated, held| Estimate::of(&each(&|run| run.right(stated, held)), share);
        let level = |run: &RunResult, stated| run.of_facts(stated, |known| known.level);
        let mean = |value: &dyn Fn(&RunResult) -> f64| {
            runs.iter().map(value).sum::<f64>() / runs.len() as f64
        };
        let tokens = mean(&|run| run.tokens as f64);
        let of_baseline = |value: &dyn Fn(&RunResult) -> Vec<f64>, kind| {
            let old: Vec<Vec<f64>> = baseline?.iter().map(value).collect();
            // Seed by seed, as far as both have them.
            let count = old.len().min(runs.len());
            Difference::of(&each(value)[..count], &old[..count], kind)
        };
        let baseline_tokens = baseline.and_then(|of| of.first()).map(|run| run.tokens as f64);
        Self {
            condition: runs[0].condition.clone(),
            seeds: runs.iter().map(|run| run.seed).collect(),
            forward: right(true, false),
            forward_held: right(true, true),
            reverse: right(false, false),
            reverse_held: right(false, true),
            forward_level: Estimate::of(&each(&|run| level(run, true)), plain),
            reverse_level: Estimate::of(&each(&|run| level(run, false)), plain),
            asymmetry: Estimate::of(&each(&RunResult::asymmetries), plain),
            reverse_first: Estimate::of(
                &each(&|run| run.of_facts(false, |k| Some(f64::from(u8::from(k.first))))),
                share,
            ),
            reverse_log_probability: Estimate::of(
                &each(&|run| run.of_facts(false, |known| Some(known.log_probability))),
                plain,
            ),
            perplexity: Estimate::over_seeds(runs.iter().map(|r| r.held_nll.exp()).collect()),
            reverse_difference: of_baseline(&|run| run.right(false, false), share),
            level_difference: of_baseline(&|run| level(run, false), plain),
            tokens,
            tokens_ratio: baseline_tokens.filter(|_| tokens > 0.0).map(|old| tokens / old),
            steps: mean(&|run| run.losses.len() as f64),
            seconds: mean(&|run| run.train_seconds + run.measure_seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_of_constants_is_not_certain() {
        let kind = Kind { share: true, crossed: true };
        let none = vec![vec![0.0; 30]; 3];
        let found = Difference::of(&none, &none, kind).unwrap();
        // 1 − 0.025^(1/30): the exact interval of 0 of 30, whatever the number of seeds.
        let end = 1.0 - 0.025_f64.powf(1.0 / 30.0);
        assert_eq!(found.mean, 0.0);
        assert!((found.interval[0] + end).abs() < 1e-9 && (found.interval[1] - end).abs() < 1e-9);
        assert_eq!(Estimate::of(&none, kind).interval, Some([0.0, found.interval[1]]));
        let some = vec![[vec![1.0; 4], vec![0.0; 26]].concat(); 3];
        let found = Difference::of(&some, &none, kind).unwrap();
        assert!(found.interval[0] <= 1.0 / 30.0 && found.interval[1] >= 0.2, "{found:?}");
    }
}
