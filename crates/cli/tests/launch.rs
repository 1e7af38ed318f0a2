//! The launcher `commands`, and the options of all launchers.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use common::numbers::assert_same_runs;
use common::{Folder, finish};

const SWEEP: &str = "run tiny.toml --set model.layers=1,2 --seeds 2 --keep all";

/// The commands that were written, one a chunk.
fn written(folder: &Folder, options: &str) -> Vec<String> {
    let output = folder.run(&format!("{SWEEP} --launcher commands --json {options}"));
    assert_eq!(output.status, 0, "{}", output.stderr);
    let result = output.json();
    let text = fs::read_to_string(result["commands"].as_str().unwrap()).unwrap();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert_eq!(result["chunks"], lines.len());
    lines
}

fn sh(command: &str, folder: &Path) -> std::io::Result<std::process::Child> {
    let mut sh = Command::new("sh");
    sh.args(["-c", command]).current_dir(folder).stdin(Stdio::null());
    sh.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

#[test]
fn commands_make_the_sweep_from_anywhere_two_at_a_time() {
    let folder = Folder::new();
    // A folder that a shell must not take apart.
    let out = folder.path().join("my $out");
    std::os::unix::fs::symlink(&out, folder.path().join("out")).unwrap();
    fs::create_dir(&out).unwrap();
    let commands = written(&folder, "--out out --chunk-minutes 1e-9 --cpus 2");
    assert_eq!(commands.len(), 4, "{commands:?}");
    assert!(commands[2].ends_with(" 3 --threads 2"), "{commands:?}");
    // The spec is not read again.
    fs::remove_file(folder.path().join("tiny.toml")).unwrap();
    for two in commands.chunks(2) {
        let both: Vec<_> = two.iter().map(|command| sh(command, Path::new("/"))).collect();
        for child in both {
            let output = finish(child);
            assert_eq!(output.status, 0, "{}", output.stderr);
            assert!(output.stderr.contains("1 runs ended"), "{}", output.stderr);
        }
    }
    assert_eq!(folder.run("sweep follow out --poll 1").done(), "4 runs: 4 complete\n");
    let text = folder.run("sweep status out").done();
    assert!(text.contains("(commands, ") && text.contains("4 chunks: 4 done"), "{text}");
    folder.write("tiny.toml", common::TINY);
    folder.run(&format!("{SWEEP} --out local")).done();
    assert_same_runs(&out, &folder.path().join("local"));
    // Nothing is left to do: the results are printed at once.
    let table = folder.run(&format!("{SWEEP} --out out --launcher commands")).done();
    assert_eq!(table.matches("2/2").count(), 2, "{table}");
}

#[test]
fn only_what_is_left_is_divided_and_a_record_can_be_named() {
    let folder = Folder::new();
    folder.run("run tiny.toml --set model.layers=1 --seeds 2 --out out").done();
    let text = folder.run(&format!("{SWEEP} --out out --launcher commands --dry-run")).done();
    assert!(text.contains("as chunks for other processes: 1 chunk of at most"), "{text}");
    let commands = written(&folder, "--out out --chunk-minutes 1e-9");
    assert_eq!(commands.len(), 2, "{commands:?}");
    let status = folder.run("sweep status out --json").json();
    assert_eq!((&status["runs"]["complete"], &status["runs"]["new"]), (&2.into(), &2.into()));
    assert_eq!((&status["chunks"]["total"], &status["chunks"]["done"]), (&2.into(), &0.into()));
    let id = status["id"].as_str().unwrap();
    assert_eq!(folder.run(&format!("sweep status out {}", &id[..19])).status, 0);
    for (command, status, message) in [
        ("status out 1999".to_owned(), 2, "out holds no sweep 1999; the newest is "),
        ("status none".to_owned(), 1, "none holds no sweep"),
        ("cancel out".to_owned(), 2, "was started with --launcher commands: end its processes"),
        (format!("work out {id} 3"), 2, "has no chunk 3; its last one is 2"),
        ("work out ../runs 1".to_owned(), 1, "no sweep can be called \"../runs\""),
    ] {
        let output = folder.run(&format!("sweep {command}"));
        assert_eq!(output.status, status, "{command}: {output:?}");
        assert!(output.message().contains(message), "{command}: {}", output.stderr);
    }
}

#[test]
fn an_option_that_would_do_nothing_is_refused() {
    let folder = Folder::new();
    for (options, message) in [
        (
            "--partition short",
            "--partition has no effect with --launcher local; it is an option of slurm",
        ),
        (
            "--cpus 2",
            "--cpus has no effect with --launcher local; it is an option of slurm and commands",
        ),
        ("--launcher commands --mem 4G", "--mem has no effect with --launcher commands"),
        ("--launcher commands --sbatch=--x", "--sbatch has no effect with --launcher commands"),
        (
            "--launcher slurm --threads 2",
            "--threads has no effect with --launcher slurm; --cpus is",
        ),
        ("--launcher commands --jobs 2", "--jobs has no effect with --launcher commands"),
        ("--launcher slurm --time-limit 0", "a time limit is a number of minutes"),
        ("--launcher slurm --mem 4GB", "memory is a whole number of MiB"),
        ("--launcher slurm --partition a;b", "a partition is a name"),
        ("--launcher commands --chunk-minutes 0", "it must be a number of minutes"),
        ("--launcher pbs", "possible values: local, slurm, commands"),
    ] {
        let output = folder.run(&format!("{SWEEP} --out out {options}"));
        assert_eq!(output.status, 2, "{options}: {output:?}");
        assert!(output.message().contains(message), "{options}: {}", output.stderr);
        assert!(!folder.path().join("out").exists());
    }
    let mut command = folder.command(&format!("{SWEEP} --out out --launcher slurm"));
    command.env("PATH", "/nowhere").stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = finish(command.spawn());
    assert_eq!(output.status, 1, "{output:?}");
    assert!(output.message().contains("use --launcher commands"), "{}", output.stderr);
}
