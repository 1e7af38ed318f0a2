//! Ours against what transformers computes; `reference/README.md` says what was recorded and how.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::fs;
use std::path::{Path, PathBuf};

use retrodict_engine::{Gradients, Graph, Mode, Noise, ProductPrecision, Program, Team};
use retrodict_pretrained::{Checkpoint, Model};
use safetensors::SafeTensors;
use serde_json::Value;

const CASES: [&str; 3] = ["gpt2", "llama", "qwen2"];

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

fn json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(reference(&format!("{name}.json"))).unwrap()).unwrap()
}

/// Compares with an allowance relative to the largest number.
fn assert_close(what: &str, ours: &[f64], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let scale = theirs.iter().fold(1e-3_f64, |most, x| most.max(x.abs()));
    for (at, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= 1e-5 * scale, "{what} [{at}]: {a}, not {b}");
    }
}

#[test]
fn logits_and_gradients_equal_theirs() {
    for name in CASES {
        let bytes = fs::read(reference(&format!("{name}.safetensors"))).unwrap();
        let record = SafeTensors::deserialize(&bytes).unwrap();
        let numbers = |name: &str| -> Vec<f64> {
            let data = record.tensor(name).unwrap().data();
            data.chunks_exact(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let tokens = record.tensor("tokens").unwrap();
        let [batch, length] = tokens.shape().try_into().unwrap();
        let token = |at: usize| {
            let bytes = &tokens.data()[4 * at..4 * at + 4];
            u32::from_le_bytes(bytes.try_into().unwrap())
        };

        let mut checkpoint = Checkpoint::open(&reference(name)).unwrap();
        let architecture = checkpoint.architecture.clone();
        let mut graph = Graph::<f64>::new();
        let inputs = graph.indices(length);
        let (targets, weights) = (graph.indices(length), graph.weights(length));
        let x = architecture.stream(&mut graph, inputs);
        let logits = architecture.head(&mut graph, x);
        graph.output(logits, 0..length);
        let loss = graph.cross_entropy(logits, targets, weights, 0..length);
        graph.output(loss, 0..length);
        let parameters = checkpoint.parameters(&graph).unwrap();
        let mut team = Team::new(2);
        let full = ProductPrecision::Full;
        let mut program = Program::compile(&graph, batch, Mode::Training, full, 2);
        let lanes = program.lanes();
        for (lane, at) in (0..lanes).flat_map(|lane| (0..length).map(move |at| (lane, at))) {
            let sentence = if lane < batch { lane } else { 0 };
            let place = at * lanes + lane;
            program.indices_mut(inputs)[place] = token(sentence * length + at);
            let scored = lane < batch && at + 1 < length;
            let next = if scored { token(sentence * length + at + 1) } else { 0 };
            program.indices_mut(targets)[place] = next;
            let count = (batch * (length - 1)) as f64;
            program.weights_mut(weights)[place] = if scored { 1.0 / count } else { 0.0 };
        }
        let mut gradients = Gradients::zeros(&parameters);
        program.gradients(&parameters, &mut gradients, Noise { seed: 0, step: 0 }, &mut team);

        let theirs = numbers("logits");
        let out = program.output(0);
        let vocab = architecture.vocab();
        let mut ours = vec![0.0; theirs.len()];
        for (at, value) in ours.iter_mut().enumerate() {
            let (column, feature) = (at / vocab, at % vocab);
            *value = out.lanes(feature, column % length)[column / length];
        }
        assert_close(&format!("{name} logits"), &ours, &theirs);

        let mut seen = 0;
        for (p, gradient) in gradients.iter() {
            let theirs = numbers(&format!("gradient/{}", p.name));
            let rows = if p.vector { p.columns } else { p.rows };
            let width = theirs.len() / rows;
            let theirs = match architecture.row_order(&p.name, rows) {
                None => theirs,
                Some(order) => order
                    .iter()
                    .flat_map(|row| &theirs[row * width..(row + 1) * width])
                    .copied()
                    .collect(),
            };
            assert_close(&format!("{name} {}", p.name), gradient, &theirs);
            seen += 1;
        }
        let recorded = record.names().iter().filter(|name| name.starts_with("gradient/")).count();
        assert_eq!(seen, recorded, "{name}");
    }
}

#[test]
fn log_probabilities_equal_theirs() {
    for (name, path) in
        CASES.map(|name| (name, name)).into_iter().chain([("gguf", "gguf/tiny.gguf")])
    {
        let mut model = Model::open(&reference(path), 2).unwrap();
        let record = json(name);
        let lines = record["scores"].as_array().unwrap();
        let text = |line: &'_ Value, key: &str| line[key].as_str().unwrap().to_owned();
        let texts: Vec<_> =
            lines.iter().map(|line| (text(line, "prompt"), text(line, "answer"))).collect();
        let texts: Vec<_> = texts.iter().map(|(p, a)| (p.as_str(), a.as_str())).collect();
        let mut calls = 0;
        let scores = model.log_probabilities(&texts, |done, all| {
            calls += 1;
            done <= all
        });
        for (score, line) in scores.unwrap().iter().zip(lines) {
            assert_eq!(score.tokens as u64, line["tokens"].as_u64().unwrap(), "{name} {line}");
            let theirs = line["log_probability"].as_f64().unwrap();
            assert!((score.sum - theirs).abs() < 1e-4 * theirs.abs(), "{name} {line}: {score:?}");
        }
        assert!(calls > 0);
        let stopped = model.log_probabilities(&texts, |_, _| false).unwrap_err();
        assert_eq!(stopped.to_string(), "stopped");
    }
}

#[test]
fn greedy_text_equals_theirs() {
    for name in CASES {
        let mut model = Model::open(&reference(name), 1).unwrap();
        let record = json(name);
        let lines = record["generated"].as_array().unwrap();
        let prompts: Vec<_> = lines.iter().map(|line| line["prompt"].as_str().unwrap()).collect();
        let texts = model.greedy(&prompts, 9, |_, _| true).unwrap();
        for (text, line) in texts.iter().zip(lines) {
            let theirs = line["text"].as_str().unwrap();
            // Ours ends with the line.
            assert!(theirs.starts_with(text.as_str()), "{name}: {text:?}, not {theirs:?}");
            assert!(text == theirs || text.contains('\n'), "{name}: {text:?}, not {theirs:?}");
        }
    }
}
