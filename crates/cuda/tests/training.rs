//! Training through the whole host path, on a test double of the driver that runs the kernels' own
//! source on the CPU.

mod common;

use common::{decoder, gpu, sentences, trainer};
use retrodict_engine::ProductPrecision;
use retrodict_engine::lower::Device;
use retrodict_models::{Example, PositionEncoding, SentenceScore, Trainer};

/// Ten steps on batches of two sizes; the scores of all.
fn train(trainer: &mut Trainer<f32>, shift: usize) -> Vec<SentenceScore> {
    let sentences = sentences(40);
    let order = (0..40).map(|i| &sentences[(i * 3 + shift) % 40]);
    let examples: Vec<Example<'_>> = order.map(|s| Example::from(s.as_slice())).collect();
    let epoch: Vec<Vec<Example<'_>>> = examples.chunks(16).map(<[_]>::to_vec).collect();
    let batches: Vec<_> = epoch.iter().cycle().take(10).cloned().collect();
    let mut scores = Vec::new();
    trainer.steps(&batches, |batch| scores.extend_from_slice(batch));
    scores
}

fn parameters(trainer: &Trainer<f32>) -> Vec<f32> {
    trainer.parameters().iter().flat_map(|(_, values)| values.to_vec()).collect()
}

/// The distance of two vectors, as a share of the second's length.
fn distance(left: &[f32], right: &[f32]) -> f64 {
    let norm = |of: &mut dyn Iterator<Item = f64>| of.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut left.iter().zip(right).map(|(l, r)| f64::from(l - r)));
    difference / norm(&mut right.iter().map(|r| f64::from(*r)))
}

/// The largest difference of the NLLs of two trainings.
fn gap(left: &[SentenceScore], right: &[SentenceScore]) -> f64 {
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(l, r)| (l.nll - r.nll).abs()).fold(0.0, f64::max)
}

/// A decoder with every variant of its parts that the paper's experiments use.
fn variants() -> Vec<(&'static str, retrodict_models::Decoder)> {
    vec![
        ("free", decoder(2, 32)),
        ("tied", decoder(2, 32).adjusted(|d| d.tie_head = true)),
        ("rotary", decoder(1, 20).adjusted(|d| d.position = PositionEncoding::rotary(0.5))),
        ("frozen", decoder(1, 12).adjusted(|d| d.freeze_embeddings = true)),
    ]
}

/// Training on the device against training here, in both precisions.
#[test]
fn ten_steps_are_those_of_the_processor() {
    let Some(gpu) = gpu() else { return };
    for (name, decoder) in variants() {
        for precision in [ProductPrecision::Full, ProductPrecision::Bf16] {
            let mut here = trainer(&decoder, 3).with_products(precision);
            let mut there = trainer(&decoder, 3).with_products(precision);
            let initial = parameters(&here);
            let seat = gpu.seeds(1).unwrap().remove(0);
            there.move_to(seat).unwrap();
            let scores = [train(&mut here, 0), train(&mut there, 0)];
            there.fetch();
            let moved = distance(&initial, &parameters(&here));
            let apart = distance(&parameters(&there), &parameters(&here));
            println!(
                "{name} {precision:?}: moved {moved:.1e}, apart {apart:.1e}, NLL {:.1e}",
                gap(&scores[0], &scores[1])
            );
            // Both round products to the same operands; sums differ in their order only.
            let bound = if precision == ProductPrecision::Full { 1e-4 } else { 1e-2 };
            assert!(apart < bound * moved.max(0.01), "{name} {precision:?}: {apart} of {moved}");
            assert!(gap(&scores[0], &scores[1]) < bound, "{name} {precision:?}");
            let asked = sentences(70);
            let scored = [here.evaluate(&asked).to_vec(), there.evaluate(&asked).to_vec()];
            assert!(gap(&scored[0], &scored[1]) < bound, "{name} {precision:?}: evaluation");
            let contexts: Vec<Vec<u32>> = (0..53).map(|token| vec![token]).collect();
            let logits = [here.logits_after(&contexts), there.logits_after(&contexts)];
            assert!(distance(&logits[0], &logits[1]) < bound, "{name} {precision:?}: logits");
        }
    }
}

/// Bits do not depend on the seeds that share a launch.
#[test]
fn one_seed_has_the_bits_of_four() {
    let Some(gpu) = gpu() else { return };
    let decoder = decoder(1, 20);
    let run = |seed: u64, seat| {
        let mut trainer = trainer(&decoder, seed).with_products(ProductPrecision::Bf16);
        trainer.move_to(seat).unwrap();
        let mut scores = train(&mut trainer, seed as usize);
        // One seed measures more often than the others.
        if seed == 2 {
            scores.extend_from_slice(trainer.evaluate(&sentences(20)));
        }
        scores.extend(train(&mut trainer, 5));
        trainer.leave_device();
        (scores, parameters(&trainer).iter().map(|x| x.to_bits()).collect::<Vec<u32>>())
    };
    let seats = gpu.seeds(4).unwrap();
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads = (0..).zip(seats).map(|(seed, seat)| scope.spawn(move || run(seed, seat)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (seed, together) in (0..).zip(together) {
        let alone = run(seed, gpu.seeds(1).unwrap().remove(0));
        assert!(alone == together, "seed {seed} differs");
    }
}

/// A model may leave a device and come back, also with parameters that were changed here.
#[test]
fn a_model_moves_between_machines() {
    let Some(gpu) = gpu() else { return };
    let decoder = decoder(1, 12);
    let whole = {
        let mut trainer = trainer(&decoder, 1);
        trainer.move_to(gpu.seeds(1).unwrap().remove(0)).unwrap();
        train(&mut trainer, 0);
        train(&mut trainer, 1);
        trainer.fetch();
        parameters(&trainer)
    };
    let mut trainer = trainer(&decoder, 1);
    trainer.move_to(gpu.seeds(1).unwrap().remove(0)).unwrap();
    train(&mut trainer, 0);
    trainer.leave_device();
    assert!(!trainer.is_on_device());
    trainer.move_to(gpu.seeds(1).unwrap().remove(0)).unwrap();
    train(&mut trainer, 1);
    trainer.fetch();
    assert!(parameters(&trainer) == whole, "moving changes nothing");
    trainer.parameters_mut().values_mut(0).fill(0.0);
    trainer.evaluate(&sentences(3));
    train(&mut trainer, 2);
    trainer.fetch();
    assert!(parameters(&trainer) != whole);
}
