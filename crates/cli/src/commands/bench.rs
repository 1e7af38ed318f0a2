//! `retrodict bench`.

use retrodict_lab::spec::Spec;
use retrodict_lab::{BenchOptions, Experiment, StepProfile};

use super::{Failure, overrides, print, ready_spec};
use crate::allocations;
use crate::args::BenchArgs;

pub(crate) fn bench(args: &BenchArgs) -> Result<(), Failure> {
    let set = overrides(&args.set)?;
    let (spec, origin) = match &args.spec {
        Some(path) => (Spec::load(path, &set).map_err(Failure::usage)?, path.display().to_string()),
        None => (ready_spec("reversal-quick", &set)?, "reversal-quick".to_owned()),
    };
    let experiment = Experiment::new(spec, &origin).map_err(Failure::usage)?;
    let options = BenchOptions {
        seeds: args.seeds.get(),
        resources: args.resources.resources(),
        steps: args.steps.map(|steps| steps.get() as u64),
        profile: args.profile,
    };
    allocations::start();
    let found =
        retrodict_lab::bench(&experiment, options, allocations::bytes).map_err(Failure::failed)?;
    if args.json {
        let text = serde_json::to_string(&found).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    let peak = found.peak_rss_mib.map_or_else(|| "unknown".to_owned(), |m| format!("{m:.0} MiB"));
    print(&format!(
        "{:.4} ms a step in its run, {:.4} ms a seed-step\n\
         {} seeds × {} steps, {} at a time on {} threads each\n\
         {:.1} GFLOP/s\n\
         {:.0} MiB predicted: the process, parameters, gradients, moments, activations; peak {peak}\n\
         {:.0} bytes allocated a step\n",
        found.ms_per_step,
        found.ms_per_seed_step,
        found.seeds,
        found.steps,
        found.jobs,
        found.threads_per_run,
        found.gflops,
        found.predicted_mib,
        found.bytes_allocated_per_step,
    ))?;
    found.profile.as_ref().map_or(Ok(()), |profile| print(&table(profile)))
}

/// The profile for people to read.
fn table(profile: &StepProfile) -> String {
    let mut text = format!(
        "\nAt best {:.0} GFLOP/s, and {:.1} GB/s over {:.1} MiB\n\n\
         {:<28} {:>5} {:>10} {:>6} {:>10} {:>6}\n",
        profile.peak_gflops,
        profile.peak_gigabytes,
        profile.working_set_mib,
        "a lone run's step",
        "count",
        "ms",
        "share",
        "floor, ms",
        "×",
    );
    let total: f64 = profile.passes.iter().map(|pass| pass.ms).sum();
    let floor: f64 = profile.passes.iter().map(|pass| pass.floor_ms).sum();
    let mut line = |name: &str, count: &str, ms: f64, floor: f64| {
        let (share, times) = (100.0 * ms / total, ms / floor);
        text +=
            &format!("{name:<28} {count:>5} {ms:>10.4} {share:>5.1}% {floor:>10.4} {times:>6.1}\n");
    };
    for pass in &profile.passes {
        line(&pass.pass, &pass.count.to_string(), pass.ms, pass.floor_ms);
    }
    line("all", "", total, floor);
    text
}
