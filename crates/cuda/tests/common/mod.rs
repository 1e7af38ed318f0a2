//! The test double for the driver's library, compiled and loaded into the test's own process.

#![allow(dead_code, reason = "each test uses some of it")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use retrodict_cuda::Gpu;
use retrodict_models::{
    Decoder, DecoderSettings, LossOn, LrSchedule, Objective, Trainer, TrainerOptions,
};

/// A GPU of the test double; `None`, with a message, where there is no C++ compiler. With
/// `RETRODICT_REAL_GPU` set, the real driver's GPU.
pub(crate) fn gpu() -> Option<&'static Gpu> {
    static GPU: OnceLock<Option<Gpu>> = OnceLock::new();
    GPU.get_or_init(|| {
        if std::env::var_os("RETRODICT_REAL_GPU").is_some() {
            return Some(Gpu::open().expect("a GPU"));
        }
        let path = double()?;
        // SAFETY: the double has no initialisers.
        let library = unsafe { libloading::Library::new(path) }.expect("the double loads");
        // It stays: the driver's library is looked for by its name, which finds this one.
        std::mem::forget(library);
        Some(Gpu::open().expect("the double is a GPU"))
    })
    .as_ref()
}

/// The compiled test double.
pub(crate) fn double() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("double");
    let path = folder.join("libcuda.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("emulator/driver.cpp");
    std::fs::create_dir_all(&folder).expect("a folder for the double");
    // Tests run side by side: each compiles for itself, and the last one's file stays.
    let own = folder.join(format!("libcuda-{}.so", std::process::id()));
    let options = "-O2 -march=native -std=c++17 -ffp-contract=off -fno-strict-aliasing -DRETRODICT_EMULATOR \
                   -fvisibility=hidden -fPIC -shared -Wl,-soname,libcuda.so";
    let mut compiler = Command::new("g++");
    compiler.args(options.split_whitespace()).arg("-o").arg(&own).arg(source);
    match compiler.output() {
        Err(error) => {
            println!("skipped: no C++ compiler ({error})");
            None
        }
        Ok(output) => {
            let messages = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "the double does not compile:\n{messages}");
            std::fs::rename(&own, &path).expect("the double is moved");
            Some(path)
        }
    }
}

/// A small decoder.
pub(crate) fn decoder(layers: usize, dim: usize) -> Decoder {
    let settings =
        DecoderSettings { layers, heads: 4, dim, dropout: 0.1, ..DecoderSettings::default() };
    Decoder { vocab: 53, positions: 4, settings }
}

/// Its trainer on sentences of three tokens.
pub(crate) fn trainer(decoder: &Decoder, seed: u64) -> Trainer<f32> {
    trainer_with(decoder, Objective::next_token(3, 1, LossOn::LastEntity), seed)
}

/// Its trainer with another objective.
pub(crate) fn trainer_with(decoder: &Decoder, objective: Objective, seed: u64) -> Trainer<f32> {
    let options = TrainerOptions {
        rule: retrodict_engine::Rule::AdamW(retrodict_engine::AdamW {
            betas: [0.9, 0.999],
            epsilon: 1e-8,
        }),
        rate: 1e-3,
        weight_decay: 0.01,
        decay_norms: true,
        clip: 0.0,
        init_seed: seed,
        noise_seed: seed,
        threads: 1,
        schedule: LrSchedule::default(),
    };
    Trainer::new(decoder, objective, &options)
}

/// Sentences of two entities and a relation.
pub(crate) fn sentences(count: u32) -> Vec<Vec<u32>> {
    (0..count).map(|i| vec![i * 7 % 53, i % 2, i * 11 % 53]).collect()
}
