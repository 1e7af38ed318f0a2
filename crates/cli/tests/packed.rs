//! Sweeps whose runs are packed: the same numbers as in folders, whatever happens.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use common::faults::faulty;
use common::{Folder, contents, finish};
use retrodict_lab::Measure;
use retrodict_lab::store::read_metrics;

/// Eighteen runs of a fraction of a second.
const SWEEP: &str = "run tiny.toml --set model.layers=1,2 --set train.lr=0.01,0.02,0.03 --seeds 3 \
                     --set train.epochs=20 --set probe.every=5";

type Row = Vec<Option<u64>>;

/// The numbers of every run below `runs`, by the run's folder: the metrics, and the bytes of the
/// answers.
fn numbers(runs: &Path) -> BTreeMap<PathBuf, (Vec<Row>, Vec<u8>)> {
    let files = contents(runs);
    let metrics = files.keys().filter(|path| path.ends_with("metrics.parquet"));
    let measures = || Measure::of_epochs().filter(|measure| measure.id != "seconds");
    metrics
        .map(|path| {
            let rows = read_metrics(&runs.join(path), u64::MAX).unwrap().rows;
            let bits = |m: &Measure, row: &retrodict_lab::store::MetricsRow| {
                row.get(m.id).map(f64::to_bits)
            };
            let rows = rows.iter().map(|row| measures().map(|m| bits(m, row)).collect()).collect();
            let folder = path.parent().unwrap().to_owned();
            let answers = fs::read(runs.join(&folder).join("answers.json")).unwrap();
            (folder, (rows, answers))
        })
        .collect()
}

/// The numbers of a store with packed runs.
fn exported(folder: &Folder, out: &str) -> BTreeMap<PathBuf, (Vec<Row>, Vec<u8>)> {
    let to = format!("{out}-folders");
    folder.run(&format!("store export {out} --to {to}")).done();
    numbers(&folder.path().join(&to).join("runs"))
}

fn undisturbed() -> BTreeMap<PathBuf, (Vec<Row>, Vec<u8>)> {
    let folder = Folder::new();
    folder.run(&format!("{SWEEP} --out out --keep all")).done();
    let numbers = numbers(&folder.path().join("out/runs"));
    assert_eq!(numbers.len(), 18);
    numbers
}

fn segments(folder: &Folder) -> Vec<PathBuf> {
    let names = contents(&folder.path().join("out/segments")).into_keys();
    names.filter(|path| path.extension().is_some_and(|end| end == "runs")).collect()
}

#[test]
fn packed_runs_are_few_small_files_with_the_numbers_of_folders() {
    let folder = Folder::new();
    let text = folder.run(&format!("{SWEEP} --out out")).done();
    assert!(text.contains("out/segments"), "{text}");
    let files = contents(&folder.path().join("out"));
    let files: Vec<_> =
        files.iter().filter_map(|(path, file)| Some((path, file.as_ref()?))).collect();
    // The segment, its index, and the record of the sweep.
    assert_eq!(files.len(), 3, "{:?}", files.iter().map(|(path, _)| path).collect::<Vec<_>>());
    let bytes: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(bytes < 18 * 30_000, "{bytes}");
    assert_eq!(exported(&folder, "out"), undisturbed());
    // Nothing is trained again, and every listing sees them.
    let again = folder.run(&format!("{SWEEP} --out out --dry-run --json")).json();
    assert_eq!(again["total"]["complete"], 18);
    let listed = folder.run("runs out --where seed=1 --json").json();
    assert_eq!(listed.as_array().unwrap().len(), 6);
    assert!(listed[0]["train.lr"].is_number() && listed[0]["held_out_nll"].is_number());
    assert_eq!(folder.run("table out").done().lines().count(), 19);
    assert_eq!(folder.run("table out --epochs").done().lines().count(), 1 + 18 * 20);
    let verified = folder.run("store verify out --json").json();
    assert_eq!((&verified["runs"], &verified["packed"]), (&18.into(), &18.into()));
}

#[test]
fn more_files_are_kept_when_asked_for() {
    let folder = Folder::new();
    let sweep = "run tiny.toml --set model.layers=1,2 --seeds 1 --set train.epochs=4 --out out";
    folder.run(sweep).done();
    folder.run(&format!("{sweep} --keep probes")).done();
    folder.run("store export out --to probes").done();
    let probes = |out: &str| {
        let files = contents(&folder.path().join(out)).into_keys();
        files.filter(|path| path.extension().is_some_and(|end| end == "safetensors")).count()
    };
    let packed = probes("probes");
    assert!(packed > 0);
    folder.run(&format!("{sweep} --keep all")).done();
    // Each also has the weights and moments of two checkpoints.
    assert_eq!(probes("out"), packed + 2 * 4);
    assert_eq!(folder.run("runs out --csv").done().lines().count(), 3);
    // The plain run of a point of a packed sweep has everything.
    let plain = "run tiny.toml --set model.layers=3 --seed 0 --set train.epochs=4 --out out";
    folder.run(&format!("{plain} --keep metrics")).done();
    folder.run(plain).done();
    assert_eq!(folder.run("runs out --where model.layers=3 --csv").done().lines().count(), 2);
    assert_eq!(probes("out"), packed + packed / 2 + 3 * 4);
}

#[test]
fn whatever_ends_a_sweep_the_rest_resumes_and_the_numbers_are_the_same() {
    let kills: u64 = std::env::var("RETRODICT_KILLS").map_or(12, |number| number.parse().unwrap());
    let whole = undisturbed();
    let mut random = 7_u64;
    let mut below = |n: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (random >> 33) % n
    };
    let mut killed = 0;
    while killed < kills {
        let folder = Folder::new();
        let locks = [("FAULT_LOCKS", 1)];
        let locks = &locks[..below(2) as usize];
        loop {
            let mut faults = locks.to_vec();
            if below(4) == 0 {
                faults.push(("FAULT_DISK", below(60_000) as i64));
            }
            let command = format!("{SWEEP} --out out --threads {}", 1 + below(3));
            let mut child = faulty(&folder, &command, &faults)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            if below(6) > 0 {
                thread::sleep(Duration::from_millis(below(400)));
                // It may have ended by itself.
                let _ = child.kill();
            }
            let output = finish(Ok(child));
            killed += u64::from(output.status == -1);
            let full = output.stderr.contains("No space left on device");
            assert!([-1, 0].contains(&output.status) || full, "{output:?}");
            if output.status == 0 {
                break;
            }
        }
        assert!(exported(&folder, "out") == whole, "after {killed} kills");
        folder.run("store gc out").done();
        folder.run("store compact out").done();
        assert_eq!(segments(&folder).len(), 1);
        assert_eq!(folder.run("store verify out --json").json()["runs"], 18);
        assert!(exported(&folder, "out") == whole, "after {killed} kills, compacted");
    }
}

#[test]
fn an_interrupted_sweep_leaves_only_what_was_under_way() {
    let folder = Folder::new();
    let child = folder
        .command(
            "run tiny.toml --set model.layers=1,2 --set train.epochs=20000 --seeds 200 --threads 2 \
             --out out",
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let id = child.as_ref().unwrap().id().to_string();
    common::faults::until(Duration::from_secs(60), || folder.path().join("out/runs/tiny").is_dir());
    std::process::Command::new("kill").args(["-INT", &id]).status().unwrap();
    let output = finish(child);
    assert_eq!(output.status, 130, "{output:?}");
    let specs = contents(&folder.path().join("out/runs")).into_keys();
    let specs = specs.filter(|path| path.ends_with("spec.toml")).count();
    assert!(specs <= 2, "{specs} runs have folders");
}

#[test]
fn two_processes_make_each_run_once() {
    for faults in [&[][..], &[("FAULT_LOCKS", 1)]] {
        let folder = Folder::new();
        let start = || {
            faulty(&folder, &format!("{SWEEP} --out out --threads 1"), faults)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
        };
        let both = [start(), start()];
        // A run that the other one makes is `busy` for this one.
        for output in both.map(finish) {
            assert!([0, 1].contains(&output.status), "{output:?}");
            assert!(output.status == 0 || output.stderr.contains("is being written by"));
        }
        folder.run(&format!("{SWEEP} --out out")).done();
        let records: usize = segments(&folder)
            .iter()
            .map(|path| {
                let bytes = fs::read(folder.path().join("out/segments").join(path)).unwrap();
                let mark = b"{\"experiment\":";
                bytes.windows(mark.len()).filter(|window| window == mark).count()
            })
            .sum();
        assert_eq!(records, 18);
        assert!(exported(&folder, "out") == undisturbed());
    }
}

#[test]
fn a_damaged_segment_is_named_and_its_runs_are_made_again() {
    let folder = Folder::new();
    folder.run(&format!("{SWEEP} --out out")).done();
    let path = folder.path().join("out/segments").join(&segments(&folder)[0]);
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let verified = folder.run("store verify out");
    assert_eq!(verified.status, 1);
    assert!(verified.message().contains("is damaged"), "{}", verified.stderr);
    // Damage of a header: without the index the records after it are lost.
    fs::remove_file(path.with_extension("heads")).unwrap();
    let mark = b"{\"experiment\":";
    let starts: Vec<usize> =
        (0..bytes.len() - mark.len()).filter(|at| bytes[*at..].starts_with(mark)).collect();
    bytes[at] ^= 1;
    bytes[starts[9] + 20] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let listed = folder.run("runs out --csv");
    assert!(listed.stderr.contains("is damaged"), "{}", listed.stderr);
    assert_eq!(listed.stdout.lines().count(), 1 + 9);
    folder.run(&format!("{SWEEP} --out out")).done();
    assert_eq!(folder.run("runs out --csv").stdout.lines().count(), 1 + 18);
}
