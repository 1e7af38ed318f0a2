//! Estimates the time of runs on this machine from a few timed steps of each size of model.

use std::collections::{HashMap, HashSet};

use retrodict_lab::{BenchOptions, Experiment, Resources, Steps};
use retrodict_report::whole_seconds;

use super::Failure;

/// FLOPs to time for each size of model: few, since the reader of a list waits.
const TIMED: u64 = 2_000_000_000;

/// Times of groups of experiments, such as the runs of a figure.
pub(super) struct Estimates {
    resources: Resources,
    /// Milliseconds per seed-step of a model and its batch.
    timed: HashMap<String, f64>,
    /// Experiments of earlier groups.
    counted: HashSet<String>,
    /// Seconds of all groups so far.
    total: f64,
}

impl Estimates {
    pub(super) fn new(resources: Resources) -> Estimates {
        Estimates { resources, timed: HashMap::new(), counted: HashSet::new(), total: 0.0 }
    }

    /// Runs, steps and time of all seeds of `experiments`, in words. Runs of an
    /// earlier group are named, but not added to the total again.
    pub(super) fn of(&mut self, experiments: &[&Experiment]) -> Result<String, Failure> {
        let (mut runs, mut steps, mut seconds, mut shared) = (0, 0_u64, 0.0, 0);
        for experiment in experiments {
            let seeds = &experiment.spec.seeds;
            let of_each: Vec<Steps> = seeds
                .iter()
                .map(|&seed| experiment.steps_of(seed))
                .collect::<Result<_, _>>()
                .map_err(Failure::failed)?;
            let totals = of_each.iter().map(|steps| steps.total);
            let of_all: u64 = totals.fold(0, u64::saturating_add);
            let ms = self.ms(experiment, of_each[0].batch_size)?;
            let time = 1e-3 * ms * of_all as f64;
            runs += seeds.len();
            steps = steps.saturating_add(of_all);
            seconds += time;
            if self.counted.insert(experiment.hash.to_string()) {
                self.total += time;
            } else {
                shared += seeds.len();
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

    /// Adds seconds of work other than experiments.
    pub(super) fn add(&mut self, seconds: f64) {
        self.total += seconds;
    }

    /// The total, in words.
    pub(super) fn total(&self) -> String {
        words(self.total)
    }

    /// Milliseconds per seed-step.
    fn ms(&mut self, experiment: &Experiment, batch: usize) -> Result<f64, Failure> {
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
        let (at_once, _) = self.resources.divide(experiment.step_flops(), spec.seeds.len());
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
    whole_seconds(seconds.max(1.0))
}
