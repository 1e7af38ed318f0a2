//! Times a training step on a GPU.

use retrodict_engine::lower::{Timing, flat};

use super::{GpuError, GpuUse};
use crate::bench::{Bench, BenchError, BenchOptions, PassProfile, StepProfile};
use crate::experiment::{Experiment, example};

/// Steps of each time, if their number is not given.
const STEPS: u64 = 10;
/// The most: their records lie in the device's memory.
const MOST_STEPS: u64 = 5000;

/// The steps of an experiment with so many seeds in a launch.
pub(crate) fn bench(
    gpu: GpuUse,
    experiment: &Experiment,
    options: BenchOptions,
) -> Result<Bench, BenchError> {
    let BenchOptions { seeds, profile, .. } = options;
    let steps = options.steps.unwrap_or(STEPS).clamp(1, MOST_STEPS);
    let at_once = gpu.at_once(experiment)?.min(seeds);
    let dataset = experiment.dataset(0)?;
    let training_set = experiment.training_set(0, &dataset);
    let examples: Vec<_> = training_set.sentences.iter().map(example).collect();
    let batch = &examples[..experiment.batch_size(examples.len())];
    let mut trainer = experiment.trainer::<f32>(0, &dataset, 1);
    let flops = trainer.planned_step_flops(batch.len());
    let unavailable = |why: retrodict_engine::lower::NotLowered| GpuError::NotAvailable {
        name: experiment.spec.name.clone(),
        why: why.to_string(),
    };
    let (lowered, record) = trainer.lowered_step(batch).map_err(unavailable)?;
    let parameters = flat(trainer.parameters());
    let timing = gpu.device.time(&lowered, &record, parameters, at_once, steps as usize);
    let timing = timing.map_err(GpuError::Device)?;
    let ms = 1e3 * timing.step;
    let bytes = lowered.bytes(1) + lowered.state_bytes();
    Ok(Bench {
        ms_per_step: ms,
        ms_per_seed_step: ms / at_once as f64,
        gflops: 1e-9 * flops as f64 * at_once as f64 / timing.step,
        predicted_mib: bytes as f64 * at_once as f64 / f64::from(1 << 20),
        peak_rss_mib: None,
        bytes_allocated_per_step: 0.0,
        seeds: at_once,
        steps,
        jobs: at_once,
        threads_per_run: 1,
        device: Some(gpu.device.name()),
        profile: profile.then(|| step_profile(&timing, bytes)),
    })
}

/// The kernels of a step, each beside the time that its bytes take at the rate of a copy.
fn step_profile(timing: &Timing, bytes: u64) -> StepProfile {
    let pass = |kernel: &retrodict_engine::lower::KernelTime| PassProfile {
        pass: kernel.kernel.function().to_owned(),
        count: kernel.launches,
        ms: 1e3 * kernel.seconds,
        floor_ms: 1e3 * kernel.bytes / timing.copy_rate,
        mflop: 0.0,
        megabytes: 1e-6 * kernel.bytes,
    };
    StepProfile {
        peak_gflops: None,
        peak_gigabytes: 1e-9 * timing.copy_rate,
        working_set_mib: bytes as f64 / f64::from(1 << 20),
        passes: timing.kernels.iter().map(pass).collect(),
    }
}
