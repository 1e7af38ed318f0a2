//! Estimates the time of runs on this machine from a few timed steps of each size of model.

use std::collections::{HashMap, HashSet};

use retrodict_lab::{BenchOptions, Experiment, Resources, Steps};
use retrodict_report::whole_seconds;

use super::Failure;

/// FLOPs to time for each size of model: few, since the reader of a list waits.
const TIMED: u64 = 2_000_000_000;

/// The timing of a model.
#[derive(Debug, Clone, Copy)]
struct Timed {
    step_flops: u64,
    /// Milliseconds per seed-step.
    ms: f64,
    /// MiB of the process with as many such runs at a time as there will be.
    mib: f64,
}

/// Times of groups of experiments, such as the runs of a figure.
pub(super) struct Estimates {
    resources: Resources,
    /// The timing of a model and its batch.
    timed: HashMap<String, Timed>,
    /// The most models that are timed; the time of others is scaled from the nearest in size.
    most: usize,
    /// Experiments of earlier groups.
    counted: HashSet<String>,
    /// Seconds of all groups so far.
    total: f64,
}

impl Estimates {
    pub(super) fn new(resources: Resources) -> Estimates {
        Estimates {
            resources,
            timed: HashMap::new(),
            most: usize::MAX,
            counted: HashSet::new(),
            total: 0.0,
        }
    }

    /// The same, timing at most so many models.
    pub(super) fn timing_at_most(self, most: usize) -> Estimates {
        Estimates { most, ..self }
    }

    /// Seconds of one of `runs` runs that share the cores: the one of `experiment` with this seed.
    pub(super) fn seconds(
        &mut self,
        experiment: &Experiment,
        seed: u64,
        runs: usize,
    ) -> Result<f64, Failure> {
        let steps = experiment.steps_of(seed).map_err(Failure::failed)?;
        Ok(1e-3 * self.ms(experiment, steps.batch_size, runs)? * steps.total as f64)
    }

    /// The most MiB that the process takes with any of the models so far.
    pub(super) fn mib(&self) -> f64 {
        self.timed.values().map(|timed| timed.mib).fold(0.0, f64::max)
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
            let ms = self.ms(experiment, of_each[0].batch_size, seeds.len())?;
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

    /// Milliseconds per seed-step, among `runs` runs.
    fn ms(&mut self, experiment: &Experiment, batch: usize, runs: usize) -> Result<f64, Failure> {
        let (spec, objective) = (&experiment.spec, &experiment.objective);
        let key = format!(
            "{:?} {objective:?} {} {:?} {batch} {:?}",
            spec.model,
            experiment.network.vocab(),
            spec.precision,
            spec.train.optimizer
        );
        if let Some(timed) = self.timed.get(&key) {
            return Ok(timed.ms);
        }
        let step_flops = experiment.step_flops();
        if self.timed.len() >= self.most {
            let apart = |timed: &&Timed| timed.step_flops.abs_diff(step_flops);
            if let Some(near) = self.timed.values().min_by_key(apart) {
                return Ok(near.ms * step_flops as f64 / near.step_flops.max(1) as f64);
            }
        }
        let (at_once, _) = self.resources.divide(step_flops, runs);
        let steps = (TIMED / step_flops.max(1)).clamp(2, 200);
        let options = BenchOptions {
            seeds: at_once,
            resources: self.resources,
            steps: Some(steps),
            profile: false,
        };
        let timed = retrodict_lab::bench(experiment, options, || 0).map_err(Failure::failed)?;
        let (ms, mib) = (timed.ms_per_seed_step, timed.predicted_mib);
        self.timed.insert(key, Timed { step_flops, ms, mib });
        Ok(ms)
    }
}

fn words(seconds: f64) -> String {
    whole_seconds(seconds.max(1.0))
}
