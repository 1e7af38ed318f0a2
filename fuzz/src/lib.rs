//! Every reader of files that others may have written, as a function of bytes. Whatever the bytes
//! are, a reader returns; it neither panics nor takes memory without bound.
//!
//! Each is a libFuzzer target of this folder, and runs with the tests of `retrodict-report` over its
//! corpus and mutations of it, which include this file.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};

use retrodict_lab::spec::{Spec, SpecHash};
use retrodict_lab::store::{Manifest, RunDir, Store, read_metrics, read_tensors};
use retrodict_report::Reproduction;
use retrodict_report::compare::Comparison;
use sha2::{Digest as _, Sha256};

/// A reader, by the name of its target and its corpus.
pub type Reader = (&'static str, fn(&[u8]));

/// All of them.
pub const READERS: [Reader; 10] = [
    ("spec", spec),
    ("overrides", overrides),
    ("metrics", metrics),
    ("tensors", tensors),
    ("checkpoint", checkpoint),
    ("manifest", manifest),
    ("compare", compare),
    ("answers", answers),
    ("segment", segment),
    ("reproduction", reproduction),
];

/// A spec. One that is accepted is written and read back as the same experiment.
pub fn spec(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(spec) = Spec::parse(text, "fuzz") else { return };
    let written = spec.to_toml();
    let again = Spec::parse(&written, "fuzz");
    let same = again.as_ref().is_ok_and(|again| again.hash() == spec.hash());
    assert!(same, "{text}\nis written as\n{written}\n{again:?}");
}

/// Overrides of `--set`, one a line.
pub fn overrides(bytes: &[u8]) {
    const SPEC: &str = include_str!("../corpus/spec/tiny.toml");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let pairs: Vec<_> = text.lines().filter_map(|line| line.split_once('=')).collect();
    let _ = Spec::parse_with(SPEC, "fuzz", &pairs);
}

/// Metrics with a seal that fits, so that the bytes after it are decoded.
pub fn metrics(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    if bytes.len() > 36 {
        bytes[..4].copy_from_slice(b"PAR1");
        let seal = Sha256::digest(&bytes[36..]);
        bytes[4..36].copy_from_slice(&seal);
    }
    with_file("metrics.parquet", &bytes, |path| {
        let _ = read_metrics(path, 10_000);
    });
}

/// Tensors of a probe, a model or an optimiser.
pub fn tensors(bytes: &[u8]) {
    with_file("tensors.safetensors", bytes, |path| {
        let Ok(tensors) = read_tensors(path) else { return };
        for tensor in tensors.iter() {
            let _ = tensors.get(&tensor.name, &tensor.shape);
        }
    });
}

/// The state of a checkpoint.
pub fn checkpoint(bytes: &[u8]) {
    with_run(|run| {
        let folder = run.checkpoints().join("step-2");
        write(&folder.join("state.json"), bytes);
        let _ = run.read_checkpoint(2);
        let _ = run.newest_checkpoint();
    });
}

/// A manifest.
pub fn manifest(bytes: &[u8]) {
    with_file("manifest.json", bytes, |path| {
        let _ = Manifest::read(path);
    });
}

/// A comparison.
pub fn compare(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = Comparison::parse(text, "fuzz");
}

/// The answers of a run.
pub fn answers(bytes: &[u8]) {
    with_run(|run| {
        write(&run.answers_path(), bytes);
        let _ = run.read_answers();
        let _ = run.read_by_question();
    });
}

/// The record of a reproduction.
pub fn reproduction(bytes: &[u8]) {
    with_file("reproduction.json", bytes, |path| {
        let _ = path.parent().map(Reproduction::read);
    });
}

/// A segment of packed runs, its digests made to fit, so that what they seal is decoded: the keys of
/// its first line, the header of a record in a line, the number of its measures in a byte, the
/// measures and the deflated files.
pub fn segment(bytes: &[u8]) {
    let Some((base, rest)) = line(bytes) else { return };
    let Some((header, rest)) = line(rest) else { return };
    let Some((count, rest)) = rest.split_first() else { return };
    let Some((measures, body)) = rest.split_at_checked(8 * usize::from(*count)) else { return };
    let digest = |bytes: &[u8]| Sha256::digest(bytes);
    let hex: String = digest(base).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut head = (header.len() as u32).to_le_bytes().to_vec();
    head.extend((measures.len() as u32).to_le_bytes());
    head.extend((body.len() as u64).to_le_bytes());
    head.extend([header, measures].concat());
    let seal = digest(&head);
    let file = [base, b"\t", hex.as_bytes(), b"\n", &head, &seal, body, &digest(body)].concat();
    let out = folder().join("packed");
    write(&out.join("segments/1-fuzz-1-0.runs"), &file);
    fs::create_dir_all(out.join("runs")).expect("a store");
    let store = Store::view(&out).expect("a store");
    let _ = store.damages();
    for run in store.runs().unwrap_or_default() {
        let _ = run.read_spec();
        let _ = run.read_manifest();
        let _ = run.read_metrics(10_000);
        let _ = run.read_answers();
        let _ = run.probes("effective_weights");
    }
}

/// A line and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

thread_local! {
    static FOLDER: OnceCell<tempfile::TempDir> = const { OnceCell::new() };
}

fn folder() -> PathBuf {
    let make = || tempfile::tempdir().expect("a folder for the file to read");
    FOLDER.with(|folder| folder.get_or_init(make).path().to_owned())
}

fn with_file(name: &str, bytes: &[u8], read: impl FnOnce(&Path)) {
    let path = folder().join(name);
    write(&path, bytes);
    read(&path);
}

fn with_run(read: impl FnOnce(RunDir)) {
    let store = Store::open(&folder()).expect("a store");
    read(store.run_dir("fuzz", SpecHash(1), 0).expect("a run"));
}

fn write(path: &Path, bytes: &[u8]) {
    let parent = path.parent().expect("a folder above");
    fs::create_dir_all(parent).and_then(|()| fs::write(path, bytes)).expect("a file to read");
}
