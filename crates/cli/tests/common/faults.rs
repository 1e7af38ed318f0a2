//! Faults of the system: a library that is preloaded into the program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::{Folder, Output, finish};

/// The library, built once by the C compiler that also links Rust programs.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/faults.c");
        let name = format!("faults-{}.so", std::process::id());
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-pthread"])
            .status()
            .unwrap();
        assert!(built.success(), "cc failed");
        library
    })
}

/// The program with these faults; see `faults.c`.
pub(crate) fn faulty(folder: &Folder, arguments: &str, faults: &[(&str, i64)]) -> Command {
    let mut command = folder.command(arguments);
    command.env("LD_PRELOAD", library());
    command.envs(faults.iter().map(|(name, value)| (name, value.to_string())));
    command
}

/// The output of a command that must end in time.
#[track_caller]
pub(crate) fn wait(mut command: Command, limit: Duration) -> Output {
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > limit {
            let _ = child.kill();
            panic!("{command:?} hangs");
        }
        thread::sleep(Duration::from_millis(5));
    }
    finish(Ok(child))
}

/// Waits until something is so.
#[track_caller]
pub(crate) fn until(limit: Duration, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < limit, "it does not come about");
        thread::sleep(Duration::from_millis(2));
    }
}
