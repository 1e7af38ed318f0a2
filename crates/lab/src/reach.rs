//! How far from a trained model one lies that also answers the held-out questions: expressivity
//! beside dynamics.
//!
//! The model continues to train on all sentences, held-out ones included, until it answers every
//! question. The way there is then shortened along the straight line, while the answers stay right.
//! The distance is an upper bound on that of the nearest such model.

use retrodict_dynamics::Reach;
use retrodict_engine::{Purpose, Stream};
use retrodict_facts::{Dataset, Sentence};

use crate::experiment::{Experiment, Steps, example};
use crate::run::Stored;
use retrodict_models::{SentenceScore, Trainer};

/// Learning rates that are tried, as fractions of the spec's; the shortest way counts.
const RATES: [f64; 3] = [1.0, 0.3, 0.1];
/// Epochs after which a rate is given up.
const MOST_EPOCHS: u64 = 300;
/// Halvings of the straight line.
const HALVINGS: u32 = 10;

/// Measures a trained model. `fresh` makes the initial model of the run.
pub(crate) fn reach<T: Stored>(
    experiment: &Experiment,
    seed: u64,
    dataset: &Dataset,
    trained: &mut Trainer<T>,
    fresh: impl Fn() -> Trainer<T>,
) -> Reach {
    let end = parameters(trained);
    let start = parameters(&fresh());
    let travelled = distance(&start, &end);
    if dataset.held_out.is_empty() {
        return Reach { travelled: Some(travelled), ..Reach::default() };
    }
    let forward = top1(trained.evaluate(&dataset.train));
    let mut training_set = experiment.training_set(seed, dataset);
    training_set.sentences.extend(dataset.held_out.iter().map(|tokens| Sentence {
        tokens: tokens.clone(),
        answer: dataset.entity_length,
        weight: 1.0,
    }));
    let Steps { batch_size, .. } = experiment.steps(&training_set);
    let knows = |trainer: &mut Trainer<T>| {
        top1(trainer.evaluate(&dataset.held_out)) == 1.0
            && top1(trainer.evaluate(&dataset.train)) >= forward
    };
    let mut best: Option<(f64, u64)> = None;
    for factor in RATES {
        let mut trainer = fresh();
        write(&mut trainer, &end);
        let optimizer = trainer.optimizer_mut();
        (optimizer.rate, optimizer.weight_decay) = (optimizer.rate * factor, 0.0);
        let order_seed = experiment.seeds(seed).order;
        for epoch in 0..MOST_EPOCHS {
            let mut order: Vec<usize> = (0..training_set.sentences.len()).collect();
            // The run has used the epochs before.
            let number = experiment.spec.train.epochs + epoch;
            Stream::new(order_seed, Purpose::Order, number as u32).shuffle(&mut order);
            for batch in order.chunks(batch_size) {
                trainer.step(batch.iter().map(|&at| example(&training_set.sentences[at])));
            }
            if knows(&mut trainer) {
                let found = parameters(&trainer);
                let along = shorten(&mut trainer, &end, &found, knows);
                let way = along * distance(&end, &found) / travelled;
                if best.is_none_or(|(shortest, _)| way < shortest) {
                    best = Some((way, epoch + 1));
                }
                break;
            }
        }
    }
    Reach {
        travelled: Some(travelled),
        reverse_distance: best.map(|(way, _)| way),
        reverse_epochs: best.map(|(_, epochs)| epochs as f64),
    }
}

/// The least fraction of the way from `end` to `found`, to 1/1024, at which `knows` holds, by
/// halving.
fn shorten<T: Stored>(
    trainer: &mut Trainer<T>,
    end: &[Vec<T>],
    found: &[Vec<T>],
    knows: impl Fn(&mut Trainer<T>) -> bool,
) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = (low + high) / 2.0;
        let between = |(a, b): (&Vec<T>, &Vec<T>)| {
            let mix =
                |(a, b): (&T, &T)| T::from_f64(a.to_f64() + middle * (b.to_f64() - a.to_f64()));
            a.iter().zip(b).map(mix).collect()
        };
        let mixed: Vec<Vec<T>> = end.iter().zip(found).map(between).collect();
        write(trainer, &mixed);
        if knows(trainer) { high = middle } else { low = middle }
    }
    high
}

fn parameters<T: Stored>(trainer: &Trainer<T>) -> Vec<Vec<T>> {
    trainer.parameters().iter().map(|(_, values)| values.to_vec()).collect()
}

fn write<T: Stored>(trainer: &mut Trainer<T>, values: &[Vec<T>]) {
    for (at, values) in values.iter().enumerate() {
        trainer.parameters_mut().values_mut(at).copy_from_slice(values);
    }
}

fn distance<T: Stored>(a: &[Vec<T>], b: &[Vec<T>]) -> f64 {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(a, b)| (a.to_f64() - b.to_f64()).powi(2)).sum::<f64>().sqrt()
}

fn top1(scores: &[SentenceScore]) -> f64 {
    let right = scores.iter().filter(|score| score.top1).count();
    right as f64 / scores.len() as f64
}
