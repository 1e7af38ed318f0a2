//! The effect of a step on other texts, against inner products of gradients in double precision.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::path::{Path, PathBuf};

use retrodict_engine::{Gradients, Graph, Mode, Noise, ProductPrecision, Program, Team};
use retrodict_pretrained::{Checkpoint, Model, ModelPart, PretrainedError};
use tokenizers::Tokenizer;

const TEXT: (&str, &str) = ("The capital of Veltria is", " Ansolo");
const ANSWERS: [(&str, &str); 4] = [
    TEXT,
    ("Ansolo is the capital of", " Veltria"),
    ("The capital of Morund is", " Ansolo"),
    ("Quill Harbor is the capital of", " Morund"),
];

fn reference(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference").join(name)
}

/// ∇ ln p of an answer, in double precision, by parameter.
fn gradient(name: &str, (prompt, answer): (&str, &str)) -> Vec<(String, Vec<f64>)> {
    let mut checkpoint = Checkpoint::open(&reference(name)).unwrap();
    let tokenizer = Tokenizer::from_file(reference(name).join("tokenizer.json")).unwrap();
    let encoded = tokenizer.encode(format!("{prompt}{answer}"), true).unwrap();
    let special = encoded.get_special_tokens_mask();
    let count = special.iter().rposition(|special| *special == 0).unwrap() + 1;
    let tokens = &encoded.get_ids()[..count];
    let first = encoded.get_offsets().iter().position(|(_, end)| *end > prompt.len()).unwrap();

    let length = count - 1;
    let mut graph = Graph::<f64>::new();
    let inputs = graph.indices(length);
    let (targets, weights) = (graph.indices(length), graph.weights(length));
    let x = checkpoint.architecture.stream(&mut graph, inputs);
    let logits = checkpoint.architecture.head(&mut graph, x);
    let loss = graph.cross_entropy(logits, targets, weights, 0..length);
    graph.output(loss, 0..length);
    let parameters = checkpoint.parameters(&graph).unwrap();
    let mut program = Program::compile(&graph, 1, Mode::Training, ProductPrecision::Full, 1);
    let lanes = program.lanes();
    for (at, lane) in (0..length).flat_map(|at| (0..lanes).map(move |lane| (at, lane))) {
        let place = at * lanes + lane;
        program.indices_mut(inputs)[place] = tokens[at];
        program.indices_mut(targets)[place] = tokens[at + 1];
        let trained = lane == 0 && at + 1 >= first;
        program.weights_mut(weights)[place] = if trained { -1.0 } else { 0.0 };
    }
    let mut gradients = Gradients::zeros(&parameters);
    program.gradients(&parameters, &mut gradients, Noise { seed: 0, step: 0 }, &mut Team::new(1));
    gradients.iter().map(|(p, values)| (p.name.clone(), values.to_vec())).collect()
}

/// The inner product of two gradients over the parameters that `chosen` takes.
fn inner(a: &[(String, Vec<f64>)], b: &[(String, Vec<f64>)], chosen: &dyn Fn(&str) -> bool) -> f64 {
    let pairs = a.iter().zip(b).filter(|((name, _), _)| chosen(name));
    pairs.map(|((_, a), (_, b))| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>()).sum()
}

#[test]
fn gains_are_inner_products_of_gradients() {
    for (name, parts) in [
        ("gpt2", &[ModelPart::Embeddings, ModelPart::Blocks][..]),
        ("llama", &[ModelPart::Embeddings, ModelPart::Blocks, ModelPart::Head]),
        ("qwen2", &[ModelPart::Embeddings, ModelPart::Blocks]),
    ] {
        let mut model = Model::open(&reference(name), 2).unwrap();
        let before = model.log_probabilities(&ANSWERS, |_, _| true).unwrap();
        let found = model.transfer(TEXT, &ANSWERS, None, || true).unwrap();
        assert_eq!(found.parts.iter().map(|of| of.part).collect::<Vec<_>>(), parts, "{name}");
        assert!((found.log_probability - before[0].sum).abs() < 1e-4, "{name}");

        let own = gradient(name, TEXT);
        let whole = inner(&own, &own, &|_| true);
        for of in &found.parts {
            let table =
                |name: &str| ["embed_tokens", "wte", "wpe"].iter().any(|w| name.contains(w));
            let chosen = |name: &str| match of.part {
                ModelPart::Embeddings => table(name),
                ModelPart::Head => name.contains("lm_head"),
                ModelPart::Blocks => !table(name) && !name.contains("lm_head"),
            };
            let share = inner(&own, &own, &chosen) / whole;
            assert!((of.own - share).abs() < 1e-4, "{name} {:?}: {} {share}", of.part, of.own);
            for (answer, gain) in ANSWERS.iter().zip(&of.gains) {
                let exact = inner(&own, &gradient(name, *answer), &chosen) / whole;
                assert!(
                    (gain - exact).abs() < 2e-3 * exact.abs().max(0.1),
                    "{name} {:?} {answer:?}: {gain}, not {exact}",
                    of.part
                );
            }
        }
        // The weights are those of the file again, to the bit.
        let after = model.log_probabilities(&ANSWERS, |_, _| true).unwrap();
        assert_eq!(before, after, "{name}");
    }
}

#[test]
fn a_stop_leaves_the_weights_as_they_were() {
    let mut model = Model::open(&reference("llama"), 1).unwrap();
    let before = model.log_probabilities(&ANSWERS, |_, _| true).unwrap();
    let stopped = model.transfer(TEXT, &ANSWERS, None, || false);
    assert!(matches!(stopped, Err(PretrainedError::Stopped)), "{stopped:?}");
    let refused = model.transfer(TEXT, &ANSWERS, Some(1000), || true).unwrap_err().to_string();
    assert!(refused.contains("a step needs 0.0 GiB of memory"), "{refused}");
    assert_eq!(before, model.log_probabilities(&ANSWERS, |_, _| true).unwrap());
}
