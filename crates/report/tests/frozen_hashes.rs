//! The spec hashes of every shipped spec, frozen: a run folder's name is a hash, so a hash that
//! changes orphans every stored run.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::fmt::Write as _;

use retrodict_lab::spec::{READY, Spec, ready};
use retrodict_report::{Scale, compare, paper};

/// `kind name hash`, a line each: ready specs, the paper's figures at both scales, comparisons.
fn hashes() -> String {
    let mut text = String::new();
    for (name, _) in READY.iter() {
        let spec = Spec::parse(ready(name).unwrap(), name).unwrap();
        writeln!(text, "ready {name} {}", spec.hash()).unwrap();
    }
    for figure in paper::all() {
        for scale in [Scale::Quick, Scale::Paper] {
            for (variant, experiment) in paper::experiments(figure, scale, None).unwrap() {
                let (figure, scale, id) = (&figure.name, scale.word(), &variant.id);
                writeln!(text, "{scale} {figure}/{id} {}", experiment.hash).unwrap();
            }
        }
    }
    for comparison in compare::shipped() {
        for task in &comparison.tasks {
            for planned in compare::plan(comparison, task, &[0]).unwrap() {
                let (id, hash) = (planned.id(), planned.experiment.hash);
                writeln!(text, "compare {}/{}/{id} {hash}", comparison.name, task.id).unwrap();
            }
        }
    }
    text
}

#[test]
fn no_shipped_spec_has_changed_its_hash() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/frozen_hashes.txt");
    if std::env::var_os("UPDATE_FROZEN_HASHES").is_some() {
        std::fs::write(path, hashes()).unwrap();
    }
    let frozen = std::fs::read_to_string(path).unwrap();
    let now = hashes();
    let now: Vec<&str> = now.lines().collect();
    let changed: Vec<&str> = frozen.lines().filter(|line| !now.contains(line)).collect();
    assert!(changed.is_empty(), "changed: {changed:#?}");
}
