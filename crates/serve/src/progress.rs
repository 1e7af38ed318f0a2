//! How far runs are, and when they will have ended.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use retrodict_lab::store::Status;
use retrodict_lab::sweep::SweepRecord;
use serde_json::{Value, json};

use crate::table::{Run, Table};

/// The completed runs from which the speed is taken: the newest.
const RECENT: usize = 64;
/// Seconds without any sign of life after which nothing is taken to train: the state of a killed
/// run stays `running`.
const SILENCE: f64 = 600.0;
/// The most sweeps that are shown: the newest that have not ended.
const SWEEPS: usize = 3;

/// Some runs. A run weighs its estimated seconds, or 1 where there is no estimate.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<&'static str, usize>,
    /// The weight of all runs.
    total: f64,
    /// The weight of what needs no more work.
    done: f64,
    /// When complete runs ended, with their weights.
    ends: Vec<(f64, f64)>,
    /// When running ones were started, the weight done of them, and when one wrote last.
    running: Option<(f64, f64, f64)>,
}

impl Tally {
    /// Adds a run; `None` if it has not begun.
    fn add(&mut self, run: Option<&Run>, epochs: u64, weight: f64) {
        self.total += weight;
        *self.counts.entry(run.map_or("waiting", |run| run.status.word())).or_default() += 1;
        let Some(run) = run else { return };
        let part = weight * (run.epoch as f64 / epochs.max(1) as f64).clamp(0.0, 1.0);
        self.done += match run.status {
            Status::Complete | Status::Diverged | Status::Failed => weight,
            Status::Running | Status::Interrupted => part,
        };
        match run.status {
            Status::Complete if run.ended.is_finite() => self.ends.push((run.ended, weight)),
            Status::Running => {
                let (began, parts, wrote) =
                    self.running.unwrap_or((f64::INFINITY, 0.0, f64::NEG_INFINITY));
                let sign = run.touched.max(run.started);
                self.running = Some((began.min(run.started), parts + part, wrote.max(sign)));
            }
            _ => {}
        }
    }

    /// Seconds since the last sign of life of runs that claim to run; `None` where none does.
    fn silence(&self, now: f64) -> Option<f64> {
        let (_, _, wrote) = self.running?;
        let ended = self.ends.iter().map(|(end, _)| *end).fold(wrote, f64::max);
        Some(now - ended)
    }

    /// Weight done a second; `None` where nothing trains or nothing is known yet.
    fn speed(&mut self, now: f64) -> Option<f64> {
        let (began, parts, _) = self.running?;
        if self.silence(now)? > SILENCE {
            return None;
        }
        self.ends.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let newest = &self.ends[self.ends.len().saturating_sub(RECENT)..];
        // Only those of this session of training.
        let recent: Vec<_> = newest.iter().filter(|(end, _)| *end >= began - SILENCE).collect();
        if let [(first, _), _, ..] = recent[..] {
            // Times are in whole seconds.
            let span = (now - first).max(1.0);
            return Some(recent.iter().map(|(_, weight)| weight).sum::<f64>() / span);
        }
        let elapsed = now - began;
        (parts > 0.0 && elapsed > 0.0).then(|| parts / elapsed)
    }

    fn json(mut self, now: f64) -> Value {
        let (left, silence) = (self.total - self.done, self.silence(now));
        let seconds = self.speed(now).map(|speed| left / speed);
        json!({
            "total": self.counts.values().sum::<usize>(),
            "counts": self.counts,
            "fraction": if self.total > 0.0 { self.done / self.total } else { 0.0 },
            "seconds_left": seconds,
            "silent_for": silence.filter(|seconds| *seconds > SILENCE),
        })
    }

    fn has_ended(&self) -> bool {
        let of = |status: &str| self.counts.get(status).copied().unwrap_or(0);
        of("waiting") + of("running") + of("interrupted") == 0
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64())
}

/// The progress of all runs of a table: counts by state, the fraction done, the seconds that the
/// rest takes (null where nothing trains), and how long runs that claim to run have been silent.
pub(crate) fn of_all(table: &Table) -> Value {
    let mut tally = Tally::default();
    for run in table.runs().iter().filter(|run| !run.gone) {
        tally.add(Some(run), table.setting(run.setting).epochs, 1.0);
    }
    tally.json(now())
}

/// The progress of the newest sweeps that have not ended, or else of the newest, as that of all
/// runs; `waiting` counts runs that have not begun.
pub(crate) fn of_sweeps(table: &Table) -> Vec<Value> {
    let mut shown = Vec::new();
    for (at, record) in table.sweeps.iter().enumerate() {
        let tally = of_sweep(table, record);
        if at > 0 && tally.has_ended() {
            continue;
        }
        let mut json = tally.json(now());
        json["id"] = json!(record.id);
        json["created"] = json!(record.created);
        json["keys"] = json!(record.keys);
        json["launcher"] = json!(record.launcher.word());
        json["command"] = json!(record.command.join(" "));
        shown.push(json);
        if shown.len() == SWEEPS {
            break;
        }
    }
    shown
}

fn of_sweep(table: &Table, record: &SweepRecord) -> Tally {
    let mut tally = Tally::default();
    for point in &record.points {
        let hash = point.spec_hash.parse().ok();
        let setting = hash.and_then(|hash| table.find_setting(&point.experiment, hash));
        let weight = point.seconds.filter(|s| s.is_finite() && *s > 0.0).unwrap_or(1.0);
        for &seed in &point.seeds {
            let place = setting.and_then(|setting| table.find_run(setting, seed));
            let epochs = setting.map_or(1, |setting| table.setting(setting).epochs);
            tally.add(place.and_then(|place| table.run(place)), epochs, weight);
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: Status, epoch: u64, started: f64, ended: f64) -> Run {
        let (setting, seed, step, touched) = (0, 0, 0, started);
        let (measured, gone) = (true, false);
        Run { setting, seed, status, epoch, step, started, ended, touched, measured, gone }
    }

    #[test]
    fn the_rest_takes_as_long_as_the_newest_took() {
        let mut tally = Tally::default();
        for end in 0..10 {
            let complete = run(Status::Complete, 10, 0.0, 1000.0 + 10.0 * f64::from(end));
            tally.add(Some(&complete), 10, 1.0);
        }
        tally.add(Some(&run(Status::Running, 5, 1090.0, f64::NAN)), 10, 1.0);
        tally.add(None, 10, 3.0);
        let json = tally.json(1100.0);
        assert_eq!((&json["total"], &json["counts"]["waiting"]), (&json!(12), &json!(1)));
        assert_eq!(json["counts"]["complete"], 10);
        // Half a run, and one that weighs three, at one in ten seconds.
        assert_eq!(json["seconds_left"], 35.0);
    }

    #[test]
    fn first_runs_are_judged_by_their_epochs() {
        let mut tally = Tally::default();
        tally.add(Some(&run(Status::Running, 25, 1000.0, f64::NAN)), 100, 1.0);
        assert_eq!(tally.json(1010.0)["seconds_left"], 30.0);
    }

    #[test]
    fn what_does_not_train_has_no_end() {
        let mut tally = Tally::default();
        tally.add(Some(&run(Status::Interrupted, 25, 1000.0, 1001.0)), 100, 1.0);
        let json = tally.json(1010.0);
        assert_eq!((&json["seconds_left"], &json["fraction"]), (&Value::Null, &json!(0.25)));
        // A killed run still claims to run.
        let mut tally = Tally::default();
        tally.add(Some(&run(Status::Running, 25, 1000.0, f64::NAN)), 100, 1.0);
        let json = tally.json(9000.0);
        assert_eq!((&json["seconds_left"], &json["silent_for"]), (&Value::Null, &json!(8000.0)));
    }
}
