//! Looking into a decoder: what must come out whatever it has learned.

#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

use retrodict_engine::{Adam, Rule, Sgd};
use retrodict_models::{
    Decoder, DecoderSettings, Design, LossOn, LrSchedule, Masking, Mixer, NoParts, Norm, NormPlace,
    NotADecoder, Objective, OneLayerNetwork, OneLayerSettings, Part, Patch, Reading, Site, Trainer,
    TrainerOptions, ValueOutput,
};

const DIM: usize = 12;

fn decoder(design: Design) -> Decoder {
    Decoder {
        vocab: 23,
        positions: 4,
        settings: DecoderSettings {
            layers: 2,
            heads: 3,
            dim: DIM,
            dropout: 0.1,
            design,
            ..DecoderSettings::default()
        },
    }
}

fn designs() -> Vec<Design> {
    let gpt2 = Design::default();
    vec![
        gpt2,
        Design { mixer: Mixer::Bidirectional, ..gpt2 },
        Design { mixer: Mixer::Gru, ..gpt2 },
        Design { residual: false, ..gpt2 },
        Design { norm_place: NormPlace::Post, ..gpt2 },
    ]
}

/// A model far from its start, so that equal answers are no accident.
fn trainer(decoder: &Decoder, reading: Reading) -> Trainer<f64> {
    let options = TrainerOptions {
        rule: Rule::Adam(Adam { betas: [0.9, 0.999], epsilon: 1e-8 }),
        rate: 3e-2,
        weight_decay: 0.0,
        decay_norms: true,
        clip: 0.0,
        init_seed: 3,
        noise_seed: 4,
        threads: 1,
        schedule: LrSchedule::default(),
    };
    let objective = Objective { reading, ..Objective::next_token(3, 1, LossOn::LastEntity) };
    let mut trainer = Trainer::new(decoder, objective, &options);
    let sentences: Vec<Vec<u32>> = (0..20).map(|i| vec![2 + i, i % 2, 2 + i * 7 % 20]).collect();
    for _ in 0..20 {
        trainer.step(sentences.iter().map(Vec::as_slice));
    }
    trainer
}

/// More than are run at once, to the last.
fn contexts(relation: u32) -> Vec<Vec<u32>> {
    (0..70).map(|i| vec![2 + (i * 3 + relation) % 20, relation]).collect()
}

fn every_trainer() -> impl Iterator<Item = Trainer<f64>> {
    let left_to_right = designs().into_iter().map(|d| trainer(&decoder(d), Reading::NextToken));
    let bidirectional = Design { mixer: Mixer::Bidirectional, ..Design::default() };
    let masked =
        trainer(&decoder(bidirectional), Reading::Masked { mask: 22, masking: Masking::Tokens });
    left_to_right.chain([masked])
}

#[test]
fn the_lens_ends_with_the_models_own_logits() {
    for mut trainer in every_trainer() {
        let own = trainer.next_token_logits(&contexts(0));
        let lens = trainer.lens_logits(&contexts(0)).unwrap();
        assert_eq!(lens.len(), 3, "the embeddings and two blocks");
        let last: Vec<Vec<f32>> =
            lens[2].iter().map(|row| row.iter().map(|x| *x as f32).collect()).collect();
        assert_eq!(last, own);
        assert_ne!(lens[0], lens[1]);
        assert_ne!(lens[1], lens[2]);
    }
}

/// What a block does not write does not change what is read off the stream.
#[test]
fn the_lens_sees_what_is_written_and_nothing_else() {
    let mut trainer = trainer(&decoder(Design::default()), Reading::NextToken);
    let names: Vec<String> = trainer.parameters().iter().map(|(p, _)| p.name.clone()).collect();
    for (i, name) in names.iter().enumerate() {
        if name.starts_with("transformer.h.1.") && name.contains("c_proj") {
            trainer.parameters_mut().values_mut(i).fill(0.0);
        }
    }
    let lens = trainer.lens_logits(&contexts(1)).unwrap();
    assert_ne!(lens[0], lens[1]);
    assert_eq!(lens[1], lens[2]);
}

#[test]
fn a_patch_of_all_gives_the_one_run_and_a_patch_of_nothing_the_other() {
    for mut trainer in every_trainer() {
        let (clean, corrupted) = (contexts(0), contexts(1));
        let [own_clean, own_corrupted] =
            [&clean, &corrupted].map(|contexts| trainer.lens_logits(contexts).unwrap()[2].clone());
        assert_ne!(own_clean, own_corrupted);
        let last = trainer.positions_of(2) - 1;
        let mut patched = |site, positions: &[usize]| {
            let patch = Patch { site, positions: positions.to_vec() };
            trainer.patched_logits(&clean, &corrupted, &patch).unwrap()
        };
        let all: Vec<usize> = (0..=last).collect();
        assert_eq!(patched(Site::Embeddings, &[]), own_corrupted);
        assert_eq!(patched(Site::Block(0), &[]), own_corrupted);
        assert_eq!(patched(Site::Embeddings, &all), own_clean);
        assert_eq!(patched(Site::Block(0), &all), own_clean);
        assert_eq!(patched(Site::Block(1), &[last]), own_clean);
        // Nobody reads the other positions behind the last block.
        assert_eq!(patched(Site::Block(1), &all[..last]), own_corrupted);
        let between = patched(Site::Block(0), &[0]);
        assert!(between != own_clean && between != own_corrupted);
    }
}

/// What the parts wrote, read as the head reads it, are the logits.
#[test]
fn parts_add_up_to_the_stream() {
    let gpt2 = Design::default();
    let designs = [
        (gpt2, 2 * (3 + 1 + 1)),
        (Design { norm: Norm::Rms, value_output: ValueOutput::Merged, ..gpt2 }, 2 * (3 + 1)),
        (Design { norm: Norm::None, mixer: Mixer::Linear, ..gpt2 }, 2 * (3 + 1 + 1)),
        (Design { mixer: Mixer::Gru, ..gpt2 }, 2 * (1 + 1 + 1)),
        (Design { mixer: Mixer::None, ..gpt2 }, 2),
    ];
    for ((design, count), tie_head) in designs.into_iter().zip([false, true, false, true, false]) {
        let mut trainer =
            trainer(&decoder(design).adjusted(|d| d.tie_head = tie_head), Reading::NextToken);
        let logits = trainer.lens_logits(&contexts(0)).unwrap().pop().unwrap();
        let all = trainer.parts(&contexts(0)).unwrap();
        assert_eq!(all.parts.len(), 1 + count);
        assert_eq!(all.parts[0], Part::Embeddings);
        for (written, logits) in all.written.iter().zip(&logits) {
            let sum = |f: usize| written.iter().map(|part| part[f]).sum::<f64>();
            let stream: Vec<f64> = (0..DIM).map(sum).collect();
            let norm = &all.norm;
            let mean = if norm.centred { stream.iter().sum::<f64>() / DIM as f64 } else { 0.0 };
            let square = stream.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / DIM as f64;
            let scale = norm.epsilon.map_or(1.0, |epsilon| 1.0 / (square + epsilon).sqrt());
            for (row, logit) in all.head.iter().zip(logits) {
                let read = |f: usize| norm.gain[f] * (stream[f] - mean) * scale + norm.bias[f];
                let own: f64 = (0..DIM).map(|f| read(f) * row[f]).sum();
                assert!((own - logit).abs() < 1e-9, "{design:?}: {own} {logit}");
            }
        }
    }
    for design in
        [Design { residual: false, ..gpt2 }, Design { norm_place: NormPlace::Post, ..gpt2 }]
    {
        let mut trainer = trainer(&decoder(design), Reading::NextToken);
        assert_eq!(trainer.parts(&contexts(0)).err(), Some(NoParts::NoSum));
    }
}

#[test]
fn models_without_a_stream_are_refused() {
    let network = OneLayerNetwork {
        vocab: 9,
        settings: OneLayerSettings { value_output: ValueOutput::Merged, ..Default::default() },
    };
    let objective = Objective::next_token(3, 1, LossOn::LastEntity);
    let options = TrainerOptions {
        rule: Rule::Sgd(Sgd { momentum: 0.0 }),
        rate: 0.1,
        weight_decay: 0.0,
        decay_norms: true,
        clip: 0.0,
        init_seed: 0,
        noise_seed: 0,
        threads: 1,
        schedule: LrSchedule::default(),
    };
    let network = retrodict_models::Network::OneLayer(network);
    let mut trainer = Trainer::<f32>::new(network, objective, &options);
    assert_eq!(trainer.lens_logits(&contexts(0)).err(), Some(NotADecoder));
}
