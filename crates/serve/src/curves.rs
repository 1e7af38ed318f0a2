//! Measures over epochs: one curve a setting, the mean over its seeds with a band of one standard
//! deviation, or one curve a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use retrodict_lab::Measure;
use retrodict_lab::store::Status;
use serde_json::{Map, Value, json};

use crate::downsample::min_max;
use crate::scan::Shared;
use crate::source::Source;

/// The most curves of one answer.
pub(crate) const MOST_CURVES: usize = 14;
/// The most seeds that a mean is taken over.
const MOST_SEEDS: usize = 64;
/// The bytes of curves that are kept.
const KEPT: usize = 48 << 20;

/// A request for curves.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// The runs.
    pub(crate) runs: Vec<u32>,
    /// The measures, by epoch.
    pub(crate) measures: Vec<&'static Measure>,
    /// One curve a run.
    pub(crate) single: bool,
    /// The most points of a curve.
    pub(crate) points: usize,
    /// The most curves.
    pub(crate) most: usize,
}

/// A measure of a run after every epoch that has it.
#[derive(Debug, Default)]
struct Curve {
    epochs: Vec<u32>,
    values: Vec<f32>,
}

impl Curve {
    fn bytes(&self) -> usize {
        8 * self.epochs.len() + 64
    }
}

/// A curve, when its file changed, and when it was used last.
type Kept = (Option<SystemTime>, Arc<Curve>, u64);

/// Curves that were read.
#[derive(Debug, Default)]
pub(crate) struct Curves(Mutex<Cache>);

#[derive(Debug, Default)]
struct Cache {
    kept: HashMap<(u32, &'static str), Kept>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    fn get(&mut self, key: (u32, &'static str), changed: Option<SystemTime>) -> Option<Arc<Curve>> {
        self.clock += 1;
        let (of, curve, used) = self.kept.get_mut(&key)?;
        (*of == changed).then(|| {
            *used = self.clock;
            Arc::clone(curve)
        })
    }

    fn put(&mut self, key: (u32, &'static str), changed: Option<SystemTime>, curve: Arc<Curve>) {
        self.bytes += curve.bytes();
        if let Some((_, old, _)) = self.kept.insert(key, (changed, curve, self.clock)) {
            self.bytes -= old.bytes();
        }
        while self.bytes > KEPT {
            let oldest = self.kept.iter().min_by_key(|(_, (_, _, used))| *used);
            let Some(key) = oldest.map(|(key, _)| *key) else { return };
            if let Some((_, old, _)) = self.kept.remove(&key) {
                self.bytes -= old.bytes();
            }
        }
    }
}

/// The runs of one curve.
struct Group {
    setting: u32,
    runs: Vec<u32>,
}

impl Curves {
    /// The curves as JSON: `groups`, each with its setting, seeds, and for each measure `x`
    /// (epochs), `mean`, `low` and `high`; `total`, the number of curves before the limit.
    pub(crate) fn answer(&self, source: &Source, table: &Shared, wanted: &Wanted) -> Value {
        let (groups, total) = groups(table, wanted);
        let shown: Vec<u32> = groups.iter().flat_map(|group| group.runs.clone()).collect();
        let differing = table.read().differing(&shown);
        let mut warnings = Vec::new();
        let answers: Vec<Value> = groups
            .iter()
            .map(|group| {
                let mut of_runs = Vec::new();
                for &run in &group.runs {
                    match self.of_run(source, table, run, &wanted.measures) {
                        Ok(curves) => of_runs.push(curves),
                        Err(error) => warnings.push(error),
                    }
                }
                let curves: Map<String, Value> = wanted
                    .measures
                    .iter()
                    .enumerate()
                    .map(|(at, measure)| {
                        let curves: Vec<&Curve> = of_runs.iter().map(|c| &*c[at]).collect();
                        (measure.id.to_owned(), mean(&curves, wanted.points))
                    })
                    .collect();
                describe(table, group, &differing, curves)
            })
            .collect();
        json!({ "groups": answers, "total": total, "warnings": warnings })
    }

    /// The measures of one run, from memory where its file has not changed.
    fn of_run(
        &self,
        source: &Source,
        table: &Shared,
        place: u32,
        measures: &[&'static Measure],
    ) -> Result<Vec<Arc<Curve>>, String> {
        let (run, experiment, hash, epochs) = {
            let table = table.read();
            let run = *table.run(place).ok_or("the run was removed")?;
            let setting = table.setting(run.setting);
            (run, setting.experiment.clone(), setting.hash, setting.epochs)
        };
        let folder = source.run(&experiment, hash, run.seed).map_err(|error| error.to_string())?;
        let changed = source.changed(&folder);
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Without a file of its own only a complete run is known not to change.
        if changed.is_some() || run.status == Status::Complete {
            let mut cache = lock();
            let known = measures.iter().map(|measure| cache.get((place, measure.id), changed));
            if let Some(known) = known.collect::<Option<Vec<_>>>() {
                return Ok(known);
            }
        }
        let rows = match source.epochs(&folder, epochs) {
            Ok(rows) => rows,
            // It has written none yet.
            Err(_) if run.status != Status::Complete => Vec::new(),
            Err(error) => return Err(error),
        };
        let curves: Vec<Arc<Curve>> = measures
            .iter()
            .map(|measure| {
                let points = rows.iter().filter_map(|row| {
                    let value = row.get(measure.id)?;
                    Some((u32::try_from(row.epoch).ok()?, value as f32))
                });
                let (epochs, values) = points.unzip();
                Arc::new(Curve { epochs, values })
            })
            .collect();
        let mut cache = lock();
        for (measure, curve) in measures.iter().zip(&curves) {
            cache.put((place, measure.id), changed, Arc::clone(curve));
        }
        Ok(curves)
    }
}

/// The curves to draw, in the order of the runs, and their number before the limit.
fn groups(table: &Shared, wanted: &Wanted) -> (Vec<Group>, usize) {
    let table = table.read();
    let most = wanted.most.clamp(1, MOST_CURVES);
    let mut groups: Vec<Group> = Vec::new();
    let mut places: HashMap<u32, Option<usize>> = HashMap::new();
    let mut total = 0;
    for &place in &wanted.runs {
        let Some(run) = table.run(place) else { continue };
        let setting = run.setting;
        let known = places.get(&setting).copied().filter(|_| !wanted.single);
        match known {
            Some(Some(at)) if groups[at].runs.len() < MOST_SEEDS => groups[at].runs.push(place),
            Some(_) => {}
            None => {
                total += 1;
                let fits = groups.len() < most;
                places.insert(setting, fits.then_some(groups.len()));
                if fits {
                    groups.push(Group { setting, runs: vec![place] });
                }
            }
        }
    }
    (groups, total)
}

fn describe(
    table: &Shared,
    group: &Group,
    differing: &[(String, usize)],
    curves: Map<String, Value>,
) -> Value {
    let table = table.read();
    let setting = table.setting(group.setting);
    let first = group.runs.first().copied().unwrap_or_default();
    let keys: Map<String, Value> = differing
        .iter()
        .map(|(path, _)| {
            let place = table.place(&retrodict_lab::runs::Column::Key(path.clone()));
            (path.clone(), json!(table.cell(first, &place)))
        })
        .collect();
    let runs = || group.runs.iter().filter_map(|&run| table.run(run));
    let steps = runs().find(|run| run.epoch > 0).map(|run| run.step as f64 / run.epoch as f64);
    json!({
        "experiment": setting.experiment,
        "hash": setting.hash.to_string(),
        "seeds": runs().map(|run| run.seed).collect::<Vec<_>>(),
        "running": runs().filter(|run| run.status == Status::Running).count(),
        "keys": keys,
        "epochs": setting.epochs,
        "steps_per_epoch": steps,
        "curves": curves,
    })
}

/// The mean of curves with one standard deviation to each side, at most `points` of its epochs.
fn mean(curves: &[&Curve], points: usize) -> Value {
    let mut epochs: Vec<u32> = Vec::new();
    for curve in curves {
        // Curves of one setting have the same epochs, except that some are shorter.
        if !epochs.starts_with(&curve.epochs) {
            epochs.extend(&curve.epochs);
            epochs.sort_unstable();
            epochs.dedup();
        }
    }
    let mut sums = vec![(0u32, 0.0f64, 0.0f64); epochs.len()];
    for curve in curves {
        let mut at = 0;
        for (epoch, &value) in curve.epochs.iter().zip(&curve.values) {
            while epochs[at] != *epoch {
                at += 1;
            }
            let (count, mean, squares) = &mut sums[at];
            *count += 1;
            let off = f64::from(value) - *mean;
            *mean += off / f64::from(*count);
            *squares += off * (f64::from(value) - *mean);
        }
    }
    let means: Vec<f64> = sums.iter().map(|(_, mean, _)| *mean).collect();
    let kept = min_max(&means, points);
    let band = |at: usize| match sums[at] {
        (count, _, squares) if count > 1 => (squares / f64::from(count - 1)).sqrt(),
        _ => 0.0,
    };
    let numbers = |of: &dyn Fn(usize) -> f64| -> Vec<Value> {
        kept.iter().map(|&at| short(of(at))).collect()
    };
    json!({
        "x": kept.iter().map(|&at| epochs[at]).collect::<Vec<_>>(),
        "mean": numbers(&|at| means[at]),
        "low": numbers(&|at| means[at] - band(at)),
        "high": numbers(&|at| means[at] + band(at)),
        "points": epochs.len(),
    })
}

/// A number with six digits, which no screen outdoes; null if it is not finite.
pub(crate) fn short(value: f64) -> Value {
    format!("{value:.5e}").parse::<f64>().map_or(Value::Null, |value| json!(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_a_band_and_takes_shorter_curves() {
        let long = Curve { epochs: vec![1, 2, 3], values: vec![1.0, 2.0, 3.0] };
        let short = Curve { epochs: vec![1, 2], values: vec![3.0, 4.0] };
        let empty = Curve::default();
        let all = mean(&[&short, &long, &empty], 100);
        assert_eq!(all["x"], json!([1, 2, 3]));
        assert_eq!(all["mean"], json!([2.0, 3.0, 3.0]));
        assert_eq!(all["high"], json!([3.41421, 4.41421, 3.0]));
        assert_eq!(mean(&[], 100)["points"], 0);
    }

    #[test]
    fn old_curves_make_room() {
        let mut cache = Cache::default();
        let curve = || {
            let (epochs, values) = (vec![0; KEPT / 24], vec![0.0; KEPT / 24]);
            Arc::new(Curve { epochs, values })
        };
        for run in 0..3 {
            cache.put((run, "train_nll"), None, curve());
            assert!(cache.get((0, "train_nll"), None).is_some());
        }
        assert!(cache.get((1, "train_nll"), None).is_none());
        assert!(cache.bytes <= KEPT);
        assert!(cache.get((2, "train_nll"), Some(SystemTime::UNIX_EPOCH)).is_none());
    }
}
