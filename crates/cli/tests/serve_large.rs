//! `retrodict serve` on many runs: memory and the time of answers.
//!
//! A thousand runs, or as many as `RETRODICT_LARGE_RUNS` says; a folder in memory (`TMPDIR`) makes
//! a hundred thousand in minutes.

#![cfg(all(feature = "serve", target_os = "linux"))]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use common::{Folder, TINY};
use retrodict_lab::Experiment;
use retrodict_lab::spec::Spec;
use retrodict_lab::store::{Kept, Machine, Manifest, MetricsRow, Status, Store, utc_now};
use serde_json::Value;

/// Seeds of each setting.
const SEEDS: u64 = 10;
/// The epochs of the one long run.
const LONG: u64 = 100_000;
/// The memory that a server may take for a hundred thousand runs.
const MOST: usize = 300 << 20;

/// Writes a complete run of which each epoch has two measures.
fn write_run(store: &Store, experiment: &Experiment, seed: u64, nll: f64) {
    let run = store.run_dir(&experiment.spec.name, experiment.hash, seed).unwrap();
    let run = run.begin(experiment.spec.precision, Kept::All).unwrap();
    let epochs = experiment.spec.train.epochs;
    let row = |epoch: u64| {
        let row = MetricsRow::empty(epoch, 3 * epoch).with("train_nll", nll / epoch as f64);
        row.with("train_first_token_nll", nll).with("held_out_nll", nll).with("seconds", 0.1)
    };
    run.write_spec(&experiment.spec.to_toml()).unwrap();
    run.write_metrics(&(1..=epochs).map(row).collect::<Vec<_>>()).unwrap();
    let manifest = Manifest {
        version: "0.1.0".to_owned(),
        commit: None,
        parts: Vec::new(),
        experiment: experiment.spec.name.clone(),
        spec_hash: experiment.hash.to_string(),
        continued_from: None,
        precision: "f32".to_owned(),
        seeds: experiment.seeds(seed),
        machine: Machine::here(),
        start: utc_now(),
        end: Some(utc_now()),
        wall_seconds: 0.1,
        ms_per_step: Some(0.1),
        status: Status::Complete,
        last_step: 3 * epochs,
        message: None,
        kept: Kept::All,
    };
    run.write_manifest(&manifest).unwrap();
    run.mark_complete().unwrap();
}

fn write_store(out: &Path, runs: u64) {
    let store = Store::open(out).unwrap();
    let experiment = |overrides: &[(&str, &str)]| {
        let spec = Spec::parse_with(TINY, "tiny.toml", overrides).unwrap();
        Experiment::new(spec, "tiny.toml").unwrap()
    };
    for setting in 0..runs / SEEDS {
        let rate = format!("{:?}", 1e-4 * (1.0 + setting as f64));
        let experiment = experiment(&[("train.lr", &rate), ("checkpoint.every", "0")]);
        for seed in 0..SEEDS {
            write_run(&store, &experiment, seed, setting as f64 + 0.01 * seed as f64);
        }
    }
    let long = experiment(&[("train.epochs", &LONG.to_string()), ("checkpoint.every", "0")]);
    write_run(&store, &long, 0, 5.0);
}

/// The answer to a request, and how long it took.
fn get(port: u16, path: &str) -> (Value, Duration) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {text}");
    (serde_json::from_str(body).unwrap(), begun.elapsed())
}

#[test]
fn many_runs_and_long_curves_take_little_memory_and_time() {
    let runs: u64 = env::var("RETRODICT_LARGE_RUNS").map_or(1000, |text| text.parse().unwrap());
    let folder = Folder::new();
    write_store(&folder.path().join("out"), runs);
    let mut server = folder.command("serve out --port 0");
    let mut server = server.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port: u16 = line.trim().trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
    let begun = Instant::now();
    let seen = |key: &str| {
        let (overview, _) = get(port, "/api/overview");
        let total = overview["progress"]["total"].as_u64();
        total == Some(runs + 1) && (key.is_empty() || overview[key] == 0)
    };
    let mut listed = None;
    while !seen("unmeasured") {
        if listed.is_none() && seen("") {
            listed = Some(begun.elapsed());
        }
        assert!(begun.elapsed() < Duration::from_secs(1800));
        thread::sleep(Duration::from_millis(100));
    }
    println!("{runs} runs: listed after {listed:?}, measured after {:?}", begun.elapsed());
    let filter = "where=held_out_nll+%3E+5+and+seed+%3C+3&sort=-held_out_nll";
    for path in [
        format!("/api/runs?{filter}&columns=experiment,hash,seed,status,train.lr,held_out_nll"),
        format!("/api/runs?{filter}&from=200&count=100&columns=seed"),
        "/api/columns".to_owned(),
        format!("/api/curves?measure=train_nll&measure=held_out_nll&{filter}"),
        format!("/api/curves?measure=train_nll&where=train.epochs+%3D%3D+{LONG}"),
        "/api/points?axis=train.lr&axis=held_out_nll&axis=seed".to_owned(),
    ] {
        let (answer, took) = get(port, &path);
        let (_, again) = get(port, &path);
        println!("{path}: {took:?}, again {again:?}");
        assert!(took < Duration::from_secs(20), "{path}: {took:?}");
        if path.contains("train.epochs") {
            let curve = &answer["groups"][0]["curves"]["train_nll"];
            assert_eq!(curve["points"], LONG);
            assert!(curve["x"].as_array().unwrap().len() <= 600);
            assert_eq!((&curve["x"][0], &curve["mean"][0]), (&1.into(), &5.0.into()));
        }
    }
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak memory: {} MiB", peak >> 10);
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(peak << 10 < MOST, "{peak} kB");
}
