//! The WebAssembly module gives the bits of the native model, and of `retrodict run`, both with the
//! portable instruction set. Where the committed module does not, `build-wasm` has to run again.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::AtomicBool;

use retrodict_engine::Isa;
use retrodict_lab::spec::{Spec, ready};
use retrodict_lab::store::{Kept, Store as Runs};
use retrodict_lab::{Experiment, Progress, RunOptions};
use retrodict_lesson_model::{EPOCHS, Lesson, Remedy, Settings};
use wasmi::{Config, Engine, Instance, Linker, Memory, Module, Store, TypedFunc};

/// The module in an interpreter.
struct Wasm {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
}

impl Wasm {
    fn new(module: &[u8]) -> Wasm {
        let engine = Engine::new(&Config::default());
        let module = Module::new(&engine, module).unwrap();
        assert_eq!(module.imports().count(), 0, "a browser gives it nothing");
        let mut store = Store::new(&engine, ());
        let instance = Linker::new(&engine).instantiate_and_start(&mut store, &module).unwrap();
        let memory = instance.get_memory(&store, "memory").unwrap();
        Wasm { store, instance, memory }
    }

    /// The numbers that a function leaves.
    fn read<A: wasmi::WasmParams>(&mut self, name: &str, arguments: A) -> Vec<f64> {
        let function: TypedFunc<A, u32> = self.instance.get_typed_func(&self.store, name).unwrap();
        let count = function.call(&mut self.store, arguments).unwrap() as usize;
        let at: TypedFunc<(), u32> = self.instance.get_typed_func(&self.store, "numbers").unwrap();
        let at = at.call(&mut self.store, ()).unwrap() as usize;
        let bytes = &self.memory.data(&self.store)[at..at + 8 * count];
        bytes.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect()
    }
}

fn portable() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| Isa::PORTABLE.choose());
    assert_eq!(Isa::detect().to_string(), "portable");
}

fn bits(numbers: &[f64]) -> Vec<u64> {
    numbers.iter().map(|number| number.to_bits()).collect()
}

/// Trains a few epochs of some lessons by the module and natively, and compares all numbers.
fn compare_with_native(module: &[u8]) {
    portable();
    for (settings, epochs) in [
        (Settings { pairs: 10, tie_head: false, remedy: Remedy::None, seed: 0 }, 12),
        (Settings { pairs: 20, tie_head: true, remedy: Remedy::Reversed, seed: 3 }, 3),
        (Settings { pairs: 40, tie_head: false, remedy: Remedy::Identities, seed: 1 }, 2),
    ] {
        let Settings { pairs, tie_head, remedy, seed } = settings;
        let mut native = Lesson::new(settings).unwrap();
        let mut wasm = Wasm::new(module);
        let place = Remedy::ALL.iter().position(|of| *of == remedy).unwrap();
        let begun = wasm.read("begin", (pairs as u32, u32::from(tie_head), place as u32, seed));
        assert_eq!(begun, [f64::from(EPOCHS)]);
        for epoch in 0..=epochs {
            let here = native.measures();
            let there = wasm.read("measures", ());
            let here = [here.taught, here.reversed]
                .map(|side| [side.nll, side.right as f64, side.margin.unwrap_or(f64::NAN)]);
            assert_eq!(bits(&here.concat()), bits(&there), "{settings:?}, epoch {epoch}");
            let nll = native.train_epoch();
            assert_eq!(bits(&[nll]), bits(&wasm.read("train_epoch", ())), "{settings:?}");
        }
        let wide = |numbers: Vec<f32>| numbers.into_iter().map(f64::from).collect::<Vec<_>>();
        let (here, there) = (wide(native.parameters()), wasm.read("parameters", ()));
        assert!(here.len() > 10_000);
        assert!(bits(&here) == bits(&there), "{settings:?}: parameters");
        assert!(bits(&wide(native.weights())) == bits(&wasm.read("weights", ())), "{settings:?}");
        let query = native.told_one_way()[1][0].clone();
        let (here, there) = (wide(native.answers(&query)), wasm.read("answers", (0_u32, 1_u32)));
        assert!(bits(&here) == bits(&there), "{settings:?}: answers");
        let tokens = wasm.read("told_one_way", ());
        let sentence = native.told_one_way()[0][0].sentence();
        assert_eq!(tokens[..3], sentence.into_iter().map(f64::from).collect::<Vec<_>>());
        assert_eq!(wasm.read("told_both_ways", ()).len(), 3 * native.told_both_ways().len());
    }
}

#[test]
fn the_committed_module_gives_the_bits_of_the_native_model() {
    compare_with_native(retrodict_lesson::MODULE);
}

/// The source, compiled here by the toolchain of this test. `build-wasm` takes another one, for a
/// smaller module: only the numbers can be equal, not the bytes.
#[test]
fn a_rebuilt_module_gives_the_same_bits() {
    const TARGET: &str = "wasm32-unknown-unknown";
    let rustc = |what| {
        let output = Command::new("rustc").args(["--print", what, "--target", TARGET]).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    if !Path::new(rustc("target-libdir").trim()).is_dir() {
        eprintln!("skipped: no {TARGET} (rustup target add {TARGET})");
        return;
    }
    // A folder of its own: the other one is locked while tests are built.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("wasm");
    let built = Command::new(env!("CARGO"))
        .args(["rustc", "--locked", "-p", "retrodict-lesson-model", "--lib", "--release"])
        .args(["--crate-type", "cdylib", "--target", TARGET, "--target-dir"])
        .arg(&folder)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .env("RUSTFLAGS", "-Ctarget-feature=+simd128")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "none")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let file = folder.join(TARGET).join("release/retrodict_lesson_model.wasm");
    compare_with_native(&std::fs::read(file).unwrap());
}

#[test]
fn a_lesson_that_cannot_be_is_refused() {
    let mut wasm = Wasm::new(retrodict_lesson::MODULE);
    assert!(wasm.read("measures", ()).is_empty(), "before any lesson");
    assert!(wasm.read("begin", (40_u32, 0_u32, 9_u32, 0_u32)).is_empty(), "no such remedy");
    assert!(wasm.read("begin", (0_u32, 0_u32, 0_u32, 0_u32)).is_empty(), "no pairs");
    assert!(wasm.read("measures", ()).is_empty());
    assert_eq!(wasm.read("begin", (10_u32, 0_u32, 0_u32, 0_u32)).len(), 1);
    assert!(wasm.read("answers", (999_u32, 0_u32)).is_empty(), "no such pair");
}

/// The command that the page prints trains the same model.
#[test]
fn a_run_with_these_keys_has_the_same_numbers() {
    portable();
    let settings = Settings { pairs: 20, tie_head: false, remedy: Remedy::Identities, seed: 2 };
    let mut lesson = Lesson::new(settings).unwrap();
    for _ in 0..EPOCHS {
        lesson.train_epoch();
    }
    let measures = lesson.measures();

    let keys = settings.spec_keys();
    let keys: Vec<(&str, &str)> = keys.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let text = ready("reversal-quick").unwrap();
    let spec = Spec::parse_with(text, "lesson", &keys).unwrap();
    let experiment = Experiment::new(spec, "lesson").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = Runs::open(folder.path()).unwrap();
    let options = RunOptions { threads: 1, mixed: false, keep: Kept::All };
    let (stop, progress) = (AtomicBool::new(false), Progress::default());
    let seed = u64::from(settings.seed);
    retrodict_lab::run(&experiment, &store, seed, options, &stop, &progress).unwrap();
    let run = store.run_dir("reversal-quick", experiment.hash, seed).unwrap();
    let last = run.read_metrics(u64::from(EPOCHS)).unwrap().pop().unwrap();
    let held_out = last.held_out_nll().unwrap();
    assert_eq!(held_out.to_bits(), measures.reversed.nll.to_bits());
}
