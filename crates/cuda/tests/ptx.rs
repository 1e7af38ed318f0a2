//! The PTX that is shipped is that of the kernels' source, and has every kernel.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::path::{Path, PathBuf};
use std::process::Command;

use retrodict_cuda::PTX;
use retrodict_engine::lower::Kernel;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels")
}

/// A tool that an environment variable names, or nothing, with a message.
fn tool(variable: &str, what: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        println!("skipped: set {variable} to {what}");
    }
    path
}

#[test]
fn the_ptx_has_every_kernel_and_runs_from_ampere_on() {
    assert!(PTX.contains(".target sm_80"));
    for kernel in Kernel::ALL {
        let entry = format!(".entry {}(", kernel.function());
        assert!(PTX.contains(&entry), "{entry} is missing: compile kernels.cu anew");
    }
}

/// Compiled anew, the source gives the same PTX. `UPDATE_PTX=1` writes it.
#[test]
fn the_ptx_is_that_of_the_source() {
    let Some(nvrtc) = tool("RETRODICT_NVRTC", "libnvrtc.so.12 of the package of version 12.0.76")
    else {
        return;
    };
    let mut command = Command::new("python3");
    let output = command.arg(folder().join("compile.py")).arg(&nvrtc).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ptx = String::from_utf8(output.stdout).unwrap();
    if std::env::var_os("UPDATE_PTX").is_some() {
        std::fs::write(folder().join("kernels.ptx"), &ptx).unwrap();
    } else {
        assert!(ptx == PTX, "kernels.ptx is of another source: run this test with UPDATE_PTX=1");
    }
}

/// No kernel keeps registers in memory, on Ampere, Ada and Hopper.
#[test]
fn no_kernel_spills() {
    let Some(ptxas) = tool("RETRODICT_PTXAS", "ptxas of the CUDA compiler's package") else { return };
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kernels.cubin");
    for architecture in ["sm_80", "sm_86", "sm_89", "sm_90"] {
        let mut command = Command::new(&ptxas);
        command.args(["-v", "-arch", architecture]).arg(folder().join("kernels.ptx"));
        let output = command.arg("-o").arg(&out).output().unwrap();
        let report = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{report}");
        let spills: Vec<&str> = report.lines().filter(|line| line.contains("spill")).collect();
        assert_eq!(spills.len(), Kernel::ALL.len(), "{architecture}");
        let none = "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads";
        let spilled: Vec<_> = spills.iter().filter(|line| !line.contains(none)).collect();
        assert!(spilled.is_empty(), "{architecture}: {spilled:?}\n{report}");
    }
}
