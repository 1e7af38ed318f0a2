//! Thread-count tuning: finds the fastest number of workers by trials.
//!
//! A small step has hundreds of barriers. On an idle machine two workers make it faster; beside
//! another job they make it much slower, since each waits for the other to get a core. Results do
//! not depend on the number of workers, so it can change in the middle of a run.

use std::time::Duration;

use crate::team::PATIENCE;

/// First steps, not measured: they touch memory for the first time.
const WARM_UP: u32 = 2;
/// Measured steps of a trial. One step before them is not measured: a worker may have to wake.
const TRIAL: u32 = 3;
/// Steps between two trials: the first and the largest number. Each trial that changes nothing
/// doubles it.
const PERIOD: (u32, u32) = (250, 8000);
/// A trial ends early once it has taken this many times the time to beat.
const HOPELESS: f64 = 3.0;
/// Weight of a new step in the running mean.
const NEW: f64 = 0.1;
/// Steps of at least this many multiplications and additions, ten milliseconds on one core, are long
/// compared with the waits at their barriers: one worker is only tried after steps have lost workers.
const LARGE_STEP: u64 = 1_000_000_000;
/// The share of recent steps, as a running mean, that must have lost a worker for that.
const FALLEN_APART: f64 = 0.3;
/// The share of a step that workers wait for a lost one: continuing without it costs about as much.
const WAIT: f64 = 0.25;
/// The longest wait; a scheduler's time slice is shorter.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// Chooses between all workers and one.
#[derive(Clone, Debug)]
pub struct ThreadTuning {
    choices: [usize; 2],
    large: bool,
    /// Seconds of the fastest step so far.
    fastest: f64,
    /// The choice in use between trials.
    best: usize,
    /// Seconds that a step takes with each; 0 before it was tried.
    seconds: [f64; 2],
    /// The share of recent steps that have lost a worker.
    losses: f64,
    period: u32,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Steps left.
    WarmUp(u32),
    /// Steps left of the use of `best`.
    Steady(u32),
    /// The choice on trial, its steps (the first does not count), and the seconds of those that
    /// count.
    Trial { choice: usize, done: u32, seconds: f64 },
}

impl ThreadTuning {
    /// For a team of at most `workers`, and steps of `step_flops` multiplications and additions.
    pub fn new(workers: usize, step_flops: u64) -> ThreadTuning {
        ThreadTuning {
            choices: [workers, 1],
            large: step_flops >= LARGE_STEP,
            fastest: f64::INFINITY,
            best: 0,
            seconds: [0.0; 2],
            losses: 0.0,
            period: PERIOD.0,
            phase: Phase::WarmUp(WARM_UP),
        }
    }

    /// The number of workers for the next step.
    pub fn workers(&self) -> usize {
        match self.phase {
            Phase::Trial { choice, .. } => self.choices[choice],
            _ => self.choices[self.best],
        }
    }

    /// How long workers should wait for each other in the next step.
    pub fn patience(&self) -> Duration {
        let part = Duration::try_from_secs_f64(WAIT * self.fastest).unwrap_or(LONGEST_WAIT);
        part.clamp(PATIENCE, LONGEST_WAIT)
    }

    /// Records how long that step took, and whether its workers stayed together.
    pub fn took(&mut self, time: Duration, together: bool) {
        if self.choices[0] == 1 {
            return;
        }
        let time = time.as_secs_f64();
        self.fastest = self.fastest.min(time);
        self.losses += NEW * (f64::from(u8::from(!together)) - self.losses);
        self.phase = match self.phase {
            Phase::WarmUp(1) if self.large => Phase::Steady(u32::MAX),
            Phase::WarmUp(1) => trial(0),
            Phase::WarmUp(left) => Phase::WarmUp(left - 1),
            Phase::Steady(left) => self.steady(left, time),
            Phase::Trial { choice, done: 0, .. } => Phase::Trial { choice, done: 1, seconds: 0.0 },
            Phase::Trial { choice, done, seconds } => {
                let seconds = seconds + time;
                let rival = self.seconds[1 - choice];
                let hopeless = rival > 0.0 && seconds > HOPELESS * f64::from(TRIAL) * rival;
                if done < TRIAL && !hopeless {
                    Phase::Trial { choice, done: done + 1, seconds }
                } else {
                    self.seconds[choice] = seconds / f64::from(done);
                    if rival > 0.0 { self.choose() } else { trial(1 - choice) }
                }
            }
        };
    }

    fn steady(&mut self, left: u32, time: f64) -> Phase {
        let (now, other) = (self.seconds[self.best], self.seconds[1 - self.best]);
        let now = if now > 0.0 { now + NEW * (time - now) } else { time };
        self.seconds[self.best] = now;
        let fallen_apart = self.best == 0 && other == 0.0 && self.losses > FALLEN_APART;
        let overtaken = other > 0.0 && now > 1.2 * other;
        if left > 1 && !fallen_apart && !overtaken {
            return Phase::Steady(left - 1);
        }
        if overtaken {
            // The machine's load has changed: the other choice's time is out of date.
            self.period = PERIOD.0;
        }
        trial(1 - self.best)
    }

    fn choose(&mut self) -> Phase {
        let best = usize::from(self.seconds[1] < self.seconds[0]);
        let changed = best != self.best;
        self.best = best;
        self.period = if changed { PERIOD.0 } else { (2 * self.period).min(PERIOD.1) };
        if !changed {
            // A mean that was overtaken must not cause another trial at once.
            self.seconds[1 - best] = self.seconds[1 - best].max(self.seconds[best]);
        }
        Phase::Steady(self.period)
    }
}

fn trial(choice: usize) -> Phase {
    Phase::Trial { choice, done: 0, seconds: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `steps` steps that take `all` microseconds with all workers and `one` with one. Returns
    /// the number of steps with one.
    fn alone(tuning: &mut ThreadTuning, steps: u32, all: u64, one: u64) -> u32 {
        let mut alone = 0;
        for _ in 0..steps {
            let single = tuning.workers() == 1;
            alone += u32::from(single);
            let together = single || all < 10 * one;
            tuning.took(Duration::from_micros(if single { one } else { all }), together);
        }
        alone
    }

    #[test]
    fn a_long_step_waits_longer_for_a_lost_worker() {
        let patience = |millis: u64| {
            let mut tuning = ThreadTuning::new(2, 0);
            tuning.took(Duration::from_millis(2 * millis), true);
            tuning.took(Duration::from_millis(millis), true);
            tuning.patience().as_micros()
        };
        assert_eq!([patience(1), patience(12), patience(400)], [1_000, 3_000, 50_000]);
    }

    #[test]
    fn keeps_to_what_is_faster_and_changes_its_mind() {
        let mut tuning = ThreadTuning::new(2, 0);
        assert!(alone(&mut tuning, 2000, 60, 100) < 30, "a quiet machine");
        assert!(alone(&mut tuning, 2000, 2000, 100) > 1900, "a neighbour comes");
        assert!(alone(&mut tuning, 2000, 2000, 100) > 1980, "and stays");
        assert!(alone(&mut tuning, 20_000, 60, 100) < 9000, "and goes");
    }

    #[test]
    fn one_worker_is_always_one() {
        assert_eq!(alone(&mut ThreadTuning::new(1, 0), 500, 1, 1), 500);
    }

    #[test]
    fn large_steps_have_all_workers_until_these_fall_apart() {
        let mut tuning = ThreadTuning::new(2, LARGE_STEP);
        assert_eq!(alone(&mut tuning, 500, 60_000, 100_000), 0);
        assert!(alone(&mut tuning, 500, 2_000_000, 100_000) > 480);
    }
}
