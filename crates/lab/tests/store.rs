//! The store's folders: locks, the runs that are found, the files that are ignored.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::fs;
use std::path::Path;

use retrodict_lab::spec::{Precision, SpecHash};
use retrodict_lab::store::{
    Kept, Machine, Manifest, MetricsRow, RunDir, RunSeeds, Status, Store, StoreError, Tensor,
    Values, utc_now,
};

const HASH: SpecHash = SpecHash(0xab);

fn manifest() -> Manifest {
    Manifest {
        version: "0.1.0".to_owned(),
        commit: None,
        parts: Vec::new(),
        experiment: "reversal".to_owned(),
        spec_hash: HASH.to_string(),
        continued_from: None,
        precision: "f32".to_owned(),
        seeds: RunSeeds { run: 3, data: 3, init: 4, order: 3 },
        machine: Machine::here(),
        start: utc_now(),
        end: None,
        wall_seconds: 0.1 + 0.2,
        ms_per_step: Some(0.25),
        status: Status::Running,
        last_step: 6,
        message: Some("the loss is NaN at step 6".to_owned()),
        kept: Kept::All,
    }
}

fn probe() -> Tensor<'static> {
    Tensor {
        name: "seen".into(),
        shape: vec![1, 2].into(),
        values: Values::F32(vec![0.5, -1.0].into()),
    }
}

/// Writes a whole run below `out`.
fn write_run(out: &Path, experiment: &str, seed: u64) {
    let run = Store::open(out).unwrap().run_dir(experiment, HASH, seed).unwrap();
    let run = run.begin(Precision::F32, Kept::All).unwrap();
    run.write_spec("[data]\nkind = \"reversal\"\n").unwrap();
    let seeds = RunSeeds { run: seed, ..manifest().seeds };
    run.write_manifest(&Manifest { seeds, ..manifest() }).unwrap();
    let row = MetricsRow::empty(1, 6)
        .with("train_nll", 6.0)
        .with("train_first_token_nll", 6.0)
        .with("seconds", 0.5);
    run.write_metrics(&[row]).unwrap();
    run.write_probe("effective_weights", 20, &[probe()]).unwrap();
    run.write_probe("effective_weights", 1_000_000, &[probe()]).unwrap();
    run.mark_complete().unwrap();
}

#[test]
fn a_store_is_read_where_it_was_moved_to() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    write_run(&old, "reversal", 3);
    fs::rename(&old, &new).unwrap();
    let runs = Store::view(&new).unwrap().runs().unwrap();
    let [run] = &runs[..] else { panic!("{runs:?}") };
    assert_eq!((&*run.experiment, run.hash, run.seed), ("reversal", HASH, 3));
    assert_eq!(run.path(), new.join("runs/reversal/00000000000000ab/seed-3"));
    assert!(run.is_complete());
    assert_eq!(run.read_manifest().unwrap().seeds, manifest().seeds);
    assert_eq!(run.read_metrics(20).unwrap()[0].step, 6);
    assert!(run.read_spec().unwrap().starts_with("[data]"));
    assert!(run.newest_checkpoint().unwrap().is_none());
    let probes = run.probes("effective_weights").unwrap();
    let epochs: Vec<_> = probes.iter().map(|(epoch, _)| *epoch).collect();
    assert_eq!(epochs, [20, 1_000_000]);
    assert_eq!(
        run.read_probe("effective_weights", 20).unwrap().get("seen", &[1, 2]).unwrap(),
        &probe()
    );
    assert_eq!(run.probes("none").unwrap(), []);
}

#[test]
fn runs_come_in_order_and_foreign_files_are_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    for (experiment, seed) in [("b", 10), ("b", 9), ("a", 1)] {
        write_run(out, experiment, seed);
    }
    let runs = out.join("runs");
    for foreign in [
        ".hidden/00000000000000ab/seed-1",
        "a/00000000000000AB/seed-1",
        "a/notes/seed-1",
        "a/00000000000000ab/seed-01",
        "a/00000000000000ab/seed--1",
        "a/00000000000000ab/plots",
    ] {
        fs::create_dir_all(runs.join(foreign)).unwrap();
    }
    fs::write(runs.join("README"), "mine").unwrap();
    fs::write(runs.join("a/00000000000000ab/seed-2"), "a file").unwrap();
    let found: Vec<_> = Store::view(out)
        .unwrap()
        .runs()
        .unwrap()
        .into_iter()
        .map(|run| (run.experiment, run.seed))
        .collect();
    assert_eq!(found, [("a".to_owned(), 1), ("b".to_owned(), 9), ("b".to_owned(), 10)]);
}

#[test]
fn names_that_differ_in_case_or_accents_only_have_folders_of_their_own_and_old_folders_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    let names = ["A", "a", "a.", "\u{c4}"];
    for (seed, name) in (0..).zip(names) {
        write_run(out, name, seed);
    }
    let store = Store::view(out).unwrap();
    let mut folders: Vec<_> = fs::read_dir(out.join("runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap().to_lowercase())
        .collect();
    folders.sort();
    folders.dedup();
    assert_eq!(folders.len(), names.len(), "{folders:?}");
    let found: Vec<_> = store.runs().unwrap().into_iter().map(|r| (r.experiment, r.seed)).collect();
    for (seed, name) in (0..).zip(names) {
        assert!(found.contains(&(name.to_owned(), seed)), "{name}");
        assert_eq!(store.runs_with_seed(name, seed).unwrap().len(), 1, "{name}");
    }
    // Early versions wrote every name as it is; such a run is found and resumes in its folder.
    let run = store.run_dir("A", HASH, 0).unwrap();
    fs::create_dir(out.join("runs/A")).unwrap();
    fs::rename(run.path().parent().unwrap(), out.join(format!("runs/A/{HASH}"))).unwrap();
    fs::remove_dir(run.path().parent().unwrap().parent().unwrap()).unwrap();
    let run = store.run_dir("A", HASH, 0).unwrap();
    assert_eq!(run.path(), out.join(format!("runs/A/{HASH}/seed-0")));
    assert!(run.is_complete());
    assert_eq!(store.runs_with_seed("A", 0).unwrap(), [run]);
    assert_eq!(store.runs().unwrap().len(), names.len());
}

#[test]
fn an_output_folder_that_cannot_be_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("out");
    fs::write(&file, "precious").unwrap();
    let error = Store::open(&file).unwrap_err().to_string();
    assert_eq!(
        error,
        format!(
            "{} is a file; the store must be in a folder, or a path where one can be made",
            file.display()
        )
    );
    assert!(matches!(Store::view(&file), Err(StoreError::NotAFolder { .. })));
    assert!(matches!(Store::open(&file.join("below")), Err(StoreError::Io { .. })));
    assert!(matches!(Store::view(folder.path()), Err(StoreError::NoStore { .. })));
    assert_eq!(fs::read(&file).unwrap(), b"precious");

    // A file in place of the folder of runs.
    let taken = folder.path().join("taken");
    fs::create_dir(&taken).unwrap();
    fs::write(taken.join("runs"), "precious").unwrap();
    assert!(matches!(Store::open(&taken), Err(StoreError::Io { .. })));
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("out");
    std::os::unix::fs::symlink("gone", &link).unwrap();
    for out in [link.clone(), link.join("below")] {
        let message = Store::open(&out).unwrap_err().to_string();
        let right = "is a link to gone, which does not exist; make that folder, or name another";
        assert_eq!(message, format!("{} {right}", link.display()));
    }
    fs::create_dir(folder.path().join("gone")).unwrap();
    assert!(Store::open(&link).is_ok());
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_folder_that_cannot_be_written_is_refused() {
    // No user can create a file here, not even root.
    let error = Store::open(Path::new("/proc/retrodict")).unwrap_err().to_string();
    assert!(error.starts_with("cannot create /proc/retrodict/runs: "), "{error}");
}

#[test]
fn opening_a_store_leaves_nothing_but_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    Store::open(folder.path()).unwrap();
    assert_eq!(fs::read_dir(folder.path().join("runs")).unwrap().count(), 0);
}

#[test]
fn two_writers_of_one_run_exclude_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let run = store.run_dir("reversal", HASH, 1).unwrap();
    let first = run.clone().begin(Precision::F32, Kept::All).unwrap();
    let error = run.clone().begin(Precision::F32, Kept::All).unwrap_err().to_string();
    let path = run.path().display();
    assert_eq!(
        error,
        format!("{path} is being written by another process; wait for it, or use another --out")
    );
    assert!(store.run_dir("reversal", HASH, 2).unwrap().begin(Precision::F32, Kept::All).is_ok());
    drop(first);
    assert!(run.begin(Precision::F32, Kept::All).is_ok());
}

#[test]
fn what_a_killed_process_left_is_swept_when_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), "reversal", 1);
    let store = Store::view(folder.path()).unwrap();
    let run = store.run_dir("reversal", HASH, 1).unwrap();
    let left = [
        ".metrics.parquet.tmp-77-0",
        "probes/effective_weights/.epoch-000040.safetensors.tmp-77-1",
    ];
    for file in left {
        fs::write(run.path().join(file), "half").unwrap();
    }
    let half = run.checkpoints().join(".step-12.tmp-77-2");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("model.safetensors"), "half").unwrap();
    assert_eq!(run.probes("effective_weights").unwrap().len(), 2);
    assert!(run.newest_checkpoint().unwrap().is_none());

    let run = run.begin(Precision::F32, Kept::All).unwrap();
    assert!(!half.exists());
    assert!(left.iter().all(|file| !run.path().join(file).exists()));
    assert_eq!(run.read_metrics(20).unwrap().len(), 1);
}

#[test]
fn a_name_that_leaves_the_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    for name in ["..", "a/b", "", ".git", &"n".repeat(300)] {
        let error = store.run_dir(name, HASH, 1).unwrap_err();
        assert!(matches!(error, StoreError::Name(_)), "{name:?}");
    }
}

#[test]
fn a_damaged_manifest_is_refused_and_a_whole_one_reads_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.json");
    let written = manifest();
    written.write(&path).unwrap();
    assert_eq!(Manifest::read(&path).unwrap(), written);
    let whole = fs::read(&path).unwrap();
    // The last byte is the newline.
    for length in 0..whole.len() - 1 {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Manifest::read(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{length}: {error}");
    }
    let time = written.start;
    assert!(time.len() == 20 && time.ends_with('Z') && &time[10..11] == "T", "{time}");
}

#[test]
fn every_flipped_bit_of_a_manifest_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.json");
    manifest().write(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(&path, bytes).unwrap();
        let error = Manifest::read(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "byte {at}, bit {bit}: {error}");
    }
}

#[test]
fn every_flipped_bit_of_a_probe_is_found() {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), "reversal", 3);
    let run = Store::view(folder.path()).unwrap().run_dir("reversal", HASH, 3).unwrap();
    let path = run.probe_path("effective_weights", 20);
    let whole = fs::read(&path).unwrap();
    for (at, bit) in (0..whole.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(&path, bytes).unwrap();
        let read = run.read_probe("effective_weights", 20);
        assert!(matches!(read, Err(StoreError::Damaged { .. })), "byte {at}, bit {bit}: {read:?}");
    }
}

/// A file copied from another run, or under another name, is refused by name.
#[test]
fn files_of_other_runs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for seed in [3, 4] {
        write_run(folder.path(), "reversal", seed);
    }
    let store = Store::view(folder.path()).unwrap();
    let [own, other] = [3, 4].map(|seed| store.run_dir("reversal", HASH, seed).unwrap());
    let foreign = |error: StoreError| {
        let message = error.to_string();
        assert!(message.contains("belongs to seed 4, not to seed 3; move it away"), "{message}");
    };
    fs::copy(other.metrics_path(), own.metrics_path()).unwrap();
    foreign(own.read_metrics(20).unwrap_err());
    fs::copy(other.manifest_path(), own.manifest_path()).unwrap();
    foreign(own.read_manifest().unwrap_err());
    let probe = |run: &RunDir, epoch| run.probe_path("effective_weights", epoch);
    fs::copy(probe(&own, 1_000_000), probe(&own, 20)).unwrap();
    let error = own.read_probe("effective_weights", 20).unwrap_err().to_string();
    assert!(error.contains("it is `effective_weights` after epoch 1000000"), "{error}");
    fs::copy(probe(&other, 20), probe(&own, 20)).unwrap();
    foreign(own.read_probe("effective_weights", 20).unwrap_err());
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link_inside_a_store() {
    use std::os::unix::fs::symlink;
    for level in 0..6 {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let store = Store::open(&folder.path().join("out")).unwrap();
        let run = store.run_dir("reversal", HASH, 3).unwrap();
        let probes = run.path().join("probes");
        let inside = [run.checkpoints(), probes.clone(), probes.join("effective_weights")];
        let mut links = run.path().ancestors().take(3).chain(inside.iter().map(|path| &**path));
        let link = links.nth(level).unwrap();
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&elsewhere, link).unwrap();
        let error = run.clone().begin(Precision::F32, Kept::All).unwrap_err();
        assert!(matches!(error, StoreError::Linked { .. }), "{}: {error}", link.display());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0, "{}", link.display());
    }
}

/// To open a FIFO waits for a writer that never comes.
#[cfg(unix)]
#[test]
fn what_is_not_a_regular_file_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    write_run(folder.path(), "reversal", 3);
    let run = Store::view(folder.path()).unwrap().run_dir("reversal", HASH, 3).unwrap();
    let fifo = |path: &Path| {
        let _ = fs::remove_file(path);
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    };
    let paths = [run.spec_path(), run.manifest_path(), run.metrics_path(), run.answers_path()];
    let probe = run.probe_path("effective_weights", 20);
    for path in paths.iter().chain([&probe, &run.path().join(".lock")]) {
        fifo(path);
    }
    let errors = [
        run.read_spec().err(),
        run.read_manifest().err(),
        run.read_metrics(20).err(),
        run.read_answers().err(),
        run.read_probe("effective_weights", 20).err(),
        run.begin(Precision::F32, Kept::All).err(),
    ];
    for error in errors {
        let message = error.unwrap().to_string();
        assert!(message.ends_with("it is not a regular file"), "{message}");
    }
}
