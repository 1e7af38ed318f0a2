//! The residual stream of a model, read and replaced.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::path::{Path, PathBuf};

use retrodict_pretrained::{Model, Part, PatchPosition, PretrainedError, TokenQuestion};

const MODELS: [&str; 4] = ["gpt2", "llama", "qwen2", "gguf/tiny.gguf"];

fn open(name: &str) -> Model {
    let reference: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reference");
    Model::open(&reference.join(name), 2).unwrap()
}

/// Questions of differing lengths.
fn questions(model: &Model) -> Vec<TokenQuestion> {
    let of = |prompt: &str, entity: &str| {
        let end = prompt.find(entity).unwrap() + entity.len();
        model.question(prompt, end, " Ansolo", &[" Brask", " Ansolo", " Quill"]).unwrap()
    };
    vec![of("The capital of Veltria is", "Veltria"), of("Capital: Morund is", "Morund")]
}

/// The logits at the last position, by place.
fn lens(model: &mut Model, questions: &[TokenQuestion]) -> Vec<Vec<Vec<f64>>> {
    let mut found = vec![Vec::new(); questions.len()];
    let take = |number: usize, place: usize, logits: &[f64]| {
        assert_eq!(found[number].len(), place);
        found[number].push(logits.to_vec());
    };
    model.lens(questions, take, || true).unwrap();
    found
}

fn patched(
    model: &mut Model,
    pair: (&TokenQuestion, &TokenQuestion),
    place: usize,
    position: PatchPosition,
) -> Vec<f64> {
    let mut found = Vec::new();
    model.patched(&[pair], place, position, |_, logits| found = logits.to_vec(), || true).unwrap();
    found
}

fn assert_close(what: &str, a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    let apart = a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(apart < 1e-4, "{what}: {apart}");
}

#[test]
fn the_last_place_of_the_lens_is_the_model() {
    for name in MODELS {
        let mut model = open(name);
        let questions = questions(&model);
        let found = lens(&mut model, &questions);
        let texts = [("The capital of Veltria is", " A"), ("Capital: Morund is", " A")];
        let scores = model.log_probabilities(&texts, |_, _| true).unwrap();
        for ((of, score), (prompt, answer)) in found.iter().zip(scores).zip(texts) {
            assert_eq!(of.len(), model.architecture().layers() + 1, "{name}");
            let logits = of.last().unwrap();
            let token = model.question(prompt, 1, answer, &[]).unwrap().right as usize;
            let whole: f64 = logits.iter().map(|x| x.exp()).sum();
            if score.tokens == 1 {
                assert!((logits[token] - whole.ln() - score.sum).abs() < 1e-4, "{name}");
            }
        }
    }
}

#[test]
fn a_patch_brings_what_was_put_in() {
    for name in MODELS {
        let mut model = open(name);
        let questions = questions(&model);
        let own = lens(&mut model, &questions);
        let (clean, corrupted) = (&questions[0], &questions[1]);
        let last = model.architecture().layers();
        // Behind the last block nothing but the last token is read.
        let all = patched(&mut model, (clean, corrupted), last, PatchPosition::Last);
        assert_close(name, &all, &own[0][last]);
        let none = patched(&mut model, (clean, corrupted), last, PatchPosition::Entity);
        assert_close(name, &none, &own[1][last]);
        // Before the first block a patch is another token at the same position.
        let mut other = clean.clone();
        other.tokens[clean.entity] = corrupted.tokens[corrupted.entity];
        let replaced = lens(&mut model, std::slice::from_ref(&other));
        let first = patched(&mut model, (&other, clean), 0, PatchPosition::Entity);
        assert_close(name, &first, &replaced[0][last]);
        // Of one block nothing later would read it.
        if last > 1 {
            let middle = patched(&mut model, (clean, corrupted), 1, PatchPosition::Entity);
            assert!(middle.iter().zip(&none).any(|(a, b)| (a - b).abs() > 1e-5), "{name}");
        }
    }
}

/// The parts sum to the stream, which the norm and the head read as the model's own logits.
#[test]
fn what_is_written_is_what_is_read() {
    for name in MODELS {
        let mut model = open(name);
        let questions = questions(&model);
        let own = lens(&mut model, &questions);
        let (layers, norm) = (model.architecture().layers(), model.last_norm());
        let mut found = Vec::new();
        let take = |number: usize, parts: &[(Part, Vec<f64>)]| {
            assert_eq!(number, found.len());
            found.push(parts.to_vec());
        };
        model.written(&questions, take, || true).unwrap();
        for ((question, parts), places) in questions.iter().zip(&found).zip(&own) {
            assert_eq!(parts[0].0, Part::Embeddings);
            assert_eq!(parts.last().unwrap().0, Part::Mlp(layers - 1));
            let heads = parts.iter().filter(|(part, _)| matches!(part, Part::Head { .. })).count();
            assert!(heads > layers && heads.is_multiple_of(layers), "{name}: {heads}");
            let width = norm.gain.len();
            let stream: Vec<f64> =
                (0..width).map(|f| parts.iter().map(|(_, of)| of[f]).sum()).collect();
            let over = 1.0 / width as f64;
            let mean = if norm.centred { stream.iter().sum::<f64>() * over } else { 0.0 };
            let square = stream.iter().map(|x| (x - mean).powi(2)).sum::<f64>() * over;
            let scale = 1.0 / (square + norm.epsilon.unwrap()).sqrt();
            let of = |f: usize| (stream[f] - mean) * scale * norm.gain[f] + norm.bias[f];
            let read: Vec<f64> = (0..width).map(of).collect();
            for token in [question.right].iter().chain(&question.others) {
                let row = model.head_row(*token);
                let logit: f64 = row.iter().zip(&read).map(|(w, x)| w * x).sum();
                let theirs = places.last().unwrap()[*token as usize];
                assert!((logit - theirs).abs() < 1e-4, "{name}: {logit}, not {theirs}");
            }
        }
    }
    let mut model = open("llama");
    let questions = questions(&model);
    let stopped = model.written(&questions, |_, _| {}, || false);
    assert!(matches!(stopped, Err(PretrainedError::Stopped)));
}

#[test]
fn a_question_knows_its_entity_and_its_rivals() {
    let model = open("llama");
    let [question, _] = questions(&model).try_into().unwrap();
    assert!(question.entity < question.tokens.len() - 1);
    assert!(!question.others.contains(&question.right));
    let stopped = open("llama").lens(&[question], |_, _, _| {}, || false);
    assert!(matches!(stopped, Err(PretrainedError::Stopped)));
}
