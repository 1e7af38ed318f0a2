//! Runs with `precision = "bf16"`.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use retrodict_lab::spec::Spec;
use retrodict_lab::store::{Status, Store};
use retrodict_lab::{Experiment, Progress, RunOptions, run};

fn experiment(precision: &str) -> Experiment {
    let text = "[data]\nkind = \"reversal\"\nvocab_size = 40\n\
                [model]\nlayers = 1\nheads = 2\ndim = 16\n\
                [train]\nepochs = 300\nbatch_size = 16";
    let spec = Spec::parse_with(text, "small.toml", &[("precision", precision)]).unwrap();
    Experiment::new(spec, "small.toml").unwrap()
}

/// The files of the last checkpoint, by name; `state.json` holds the time taken and is left out.
fn last_checkpoint(out: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut folders = Vec::new();
    let mut to_see = vec![out.to_path_buf()];
    while let Some(folder) = to_see.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.join("config.json").exists() {
                folders.push(path);
            } else if path.is_dir() {
                to_see.push(path);
            }
        }
    }
    let step = |path: &Path| -> u64 {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.strip_prefix("step-").unwrap().parse().unwrap()
    };
    folders.sort_by_key(|folder| step(folder));
    let files = fs::read_dir(folders.last().unwrap()).unwrap().map(|file| file.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    files
        .filter(|path| name(path) != "state.json")
        .map(|path| (name(&path), fs::read(&path).unwrap()))
        .collect()
}

const ONE: RunOptions =
    RunOptions { threads: 1, mixed: false, keep: retrodict_lab::store::Kept::All };

#[test]
fn an_interrupted_run_ends_with_the_bits_of_one_that_was_not() {
    let experiment = experiment("bf16");
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let go = |out: &Path, stop_after: Option<u64>| {
        let store = Store::open(out).unwrap();
        let (stop, progress) = (AtomicBool::new(false), Progress::default());
        std::thread::scope(|scope| {
            let run = scope.spawn(|| run(&experiment, &store, 0, ONE, &stop, &progress).unwrap());
            while stop_after.is_some() && !run.is_finished() {
                let done = progress.snapshot().done;
                stop.store(Some(done) >= stop_after, Ordering::Relaxed);
                std::thread::yield_now();
            }
            run.join().unwrap().status
        })
    };
    assert_eq!(go(whole.path(), None), Status::Complete);
    assert_eq!(go(parts.path(), Some(7)), Status::Interrupted);
    assert_eq!(go(parts.path(), None), Status::Complete);
    let (whole, parts) = (last_checkpoint(whole.path()), last_checkpoint(parts.path()));
    assert!(whole.len() >= 3 && whole == parts, "{:?}", whole.keys());
    let config = String::from_utf8_lossy(&whole["config.json"]).into_owned();
    assert!(config.contains("\"torch_dtype\": \"float32\""), "{config}");
}

#[test]
fn bf16_takes_the_memory_of_f32_and_is_another_experiment() {
    let (bf16, f32, f64) = (experiment("bf16"), experiment("f32"), experiment("f64"));
    let [in_bf16, in_f32, in_f64] = [&bf16, &f32, &f64].map(|e| e.memory(1).unwrap().trainer);
    assert_eq!(in_bf16.parameters + in_bf16.gradients, in_f32.parameters + in_f32.gradients);
    assert_eq!(2 * in_bf16.parameters, in_f64.parameters);
    assert_ne!(bf16.hash, f32.hash);
}
