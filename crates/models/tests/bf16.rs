//! Training with the operands of matrix products rounded to bf16.

use retrodict_engine::{AdamW, ProductPrecision, Rule, Scalar};
use retrodict_models::{
    Decoder, DecoderSettings, LossOn, LrSchedule, Objective, Trainer, TrainerOptions,
};

fn trainer<T: Scalar>(dim: usize, tie_head: bool, threads: usize) -> Trainer<T> {
    let decoder = Decoder {
        vocab: 53,
        positions: 4,
        settings: DecoderSettings {
            layers: 2,
            heads: 4,
            dim,
            dropout: 0.1,
            tie_head,
            ..DecoderSettings::default()
        },
    };
    let options = TrainerOptions {
        rule: Rule::AdamW(AdamW { betas: [0.9, 0.999], epsilon: 1e-8 }),
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
    Trainer::new(&decoder, objective, &options)
}

fn sentences(count: u32) -> Vec<Vec<u32>> {
    (0..count).map(|i| vec![i * 7 % 53, i % 2, i * 11 % 53]).collect()
}

/// All numbers of the gradient on the first sentences, after some steps in full precision, so that
/// no parameter is where it was drawn.
fn gradient<T: Scalar>(dim: usize, tie_head: bool, precision: ProductPrecision) -> Vec<f64> {
    let sentences = sentences(40);
    let mut trainer = trainer::<T>(dim, tie_head, 2);
    for _ in 0..5 {
        trainer.step(sentences.iter().map(Vec::as_slice));
    }
    let mut trainer = trainer.with_products(precision);
    let gradients = trainer.gradients(sentences.iter().map(Vec::as_slice));
    gradients.iter().flat_map(|(_, g)| g.iter().map(|x| x.to_f64())).collect()
}

/// |a − b| / |b|.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

#[test]
fn the_gradient_is_near_that_of_full_precision_but_not_the_same() {
    for (dim, tie_head) in [(20, false), (64, true)] {
        let full = gradient::<f32>(dim, tie_head, ProductPrecision::Full);
        let rounded = gradient::<f32>(dim, tie_head, ProductPrecision::Bf16);
        let apart = distance(&rounded, &full);
        assert!((1e-4..0.02).contains(&apart), "dim {dim}: {apart}");
        // What is left between rounded operands summed in f32 and in f64 is much less.
        let exact = gradient::<f64>(dim, tie_head, ProductPrecision::Bf16);
        let apart = distance(&rounded, &exact);
        assert!(apart < 4e-3, "dim {dim}, f64: {apart}");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let sentences = sentences(70);
    let run = |threads| {
        let mut trainer = trainer::<f32>(20, false, threads).with_products(ProductPrecision::Bf16);
        for _ in 0..5 {
            for batch in sentences.chunks(40) {
                trainer.step(batch.iter().map(Vec::as_slice));
            }
        }
        let bits: Vec<u32> =
            trainer.parameters().iter().flat_map(|(_, v)| v.iter().map(|x| x.to_bits())).collect();
        (bits, trainer.evaluate(&sentences).to_vec())
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert!(one == run(threads), "{threads} threads differ");
    }
}
