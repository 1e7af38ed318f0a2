//! Sweeps on a real Slurm; skipped where it is not installed.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use common::faults::{faulty, until, wait};
use common::numbers::assert_same_runs;
use common::slurm::{Cluster, kill};
use common::{Folder, entries, finish};
use retrodict_lab::store::Store;
use retrodict_lab::sweep::SweepRecord;

/// Four runs of some seconds each, with checkpoints.
const SWEEP: &str = "run tiny.toml --set model.layers=1,2 --set train.epochs=20000 --set \
                     probe.every=10000 --set checkpoint.every=1000 --seeds 2";
/// Every run is a chunk of its own.
const SLURM: &str = "--out out --launcher slurm --chunk-minutes 0.000001 --mem 300M --poll 1";
const LONGEST: Duration = Duration::from_secs(240);

/// The steps of the checkpoints of all runs.
fn checkpoints(out: &Path) -> usize {
    let runs = Store::view(out).and_then(|store| store.runs()).unwrap_or_default();
    runs.iter().map(|run| run.checkpoint_steps().map_or(0, |steps| steps.len())).sum()
}

/// The logs of the only sweep.
fn logs(out: &Path) -> String {
    let sweep = only_sweep(out);
    let mut logs: Vec<PathBuf> = entries(&sweep.join("logs"));
    logs.sort();
    logs.iter().map(|log| fs::read_to_string(log).unwrap()).collect()
}

fn only_sweep(out: &Path) -> PathBuf {
    let ids = SweepRecord::list(out).unwrap();
    assert_eq!(ids.len(), 1, "{ids:?}");
    out.join("sweeps").join(&ids[0])
}

#[test]
fn a_sweep_survives_the_loss_of_its_node() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = Folder::new();
    let out = folder.path().join("out");
    let mut command = folder.command(&format!("{SWEEP} {SLURM}"));
    let child = cluster.aim(command.stdout(Stdio::piped()).stderr(Stdio::piped())).spawn();
    // Both cores are at work, and each has something to lose.
    until(LONGEST, || checkpoints(&out) >= 2 && cluster.states().len() >= 3);
    cluster.crash_node();
    cluster.start_node();
    let output = finish(child);
    assert_eq!(output.status, 0, "{}\n{}", output.stderr, logs(&out));
    assert_eq!(output.stdout.matches("2/2").count(), 2, "{}", output.stdout);
    // The lost jobs began twice.
    let logs = logs(&out);
    assert!(logs.matches("job ").count() > 4, "{logs}");
    let status = cluster.retrodict(&folder, "sweep status out --json").json();
    assert_eq!((&status["runs"]["complete"], &status["chunks"]["done"]), (&4.into(), &4.into()));
    folder.run(&format!("{SWEEP} --out local")).done();
    assert_same_runs(&out, &folder.path().join("local"));
    // All is there: no job is submitted.
    let again = cluster.retrodict(&folder, &format!("{SWEEP} {SLURM}")).done();
    assert_eq!(again, output.stdout);
    only_sweep(&out);
}

#[test]
fn a_sweep_is_left_followed_cancelled_and_resumed() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = Folder::new();
    let out = folder.path().join("out");
    let run = format!("{SWEEP} {SLURM} --max-jobs 1");
    let mut command = folder.command(&run);
    let child = cluster.aim(command.stdout(Stdio::piped()).stderr(Stdio::piped())).spawn();
    until(LONGEST, || checkpoints(&out) >= 1);
    assert_eq!(cluster.states().iter().filter(|state| *state == "RUNNING").count(), 1);
    kill("INT", child.as_ref().unwrap().id());
    let left = finish(child);
    assert_eq!(left.status, 130, "{left:?}");
    assert!(left.stderr.contains("the sweep runs on; follow it with: retrodict sweep follow out"));
    assert!(left.stderr.contains("cancel them with: retrodict sweep cancel out"));

    let status = cluster.retrodict(&folder, "sweep status out --json").json();
    let chunks = &status["chunks"];
    assert_eq!((&chunks["total"], &chunks["without_job"]), (&4.into(), &0.into()), "{status}");
    // The same command does not submit it twice.
    let said = folder.path().join("said.txt");
    let mut command = folder.command(&run);
    command.stdout(Stdio::piped()).stderr(fs::File::create(&said).unwrap());
    let child = cluster.aim(&mut command).spawn();
    let said = || fs::read_to_string(&said).unwrap();
    until(LONGEST, || said().contains("this sweep was submitted before"));
    let cancelled = cluster.retrodict(&folder, "sweep cancel out").done();
    assert!(cancelled.contains("unfinished"), "it wrote a checkpoint: {cancelled}");
    let followed = finish(child);
    assert_eq!(followed.status, 1, "{followed:?}");
    assert!(said().contains("cancelled; the same `run` command"), "{}", said());
    assert_eq!(cluster.states(), [""; 0]);
    only_sweep(&out);
    let text = cluster.retrodict(&folder, "sweep status out").done();
    assert!(text.contains("cancelled; the same `run` command resumes"), "{text}");

    let resumed = cluster.retrodict(&folder, &run);
    assert_eq!(resumed.status, 0, "{}", resumed.stderr);
    folder.run(&format!("{SWEEP} --out local")).done();
    assert_same_runs(&out, &folder.path().join("local"));
}

/// Slurm's signal before the end of a job's time; nobody follows, and no file can be locked.
#[test]
fn a_job_near_its_time_limit_requeues_itself_without_file_locks() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = Folder::new();
    let out = folder.path().join("out");
    // The jobs inherit the faults.
    let mut command = faulty(&folder, &format!("{SWEEP} {SLURM}"), &[("FAULT_LOCKS", 1)]);
    let child = cluster.aim(command.stdout(Stdio::piped()).stderr(Stdio::piped())).spawn();
    until(LONGEST, || checkpoints(&out) >= 1 && cluster.states().len() >= 3);
    kill("INT", child.as_ref().unwrap().id());
    assert_eq!(finish(child).status, 130);
    let signalled = cluster.ask("squeue", &["-h", "-r", "-t", "RUNNING", "-o", "%F_%K"]);
    for task in signalled.lines() {
        cluster.ask("scancel", &["--signal=USR1", "--batch", task]);
    }
    until(LONGEST, || logs(&out).contains("the time limit is near: requeued"));
    let mut follow = folder.command("sweep follow out --poll 1");
    cluster.aim(follow.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let followed = wait(follow, LONGEST);
    assert_eq!(followed.status, 0, "{}\n{}", followed.stderr, logs(&out));
    assert_eq!(followed.stdout, "4 runs: 4 complete\n");
    folder.run(&format!("{SWEEP} --out local")).done();
    assert_same_runs(&out, &folder.path().join("local"));
}

/// The vocabulary and layer figures of the paper at the quick scale (figures 5 and 6).
#[test]
#[ignore = "trains for minutes"]
fn the_sweep_of_two_figures_of_the_paper_has_equal_bytes() {
    const PAPER: &str = r#"name = "paper"
[data]
kind = "reversal"
[train]
epochs = 200
[probe]
every = 50
[[sweep]]
"data.vocab_size" = [20, 50, 200, 800]
[[sweep]]
"model.layers" = [1, 2, 12, 24]
"#;
    let Some(cluster) = Cluster::start() else { return };
    let folder = Folder::new();
    fs::write(folder.path().join("paper.toml"), PAPER).unwrap();
    let run = "run paper.toml --seeds 2 --keep all --out";
    let slurm = "--launcher slurm --chunk-minutes 0.5 --mem 900M --poll 1";
    let output = cluster.retrodict(&folder, &format!("{run} slurm {slurm}"));
    assert_eq!(output.status, 0, "{}", output.stderr);
    folder.run(&format!("{run} local")).done();
    assert_same_runs(&folder.path().join("slurm"), &folder.path().join("local"));
    let runs = Store::view(&folder.path().join("local")).unwrap().runs().unwrap();
    // A vocabulary of 800 and two layers are the spec's own: one setting of both grids.
    assert_eq!(runs.len(), 7 * 2);
}

#[test]
fn a_chunk_that_never_gets_further_is_given_up() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = Folder::new();
    let run = "run tiny.toml --out out --seed 0 --launcher";
    folder.run(&format!("{run} commands")).done();
    // The program that jobs run.
    let sweeps = entries(&folder.path().join("out/sweeps"));
    let program = sweeps.iter().find(|path| path.is_file()).unwrap();
    fs::write(program, "#!/bin/sh\necho this node is broken\nexit 1\n").unwrap();
    let mut command = folder.command(&format!("{run} slurm --mem 300M --poll 1"));
    cluster.aim(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let output = wait(command, LONGEST);
    assert_eq!(output.status, 1, "{output:?}");
    let again = output.stderr.matches("chunk 1 is submitted again (FAILED)").count();
    assert_eq!(again, 2, "{}", output.stderr);
    let given_up = "chunk 1 is given up: its last jobs brought it no further (this node is broken)";
    assert!(output.stderr.contains(given_up), "{}", output.stderr);
}

#[test]
fn what_slurm_refuses_leaves_no_sweep() {
    let Some(cluster) = Cluster::start() else { return };
    let folder = Folder::new();
    let run = "run tiny.toml --out out --launcher slurm --mem 300M --partition";
    let output = cluster.retrodict(&folder, &format!("{run} none"));
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.stderr.contains("invalid partition specified: none"), "{}", output.stderr);
    assert_eq!(SweepRecord::list(&folder.path().join("out")).unwrap(), [""; 0]);
}
