//! `retrodict bench`.

use retrodict_lab::{BenchOptions, Experiment, StepProfile};

use super::{Failure, load_spec, print};
use crate::allocations;
use crate::args::BenchArgs;
use crate::table::{table, wrap};

pub(crate) fn bench(args: &BenchArgs) -> Result<(), Failure> {
    let spec = load_spec(&args.spec, &args.set)?;
    let origin = args.spec.display().to_string();
    let experiment = Experiment::new(spec, &origin).map_err(Failure::usage)?;
    let options = BenchOptions {
        seeds: args.seeds.get(),
        resources: args.resources.resources()?,
        steps: args.steps.map(|steps| steps.get() as u64),
        profile: args.profile,
    };
    allocations::start();
    let found =
        retrodict_lab::bench(&experiment, options, allocations::bytes).map_err(Failure::usage)?;
    if args.json {
        let text = serde_json::to_string(&found).map_err(Failure::failed)?;
        return print(&format!("{text}\n"));
    }
    if let Some(device) = &found.device {
        print(&wrap(&format!(
            "{device}\n\
             {:.4} ms a step of {} seeds in a launch, {:.4} ms a seed-step\n\
             {:.1} GFLOP/s\n\
             {:.0} MiB of its memory predicted: parameters, gradients, moments, activations\n",
            found.ms_per_step,
            found.jobs,
            found.ms_per_seed_step,
            found.gflops,
            found.predicted_mib,
        )))?;
        return found
            .profile
            .as_ref()
            .map_or(Ok(()), |profile| print(&profile_table(profile, "a launch of all seeds")));
    }
    let peak = found.peak_rss_mib.map_or_else(|| "unknown".to_owned(), |m| format!("{m:.0} MiB"));
    print(&wrap(&format!(
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
    )))?;
    found
        .profile
        .as_ref()
        .map_or(Ok(()), |profile| print(&profile_table(profile, "a single run's step")))
}

/// The profile as text.
fn profile_table(profile: &StepProfile, what: &str) -> String {
    let heading = [what, "count", "ms", "share", "limit, ms", "×"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    let total: f64 = profile.passes.iter().map(|pass| pass.ms).sum();
    let floor: f64 = profile.passes.iter().map(|pass| pass.floor_ms).sum();
    let mut row = |name: &str, count: String, ms: f64, floor: f64| {
        let share = format!("{:.1}%", 100.0 * ms / total);
        let times =
            [format!("{ms:.4}"), share, format!("{floor:.4}"), format!("{:.1}", ms / floor)];
        rows.push([name.to_owned(), count].into_iter().chain(times).collect());
    };
    for pass in &profile.passes {
        row(&pass.pass, pass.count.to_string(), pass.ms, pass.floor_ms);
    }
    row("all", String::new(), total, floor);
    let gflops =
        profile.peak_gflops.map_or(String::new(), |peak| format!("{peak:.0} GFLOP/s, and "));
    let peaks = format!(
        "\nRoofline: {gflops}{:.1} GB/s over {:.1} MiB\n\n",
        profile.peak_gigabytes, profile.working_set_mib
    );
    wrap(&peaks) + &table(&rows, 1, &[0])
}
