//! How far the runs are, and when they will have ended.

use std::time::{SystemTime, UNIX_EPOCH};

use retrodict_lab::store::Status;
use serde_json::{Value, json};

use crate::table::{Run, Table};

/// The completed runs from which the speed is taken: the newest.
const RECENT: usize = 64;
/// Seconds without a completed run, as a multiple of the usual time between two, after which a
/// sweep has no estimated end: nothing trains.
const PATIENCE: f64 = 20.0;

/// Some runs and how long each takes.
#[derive(Debug, Default)]
struct Tally {
    total: usize,
    counts: [usize; 5],
    /// Runs that have ended, and the parts done of the others.
    done: f64,
    running: usize,
    /// When complete runs ended.
    ends: Vec<f64>,
    /// When the first running one began.
    began: f64,
    /// The parts done of running ones.
    parts: f64,
}

const STATUSES: [Status; 5] =
    [Status::Complete, Status::Running, Status::Diverged, Status::Failed, Status::Interrupted];

/// The progress of all runs of a table: counts by state, the fraction done, and the seconds that
/// the rest takes; null where nothing trains.
pub(crate) fn progress(table: &Table) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
    let runs = table.runs().iter().filter(|run| !run.gone);
    let mut tally = Tally { began: f64::INFINITY, ..Tally::default() };
    for run in runs {
        tally.add(run, table.setting(run.setting).epochs);
    }
    tally.json(now)
}

impl Tally {
    fn add(&mut self, run: &Run, epochs: u64) {
        self.total += 1;
        if let Some(at) = STATUSES.iter().position(|status| *status == run.status) {
            self.counts[at] += 1;
        }
        let part = (run.epoch as f64 / epochs.max(1) as f64).clamp(0.0, 1.0);
        match run.status {
            Status::Complete | Status::Diverged | Status::Failed => self.done += 1.0,
            Status::Running | Status::Interrupted => self.done += part,
        }
        match run.status {
            Status::Complete if run.ended.is_finite() => self.ends.push(run.ended),
            Status::Running => {
                self.running += 1;
                self.parts += part;
                self.began = self.began.min(run.started);
            }
            _ => {}
        }
    }

    /// Runs a second; `None` where nothing trains or nothing is known yet.
    fn speed(&mut self, now: f64) -> Option<f64> {
        if self.running == 0 {
            return None;
        }
        let newest = self.ends.len().saturating_sub(RECENT);
        self.ends.sort_unstable_by(f64::total_cmp);
        // Only those of this session of training.
        let recent: Vec<f64> =
            self.ends[newest..].iter().copied().filter(|end| *end >= self.began - 600.0).collect();
        if let [first, .., last] = recent[..] {
            // Times are in whole seconds.
            let span = (last - first).max(1.0);
            let speed = (recent.len() - 1) as f64 / span;
            if (now - last) * speed > PATIENCE && now - last > 60.0 && self.parts == 0.0 {
                return None;
            }
            return Some((recent.len() as f64) / span.max(now - first));
        }
        let elapsed = now - self.began;
        (self.parts > 0.0 && elapsed > 0.0).then(|| self.parts / elapsed)
    }

    fn json(mut self, now: f64) -> Value {
        let left = self.total as f64 - self.done;
        let seconds = self.speed(now).map(|speed| left / speed);
        let counts = STATUSES.iter().zip(self.counts);
        let counts: serde_json::Map<String, Value> =
            counts.map(|(status, count)| (status.word().to_owned(), json!(count))).collect();
        let fraction = if self.total == 0 { 0.0 } else { self.done / self.total as f64 };
        json!({
            "total": self.total,
            "counts": counts,
            "fraction": fraction,
            "seconds_left": seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(status: Status, epoch: u64, started: f64, ended: f64) -> Run {
        let (setting, seed, step) = (0, 0, 0);
        Run { setting, seed, status, epoch, step, started, ended, measured: true, gone: false }
    }

    #[test]
    fn the_rest_takes_as_long_as_the_newest_took() {
        let mut tally = Tally { began: f64::INFINITY, ..Tally::default() };
        for end in 0..10 {
            tally.add(&run(Status::Complete, 10, 0.0, 1000.0 + 10.0 * f64::from(end)), 10);
        }
        tally.add(&run(Status::Running, 5, 1090.0, f64::NAN), 10);
        let json = tally.json(1100.0);
        assert_eq!(json["total"], 11);
        assert_eq!(json["counts"]["complete"], 10);
        // Half a run is left at one in ten seconds.
        assert_eq!(json["seconds_left"], 5.0);
    }

    #[test]
    fn first_runs_are_judged_by_their_epochs_and_none_without_training() {
        let mut tally = Tally { began: f64::INFINITY, ..Tally::default() };
        tally.add(&run(Status::Running, 25, 1000.0, f64::NAN), 100);
        assert_eq!(tally.json(1010.0)["seconds_left"], 30.0);
        let mut tally = Tally { began: f64::INFINITY, ..Tally::default() };
        tally.add(&run(Status::Interrupted, 25, 1000.0, 1001.0), 100);
        let json = tally.json(1010.0);
        assert_eq!((&json["seconds_left"], &json["fraction"]), (&Value::Null, &json!(0.25)));
    }
}
