//! The same spec and seed give the same bytes, with any other runs and after any interruption.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use common::{Folder, Output, checkpoints, contents, finish};
use retrodict_lab::Measure;
use retrodict_lab::store::{Manifest, Status, Values, read_metrics, read_tensors};

/// All results of a run except times.
#[derive(Debug, PartialEq)]
struct Numbers {
    /// A row per epoch; numbers as bits, NaN included.
    metrics: Vec<(u64, u64, Vec<Option<u64>>)>,
    /// Weights and moments after the last epoch, effective weights of every probe.
    tensors: BTreeMap<PathBuf, Option<Vec<u8>>>,
}

fn numbers(run: &Path) -> Numbers {
    assert!(run.join("COMPLETE").is_file(), "{} is not complete", run.display());
    let rows = read_metrics(&run.join("metrics.parquet"), u64::MAX).unwrap().rows;
    // Only the time may differ.
    let measures = || Measure::of_epochs().filter(|measure| measure.id != "seconds");
    let metrics = rows.iter().map(|row| {
        let bits = measures().map(|measure| row.get(measure.id).map(f64::to_bits));
        (row.epoch, row.step, bits.collect())
    });
    let last = format!("checkpoints/step-{}", checkpoints(run).last().unwrap());
    let mut tensors = contents(run);
    tensors.retain(|path, _| {
        let kept = path.starts_with(&last) || path.starts_with("probes");
        kept && path.extension().is_some_and(|extension| extension == "safetensors")
    });
    assert!(tensors.len() >= 3, "{:?}", tensors.keys());
    // A probe also says which run it belongs to.
    let probes = tensors.iter_mut().filter(|(path, _)| path.starts_with("probes"));
    for (path, bytes) in probes {
        let read = read_tensors(&run.join(path)).unwrap();
        let content = read.iter().map(|tensor| match &tensor.values {
            Values::F32(of) => (&tensor.name, of.iter().map(|x| x.to_bits().into()).collect()),
            Values::F64(of) => (&tensor.name, of.iter().map(|x| x.to_bits()).collect::<Vec<_>>()),
        });
        *bytes = Some(format!("{:?}", content.collect::<Vec<_>>()).into_bytes());
    }
    Numbers { metrics: metrics.collect(), tensors }
}

/// The numbers of seed 1 after a run with these options.
fn seed_1(options: &str) -> Numbers {
    let folder = Folder::new();
    folder.run(&format!("run tiny.toml --out out {options}")).done();
    numbers(&folder.run_dir("out", 1))
}

#[test]
fn threads_jobs_and_other_seeds_do_not_matter() {
    // Dropout, layers and heads that threads share unevenly.
    let spec = "--set model.layers=2 --set model.dim=24 --set model.heads=3";
    let alone = seed_1(&format!("{spec} --seed 1 --jobs 1 --threads 1"));
    assert_eq!(alone.metrics.len(), 6);
    for options in [
        "--seed 1 --jobs 1 --threads 2",
        "--seed 1 --jobs 1 --threads 5",
        "--seed 1 --threads 2",
        "--seeds 2 --jobs 1 --threads 2",
        "--seeds 2 --jobs 2 --threads 2",
        "--seeds 4 --jobs 2 --threads 4",
        "--seeds 7,1 --jobs 2 --threads 1",
        "--seeds 0..3",
        "--seed 1 --set name=other",
        "--seed 1 --set checkpoint.every=1",
    ] {
        let other = seed_1(&format!("{spec} {options}"));
        assert_eq!(other.metrics, alone.metrics, "{options}");
        assert!(other.tensors == alone.tensors, "{options}: other weights");
    }
    let other_seed = {
        let folder = Folder::new();
        folder.run(&format!("run tiny.toml --out out --seed 2 {spec}")).done();
        numbers(&folder.run_dir("out", 2))
    };
    assert_ne!(other_seed.metrics, alone.metrics);
}

#[test]
fn seeds_can_be_set_apart() {
    let run = |seed: u64, options: &str| {
        let folder = Folder::new();
        folder.run(&format!("run tiny.toml --out out --seed {seed} {options}")).done();
        numbers(&folder.run_dir("out", seed))
    };
    // A run's seed sets all three and nothing else.
    let all = "--set data.seed=1 --set train.init_seed=1 --set train.order_seed=1";
    let one = run(1, "");
    assert!(run(5, all) == one);
    for key in ["data.seed", "train.init_seed", "train.order_seed"] {
        let other = run(1, &format!("--set {key}=5"));
        assert_ne!(other.metrics, one.metrics, "{key} decides nothing");
    }
}

/// A run of a few hundred milliseconds; most of them pass between checkpoints.
const LONG: &str = "run tiny.toml --out out --seed 0 --json --set train.epochs=1500 \
                    --set train.batch_size=3 --set probe.every=500";
/// How often it writes a checkpoint is not in its hash: all these give the same numbers.
const RARELY: &str = "--set checkpoint.every=100";
const ALWAYS: &str = "--set checkpoint.every=5";

fn undisturbed() -> Numbers {
    let folder = Folder::new();
    folder.run(&format!("{LONG} --set checkpoint.every=0")).done();
    numbers(&folder.run_dir("out", 0))
}

fn spawn(folder: &Folder, arguments: &str) -> Child {
    let mut command = folder.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until the run has a checkpoint of more than `step` steps.
fn wait_for_checkpoint_after(folder: &Folder, child: &mut Child, step: u64) {
    let begun = Instant::now();
    loop {
        let there = folder.path().join("out/runs/tiny").exists();
        let newest = there.then(|| newest(folder)).flatten();
        if newest.is_some_and(|newest| newest > step) {
            return;
        }
        if let Some(status) = child.try_wait().unwrap() {
            panic!("it has ended ({status}) before a checkpoint after step {step}");
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "no checkpoint after step {step}");
        thread::sleep(Duration::from_micros(200));
    }
}

/// Step of the newest checkpoint of a run that may not have begun.
fn newest(folder: &Folder) -> Option<u64> {
    let experiment = fs::read_dir(folder.path().join("out/runs/tiny")).unwrap().next()?;
    checkpoints(&experiment.unwrap().path().join("seed-0")).last().copied()
}

/// The state of every checkpoint, by step; its seconds tell one writing from another.
fn states(run: &Path) -> BTreeMap<u64, Vec<u8>> {
    let state = |step: &u64| fs::read(run.join(format!("checkpoints/step-{step}/state.json")));
    checkpoints(run).iter().map(|step| (*step, state(step).unwrap())).collect()
}

#[test]
fn a_run_that_is_killed_again_and_again_gives_the_same_bytes() {
    let whole = undisturbed();
    let last = whole.metrics.last().unwrap().1;
    for (checkpoint, kills) in [(RARELY, 3), (ALWAYS, 6)] {
        let folder = Folder::new();
        let command = format!("{LONG} {checkpoint}");
        let mut written = BTreeMap::new();
        for kill in 0..kills {
            let before = written.last_key_value().map_or(0, |(step, _)| *step);
            let mut child = spawn(&folder, &command);
            wait_for_checkpoint_after(&folder, &mut child, before);
            // Never at the same point between two checkpoints.
            thread::sleep(Duration::from_micros(700 * kill));
            child.kill().unwrap();
            child.wait().unwrap();
            let run = folder.run_dir("out", 0);
            assert!(!run.join("COMPLETE").exists(), "it was complete before it was killed");
            let manifest = Manifest::read(&run.join("manifest.json")).unwrap();
            assert_eq!(manifest.status, Status::Running);
            let states = states(&run);
            for (step, state) in &written {
                assert!(states.get(step) == Some(state), "step {step} was made a second time");
            }
            written = states;
        }
        let result = folder.run(&command);
        let run = folder.run_dir("out", 0);
        let after = states(&run);
        for (step, state) in &written {
            assert!(after.get(step) == Some(state), "step {step} was made a second time");
        }
        assert_eq!(result.json()["runs"][0]["status"], "complete", "{}", result.stderr);
        assert_eq!(Manifest::read(&run.join("manifest.json")).unwrap().last_step, last);
        let resumed = numbers(&run);
        assert_eq!(resumed.metrics, whole.metrics);
        assert!(resumed.tensors == whole.tensors, "other weights after {kills} kills");
    }
}

#[test]
fn every_checkpoint_leads_to_the_same_bytes() {
    let folder = Folder::new();
    // An epoch has 6 steps, the last of a smaller batch: some of these end one, others lie within.
    let command = "run tiny.toml --out out --seed 0 --set train.batch_size=3 \
                   --set checkpoint.every=0 --set checkpoint.at=[0,3,6,7,12,17,35]";
    folder.run(command).done();
    let run = folder.run_dir("out", 0);
    let whole = numbers(&run);
    let steps = checkpoints(&run);
    let (&end, kept) = steps.split_last().unwrap();
    assert_eq!(kept, [0, 3, 6, 7, 12, 17, 35]);
    for step in kept.iter().rev() {
        for later in steps.iter().filter(|later| *later > step) {
            fs::remove_dir_all(run.join(format!("checkpoints/step-{later}"))).unwrap();
        }
        fs::remove_file(run.join("COMPLETE")).unwrap();
        folder.run(command).done();
        assert_eq!(checkpoints(&run).last(), Some(&end));
        let resumed = numbers(&run);
        assert_eq!(resumed.metrics, whole.metrics, "from step {step}");
        assert!(resumed.tensors == whole.tensors, "other weights from step {step}");
    }
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    let sent = std::process::Command::new("sh")
        .args(["-c", &format!("kill -{name} {}", child.id())])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_cleanly_and_says_how_to_go_on() {
    let whole = undisturbed();
    let all = {
        let folder = Folder::new();
        folder.run(&format!("{LONG} {RARELY}")).done();
        checkpoints(&folder.run_dir("out", 0))
    };
    for name in ["INT", "TERM"] {
        let folder = Folder::new();
        let command = format!("{LONG} {RARELY}");
        let mut child = spawn(&folder, &command);
        wait_for_checkpoint_after(&folder, &mut child, 0);
        signal(&child, name);
        let output: Output = finish(Ok(child));
        assert_eq!(output.status, 130, "{output:?}");
        let says = "1 of 1 runs are unfinished; the same command resumes them (out)";
        assert!(output.stderr.contains(says), "{}", output.stderr);
        assert_eq!(output.json()["runs"][0]["status"], "interrupted");

        // It stopped at once, not at the spec's next checkpoint.
        let run = folder.run_dir("out", 0);
        assert!(!run.join("COMPLETE").exists());
        let manifest = Manifest::read(&run.join("manifest.json")).unwrap();
        let before = states(&run);
        assert_eq!(manifest.status, Status::Interrupted);
        assert_eq!(Some(&manifest.last_step), before.keys().last());
        assert!(manifest.last_step < whole.metrics.last().unwrap().1);

        folder.run(&command).done();
        let after = states(&run);
        for (step, state) in before.iter().filter(|(step, _)| all.contains(step)) {
            assert!(after.get(step) == Some(state), "step {step} was made a second time");
        }
        // The checkpoint of the interruption is gone.
        assert!(after.keys().eq(&all), "{:?}", after.keys());
        let resumed = numbers(&run);
        assert_eq!(resumed.metrics, whole.metrics);
        assert!(resumed.tensors == whole.tensors, "other weights after {name}");
    }
}

#[test]
fn a_complete_run_is_not_repeated() {
    let folder = Folder::new();
    let command = "run tiny.toml --out out --json";
    let first = folder.run(command).done();
    let times = |folder: &Folder| -> BTreeMap<PathBuf, SystemTime> {
        let paths = folder.contents().into_keys().map(|path| folder.path().join(path));
        // Opening the store tests its folder, which changes the folder's time.
        let paths = paths.filter(|path| !path.ends_with("out/runs"));
        paths.map(|p| (p.clone(), fs::metadata(&p).unwrap().modified().unwrap())).collect()
    };
    let (contents, before) = (folder.contents(), times(&folder));
    for again in [command, "run tiny.toml --out out --json --jobs 2 --set checkpoint.every=1"] {
        assert_eq!(folder.run(again).done(), first);
        assert!(folder.contents() == contents && times(&folder) == before, "{again}");
    }
    // More seeds: only the new ones are run.
    let more = folder.run(&format!("{command} --seeds 3"));
    assert_eq!(more.json()["runs"].as_array().unwrap().len(), 3);
    let after = times(&folder);
    let seed = |path: &&PathBuf| path.components().any(|part| part.as_os_str() == "seed-0");
    for path in before.keys().filter(seed) {
        assert_eq!(after[path], before[path], "{}", path.display());
    }
}

/// A longer run that extends a finished one has the same bytes as one from scratch.
#[test]
fn more_epochs_start_from_the_shorter_run() {
    let spec = "--seed 1 --set model.dropout=0.1 --set train.warmup=4 --set checkpoint.at=[0,5]";
    let run_dir = |folder: &Folder, epochs: u64| {
        let runs = fs::read_dir(folder.path().join("out/runs/tiny")).unwrap();
        let runs = runs.map(|run| run.unwrap().path().join("seed-1"));
        let mut runs = runs.filter(|run| {
            fs::read_to_string(run.join("spec.toml"))
                .is_ok_and(|spec| spec.contains(&format!("\nepochs = {epochs}\n")))
        });
        runs.next().unwrap()
    };
    let manifest = |run: &Path| Manifest::read(&run.join("manifest.json")).unwrap();
    let train = |folder: &Folder, epochs: u64, options: &str| {
        let epochs = format!("--set train.epochs={epochs}");
        folder.run(&format!("run tiny.toml --out out {spec} {epochs} {options}")).done();
    };
    let whole = Folder::new();
    train(&whole, 11, "");
    let scratch = run_dir(&whole, 11);
    assert_eq!(manifest(&scratch).continued_from, None);
    // Epoch 4 has a probe in the shorter run only; every third one has it in both.
    let folder = Folder::new();
    train(&folder, 2, "");
    train(&folder, 4, "");
    let short = run_dir(&folder, 4);
    let before = contents(&short);
    train(&folder, 11, "");
    let long = run_dir(&folder, 11);
    assert_eq!(manifest(&long).continued_from, Some(manifest(&short).spec_hash));
    assert!(contents(&short) == before, "the shorter run has changed");
    assert!(numbers(&long) == numbers(&scratch));
    assert_eq!(
        fs::read(long.join("answers.json")).ok(),
        fs::read(scratch.join("answers.json")).ok()
    );
    let steps = |run: &Path| checkpoints(run);
    assert!(steps(&scratch).iter().all(|step| steps(&long).contains(step)), "{:?}", steps(&long));
    for step in steps(&scratch) {
        for file in ["config.json", "model.safetensors", "optimizer.safetensors"] {
            let read =
                |run: &Path| fs::read(run.join(format!("checkpoints/step-{step}/{file}"))).unwrap();
            assert!(read(&long) == read(&scratch), "step-{step}/{file}");
        }
    }
    // A learning-rate schedule that ends at the last step depends on it; other keys give other
    // numbers.
    for options in ["--set train.schedule=linear", "--set train.lr=0.02"] {
        let folder = Folder::new();
        train(&folder, 4, options);
        train(&folder, 11, options);
        let from = manifest(&run_dir(&folder, 11)).continued_from;
        assert_eq!(from.is_none(), options.contains("linear"), "{options}");
    }
    // Without its last checkpoint, or without one that this run needs, it cannot be extended.
    for (short, long) in [
        ("--set checkpoint.last=false --set checkpoint.every=0", "--set checkpoint.every=0"),
        ("", "--set checkpoint.at=[0,5,7]"),
    ] {
        let folder = Folder::new();
        train(&folder, 4, short);
        train(&folder, 11, long);
        assert_eq!(manifest(&run_dir(&folder, 11)).continued_from, None, "{short}");
    }
}
