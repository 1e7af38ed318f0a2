//! A decoder whose mixer is an LSTM or a GRU, beside `torch.nn`; Lion; and AdamW with a clipped
//! gradient and two parameter groups. `reference/README.md` says what was recorded and how.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod common;

use common::{ADAMW, Case, assert_close, options};
use retrodict_engine::{Lion, Rule};
use retrodict_models::{LossOn, Mixer, PositionEncoding, Trainer, TrainerOptions};

const RECORD: &[u8] = include_bytes!("reference/recurrent.safetensors");

fn cases() -> [Case; 2] {
    [("lstm", Mixer::Lstm), ("gru", Mixer::Gru)].map(|(name, mixer)| {
        let position = PositionEncoding::Absolute;
        let mut case = Case::read(RECORD, name, 1, 1, LossOn::LastEntity, position);
        case.decoder.settings.design.mixer = mixer;
        case
    })
}

#[test]
fn logits_equal_theirs() {
    for case in cases() {
        let mut trainer = case.trainer::<f64>(ADAMW, 0.01, 1);
        case.assert_logits(&mut trainer);
    }
}

#[test]
fn every_gradient_equals_theirs() {
    for case in cases() {
        let mut trainer = case.trainer::<f64>(ADAMW, 0.01, 1);
        let gradients = trainer.gradients(case.batch());
        assert_eq!(gradients.iter().count(), 19, "{}", case.name);
        for (p, gradient) in gradients.iter() {
            let theirs = case.numbers(&format!("gradient/{}", p.name));
            assert!(theirs.iter().any(|g| *g != 0.0), "{}", p.name);
            assert_close(&p.name, gradient, &theirs, 1e-12);
        }
    }
}

/// Ten steps on one batch: the loss before each, and every parameter after the last.
fn assert_trajectory(case: &Case, what: &str, mut trainer: Trainer<f64>, tolerance: f64) {
    for (step, theirs) in case.numbers(&format!("{what}/losses")).into_iter().enumerate() {
        let loss = case.step(&mut trainer);
        assert_close(&format!("{} {what} loss {step}", case.name), &[loss], &[theirs], tolerance);
    }
    for (p, values) in trainer.parameters().iter() {
        let theirs = case.numbers(&format!("{what}/{}", p.name));
        assert_close(&format!("{} {what} {}", case.name, p.name), values, &theirs, tolerance);
    }
}

#[test]
fn ten_steps_of_lion_equal_theirs() {
    for case in cases() {
        // Its authors' defaults are ours.
        let trainer = case.trainer(Rule::Lion(Lion::default()), 0.01, 1);
        assert_trajectory(&case, "lion", trainer, 1e-12);
    }
}

#[test]
fn ten_clipped_steps_with_two_parameter_groups_equal_theirs() {
    for case in cases() {
        for threads in [1, 2] {
            let options = TrainerOptions {
                weight_decay: 0.5,
                decay_norms: false,
                clip: 0.5,
                ..options(ADAMW, 0.01, threads)
            };
            assert_trajectory(&case, "clipped", case.trainer_with(&options), 1e-9);
        }
    }
}
