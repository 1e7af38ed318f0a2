//! Reads the records of `reference/`, whose `README.md` says what they hold.

#![allow(dead_code, reason = "each test uses a part of it")]

use retrodict_engine::{AdamW, Rule, Scalar};
use retrodict_models::{
    Decoder, DecoderSettings, LossOn, LrSchedule, Objective, PositionEncoding, Trainer,
    TrainerOptions,
};
use safetensors::{Dtype, SafeTensors};

pub(crate) const ADAMW: Rule = Rule::AdamW(AdamW { betas: [0.9, 0.999], epsilon: 1e-8 });

/// One model of a record, with the batch that it was trained on.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    record: SafeTensors<'static>,
    pub(crate) decoder: Decoder,
    pub(crate) objective: Objective,
    pub(crate) sentences: Vec<Vec<u32>>,
}

impl Case {
    /// Reads the shape of the model off its parameters; the rest must be told.
    pub(crate) fn read(
        record: &'static [u8],
        name: &'static str,
        heads: usize,
        entity_length: usize,
        loss_on: LossOn,
        position: PositionEncoding,
    ) -> Case {
        let record = SafeTensors::deserialize(record).unwrap();
        let tensor = |what: &str| record.tensor(&format!("{name}/{what}"));
        let shape = |what: &str| tensor(what).unwrap().shape().to_vec();
        let wte = shape("initial/transformer.wte.weight");
        let layers = (0..)
            .take_while(|l| tensor(&format!("initial/transformer.h.{l}.ln_1.weight")).is_ok())
            .count();
        let length = shape("tokens")[1];
        let positions = match position {
            PositionEncoding::Absolute => shape("initial/transformer.wpe.weight")[0],
            PositionEncoding::None | PositionEncoding::Rotary(_) => length,
        };
        let decoder = Decoder {
            vocab: wte[0],
            positions,
            settings: DecoderSettings {
                layers,
                heads,
                dim: wte[1],
                position,
                dropout: 0.0,
                tie_head: tensor("initial/lm_head.weight").is_err(),
                ..DecoderSettings::default()
            },
        };
        let objective = Objective::next_token(length, entity_length, loss_on);
        let tokens = numbers(&record, &format!("{name}/tokens"));
        let tokens: Vec<u32> = tokens.into_iter().map(|token| token as u32).collect();
        let sentences = tokens.chunks(length).map(<[u32]>::to_vec).collect();
        Case { name, record, decoder, objective, sentences }
    }

    /// An array of this case.
    pub(crate) fn numbers(&self, what: &str) -> Vec<f64> {
        numbers(&self.record, &format!("{}/{what}", self.name))
    }

    /// A trainer that starts from the recorded parameters.
    pub(crate) fn trainer<T: Scalar>(&self, rule: Rule, rate: f64, threads: usize) -> Trainer<T> {
        self.trainer_with(&options(rule, rate, threads))
    }

    /// The same with any options.
    pub(crate) fn trainer_with<T: Scalar>(&self, options: &TrainerOptions) -> Trainer<T> {
        let mut trainer = Trainer::new(&self.decoder, self.objective.clone(), options);
        let names: Vec<String> = trainer.parameters().iter().map(|(p, _)| p.name.clone()).collect();
        for (i, name) in names.iter().enumerate() {
            let values = self.numbers(&format!("initial/{name}"));
            let own = trainer.parameters_mut().values_mut(i);
            assert_eq!(own.len(), values.len(), "{name}");
            for (own, value) in own.iter_mut().zip(values) {
                *own = T::from_f64(value);
            }
        }
        trainer
    }

    /// Compares the logits at every position.
    pub(crate) fn assert_logits(&self, trainer: &mut Trainer<f64>) {
        let theirs = self.numbers("logits");
        let (positions, vocab) = (self.objective.sentence_length - 1, self.decoder.vocab);
        for length in 1..=positions {
            let contexts: Vec<Vec<u32>> =
                self.sentences.iter().map(|s| s[..length].to_vec()).collect();
            for (i, row) in trainer.next_token_logits(&contexts).iter().enumerate() {
                let start = (i * positions + length - 1) * vocab;
                let row: Vec<f64> = row.iter().map(|x| f64::from(*x)).collect();
                // The logits are given in single precision.
                assert_close(self.name, &row, &theirs[start..start + vocab], 1e-7);
            }
        }
    }

    pub(crate) fn batch(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.sentences.iter().map(Vec::as_slice)
    }

    /// Trains one step on the whole batch: the mean NLL of a token of the last entity before it.
    pub(crate) fn step<T: Scalar>(&self, trainer: &mut Trainer<T>) -> f64 {
        let scores = trainer.step(self.batch());
        let tokens = scores.len() * self.objective.entity_length;
        scores.iter().map(|s| s.nll).sum::<f64>() / tokens as f64
    }
}

/// The options of the records.
pub(crate) fn options(rule: Rule, rate: f64, threads: usize) -> TrainerOptions {
    TrainerOptions {
        rule,
        rate,
        weight_decay: 0.01,
        decay_norms: true,
        clip: 0.0,
        init_seed: 0,
        noise_seed: 0,
        threads,
        schedule: LrSchedule::default(),
    }
}

/// Compares numbers, with a tolerance relative to the larger of 1 and theirs.
pub(crate) fn assert_close(name: &str, ours: &[f64], theirs: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs().max(1.0), "{name}[{i}]: {a} instead of {b}");
    }
}

fn numbers(record: &SafeTensors, name: &str) -> Vec<f64> {
    let tensor = record.tensor(name).unwrap();
    let (bytes, _) = tensor.data().as_chunks::<8>();
    match tensor.dtype() {
        Dtype::F64 => bytes.iter().map(|b| f64::from_le_bytes(*b)).collect(),
        Dtype::I64 => bytes.iter().map(|b| i64::from_le_bytes(*b) as f64).collect(),
        Dtype::F32 => {
            let (bytes, _) = tensor.data().as_chunks::<4>();
            bytes.iter().map(|b| f64::from(f32::from_le_bytes(*b))).collect()
        }
        other => panic!("{name} is {other:?}"),
    }
}
