//! Steps of the caller's own, beside those of the trainer.

use retrodict_engine::{Adam, AdamW, Muon, Rule};
use retrodict_models::{
    Decoder, DecoderSettings, LossOn, LrDecay, LrSchedule, Objective, Trainer, TrainerOptions,
};

const VOCAB: usize = 11;

fn trainer(rule: Rule, clip: f64) -> Trainer<f64> {
    let settings = DecoderSettings { layers: 2, dim: 12, heads: 2, ..DecoderSettings::default() };
    let settings = DecoderSettings { dropout: 0.0, ..settings };
    let decoder = Decoder { vocab: VOCAB, positions: 3, settings };
    let options = TrainerOptions {
        rule,
        rate: 0.01,
        weight_decay: 0.1,
        decay_norms: false,
        clip,
        init_seed: 3,
        noise_seed: 3,
        threads: 1,
        schedule: LrSchedule { warmup: 2, steps: 10, decay: LrDecay::Constant },
    };
    Trainer::new(decoder, Objective::next_token(3, 1, LossOn::LastEntity), &options)
}

fn sentences() -> Vec<Vec<u32>> {
    (0..7).map(|i| vec![i, 8 + i % 2, 6 - i]).collect()
}

/// The gradient of the mean cross-entropy with respect to the logits.
fn slopes(trainer: &mut Trainer<f64>, contexts: &[Vec<u32>], answers: &[u32]) -> Vec<f64> {
    let logits = trainer.next_token_logits(contexts);
    let slope = |(logits, answer): (Vec<f32>, &u32)| {
        let total: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
        let target = *answer as usize;
        let one = move |(v, x): (usize, f32)| {
            (f64::from(x).exp() / total - f64::from(u8::from(v == target))) / 7.0
        };
        logits.into_iter().enumerate().map(one).collect::<Vec<_>>()
    };
    logits.into_iter().zip(answers).flat_map(slope).collect()
}

#[test]
fn the_gradient_of_a_loss_on_logits_is_that_of_the_same_loss() {
    let mut trainer = trainer(Rule::Adam(Adam::default()), 0.0);
    let sentences = sentences();
    let contexts: Vec<Vec<u32>> = sentences.iter().map(|s| s[..2].to_vec()).collect();
    let answers: Vec<u32> = sentences.iter().map(|s| s[2]).collect();
    for _ in 0..3 {
        let slopes = slopes(&mut trainer, &contexts, &answers);
        let copy = |(name, values): (&retrodict_engine::Parameter, &[f64])| {
            (name.name.clone(), values.to_vec())
        };
        let own: Vec<_> = trainer.backward(&contexts, &slopes).iter().map(copy).collect();
        let batch = || sentences.iter().map(Vec::as_slice);
        let theirs: Vec<_> = trainer.gradients(batch()).iter().map(copy).collect();
        for ((name, own), (_, theirs)) in own.iter().zip(&theirs) {
            // Logits are handed out in single precision.
            let far = own.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(far < 1e-7, "{name}: {far:e}");
        }
        trainer.step(batch());
    }
}

#[test]
fn an_update_with_the_own_gradient_is_a_step() {
    for (rule, clip) in [
        (Rule::AdamW(AdamW::default()), 0.0),
        (Rule::AdamW(AdamW::default()), 0.05),
        (Rule::Muon(Muon::default()), 0.0),
    ] {
        let [mut one, mut two] = [trainer(rule, clip), trainer(rule, clip)];
        let sentences = sentences();
        for _ in 0..4 {
            let batch = || sentences.iter().map(Vec::as_slice);
            one.step(batch());
            let gradients: Vec<Vec<f64>> =
                two.gradients(batch()).iter().map(|(_, values)| values.to_vec()).collect();
            two.update(|into| {
                for (i, from) in gradients.iter().enumerate() {
                    into.values_mut(i).copy_from_slice(from);
                }
            });
        }
        assert_eq!(one.optimizer().steps(), two.optimizer().steps());
        for ((p, a), (_, b)) in one.parameters().iter().zip(two.parameters().iter()) {
            assert_eq!(a, b, "{} with {rule:?} and {clip}", p.name);
        }
    }
}
