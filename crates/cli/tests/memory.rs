//! Memory: predicted before it is taken, refused where it is not there.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use common::{Folder, finish};
use retrodict_lab::Experiment;
use retrodict_lab::spec::Spec;

/// A model and data that no machine holds.
const HUGE: &str = "--set model.dim=65536 --set model.layers=1000";

#[test]
fn what_does_not_fit_is_refused_with_need_have_and_remedy() {
    let folder = Folder::new();
    let comparison = r#"
        name = "huge"
        title = "Huge"
        [[task]]
        id = "pairs"
        title = "Pairs"
        claim = "None."
        base = "reversal-quick"
        set = { "model.dim" = 65536, "model.layers" = 1000 }
        [[task.intervention]]
        id = "tied"
        name = "tied"
        family = "architecture"
        idea = "None."
        source = "None."
        set = { "model.tie_head" = true }"#;
    folder.write("huge.toml", comparison);
    let last = format!("{}", usize::MAX);
    for (command, remedy) in [
        (format!("run tiny.toml {HUGE} --out out"), "lower model.dim, model.layers"),
        (format!("bench tiny.toml {HUGE}"), "lower model.dim, model.layers"),
        (format!("locate tiny.toml {HUGE} --out out"), "lower model.dim, model.layers"),
        (format!("theory transfer tiny.toml {HUGE}"), "lower --sentences, model.dim"),
        ("compare huge.toml --seeds 2 --out out".to_owned(), "lower model.dim, model.layers"),
        // Logits of every candidate after every entity.
        (
            "run tiny.toml --set data.vocab_size=1000000 --set model.dim=2 --out out".to_owned(),
            "lower data.vocab_size, or set probe.effective_weights = false",
        ),
        ("theory bilinear --entities 9223372036854775808".to_owned(), "lower --entities"),
        ("theory bilinear --entities 18446744073709551614".to_owned(), "lower --entities"),
        (format!("theory bilinear --entities 1000000 --dim {last}"), "lower --entities"),
        ("theory one-layer --init 1 --vocab-size 1000000".to_owned(), "lower --vocab-size"),
    ] {
        let output = folder.run(&command);
        assert_eq!((output.status, output.stdout.as_str()), (2, ""), "{command}: {output:?}");
        let message = output.message();
        for part in [" needs ", " of memory, and ", " is free; ", remedy] {
            assert!(message.contains(part), "{command}: no `{part}` in {message}");
        }
    }
    for seeds in ["18446744073709551615", "10001"] {
        let output = folder.run(&format!("bench tiny.toml --seeds {seeds}"));
        assert_eq!(output.status, 2, "{output:?}");
        assert!(output.message().contains(seeds), "{output:?}");
    }
    let runs = fs::read_dir(folder.path().join("out/runs")).unwrap().count();
    assert_eq!(runs, 0, "nothing was begun");
}

/// The most memory of a command, in bytes. The kernel keeps the peak while the process lives.
fn measured(folder: &Folder, arguments: &str) -> u64 {
    let mut command = folder.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        peak = peak.max(1024 * kib.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(finish(Ok(child)).status, 0, "{arguments}");
    peak
}

/// The prediction is at most [`ABOVE`] times the measured peak, and at least [`BELOW`] times.
const ABOVE: f64 = 1.5;
const BELOW: f64 = 0.8;

#[test]
fn the_predicted_memory_of_a_run_is_near_the_measured_peak() {
    let folder = Folder::new();
    for set in [
        // The state of a wide model.
        "model.dim=512 model.layers=4 train.epochs=1",
        // The logits of a large vocabulary.
        "data.vocab_size=6000 model.dim=16 train.epochs=1",
    ] {
        let pairs: Vec<(&str, &str)> =
            set.split_whitespace().map(|pair| pair.split_once('=').unwrap()).collect();
        let spec = Spec::parse_with(common::TINY, "tiny", &pairs).unwrap();
        let predicted = Experiment::new(spec, "tiny").unwrap().memory(2).unwrap();
        let options: String = pairs.iter().map(|(k, v)| format!(" --set {k}={v}")).collect();
        let peak = measured(&folder, &format!("run tiny.toml --seed 0 --threads 2{options}"));
        let ratio = predicted.total() as f64 / peak as f64;
        assert!((BELOW..=ABOVE).contains(&ratio), "{set}: {ratio:.2}, {predicted:?}, {peak}");
        assert!(peak > 60 << 20, "{set}: {peak} is too little to tell");
    }
}

#[test]
fn a_failing_allocation_fails_the_run() {
    let folder = Folder::new();
    let run = "run tiny.toml --set model.dim=2048 --set model.layers=4 --seed 0 --threads 1";
    let mut command = std::process::Command::new("prlimit");
    let program = env!("CARGO_BIN_EXE_retrodict");
    command.arg("--as=900000000").arg(program).args(run.split_whitespace());
    command.current_dir(folder.path()).stdin(Stdio::null());
    let output = finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn());
    assert_eq!(output.status, 1, "{output:?}");
    let says = "seed 0: the run panicked: no memory for ";
    assert!(output.stderr.contains(says), "{output:?}");
}
