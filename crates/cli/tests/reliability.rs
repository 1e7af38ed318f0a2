//! The promises of docs/reliability.md, tested on the program under faults of the system.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::faults::{faulty, wait};
use common::{Folder, Output, checkpoints, contents, finish};
use retrodict_lab::store::{Manifest, Status};

fn manifest(run: &Path) -> Manifest {
    Manifest::read(&run.join("manifest.json")).unwrap()
}

/// Everything that must not differ between two runs of one spec and seed.
fn weights(run: &Path) -> Vec<u8> {
    assert!(run.join("COMPLETE").is_file(), "{} is not complete", run.display());
    let last = checkpoints(run).pop().unwrap();
    fs::read(run.join(format!("checkpoints/step-{last}/model.safetensors"))).unwrap()
}

/// Waits a minute for a command with faults; panics where it hangs.
fn limited(mut command: Command) -> Output {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    wait(command, Duration::from_secs(60))
}

#[test]
fn without_threads_every_command_still_does_its_work() {
    let whole = Folder::new();
    whole.run("run tiny.toml --out out").done();
    for threads in 0..4 {
        let folder = Folder::new();
        let run = "run tiny.toml --out out --seeds 2 --threads 2";
        let output = limited(faulty(&folder, run, &[("FAULT_THREADS", threads)]));
        assert_eq!(output.status, 0, "{threads}: {}", output.stderr);
        if threads < 3 {
            assert!(output.stderr.contains("warning: "), "{threads}: {}", output.stderr);
        }
        for seed in [0, 1] {
            let [own, other] = [&folder, &whole].map(|f| weights(&f.run_dir("out", seed)));
            assert!(own == other, "other weights with {threads} threads");
        }
    }
    let folder = Folder::new();
    folder.write("tiny2.toml", common::TINY);
    for command in [
        "bench tiny.toml --seeds 1 --steps 3",
        "theory bilinear --entities 20 --dim 20 --t-max 10",
        "theory one-layer --vocab-size 40",
        "locate tiny.toml --out out",
        "report out",
    ] {
        for threads in [0, 1] {
            let output = limited(faulty(&folder, command, &[("FAULT_THREADS", threads)]));
            let said = output.message_or_nothing();
            assert!(output.status == 0 || !said.is_empty(), "{command}: {output:?}");
        }
    }
}

#[test]
fn a_number_of_threads_that_no_machine_has_is_refused() {
    let folder = Folder::new();
    for option in ["--threads", "--jobs"] {
        let output = folder.run(&format!("run tiny.toml {option} 100000"));
        assert_eq!(output.status, 2);
        assert!(output.stderr.contains("it must be at most 4096"), "{}", output.stderr);
    }
}

/// Two processes write one store at the same time: with locks, and without.
#[test]
fn two_processes_on_one_store_are_right_with_and_without_locks() {
    let whole = Folder::new();
    let command = "run tiny.toml --out out --seeds 3 --set train.epochs=60";
    whole.run(command).done();
    for faults in [&[][..], &[("FAULT_LOCKS", 1)]] {
        let folder = Folder::new();
        let start = || {
            let mut command = faulty(&folder, command, faults);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
        };
        let both = [start(), start()].map(finish);
        for output in &both {
            let busy = output.stderr.contains("is being written by");
            assert!(output.status == 0 || busy, "{output:?}");
        }
        // What one of them left to the other is there in the end.
        folder.run(command).done();
        for seed in 0..3 {
            let run = folder.run_dir("out", seed);
            assert!(weights(&run) == weights(&whole.run_dir("out", seed)));
            let left: Vec<_> = contents(&run)
                .into_keys()
                .filter(|path| path.to_string_lossy().contains(".claim-"))
                .collect();
            assert!(left.is_empty(), "{left:?}");
        }
    }
}

/// A killed process leaves its claim; the same command resumes at once, with and without locks.
#[test]
fn a_killed_process_does_not_keep_others_out() {
    for faults in [&[][..], &[("FAULT_LOCKS", 1)]] {
        let folder = Folder::new();
        let command =
            "run tiny.toml --out out --seed 0 --set train.epochs=3000 --set checkpoint.every=100";
        let mut child = faulty(&folder, command, faults)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        common::faults::until(Duration::from_secs(60), || {
            let runs = folder.path().join("out/runs/tiny");
            fs::read_dir(runs).is_ok_and(|mut runs| runs.next().is_some())
                && checkpoints(&folder.run_dir("out", 0)).len() > 1
        });
        // While it lives, it is named.
        let output = limited(faulty(&folder, command, faults));
        assert_eq!(output.status, 1, "{output:?}");
        assert!(output.stderr.contains("is being written by"), "{}", output.stderr);
        child.kill().unwrap();
        child.wait().unwrap();
        let output = limited(faulty(&folder, command, faults));
        assert_eq!(output.status, 0, "{output:?}");
    }
}

/// Prepares a run of seed 0 that has only its checkpoint of step 6, beside a complete one of
/// seed 1.
fn unfinished(folder: &Folder) {
    folder.run("run tiny.toml --out out --seeds 2").done();
    let run = folder.run_dir("out", 0);
    fs::remove_file(run.join("COMPLETE")).unwrap();
    let steps = checkpoints(&run);
    for step in &steps[1..] {
        fs::remove_dir_all(run.join(format!("checkpoints/step-{step}"))).unwrap();
    }
}

#[test]
fn a_checkpoint_of_another_run_is_refused_by_name() {
    let folder = Folder::new();
    unfinished(&folder);
    let (run, other) = (folder.run_dir("out", 0), folder.run_dir("out", 1));
    let step = checkpoints(&other)[1];
    let copy = |from: &Path| {
        let to = run.join(format!("checkpoints/step-{step}"));
        fs::create_dir_all(&to).unwrap();
        for entry in common::entries(&from.join(format!("checkpoints/step-{step}"))) {
            fs::copy(&entry, to.join(entry.file_name().unwrap())).unwrap();
        }
        to
    };
    let refused = |to: &Path, what: &str| {
        let output = folder.run("run tiny.toml --out out --seed 0");
        assert_eq!(output.status, 1, "{output:?}");
        let says = format!("step-{step} belongs to {what}; move it away");
        assert!(output.stderr.contains(&says), "{}", output.stderr);
        assert!(!run.join("COMPLETE").exists());
        // The manifest says so too.
        assert_eq!(manifest(&run).status, Status::Failed);
        assert!(manifest(&run).message.unwrap().contains("belongs to"));
        fs::remove_dir_all(to).unwrap();
    };
    refused(&copy(&other), "seed 1, not to seed 0");
    let second = Folder::new();
    second.run("run tiny.toml --out out --seed 0 --set train.lr=0.002").done();
    let foreign = second.run_dir("out", 0);
    let hash = |run: &Path| manifest(run).spec_hash;
    let what = format!("spec {} seed 0, not to spec {} seed 0", hash(&foreign), hash(&run));
    refused(&copy(&foreign), &what);
    // Metrics of another seed.
    fs::copy(other.join("metrics.parquet"), run.join("metrics.parquet")).unwrap();
    let output = folder.run("run tiny.toml --out out --seed 0");
    assert!(output.stderr.contains("metrics.parquet belongs to seed 1"), "{}", output.stderr);
}

/// A run that changes its instruction set has the bits of neither.
#[test]
fn another_instruction_set_resumes_only_where_that_is_allowed() {
    let folder = Folder::new();
    unfinished(&folder);
    let run = folder.run_dir("out", 0);
    let best = manifest(&run).machine.isa;
    if best == "portable" {
        return; // there is no other
    }
    let command = "run tiny.toml --out out --seed 0 --isa portable";
    let output = folder.run(command);
    assert_eq!(output.status, 1, "{output:?}");
    let says = [format!("with {best}, and this is"), "allow it with --allow-mixed".to_owned()];
    assert!(says.iter().all(|says| output.stderr.contains(says)), "{}", output.stderr);
    assert!(!run.join("COMPLETE").exists());

    let output = folder.run(&format!("{command} --allow-mixed"));
    assert_eq!(output.status, 0, "{output:?}");
    assert!(output.stderr.contains("its bits are of neither"), "{}", output.stderr);
    let parts = manifest(&run).parts;
    let parts: Vec<_> = parts.iter().map(|part| (part.from_step, &*part.isa)).collect();
    let first = checkpoints(&run)[0];
    assert_eq!(parts, [(0, &*best), (first, "portable")]);
    // The instruction set that began it finishes it without a word.
    let whole = Folder::new();
    unfinished(&whole);
    whole.run("run tiny.toml --out out --seed 0").done();
    assert_eq!(manifest(&whole.run_dir("out", 0)).parts, []);
}

/// A report must not change without a word.
#[test]
fn damage_anywhere_in_a_complete_run_stops_a_report() {
    let folder = Folder::new();
    folder.run("run tiny.toml --out out --seed 0").done();
    let run = folder.run_dir("out", 0);
    folder.run("report out").done();
    let files = contents(&run).into_iter().filter_map(|(path, bytes)| Some((path, bytes?)));
    for (path, bytes) in files {
        let name = path.to_string_lossy().into_owned();
        // Checkpoints are no part of a report; the lock and COMPLETE are empty.
        if name.starts_with("checkpoints") || bytes.is_empty() {
            continue;
        }
        for at in [bytes.len() / 3, bytes.len() / 2, bytes.len() - 30] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            fs::write(run.join(&path), &damaged).unwrap();
            let output = folder.run("report out");
            let comment = name == "spec.toml" && output.status == 0;
            assert!(output.status == 1 || comment, "{name} byte {at}: {output:?}");
            let file = path.file_name().unwrap().to_string_lossy();
            assert!(comment || output.stderr.contains(&*file), "{name}: {}", output.stderr);
        }
        fs::write(run.join(&path), bytes).unwrap();
    }
    // A run that another process claims to have finished.
    unfinished(&folder);
    fs::write(run.join("COMPLETE"), "").unwrap();
    let mut unfinished = manifest(&run);
    unfinished.status = Status::Running;
    unfinished.write(&run.join("manifest.json")).unwrap();
    let output = folder.run("run tiny.toml --out out --seed 0");
    assert!(output.stderr.contains("this file says that the run is not"), "{}", output.stderr);
}

#[test]
fn another_number_of_seeds_keeps_the_list_of_figures() {
    let folder = Folder::new();
    let record = || fs::read_to_string(folder.path().join("out/reproduction.json")).unwrap();
    folder.run("reproduce theory-one-layer --seeds 1 --out out").done();
    assert!(record().contains("\"theory-one-layer\""));
    let path = folder.path().join("out/reproduction.json");
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&path, &bytes).unwrap();
        if at % 20 == 0 {
            let output = folder.run("report out");
            assert_eq!(output.status, 1, "byte {at}: {output:?}");
            assert!(output.stderr.contains("reproduction.json is damaged"), "{}", output.stderr);
        }
    }
    fs::write(&path, whole).unwrap();
    folder.run("reproduce theory-one-layer --seeds 2 --out out").done();
    assert!(record().contains("\"theory-one-layer\"") && record().contains("\"seeds\": 2"));
}

/// A full disk loses nothing that was there, and the same command resumes once there is room.
#[test]
fn a_full_disk_loses_nothing() {
    let whole = Folder::new();
    whole.run("run tiny.toml --out out --seed 0").done();
    for bytes in [0, 3_000, 20_000, 60_000, 100_000] {
        let folder = Folder::new();
        let command = "run tiny.toml --out out --seed 0";
        let output = limited(faulty(&folder, command, &[("FAULT_DISK", bytes)]));
        if output.status == 0 {
            continue; // it all fitted
        }
        assert_eq!(output.status, 1, "{bytes}: {output:?}");
        assert!(output.stderr.contains("No space left on device"), "{}", output.stderr);
        folder.run(command).done();
        let [own, other] = [&folder, &whole].map(|f| weights(&f.run_dir("out", 0)));
        assert!(own == other, "other weights after {bytes} bytes");
    }
}
