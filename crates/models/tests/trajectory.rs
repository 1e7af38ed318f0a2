//! 200 steps of training beside PyTorch, from the same parameters; `reference/README.md` says what
//! was recorded and how.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod common;

use common::{ADAMW, Case};
use retrodict_engine::Scalar;
use retrodict_models::{LossOn, PositionEncoding};

const RECORD: &[u8] = include_bytes!("reference/trajectory.safetensors");
const RATE: f64 = 3e-3;

/// Holds our losses to the recorded ones while those are above a floor.
fn follow<T: Scalar>(precision: &str, tolerance: f64, floor: f64) {
    for (name, position) in [
        ("absolute", PositionEncoding::Absolute),
        ("none", PositionEncoding::None),
        ("rotary", PositionEncoding::rotary(1.0)),
    ] {
        let case = Case::read(RECORD, name, 2, 1, LossOn::LastEntity, position);
        let theirs = case.numbers(&format!("{precision}/losses"));
        let held = theirs.iter().filter(|loss| **loss > floor).count();
        assert!(theirs.len() == 200 && held >= 180, "{name}: {held} of {}", theirs.len());
        for threads in [1, 2] {
            let mut trainer = case.trainer::<T>(ADAMW, RATE, threads);
            for (step, theirs) in theirs.iter().enumerate() {
                let ours = case.step(&mut trainer);
                assert!(
                    *theirs <= floor || (ours - theirs).abs() <= tolerance * theirs,
                    "{name}, {precision}, {threads} threads, step {step}: {ours}, not {theirs}"
                );
            }
        }
    }
}

#[test]
fn losses_in_f64_are_theirs_to_a_hundred_millionth() {
    follow::<f64>("f64", 1e-8, 0.0);
}

#[test]
fn losses_in_f32_are_theirs_to_a_ten_thousandth_above_a_twentieth() {
    follow::<f32>("f32", 1e-4, 0.05);
}
