//! The decoder beside Hugging Face's `GPT2LMHeadModel`; `reference/README.md`
//! says what was recorded and how.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod common;

use common::{ADAMW, Case, assert_close};
use retrodict_engine::{Adam, Rule, Sgd};
use retrodict_models::{LossOn, PositionEncoding};

const RECORD: &[u8] = include_bytes!("reference/gpt2.safetensors");

fn cases() -> Vec<Case> {
    [
        ("tied", 3, 1, LossOn::LastEntity, PositionEncoding::Absolute),
        ("free", 3, 1, LossOn::LastEntity, PositionEncoding::Absolute),
        ("sequence", 4, 1, LossOn::Sequence, PositionEncoding::Absolute),
        ("entity2", 2, 2, LossOn::LastEntity, PositionEncoding::Absolute),
        ("none", 2, 1, LossOn::LastEntity, PositionEncoding::None),
        ("rotary", 2, 2, LossOn::LastEntity, PositionEncoding::rotary(0.5)),
    ]
    .map(|(name, heads, entity_length, loss_on, position)| {
        Case::read(RECORD, name, heads, entity_length, loss_on, position)
    })
    .into()
}

#[test]
fn logits_equal_theirs() {
    for case in cases() {
        let mut trainer = case.trainer::<f64>(ADAMW, 0.01, 1);
        case.assert_logits(&mut trainer);
    }
}

#[test]
fn every_gradient_equals_theirs_in_f64() {
    for case in cases() {
        let mut trainer = case.trainer::<f64>(ADAMW, 0.01, 1);
        let mut seen = 0;
        for (p, gradient) in trainer.gradients(case.batch()).iter() {
            let theirs = case.numbers(&format!("gradient/{}", p.name));
            assert_close(&p.name, gradient, &theirs, 1e-9);
            seen += 1;
        }
        let tables = 1 + usize::from(case.decoder.position == PositionEncoding::Absolute);
        let head = usize::from(!case.decoder.tie_head);
        assert_eq!(seen, tables + 12 * case.decoder.layers + 2 + head, "{}", case.name);
    }
}

#[test]
fn every_gradient_is_within_a_ten_thousandth_of_its_norm_in_f32() {
    for case in cases() {
        let mut trainer = case.trainer::<f32>(ADAMW, 0.01, 1);
        let d = case.decoder.dim;
        for (p, gradient) in trainer.gradients(case.batch()).iter() {
            let theirs = case.numbers(&format!("gradient/{}", p.name));
            // A key bias shifts all scores of a query alike: its gradient is zero but for rounding.
            let is_key = |i: usize| p.name.ends_with("c_attn.bias") && (d..2 * d).contains(&i);
            let mut error = 0.0;
            let mut norm = 0.0;
            for (_, (a, b)) in gradient.iter().zip(&theirs).enumerate().filter(|(i, _)| !is_key(*i))
            {
                error += (f64::from(*a) - b).powi(2);
                norm += b.powi(2);
            }
            assert!(error.sqrt() <= 1e-4 * norm.sqrt(), "{}: {error} of {norm}", p.name);
        }
    }
}

/// Ten steps on one batch: the loss before each, and every parameter after the last.
fn ten_steps(case: &Case, optimizer: &str, rule: Rule, rate: f64, threads: usize) {
    let mut trainer = case.trainer::<f64>(rule, rate, threads);
    let theirs = case.numbers(&format!("{optimizer}/losses"));
    for (step, expected) in theirs.iter().enumerate() {
        let before = trainer.parameters().iter().map(|(_, v)| v.to_vec()).collect::<Vec<_>>();
        let loss = case.step(&mut trainer);
        if case.objective.loss_on == LossOn::LastEntity {
            assert_close(&format!("{} loss {step}", case.name), &[loss], &[*expected], 1e-9);
        }
        assert_ne!(before[0], trainer.parameters().iter().next().unwrap().1);
    }
    for (p, values) in trainer.parameters().iter() {
        let expected = case.numbers(&format!("{optimizer}/{}", p.name));
        assert_close(&format!("{} {}", case.name, p.name), values, &expected, 1e-9);
    }
}

#[test]
fn ten_steps_of_adamw_equal_theirs() {
    for case in cases() {
        for threads in [1, 2] {
            ten_steps(&case, "adamw", ADAMW, 0.01, threads);
        }
    }
}

#[test]
fn ten_steps_of_adam_and_of_sgd_equal_theirs() {
    let free = &cases()[1];
    let adam = Rule::Adam(Adam { betas: [0.9, 0.999], epsilon: 1e-8 });
    ten_steps(free, "adam", adam, 0.01, 1);
    ten_steps(free, "sgd", Rule::Sgd(Sgd { momentum: 0.0 }), 0.1, 1);
}
