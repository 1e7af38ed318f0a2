//! `--device`: where a build has no GPU support, where a machine has no driver, and on a test double
//! of the driver.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

#[cfg(not(feature = "cuda"))]
use common::Folder;

/// A build without the feature says how to get one with it.
#[cfg(not(feature = "cuda"))]
#[test]
fn a_build_without_gpu_support_says_so() {
    let folder = Folder::new();
    let output = folder.run("run tiny.toml --device cuda");
    assert_eq!(output.status, 2);
    assert!(output.message().contains("--features cuda"), "{output:?}");
    folder.run("run tiny.toml --device auto").done();
}

#[cfg(feature = "cuda")]
mod with_support {
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};
    use std::sync::OnceLock;

    use serde_json::Value;

    use super::common::{Folder, Output, finish};

    /// The folder of the test double, which the loader searches first; `None`, with a message,
    /// where there is no C++ compiler.
    fn double() -> Option<PathBuf> {
        // The tests of this file are threads of one process: one of them compiles.
        static DOUBLE: OnceLock<Option<PathBuf>> = OnceLock::new();
        let folder = DOUBLE.get_or_init(|| {
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("double");
            fs::create_dir_all(&folder).unwrap();
            let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cuda/emulator/driver.cpp");
            let own = folder.join(format!("libcuda-{}.so", std::process::id()));
            let options = "-O2 -march=native -std=c++17 -ffp-contract=off -fno-strict-aliasing \
                           -DRETRODICT_EMULATOR -fvisibility=hidden -fPIC -shared";
            let mut compiler = Command::new("g++");
            compiler.args(options.split_whitespace()).arg("-o").arg(&own).arg(source);
            let output = compiler.output().ok()?;
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            fs::rename(&own, folder.join("libcuda.so")).unwrap();
            Some(folder)
        });
        if folder.is_none() {
            println!("skipped: no C++ compiler");
        }
        folder.clone()
    }

    fn run(folder: &Folder, double: &Path, arguments: &str) -> Output {
        let mut command = folder.command(arguments);
        command.env("LD_LIBRARY_PATH", double).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(command.spawn())
    }

    #[test]
    fn a_sweep_runs_on_the_gpu_and_says_so() {
        let Some(double) = double() else { return };
        let folder = Folder::new();
        let sweep = "run tiny.toml --set train.lr=1e-3,1e-2 --set train.epochs=2 --device cuda";
        run(&folder, &double, &format!("{sweep} --keep all")).done();
        let manifests: Vec<Value> = manifests(&folder.path().join("retrodict-out"));
        assert_eq!(manifests.len(), 4);
        for manifest in manifests {
            let machine = &manifest["machine"];
            assert_eq!(machine["isa"], "cuda-sm_90");
            assert!(machine["gpu"].as_str().unwrap().contains("test double"), "{machine}");
        }
        // Nothing is repeated, on whatever machine.
        let again = folder.run("run tiny.toml --set train.lr=1e-3,1e-2 --set train.epochs=2");
        assert!(!again.done().is_empty());
    }

    fn manifests(folder: &Path) -> Vec<Value> {
        let mut found = Vec::new();
        for entry in super::common::entries(folder) {
            if entry.is_dir() {
                found.extend(manifests(&entry));
            } else if entry.ends_with("manifest.json") {
                found.push(serde_json::from_slice(&fs::read(entry).unwrap()).unwrap());
            }
        }
        found
    }

    #[test]
    fn what_the_gpu_cannot_do_is_refused_before_anything_starts() {
        let Some(double) = double() else { return };
        let folder = Folder::new();
        let output = run(&folder, &double, "run tiny.toml --set model.norm=rms --device cuda");
        assert_eq!(output.status, 2);
        let message = output.message();
        assert!(message.contains("not available on a GPU") && message.contains("--device cpu"));
        let runs = super::common::entries(&folder.path().join("retrodict-out/runs"));
        assert!(runs.is_empty(), "nothing was started: {runs:?}");
    }

    #[test]
    fn bench_times_the_kernels() {
        let Some(double) = double() else { return };
        let folder = Folder::new();
        let output = run(&folder, &double, "bench tiny.toml --seeds 2 --device cuda --profile");
        let text = output.done();
        for part in ["test double", "product_f32", "weight_gradient_f32", "GB/s"] {
            assert!(text.contains(part), "{text}");
        }
        let output = run(&folder, &double, "bench tiny.toml --device cuda --steps 3 --json");
        assert_eq!(output.json()["steps"], 3);
    }

    /// Without a driver; on a machine with one, nothing is tested.
    #[test]
    fn a_machine_without_a_driver_says_so() {
        let folder = Folder::new();
        let output = folder.run("run tiny.toml --device cuda");
        if output.status == 0 {
            println!("skipped: this machine has a GPU");
            return;
        }
        assert_eq!(output.status, 2);
        assert!(output.message().contains("no GPU"), "{output:?}");
        folder.run("run tiny.toml --device auto").done();
    }
}
