//! `retrodict bench`.

use retrodict_lab::Experiment;
use retrodict_lab::spec::Spec;

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
    let resources = args.resources.resources();
    let steps = args.steps.map(|steps| steps.get() as u64);
    let found =
        retrodict_lab::bench(&experiment, args.seeds.get(), resources, steps, allocations::bytes)
            .map_err(Failure::failed)?;
    if args.json {
        let text = serde_json::to_string(&found).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    let peak = found.peak_rss_mib.map_or_else(|| "unknown".to_owned(), |m| format!("{m:.0} MiB"));
    print(&format!(
        "{:.4} ms a step in its run, {:.4} ms a seed-step\n\
         {} seeds × {} steps, {} at a time on {} threads each\n\
         {:.1} GFLOP/s\n\
         {:.0} MiB predicted for parameters, gradients, moments and activations; peak {peak}\n\
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
    ))
}
