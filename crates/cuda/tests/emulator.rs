//! The C++ tests of the emulator, of the test double of the driver, and of every kernel against a
//! plain reference, with threads and blocks in several orders.

use std::path::{Path, PathBuf};
use std::process::Command;

// Without the processor's own fused multiply-adds each is a call of a library.
const OPTIONS: &str = "-O2 -march=native -std=c++17 -ffp-contract=off -fno-strict-aliasing";

/// A compiled test; `None`, with a message, where there is no C++ compiler.
fn compiled(name: &str, more: &[&str]) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    // Not a folder of that name.
    let path = folder.join(format!("{name}.bin"));
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

fn passes(test: &mut Command) {
    let output = test.output().expect("the test starts");
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{test:?}: {text}");
}

/// It sets the orders of threads itself.
#[test]
fn the_emulator_does_what_a_gpu_does() {
    let Some(path) = compiled("emulator_test", &["-DRETRODICT_EMULATOR"]) else { return };
    passes(&mut Command::new(path));
}

/// In all orders too.
#[test]
fn every_kernel_computes_its_formula() {
    let Some(path) = compiled("kernels_test", &["-DRETRODICT_EMULATOR"]) else { return };
    passes(&mut Command::new(path));
}

#[test]
fn the_double_does_what_a_driver_does() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver");
    std::fs::create_dir_all(&folder).expect("a folder for the double");
    let shared = ["-DRETRODICT_EMULATOR", "-fvisibility=hidden", "-fPIC", "-shared"];
    let Some(double) = compiled("driver", &shared) else { return };
    let library = folder.join("libcuda.so");
    std::fs::rename(double, &library).expect("the double is moved");
    let folder = folder.to_str().expect("a path in UTF-8");
    let link = [&format!("-L{folder}"), "-lcuda", &format!("-Wl,-rpath,{folder}")];
    let Some(path) = compiled("driver_test", &link) else { return };
    let ptx = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels/kernels.ptx");
    for order in ["forward", "reverse", "shuffled:3"] {
        passes(Command::new(&path).arg(&ptx).env("RETRODICT_EMULATOR_ORDER", order));
    }
}
