//! The residual stream of a model, read and replaced.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::path::{Path, PathBuf};

use retrodict_pretrained::{Model, PatchPosition, PretrainedError, TokenQuestion};

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

#[test]
fn a_question_knows_its_entity_and_its_rivals() {
    let model = open("llama");
    let [question, _] = questions(&model).try_into().unwrap();
    assert!(question.entity < question.tokens.len() - 1);
    assert!(!question.others.contains(&question.right));
    let stopped = open("llama").lens(&[question], |_, _, _| {}, || false);
    assert!(matches!(stopped, Err(PretrainedError::Stopped)));
}
