//! The C++ tests of the emulator, of the test double of the driver, and of every kernel against a
//! plain reference, with threads and blocks in several orders.

use std::path::{Path, PathBuf};
use std::process::Command;

const OPTIONS: &str = "-O2 -std=c++17 -ffp-contract=off -fno-strict-aliasing";

/// A compiled test; `None`, with a message, where there is no C++ compiler.
fn compiled(name: &str, more: &[&str]) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("emulator/{name}.cpp"));
    let mut compiler = Command::new("g++");
    compiler.args(OPTIONS.split_whitespace()).arg("-o").arg(&path).arg(source).args(more);
    let Ok(output) = compiler.output() else {
        println!("skipped: no C++ compiler");
        return None;
    };
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Some(path)
}

fn passes(path: &Path, order: &str) {
    let output = Command::new(path).env("RETRODICT_EMULATOR_ORDER", order).output();
    let output = output.expect("the test starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{order}: {text}");
}

const ORDERS: [&str; 3] = ["forward", "reverse", "shuffled:7"];

#[test]
fn the_emulator_does_what_a_gpu_does() {
    let Some(path) = compiled("emulator_test", &["-DRETRODICT_EMULATOR"]) else { return };
    ORDERS.iter().for_each(|order| passes(&path, order));
}

#[test]
fn every_kernel_computes_its_formula() {
    let Some(path) = compiled("kernels_test", &["-DRETRODICT_EMULATOR"]) else { return };
    ORDERS.iter().for_each(|order| passes(&path, order));
}
