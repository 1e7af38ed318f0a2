//! Times a spec's training step, without data and report work.

use std::sync::{PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use retrodict_engine::{Profile, Roofline, Scalar};
use retrodict_facts::FactsError;
use retrodict_models::{Example, Trainer};
use serde::Serialize;
use thiserror::Error;

use crate::experiment::{Experiment, example};
use crate::gpu::{self, GpuError};
use crate::memory::{self, MemoryError};
use crate::run_all::Resources;
use crate::spec::Precision;

/// The time of one wave of runs, if the number of steps is not given.
const WANTED: Duration = Duration::from_millis(700);
/// The most runs that are timed.
const MOST_SEEDS: usize = 10_000;
/// Bounds of the chosen number of steps.
const STEPS: (u64, u64) = (3, 5000);

/// The measured times. Field names are those of `bench --json`.
#[derive(Debug, Clone, Serialize)]
pub struct Bench {
    /// Milliseconds that a step takes in its run.
    pub ms_per_step: f64,
    /// Wall time over (seeds × steps), in milliseconds.
    pub ms_per_seed_step: f64,
    /// 10⁹ multiplications and additions per second, all threads together.
    pub gflops: f64,
    /// MiB that the process should take: what it has before the runs begin (some 7, of which the
    /// larger part is the program itself; left out where the system does not say), and the
    /// parameters, gradients, moments and activations of the runs at work.
    pub predicted_mib: f64,
    /// The peak memory of the process in MiB; null where the system does not say.
    pub peak_rss_mib: Option<f64>,
    /// Bytes allocated in a step.
    pub bytes_allocated_per_step: f64,
    /// Seeds that were timed.
    pub seeds: usize,
    /// Steps of each.
    pub steps: u64,
    /// Runs at a time.
    pub jobs: usize,
    /// Threads in each.
    pub threads_per_run: usize,
    /// The GPU, if it was timed: `predicted_mib` is then of its memory, and the profile is of all
    /// seeds of a launch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The profile of a single run's step, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<StepProfile>,
}

/// The time of each operation of a step, with its roofline limit on this machine. A single run is
/// profiled, with as many threads as each has in the timing.
#[derive(Debug, Clone, Serialize)]
pub struct StepProfile {
    /// The rate of fused multiply-adds in registers, in 10⁹ a second; null on a GPU, whose limit is
    /// that of the bytes alone.
    pub peak_gflops: Option<f64>,
    /// 10⁹ bytes per second, read and written over a buffer as large as the memory of a step.
    pub peak_gigabytes: f64,
    /// MiB of that buffer.
    pub working_set_mib: f64,
    /// Each kind of operation.
    pub passes: Vec<PassProfile>,
}

/// All passes of one kind in a step.
#[derive(Debug, Clone, Serialize)]
pub struct PassProfile {
    /// Its name.
    pub pass: String,
    /// The number of passes.
    pub count: usize,
    /// Their total time in milliseconds.
    pub ms: f64,
    /// Their roofline limit in milliseconds: the greater of FLOPs over the peak and bytes over the
    /// bandwidth.
    pub floor_ms: f64,
    /// Millions of multiplications and additions.
    pub mflop: f64,
    /// Millions of bytes that are read or written.
    pub megabytes: f64,
}

impl StepProfile {
    fn new(profile: Profile, roofline: Roofline) -> StepProfile {
        let passes = profile.passes.into_iter().map(|pass| PassProfile {
            count: pass.count,
            ms: 1e3 * pass.time.as_secs_f64(),
            floor_ms: 1e3 * roofline.floor(pass.flops, pass.bytes),
            mflop: 1e-6 * pass.flops as f64,
            megabytes: 1e-6 * pass.bytes as f64,
            pass: pass.name,
        });
        StepProfile {
            peak_gflops: Some(1e-9 * roofline.flops_per_second),
            peak_gigabytes: 1e-9 * roofline.bytes_per_second,
            working_set_mib: mib(roofline.buffer_bytes as u64),
            passes: passes.collect(),
        }
    }
}

/// The settings of a timing.
#[derive(Debug, Clone, Copy)]
pub struct BenchOptions {
    /// Runs.
    pub seeds: usize,
    /// The cores and threads that they may use.
    pub resources: Resources,
    /// Steps of each; if not given, as many as take about a second.
    pub steps: Option<u64>,
    /// Whether to profile the step.
    pub profile: bool,
}

/// Why nothing was timed.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The data set cannot be made.
    #[error(transparent)]
    Data(#[from] FactsError),
    /// The runs do not fit in memory.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The GPU cannot.
    #[error(transparent)]
    Gpu(#[from] GpuError),
    /// More runs than anyone waits for.
    #[error("{0} seeds are too many to time: at most {MOST_SEEDS}")]
    Seeds(usize),
    /// A run at a time has a thread of its own.
    #[error("cannot start {runs} threads for {runs} runs at a time ({error}); lower --jobs")]
    Threads {
        /// Runs at a time.
        runs: usize,
        /// The cause.
        error: std::io::Error,
    },
}

/// Times training steps. `allocated` returns the bytes that the process has allocated so far.
///
/// # Errors
/// [`BenchError`] before anything is timed.
pub fn bench(
    experiment: &Experiment,
    options: BenchOptions,
    allocated: fn() -> u64,
) -> Result<Bench, BenchError> {
    if options.seeds > MOST_SEEDS {
        return Err(BenchError::Seeds(options.seeds));
    }
    if let Some(gpu) = options.resources.gpu
        && gpu.takes(experiment)?
    {
        return gpu::bench(gpu, experiment, options);
    }
    match experiment.spec.precision {
        Precision::F32 | Precision::Bf16 => bench_in::<f32>(experiment, options, allocated),
        Precision::F64 => bench_in::<f64>(experiment, options, allocated),
    }
}

fn bench_in<T: Scalar>(
    experiment: &Experiment,
    options: BenchOptions,
    allocated: fn() -> u64,
) -> Result<Bench, BenchError> {
    let BenchOptions { seeds, resources, mut steps, profile } = options;
    let before = status_mib("VmRSS:").unwrap_or(0.0);
    let (jobs, threads) = resources.divide(experiment.step_flops(), seeds);
    let predicted = experiment.memory(threads)?;
    let predicted = predicted.trainer.stepping().saturating_add(predicted.data);
    let remedy = "lower model.dim, model.layers or train.batch_size, or give fewer --seeds";
    memory::check("a step of all runs at a time", predicted.saturating_mul(jobs as u64), remedy)?;
    let dataset = experiment.dataset(0)?;
    let training_set = experiment.training_set(0, &dataset);
    let examples: Vec<_> = training_set.sentences.iter().map(example).collect();
    let size = experiment.batch_size(examples.len());
    let batches: Vec<_> = examples.chunks_exact(size).collect();
    let (mut wall, mut inside, mut bytes) = (0.0, 0.0, 0);
    let mut flops = 0;
    // Runs at the same time form a wave; large models would not all fit in memory at once.
    for wave in (0..seeds).collect::<Vec<_>>().chunks(jobs) {
        let mut trainers: Vec<_> = wave
            .iter()
            .map(|&seed| experiment.trainer::<T>(seed as u64, &dataset, threads))
            .collect();
        let mut warm = Duration::ZERO;
        for trainer in &mut trainers {
            flops = trainer.step_flops(size);
            for _ in 0..2 {
                let begun = Instant::now();
                trainer.step(batches[0].iter().copied());
                warm = begun.elapsed();
            }
        }
        let count = *steps.get_or_insert_with(|| {
            let wanted = WANTED.as_secs_f64() / warm.as_secs_f64().max(1e-6);
            (wanted as u64).clamp(STEPS.0, STEPS.1)
        });
        // Runs wait for this lock, and stop where one of them cannot be started: none may wait for
        // a run that never comes.
        let go = RwLock::new(false);
        let measured = thread::scope(|scope| {
            let mut closed = go.write().unwrap_or_else(PoisonError::into_inner);
            let (start, batches) = (&go, &batches);
            let runs = trainers.iter_mut().map(|trainer| {
                let work = move || timed::<T>(start, trainer, batches, count);
                thread::Builder::new().spawn_scoped(scope, work)
            });
            let runs: Vec<_> = runs.collect::<Result<_, _>>()?;
            *closed = true;
            let (before, begun) = (allocated(), Instant::now());
            drop(closed);
            let seconds: f64 = runs.into_iter().map(|run| run.join().unwrap_or(f64::NAN)).sum();
            Ok((begun.elapsed().as_secs_f64(), seconds, allocated() - before))
        });
        let measured = measured.map_err(|error| BenchError::Threads { runs: wave.len(), error })?;
        wall += measured.0;
        inside += measured.1;
        bytes += measured.2;
    }
    let steps = steps.unwrap_or(0);
    let all = seeds as f64 * steps as f64;
    let peak_rss_mib = status_mib("VmHWM:"); // before a profile adds to it
    let profile = profile.then(|| {
        let mut trainer = experiment.trainer::<T>(0, &dataset, threads);
        let (profile, roofline) = trainer.profile(batches[0], steps);
        StepProfile::new(profile, roofline)
    });
    Ok(Bench {
        ms_per_step: 1e3 * inside / all,
        ms_per_seed_step: 1e3 * wall / all,
        gflops: 1e-9 * flops as f64 * all / wall,
        predicted_mib: before + mib(predicted.saturating_mul(jobs as u64)),
        peak_rss_mib,
        bytes_allocated_per_step: bytes as f64 / all,
        seeds,
        steps,
        jobs,
        threads_per_run: threads,
        device: None,
        profile,
    })
}

/// Seconds that one run's steps take, once they may begin.
fn timed<T: Scalar>(
    go: &RwLock<bool>,
    trainer: &mut Trainer<T>,
    batches: &[&[Example<'_>]],
    steps: u64,
) -> f64 {
    if !*go.read().unwrap_or_else(PoisonError::into_inner) {
        return f64::NAN;
    }
    let begun = Instant::now();
    for step in 0..steps {
        trainer.step(batches[step as usize % batches.len()].iter().copied());
    }
    begun.elapsed().as_secs_f64()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// A memory field of this process on Linux, in MiB; `VmHWM` is its peak.
fn status_mib(line: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|text| text.strip_prefix(line))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
