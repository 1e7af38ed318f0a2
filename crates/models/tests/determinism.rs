//! Bits that do not depend on how the work was done.

use retrodict_engine::{AdamW, Rule};
use retrodict_models::{
    Decoder, DecoderSettings, LossOn, LrSchedule, Objective, PositionEncoding, Trainer,
    TrainerOptions,
};

fn decoder() -> Decoder {
    Decoder {
        vocab: 53,
        positions: 4,
        settings: DecoderSettings {
            layers: 2,
            heads: 4,
            dim: 20,
            dropout: 0.1,
            ..DecoderSettings::default()
        },
    }
}

fn sentences(count: u32) -> Vec<Vec<u32>> {
    (0..count).map(|i| vec![i * 7 % 53, i % 2, i * 11 % 53]).collect()
}

fn trainer(decoder: &Decoder, threads: usize) -> Trainer<f32> {
    let rule = Rule::AdamW(AdamW { betas: [0.9, 0.999], epsilon: 1e-8 });
    let options = TrainerOptions {
        rule,
        rate: 1e-2,
        weight_decay: 0.01,
        decay_norms: true,
        clip: 0.0,
        init_seed: 3,
        noise_seed: 4,
        threads,
        schedule: LrSchedule::default(),
    };
    let objective = Objective::next_token(3, 1, LossOn::LastEntity);
    Trainer::new(decoder, objective, &options)
}

fn bits(trainer: &Trainer<f32>) -> Vec<u32> {
    trainer.parameters().iter().flat_map(|(_, v)| v.iter().map(|x| x.to_bits())).collect()
}

/// Trains on batches of two sizes with each number of threads.
fn assert_threads_do_not_matter(decoder: &Decoder) {
    let sentences = sentences(70);
    let run = |threads| {
        let mut trainer = trainer(decoder, threads);
        for _ in 0..5 {
            for batch in sentences.chunks(40) {
                trainer.step(batch.iter().map(Vec::as_slice));
            }
        }
        (bits(&trainer), trainer.evaluate(&sentences).to_vec())
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert!(one == run(threads), "{threads} threads differ");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    assert_threads_do_not_matter(&decoder());
}

#[test]
fn any_number_of_threads_gives_the_same_bits_with_rotary_positions() {
    let position = PositionEncoding::rotary(0.5);
    assert_threads_do_not_matter(&decoder().adjusted(|d| d.position = position));
}

#[test]
fn a_restored_trainer_goes_on_with_the_same_bits() {
    let sentences = sentences(30);
    let step = |trainer: &mut Trainer<f32>| {
        trainer.step(sentences.iter().map(Vec::as_slice));
    };
    let mut whole = trainer(&decoder(), 1);
    (0..6).for_each(|_| step(&mut whole));

    let mut first = trainer(&decoder(), 1);
    (0..3).for_each(|_| step(&mut first));
    let mut second = trainer(&decoder(), 1);
    let saved: Vec<Vec<f32>> = first.parameters().iter().map(|(_, v)| v.to_vec()).collect();
    for (i, values) in saved.iter().enumerate() {
        second.parameters_mut().values_mut(i).copy_from_slice(values);
    }
    let moments: Vec<Vec<Vec<f32>>> = first
        .optimizer()
        .moments()
        .iter()
        .map(|moment| moment.iter().map(|(_, v)| v.to_vec()).collect())
        .collect();
    let optimizer = second.optimizer_mut();
    for (moment, saved) in moments.iter().enumerate() {
        for (i, values) in saved.iter().enumerate() {
            optimizer.moment_mut(moment, i).copy_from_slice(values);
        }
    }
    optimizer.set_steps(first.optimizer().steps());
    (0..3).for_each(|_| step(&mut second));
    assert_eq!(bits(&whole), bits(&second));
}

#[test]
fn frozen_embeddings_keep_their_bits_and_everything_else_moves() {
    let sentences = sentences(30);
    let mut trainer = trainer(&decoder().adjusted(|d| d.freeze_embeddings = true), 1);
    let before: Vec<Vec<f32>> = trainer.parameters().iter().map(|(_, v)| v.to_vec()).collect();
    for _ in 0..20 {
        trainer.step(sentences.iter().map(Vec::as_slice));
    }
    for ((p, after), before) in trainer.parameters().iter().zip(before) {
        let frozen = p.name.contains(".wte.") || p.name.contains(".wpe.");
        assert_eq!(frozen, after == before, "{}", p.name);
    }
}
