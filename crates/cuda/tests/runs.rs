//! Whole runs on the test double: the store, resuming, a lost device, too little memory.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::gpu;
use retrodict_lab::gpu::{GpuUse, check};
use retrodict_lab::spec::Spec;
use retrodict_lab::store::{Manifest, Status, Store};
use retrodict_lab::{Experiment, Job, Outcome, Resources, run_all};

const TINY: &str = r#"name = "tiny"
seeds = 3
precision = "bf16"

[data]
kind = "reversal"
vocab_size = 24

[model]
layers = 1
heads = 2
dim = 8

[train]
batch_size = 8
epochs = 4

[probe]
every = 2

[checkpoint]
every = 1
last = true
"#;

fn experiment(changes: &[(&str, &str)]) -> Experiment {
    Experiment::new(Spec::parse_with(TINY, "tiny.toml", changes).unwrap(), "tiny.toml").unwrap()
}

fn resources(only_where_it_pays: bool) -> Option<Resources> {
    let device = gpu()?;
    let gpu = Some(GpuUse { device, only_where_it_pays });
    Some(Resources { threads: std::num::NonZeroUsize::new(2), gpu, ..Resources::default() })
}

fn make(experiment: &Experiment, folder: &Path, resources: Resources) -> Vec<Outcome> {
    let store = Store::open(folder).unwrap();
    let jobs: Vec<Job<'_>> = Job::of(experiment).collect();
    run_all(&jobs, &store, resources, &false.into())
}

fn manifest(experiment: &Experiment, folder: &Path, seed: u64) -> Manifest {
    let store = Store::open(folder).unwrap();
    let run = store.run_dir(&experiment.spec.name, experiment.hash, seed).unwrap();
    run.read_manifest().unwrap()
}

/// The bytes of the last checkpoint and of the probes of a seed.
fn bytes(experiment: &Experiment, folder: &Path, seed: u64) -> Vec<Vec<u8>> {
    let store = Store::open(folder).unwrap();
    let run = store.run_dir(&experiment.spec.name, experiment.hash, seed).unwrap();
    let last = run.newest_checkpoint().unwrap().unwrap().folder;
    let probes = run.probes("effective_weights").unwrap();
    assert_eq!(probes.len(), 3, "before the first epoch, after the second and the last");
    let mut files = vec![last.join("model.safetensors"), last.join("optimizer.safetensors")];
    files.extend(probes.into_iter().map(|(_, path)| path));
    files.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Repeats a test in a process of its own with a variable for the double. Says whether this is that
/// process.
fn in_own_process(test: &str, variable: &str, value: &str, folder: &Path) -> bool {
    if std::env::var_os(variable).is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    let output = command.env(variable, value).env("RETRODICT_TEST_STORE", folder).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    false
}

#[test]
fn seeds_side_by_side_leave_whole_runs_that_name_the_gpu() {
    let Some(resources) = resources(false) else { return };
    let (experiment, folder) = (experiment(&[]), tempfile::tempdir().unwrap());
    let outcomes = make(&experiment, folder.path(), resources);
    assert!(outcomes.iter().all(|outcome| outcome.status == Status::Complete), "{outcomes:?}");
    for seed in 0..3 {
        let manifest = manifest(&experiment, folder.path(), seed);
        assert_eq!(manifest.machine.isa, "cuda-sm_90");
        assert!(manifest.machine.gpu.unwrap().contains("test double"));
        assert!(manifest.parts.is_empty());
    }
    // One seed alone has the same bits.
    let alone = tempfile::tempdir().unwrap();
    let one = Resources { jobs: std::num::NonZeroUsize::new(1), ..resources };
    make(&experiment, alone.path(), one);
    for seed in 0..3 {
        let of = |folder: &Path| bytes(&experiment, folder, seed);
        assert!(of(folder.path()) == of(alone.path()), "seed {seed}");
    }
}

/// A run that began on the GPU resumes here only where that is allowed, and then says what ran
/// where.
#[test]
fn a_run_moves_between_machines_by_permission() {
    let Some(on_gpu) = resources(false) else { return };
    let test = "a_run_moves_between_machines_by_permission";
    let experiment = experiment(&[("seeds", "1")]);
    let folder = tempfile::tempdir().unwrap();
    if in_own_process(test, "RETRODICT_DOUBLE_LOSE_AFTER", "40", folder.path()) {
        let store = std::env::var_os("RETRODICT_TEST_STORE").unwrap();
        let outcomes = make(&experiment, Path::new(&store), on_gpu);
        assert_eq!(outcomes[0].status, Status::Interrupted, "{outcomes:?}");
        return;
    }
    let here = Resources { gpu: None, ..on_gpu };
    let refused = make(&experiment, folder.path(), here);
    assert_eq!(refused[0].status, Status::Failed);
    assert!(refused[0].message.as_ref().unwrap().contains("cuda-sm_90"), "{refused:?}");
    let resumed = make(&experiment, folder.path(), Resources { mixed: true, ..here });
    assert_eq!(resumed[0].status, Status::Complete, "{resumed:?}");
    let manifest = manifest(&experiment, folder.path(), 0);
    let isas: Vec<&str> = manifest.parts.iter().map(|part| part.isa.as_str()).collect();
    assert_eq!(isas, ["cuda-sm_90", &retrodict_engine::Isa::detect().to_string()]);
    assert!(manifest.parts[1].from_step > 0);
}

/// A lost device interrupts runs, and the same command makes them whole with the same bits.
#[test]
fn a_lost_device_loses_nothing_that_was_kept() {
    if gpu().is_none() {
        return;
    }
    let test = "a_lost_device_loses_nothing_that_was_kept";
    let experiment = experiment(&[]);
    let folder = tempfile::tempdir().unwrap();
    if in_own_process(test, "RETRODICT_DOUBLE_LOSE_AFTER", "40", folder.path()) {
        let store = std::env::var_os("RETRODICT_TEST_STORE").unwrap();
        let outcomes = make(&experiment, Path::new(&store), resources(false).unwrap());
        for (seed, outcome) in (0..).zip(&outcomes) {
            assert_eq!(outcome.status, Status::Interrupted, "{outcome:?}");
            assert!(outcome.message.as_ref().unwrap().contains("the GPU was lost"), "{outcome:?}");
            assert_eq!(manifest(&experiment, Path::new(&store), seed).status, Status::Interrupted);
        }
        return;
    }
    let resources = resources(false).unwrap();
    let kept = Store::open(folder.path()).unwrap();
    let run = kept.run_dir(&experiment.spec.name, experiment.hash, 0).unwrap();
    assert!(run.newest_checkpoint().unwrap().is_some(), "it was lost after the first epoch");
    let resumed = make(&experiment, folder.path(), resources);
    assert!(resumed.iter().all(|outcome| outcome.status == Status::Complete), "{resumed:?}");
    let whole = tempfile::tempdir().unwrap();
    make(&experiment, whole.path(), resources);
    for seed in 0..3 {
        let of = |folder: &Path| bytes(&experiment, folder, seed);
        assert!(of(folder.path()) == of(whole.path()), "seed {seed}");
    }
}

/// A run that does not fit is refused before it starts; where some seeds fit, fewer share a launch.
#[test]
fn memory_is_predicted() {
    let Some(roomy) = resources(false) else { return };
    let experiment = experiment(&[("train.epochs", "1")]);
    let folder = tempfile::tempdir().unwrap();
    // Two seeds with their tables, and what is spared.
    let two = "44000000";
    if in_own_process("memory_is_predicted", "RETRODICT_DOUBLE_MEMORY", two, folder.path()) {
        let gpu = roomy.gpu.unwrap();
        assert_eq!(gpu.at_once(&experiment).unwrap(), 2);
        let store = std::env::var_os("RETRODICT_TEST_STORE").unwrap();
        let outcomes = make(&experiment, Path::new(&store), roomy);
        assert!(outcomes.iter().all(|outcome| outcome.status == Status::Complete), "{outcomes:?}");
        let large = self::experiment(&[("model.dim", "768"), ("model.layers", "4")]);
        let jobs: Vec<Job<'_>> = Job::of(&large).collect();
        let error = check(&jobs, &roomy).unwrap_err().to_string();
        assert!(error.contains("GPU memory") && error.contains("model.dim"), "{error}");
        return;
    }
    assert!(roomy.gpu.unwrap().at_once(&experiment).unwrap() > 100);
}

/// An operation that is not lowered is named before a run starts.
#[test]
fn what_is_not_available_is_named() {
    let Some(resources) = resources(false) else { return };
    let cases: [(&[(&str, &str)], &str); 5] = [
        (&[("precision", "f64")], "f64"),
        (&[("train.optimizer", "lion")], "lion"),
        (&[("train.clip", "1")], "clip"),
        (&[("model.norm", "rms")], "RmsNorm"),
        (&[("model.nonlinearity", "relu")], "Relu"),
    ];
    for (changes, named) in cases {
        let experiment = experiment(changes);
        let jobs: Vec<Job<'_>> = Job::of(&experiment).collect();
        let error = check(&jobs, &resources).unwrap_err().to_string();
        let expected = ["`tiny` cannot run on a GPU", named, "--device cpu"];
        assert!(expected.iter().all(|part| error.contains(part)), "{error}");
        // Left to choose, the processor makes them.
        let auto = self::resources(true).unwrap();
        assert!(check(&jobs, &auto).is_ok());
    }
    let small = experiment(&[]);
    assert!(
        !self::resources(true).unwrap().gpu.unwrap().takes(&small).unwrap(),
        "too small to pay"
    );
}
