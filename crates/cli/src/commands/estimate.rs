//! How long runs would take here: some steps of every size of model among them are timed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use retrodict_lab::{BenchOptions, Experiment, Resources};

use super::Failure;
use crate::progress::duration;

/// FLOPs that a size of model is timed for: not longer than it takes to see, a list is waited for.
const TIMED: u64 = 2_000_000_000;

/// Times of groups of experiments, such as the runs of a figure.
pub(super) struct Estimates {
    resources: Resources,
    /// Milliseconds a seed-step of a model and its batch.
    timed: HashMap<String, f64>,
    /// Experiments that an earlier group has.
    counted: HashSet<String>,
    /// Seconds of all groups so far.
    total: f64,
}

impl Estimates {
    pub(super) fn new(resources: Resources) -> Estimates {
        Estimates { resources, timed: HashMap::new(), counted: HashSet::new(), total: 0.0 }
    }

    /// Runs, steps and time of experiments, each with its number of seeds, in words. What an earlier
    /// group has is told, and not added to the total again.
    pub(super) fn of(&mut self, experiments: &[(&Experiment, usize)]) -> Result<String, Failure> {
        let (mut runs, mut steps, mut seconds, mut shared) = (0, 0, 0.0, 0);
        for &(experiment, seeds) in experiments {
            let sentences = experiment.dataset(0).map_err(Failure::failed)?.train.len();
            let of_one = experiment.steps(sentences);
            let ms = self.ms(experiment, seeds, experiment.batch_size(sentences))?;
            let time = 1e-3 * ms * of_one as f64 * seeds as f64;
            runs += seeds;
            steps += of_one * seeds as u64;
            seconds += time;
            if self.counted.insert(experiment.hash.to_string()) {
                self.total += time;
            } else {
                shared += seeds;
            }
        }
        let shared = match shared {
            0 => String::new(),
            n => format!(", {n} of these runs counted already"),
        };
        let settings = experiments.len();
        let s = if settings == 1 { "" } else { "s" };
        Ok(format!(
            "{settings} setting{s}, {runs} runs, {steps} steps, about {} here{shared}",
            words(seconds)
        ))
    }

    /// Adds seconds of something that is not an experiment.
    pub(super) fn add(&mut self, seconds: f64) {
        self.total += seconds;
    }

    /// All together, in words.
    pub(super) fn total(&self) -> String {
        words(self.total)
    }

    /// Milliseconds a seed-step.
    fn ms(&mut self, experiment: &Experiment, seeds: usize, batch: usize) -> Result<f64, Failure> {
        let (spec, objective) = (&experiment.spec, &experiment.objective);
        let key = format!(
            "{:?} {objective:?} {} {:?} {batch} {:?}",
            spec.model,
            experiment.network.vocab(),
            spec.precision,
            spec.train.optimizer
        );
        if let Some(ms) = self.timed.get(&key) {
            return Ok(*ms);
        }
        let (at_once, _) = self.resources.divide(experiment.step_flops(), seeds);
        let steps = (TIMED / experiment.step_flops().max(1)).clamp(2, 200);
        let options = BenchOptions {
            seeds: at_once,
            resources: self.resources,
            steps: Some(steps),
            profile: false,
        };
        let timed = retrodict_lab::bench(experiment, options, || 0).map_err(Failure::failed)?;
        self.timed.insert(key, timed.ms_per_seed_step);
        Ok(timed.ms_per_seed_step)
    }
}

fn words(seconds: f64) -> String {
    duration(Duration::from_secs_f64(seconds.max(1.0)))
}
