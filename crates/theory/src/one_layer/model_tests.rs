//! The model against a dense oracle: all of Y and Z, and gradients straight from the definition.

use retrodict_engine::{Purpose, Stream};

use super::super::descent::Order;
use super::super::{Context, Dynamics, OneLayerConfig, OneLayerError};
use super::{OneLayer, Sentence};

use Context::{All, Contextual};

/// Y and Z in full, `[vocabulary, vocabulary]`.
#[derive(Clone)]
struct Oracle {
    context: Context,
    y: Vec<Vec<f64>>,
    z: Vec<Vec<f64>>,
}

impl Oracle {
    fn new(config: &OneLayerConfig, vocab: usize) -> Oracle {
        let matrix = |stream| {
            let stream = Stream::new(config.seed.into(), Purpose::Initialisation, stream);
            let entry = |index: usize| match config.init {
                0.0 => 0.0,
                init => init * stream.normals(index as u64 / 2)[index % 2],
            };
            let row = |row| (0..vocab).map(|col| entry(row * vocab + col)).collect();
            (0..vocab).map(row).collect()
        };
        Oracle { context: config.context, y: matrix(0), z: matrix(1) }
    }

    /// The tokens that are attended to, b over them, and ‖Xᵀb‖.
    fn attention(&self, sentence: &Sentence) -> (Vec<usize>, Vec<f64>, f64) {
        let query = sentence.relation as usize;
        let tokens = match self.context {
            Contextual => vec![sentence.source as usize],
            All => vec![sentence.source as usize, query],
        };
        let powers: Vec<f64> = tokens.iter().map(|&token| self.z[query][token].exp()).collect();
        let sum: f64 = powers.iter().sum();
        let b: Vec<f64> = powers.iter().map(|power| power / sum).collect();
        let norm = b.iter().map(|b| b * b).sum::<f64>().sqrt();
        (tokens, b, norm)
    }

    fn softmax(&self, sentence: &Sentence) -> Vec<f64> {
        let (tokens, b, norm) = self.attention(sentence);
        let logit = |v: usize| {
            tokens.iter().zip(&b).map(|(&token, b)| b / norm * self.y[token][v]).sum::<f64>()
        };
        let powers: Vec<f64> = (0..self.y.len()).map(|v| logit(v).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|power| power / sum).collect()
    }

    fn log_probability(&self, sentence: &Sentence) -> f64 {
        self.softmax(sentence)[sentence.target as usize].ln()
    }

    /// ∇ log p by Y and Z, as the paper writes it (section 4): f gᵀ, and
    /// Xᵀ diag(b) X P⊥ / ‖Xᵀb‖ · Y g in the row of the query.
    fn gradient(&self, sentence: &Sentence) -> Oracle {
        let size = self.y.len();
        let mut gradient = Oracle {
            context: self.context,
            y: vec![vec![0.0; size]; size],
            z: vec![vec![0.0; size]; size],
        };
        let (tokens, b, norm) = self.attention(sentence);
        let mut g: Vec<f64> = self.softmax(sentence).iter().map(|p| -p).collect();
        g[sentence.target as usize] += 1.0;
        let f: Vec<f64> = b.iter().map(|b| b / norm).collect();
        let yg = |token: usize| self.y[token].iter().zip(&g).map(|(y, g)| y * g).sum::<f64>();
        let along: f64 = tokens.iter().zip(&f).map(|(&token, f)| f * yg(token)).sum();
        for ((&token, b), f) in tokens.iter().zip(&b).zip(&f) {
            gradient.y[token].iter_mut().zip(&g).for_each(|(to, g)| *to += f * g);
            let query = sentence.relation as usize;
            gradient.z[query][token] += b * (yg(token) - f * along) / norm;
        }
        gradient
    }

    fn add(&mut self, gradient: &Oracle, [rate_y, rate_z]: [f64; 2]) {
        let add = |to: &mut Vec<Vec<f64>>, from: &Vec<Vec<f64>>, rate: f64| {
            let pairs = to.iter_mut().flatten().zip(from.iter().flatten());
            pairs.for_each(|(to, from)| *to += rate * from);
        };
        add(&mut self.y, &gradient.y, rate_y);
        add(&mut self.z, &gradient.z, rate_z);
    }

    /// The mean gradient of the log probabilities.
    fn mean_gradient(&self, train: &[Sentence]) -> Oracle {
        let mut mean = self.gradient(&train[0]);
        mean.add(&mean.clone(), [-1.0; 2]);
        let share = 1.0 / train.len() as f64;
        train.iter().for_each(|sentence| mean.add(&self.gradient(sentence), [share; 2]));
        mean
    }

    /// Classical Runge-Kutta over `time`.
    fn flow(&mut self, train: &[Sentence], time: f64, attention_rate: f64, steps: u32) {
        let h = time / f64::from(steps);
        for _ in 0..steps {
            let mut slopes: Vec<Oracle> = Vec::new();
            for ahead in [0.0, 0.5, 0.5, 1.0] {
                let mut at = self.clone();
                if let Some(slope) = slopes.last() {
                    at.add(slope, [h * ahead, h * ahead * attention_rate]);
                }
                slopes.push(at.mean_gradient(train));
            }
            for (slope, weight) in slopes.iter().zip([1.0, 2.0, 2.0, 1.0]) {
                self.add(slope, [h * weight / 6.0, h * weight / 6.0 * attention_rate]);
            }
        }
    }
}

/// A small random instance: the relation tokens are 0 and 1, a source may have several targets, a
/// sentence may stand twice, and held-out sources may be untrained.
struct Instance {
    config: OneLayerConfig,
    vocab: usize,
    train: Vec<Sentence>,
    held_out: Vec<Sentence>,
}

fn instance(number: u32, dynamics: Dynamics) -> Instance {
    let stream = Stream::new(77, Purpose::HeldOut, number);
    let draw = |index: u64, below: usize| stream.words(index)[0] as usize % below;
    let vocab = 5 + draw(0, 20);
    let sentence = |at: u64| Sentence {
        source: 2 + draw(3 * at + 1, vocab - 2) as u32,
        relation: draw(3 * at + 2, 2) as u32,
        target: draw(3 * at + 3, vocab) as u32,
    };
    let count = 2 + draw(1000, 9) as u64;
    let mut train: Vec<Sentence> = (0..count).map(sentence).collect();
    train.extend_from_within(..1);
    let config = OneLayerConfig {
        context: if number.is_multiple_of(2) { Contextual } else { All },
        dynamics,
        lr_decoder: 0.3,
        lr_attention: [0.0, 0.2][draw(1001, 2)],
        init: [0.0, 0.7][draw(1002, 2)],
        seed: 5 + number,
        ..OneLayerConfig::default()
    };
    Instance { config, vocab, train, held_out: (100..104).map(sentence).collect() }
}

/// The model and the oracle agree on probabilities, attention and effective weights.
#[track_caller]
fn agree(model: &OneLayer, oracle: &Oracle, instance: &Instance, tolerance: f64) {
    let all: Vec<Sentence> = instance.train.iter().chain(&instance.held_out).copied().collect();
    let close = |a: f64, b: f64| (a - b).abs() <= tolerance * (1.0 + b.abs());
    for (sentence, score) in all.iter().zip(model.scores(&all)) {
        let expected = oracle.log_probability(sentence);
        assert!(close(score.ln_probability, expected), "{score:?} {expected} {sentence:?}");
        let complement = 1.0 - expected.exp();
        assert!(close(score.ln_complement.exp(), complement), "{score:?} {complement}");
        let (_, b, _) = oracle.attention(sentence);
        assert!(close(model.attention_on_source(sentence), b[0]));
        let row = model.decoder_row(sentence.source);
        let dense = &oracle.y[sentence.source as usize];
        assert!((0..dense.len()).all(|token| close(row.weight(token as u32), dense[token])));
        let some = [0, 2, 3, sentence.target];
        let sum: f64 = dense
            .iter()
            .enumerate()
            .filter(|(v, _)| some.contains(&(*v as u32)))
            .map(|(_, y)| y)
            .sum();
        assert!(close(row.sum(&some.into_iter().collect()), sum));
    }
}

#[test]
fn the_oracles_gradient_is_that_of_its_loss() {
    for number in 0..12 {
        let Instance { mut config, vocab, train, .. } = instance(number, Dynamics::Sgd);
        config.init = 0.7;
        let oracle = Oracle::new(&config, vocab);
        let gradient = oracle.gradient(&train[0]);
        for (row, column) in (0..vocab).flat_map(|r| (0..vocab).map(move |c| (r, c))) {
            let difference = |of: fn(&mut Oracle) -> &mut Vec<Vec<f64>>| {
                let moved = |by: f64| {
                    let mut moved = oracle.clone();
                    of(&mut moved)[row][column] += by;
                    moved.log_probability(&train[0])
                };
                (moved(1e-5) - moved(-1e-5)) / 2e-5
            };
            assert!((difference(|o| &mut o.y) - gradient.y[row][column]).abs() < 1e-8);
            assert!((difference(|o| &mut o.z) - gradient.z[row][column]).abs() < 1e-8);
        }
    }
}

#[test]
fn sgd_agrees_with_dense_steps() {
    for number in 0..40 {
        let instance = instance(number, Dynamics::Sgd);
        let Instance { config, vocab, train, held_out } = &instance;
        let mut model = OneLayer::new(*config, *vocab, train, held_out).unwrap();
        let mut oracle = Oracle::new(config, *vocab);
        let mut order = Order::new(config.seed.into(), train.len());
        agree(&model, &oracle, &instance, 1e-11);
        for step in 0..300 {
            let gradient = oracle.gradient(&train[order.draw(step)]);
            oracle.add(&gradient, [config.lr_decoder, config.lr_attention]);
        }
        model.train_to(300).unwrap();
        agree(&model, &oracle, &instance, 1e-9);
    }
}

#[test]
fn gradient_descent_agrees_with_dense_steps() {
    for number in 0..40 {
        let instance = instance(number, Dynamics::Gd);
        let Instance { config, vocab, train, held_out } = &instance;
        let mut model = OneLayer::new(*config, *vocab, train, held_out).unwrap();
        let mut oracle = Oracle::new(config, *vocab);
        for _ in 0..100 {
            let gradient = oracle.mean_gradient(train);
            oracle.add(&gradient, [config.lr_decoder, config.lr_attention]);
        }
        model.train_to(100).unwrap();
        agree(&model, &oracle, &instance, 1e-9);
    }
}

#[test]
fn the_flow_agrees_with_a_dense_runge_kutta() {
    for number in 0..8 {
        let instance = instance(number, Dynamics::Flow);
        let Instance { config, vocab, train, held_out } = &instance;
        let mut model = OneLayer::new(*config, *vocab, train, held_out).unwrap();
        let mut oracle = Oracle::new(config, *vocab);
        let rate = config.lr_attention / config.lr_decoder;
        for (step, time) in [(40, 12.0), (100, 18.0)] {
            oracle.flow(train, time, rate, 200);
            model.train_to(step).unwrap();
            agree(&model, &oracle, &instance, 1e-7);
        }
    }
}

#[test]
fn steps_are_the_same_however_they_are_grouped() {
    for (number, dynamics) in [(0, Dynamics::Sgd), (1, Dynamics::Sgd), (2, Dynamics::Gd)] {
        let Instance { config, vocab, train, held_out } = instance(number, dynamics);
        let new = || OneLayer::new(config, vocab, &train, &held_out).unwrap();
        let (mut once, mut pieces) = (new(), new());
        once.train_to(501).unwrap();
        [1, 2, 77, 78, 300, 501].into_iter().for_each(|step| pieces.train_to(step).unwrap());
        assert_eq!(once.weights, pieces.weights);
        assert_eq!(once.draws, pieces.draws);
        assert_eq!(once.own_times(), pieces.own_times());
        if dynamics == Dynamics::Sgd {
            assert_eq!(once.draws.iter().sum::<u64>(), 501);
            let mut other =
                OneLayer::new(OneLayerConfig { seed: 1, ..config }, vocab, &train, &[]).unwrap();
            other.train_to(501).unwrap();
            assert_ne!(once.draws, other.draws, "another seed draws another order");
        }
    }
}

#[test]
fn the_order_is_uniform() {
    let mut order = Order::new(3, 7);
    let mut counts = [0_u32; 7];
    (0..70_000).for_each(|step| counts[order.draw(step)] += 1);
    // Six standard deviations of a binomial.
    assert!(counts.iter().all(|&count| count.abs_diff(10_000) < 560), "{counts:?}");
}

/// A row of a large vocabulary whose source has one target.
fn one_sentence(context: Context) -> (OneLayerConfig, Sentence) {
    let (dynamics, lr_decoder) = (Dynamics::Sgd, 0.5);
    let config = OneLayerConfig {
        context,
        dynamics,
        lr_decoder,
        lr_attention: 0.1,
        init: 0.0,
        ..OneLayerConfig::default()
    };
    (config, Sentence { source: 9, relation: 0, target: 5 })
}

#[test]
fn a_row_with_zero_weights_is_as_many_numbers_as_it_has_values() {
    let (config, sentence) = one_sentence(Contextual);
    let held_out = [Sentence { target: 8, ..sentence }, Sentence { source: 7, ..sentence }];
    let mut model = OneLayer::new(config, 1_000_000, &[sentence], &held_out).unwrap();
    assert_eq!(model.weights.len(), 3, "target and others; others alone");
    model.train_to(1000).unwrap();
    let [told, other, untrained] =
        model.scores(&[sentence, held_out[0], held_out[1]]).try_into().unwrap();
    assert!(told.ln_complement < -5.0);
    assert!(other.ln_probability < -f64::ln(1e6));
    assert_eq!(untrained.ln_probability, -f64::ln(1e6));
    assert_eq!(
        OneLayer::new(config, 10, &[sentence], &[]).unwrap().attention_on_source(&sentence),
        1.0
    );
}

#[test]
fn a_tiny_complement_keeps_its_digits() {
    let (mut config, sentence) = one_sentence(Contextual);
    config.lr_decoder = 100.0;
    let mut model = OneLayer::new(config, 1000, &[sentence], &[]).unwrap();
    model.train_to(1).unwrap();
    // The first step makes the margin lr · M/(M − 1)·(1 − 1/M) = 100 exactly.
    let score = model.scores(&[sentence])[0];
    assert!((score.ln_complement - (f64::ln(999.0) - 100.0)).abs() < 1e-12, "{score:?}");
    let nll = -score.ln_probability;
    assert!((nll / score.ln_complement.exp() - 1.0).abs() < 1e-12, "{score:?}");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let (config, sentence) = one_sentence(All);
    let refused = |config: OneLayerConfig, train: &[Sentence], says: &str| {
        let model = config.check().and_then(|()| OneLayer::new(config, 10, train, &[]));
        let error = model.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    };
    for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        refused(OneLayerConfig { lr_decoder: rate, ..config }, &[sentence], "lr_decoder is");
    }
    refused(OneLayerConfig { lr_attention: -0.1, ..config }, &[sentence], "from 0 up to 1000");
    refused(OneLayerConfig { init: f64::NAN, ..config }, &[sentence], "init is NaN");
    refused(config, &[], "at least one sentence");
    refused(config, &[Sentence { target: 10, ..sentence }], "9 0 10: it has to be made of tokens");
    refused(config, &[Sentence { source: 0, ..sentence }], "not its relation token");
    let many: Vec<Sentence> = (1..400_000).map(|source| Sentence { source, ..sentence }).collect();
    let huge = OneLayerConfig { init: 1.0, ..config };
    let error = OneLayer::new(huge, 400_000, &many, &[]).unwrap_err();
    assert!(matches!(error, OneLayerError::Memory(_)), "{error}");
}
