//! Closed forms and bounds of the theory against dense brute force, on random small instances: all
//! of Y and all of Θ, updated as the definitions say. (The sparse updates have
//! tests of their own.)

use retrodict_facts::{ChainConfig, DataConfig, Dataset, ReversalConfig};
use retrodict_theory::bilinear::flow_loss;
use retrodict_theory::one_layer::{flow_margin, ln_complement};

/// Numbers that look random (SplitMix64; Steele, Lea and Flood, 2014).
struct Draws(u64);

impl Draws {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.bits() % count as u64) as usize
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn numbers(&mut self, count: usize) -> Vec<f64> {
        (0..count).map(|_| self.between(-1.0, 1.0)).collect()
    }
}

/// x₁ r → target.
type Sentence = [usize; 3];

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|l| l.exp()).sum();
    logits.iter().map(|l| l.exp() / sum).collect()
}

/// The one-layer transformer with all of Y `[vocab, vocab]` and an attention that stands still:
/// f = c e_source + s e_relation.
#[derive(Clone)]
struct Dense {
    vocab: usize,
    y: Vec<f64>,
    mix: [f64; 2],
}

impl Dense {
    /// From zero. An angle of 0 is `contextual`: the source alone is attended to.
    fn new(vocab: usize, angle: f64) -> Dense {
        Dense { vocab, y: vec![0.0; vocab * vocab], mix: [angle.cos(), angle.sin()] }
    }

    fn probabilities(&self, [source, relation, _]: Sentence) -> Vec<f64> {
        let row = |token: usize| &self.y[token * self.vocab..][..self.vocab];
        let logits: Vec<f64> = row(source)
            .iter()
            .zip(row(relation))
            .map(|(x, r)| self.mix[0] * x + self.mix[1] * r)
            .collect();
        softmax(&logits)
    }

    fn probability(&self, sentence: Sentence) -> f64 {
        self.probabilities(sentence)[sentence[2]]
    }

    /// 1 − p, from the others.
    fn complement(&self, sentence: Sentence) -> f64 {
        let others = self.probabilities(sentence).into_iter().enumerate();
        others.filter(|(v, _)| *v != sentence[2]).map(|(_, p)| p).sum()
    }

    /// Adds `rate` times −∇ of a sentence's loss at `at`, f (e_target − p)ᵀ.
    fn push(&mut self, sentence: Sentence, at: &Dense, rate: f64) {
        let p = at.probabilities(sentence);
        for (token, f) in sentence.into_iter().zip(self.mix) {
            for (v, p) in p.iter().enumerate() {
                let g = f64::from(u8::from(v == sentence[2])) - p;
                self.y[token * self.vocab + v] += rate * f * g;
            }
        }
    }

    fn sgd(&mut self, sentence: Sentence, rate: f64) {
        let at = self.clone();
        self.push(sentence, &at, rate);
    }

    /// A step on the mean loss, with the gradient at `at`.
    fn descend(&mut self, train: &[Sentence], at: &Dense, rate: f64) {
        train.iter().for_each(|&sentence| self.push(sentence, at, rate / train.len() as f64));
    }

    /// Gradient flow over `time`, by the classical Runge-Kutta method.
    fn flow(&mut self, train: &[Sentence], time: f64, steps: u32) {
        let h = time / f64::from(steps);
        for _ in 0..steps {
            let start = self.clone();
            let mut at = start.clone();
            for (ahead, weight) in [(0.5, 1.0), (0.5, 2.0), (1.0, 2.0), (0.0, 1.0)] {
                self.descend(train, &at, h * weight / 6.0);
                let mut next = start.clone();
                next.descend(train, &at, h * ahead);
                at = next;
            }
        }
    }
}

/// A small data set with its sentences.
struct Instance {
    data: Dataset,
    train: Vec<Sentence>,
    held_out: Vec<Sentence>,
}

fn instance(draws: &mut Draws, chain: bool) -> Instance {
    let (vocab_size, train_fraction) = (9 + draws.below(24), draws.between(0.2, 0.8));
    let entity_length = 1;
    let config = match chain {
        true => DataConfig::Chain(ChainConfig { vocab_size, entity_length, train_fraction }),
        false => DataConfig::Reversal(ReversalConfig { vocab_size, entity_length, train_fraction }),
    };
    let data = config.generate(draws.bits() as u32).expect("a small data set");
    let [train, held_out] = [&data.train, &data.held_out].map(|sentences| {
        let sentence = |s: &Vec<u32>| [s[0] as usize, s[1] as usize, s[2] as usize];
        sentences.iter().map(sentence).collect::<Vec<_>>()
    });
    Instance { data, train, held_out }
}

/// How many training sentences begin as this one does.
fn targets(train: &[Sentence], [source, ..]: Sentence) -> usize {
    train.iter().filter(|other| other[0] == source).count()
}

#[test]
fn gradient_flow_is_its_closed_form_in_every_row() {
    let mut draws = Draws(1);
    for chain in [false, true, true, false, true] {
        let Instance { data, train, .. } = instance(&mut draws, chain);
        let own_time = draws.between(0.1, 15.0);
        let mut dense = Dense::new(data.vocab, 0.0);
        dense.flow(&train, own_time * train.len() as f64, 600);
        for &sentence in &train {
            let count = targets(&train, sentence);
            let p = dense.probabilities(sentence);
            let other = train.iter().filter(|s| s[0] == sentence[0]).map(|s| s[2]);
            let other: Vec<usize> = other.collect();
            let least = (0..data.vocab).filter(|v| !other.contains(v)).map(|v| p[v]);
            let margin = (p[sentence[2]] / least.fold(1.0, f64::min)).ln();
            let wanted = flow_margin(data.vocab, count, own_time);
            assert!((margin / wanted - 1.0).abs() < 1e-8, "{count} targets: {margin} {wanted}");
            if count == 1 {
                let quotient =
                    dense.complement(sentence) / ln_complement(data.vocab, own_time).exp();
                assert!((quotient - 1.0).abs() < 1e-8, "{quotient}");
            }
        }
    }
}

#[test]
fn no_step_is_behind_the_flow() {
    let mut draws = Draws(2);
    for number in 0..30 {
        let Instance { data, train, .. } = instance(&mut draws, number % 2 == 0);
        let rate = draws.between(-4.0, 3.0).exp();
        // Alone in their rows: with chains the links of the held-out ones.
        let alone: Vec<bool> = train.iter().map(|&s| targets(&train, s) == 1).collect();
        let behind = |dense: &Dense, at: usize, own_time: f64| {
            alone[at]
                && dense.complement(train[at])
                    > ln_complement(data.vocab, own_time).exp() * (1.0 + 1e-11)
        };
        let (mut sgd, mut updates) = (Dense::new(data.vocab, 0.0), vec![0; train.len()]);
        for step in 0..600 {
            let at = draws.below(train.len());
            sgd.sgd(train[at], rate);
            updates[at] += 1;
            assert!(!behind(&sgd, at, rate * f64::from(updates[at])), "SGD {rate}, step {step}");
        }
        let mut gd = Dense::new(data.vocab, 0.0);
        for step in 1..=60 {
            let at = gd.clone();
            gd.descend(&train, &at, rate);
            let own_time = rate * f64::from(step) / train.len() as f64;
            let slow = (0..train.len()).find(|&at| behind(&gd, at, own_time));
            assert_eq!(slow, None, "GD {rate}, step {step}");
        }
    }
}

/// Theorem 3's other half, with the relation token attended to as well: derived for learning rates
/// up to 1.
#[test]
fn a_held_out_reverse_is_never_above_chance() {
    let mut draws = Draws(3);
    for number in 0..40 {
        let Instance { data, train, held_out } = instance(&mut draws, false);
        let chance = 1.0 / data.vocab as f64;
        for angle in [0.0, draws.between(0.1, 1.5)] {
            let (mut dense, rate) = (Dense::new(data.vocab, angle), draws.between(0.3, 1.0));
            for step in 0..400 {
                match number % 2 {
                    0 => dense.sgd(train[draws.below(train.len())], rate),
                    _ => {
                        let at = dense.clone();
                        dense.descend(&train, &at, rate);
                    }
                }
                let most = held_out.iter().map(|&s| dense.probability(s)).fold(0.0, f64::max);
                assert!(most <= chance * (1.0 + 1e-12), "{angle} {rate} {step}: {most}");
                let untouched = (most / chance - 1.0).abs() < 1e-12;
                assert!(angle > 0.0 || untouched, "contextual: {most}");
            }
            let taught = train.iter().map(|&s| dense.probability(s)).fold(0.0, f64::max);
            assert!(taught > 2.0 * chance, "it has learned: {taught}");
        }
    }
}

/// Theorem 4: C is one of the M − 1 tokens other than B in the row of A.
#[test]
fn a_held_out_chain_shares_what_its_first_link_leaves() {
    let mut draws = Draws(4);
    for _ in 0..20 {
        let Instance { data, train, held_out } = instance(&mut draws, true);
        let rate = draws.between(-3.0, 2.0).exp();
        let mut dense = Dense::new(data.vocab, 0.0);
        for _ in 0..400 {
            dense.sgd(train[draws.below(train.len())], rate);
            for &asked in &held_out {
                let link = train.iter().find(|s| s[0] == asked[0]).expect("A → B is trained");
                let wanted = dense.complement(*link) / (data.vocab - 1) as f64;
                let found = dense.probability(asked);
                assert!((found / wanted - 1.0).abs() < 1e-11, "{found} {wanted}");
                assert!(found <= (1.0 + 1e-12) / data.vocab as f64);
            }
        }
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The bilinear model with all of Θ `[dim, dim]`.
struct Bilinear {
    dim: usize,
    entities: Vec<Vec<f64>>,
}

impl Bilinear {
    fn drawn(draws: &mut Draws, entities: usize, dim: usize) -> Bilinear {
        Bilinear { dim, entities: (0..entities).map(|_| draws.numbers(dim)).collect() }
    }

    /// Gram and Schmidt's, twice: a random orthonormal system.
    fn orthonormal(mut self) -> Bilinear {
        for at in [0..self.entities.len(), 0..self.entities.len()].into_iter().flatten() {
            let (before, rest) = self.entities.split_at_mut(at);
            let own = &mut rest[0];
            for other in &*before {
                let along = dot(own, other);
                own.iter_mut().zip(other).for_each(|(own, other)| *own -= along * other);
            }
            let norm = dot(own, own).sqrt();
            own.iter_mut().for_each(|own| *own /= norm);
        }
        self
    }

    fn probabilities(&self, weights: &[f64], source: usize) -> Vec<f64> {
        let x = &self.entities[source];
        let column = |to: usize| (0..self.dim).map(|at| x[at] * weights[at * self.dim + to]).sum();
        let moved: Vec<f64> = (0..self.dim).map(column).collect();
        let logits: Vec<f64> = self.entities.iter().map(|y| dot(&moved, y)).collect();
        softmax(&logits)
    }

    fn loss(&self, weights: &[f64], of: &[[usize; 2]]) -> f64 {
        let nll = |d: &[usize; 2]| -self.probabilities(weights, d[0])[d[1]].ln();
        of.iter().map(nll).sum::<f64>() / of.len() as f64
    }

    /// −∇L: the mean of u_x (u_y − Σ_v p(v|x) u_v)ᵀ.
    fn descent(&self, weights: &[f64], of: &[[usize; 2]]) -> Vec<f64> {
        let mut descent = vec![0.0; self.dim * self.dim];
        for &[source, target] in of {
            let p = self.probabilities(weights, source);
            for (at, descent) in descent.iter_mut().enumerate() {
                let (row, column) = (at / self.dim, at % self.dim);
                let mean: f64 = p.iter().zip(&self.entities).map(|(p, u)| p * u[column]).sum();
                let pull = self.entities[target][column] - mean;
                *descent += self.entities[source][row] * pull / of.len() as f64;
            }
        }
        descent
    }
}

#[test]
fn orthonormal_flow_of_all_weights_is_its_closed_form() {
    let mut draws = Draws(5);
    for _ in 0..6 {
        let (entities, more) = (2 + 2 * draws.below(4), draws.below(3));
        let model = Bilinear::drawn(&mut draws, entities, entities + more).orthonormal();
        let (mut trained, mut held_out) = (Vec::new(), Vec::new());
        for first in (0..entities).step_by(2) {
            let mut pair = [[first, first + 1], [first + 1, first]];
            pair.rotate_left(draws.below(2));
            trained.push(pair[0]);
            let is_held_out = first == 0 || draws.below(3) == 0;
            if is_held_out { held_out.push(pair[1]) } else { trained.push(pair[1]) }
        }
        let time = trained.len() as f64 * draws.between(0.1, 15.0);
        let (steps, mut weights) = (600, vec![0.0; model.dim * model.dim]);
        let h = time / f64::from(steps);
        for _ in 0..steps {
            let mut slopes: Vec<Vec<f64>> = Vec::new();
            for ahead in [0.0, 0.5, 0.5, 1.0] {
                let mut at = weights.clone();
                if let Some(slope) = slopes.last() {
                    at.iter_mut().zip(slope).for_each(|(w, s)| *w += h * ahead * s);
                }
                slopes.push(model.descent(&at, &trained));
            }
            for (slope, share) in slopes.iter().zip([1.0, 2.0, 2.0, 1.0]) {
                weights.iter_mut().zip(slope).for_each(|(w, s)| *w += h * share / 6.0 * s);
            }
        }
        let quotient = model.loss(&weights, &trained) / flow_loss(entities, trained.len(), time);
        assert!((quotient - 1.0).abs() < 1e-8, "{entities} {time}: {quotient}");
        let reversal = model.loss(&weights, &held_out) / (entities as f64).ln();
        assert!((reversal - 1.0).abs() < 1e-12, "{reversal}");
    }
}

/// ∇ of a function of some numbers, by central differences.
fn gradient(at: &[f64], of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let along = |index: usize| {
        let moved = |by: f64| {
            let mut moved = at.to_vec();
            moved[index] += by;
            of(&moved)
        };
        (moved(1e-5) - moved(-1e-5)) / 2e-5
    };
    (0..at.len()).map(along).collect()
}

/// The formulas of `docs/theory/transfer.md` for the two models of theory.
#[test]
fn transfer_between_sentences_is_the_inner_product_of_gradients() {
    let mut draws = Draws(6);
    for _ in 0..8 {
        let (entities, dim) = (4 + draws.below(4), 2 + draws.below(5));
        let model = Bilinear::drawn(&mut draws, entities, dim);
        let weights = draws.numbers(dim * dim);
        let [first, second] = [0; 2].map(|_| [draws.below(entities), draws.below(entities)]);
        let slope = |of: [usize; 2]| gradient(&weights, |w| -model.loss(w, &[of]));
        let rest = |[source, target]: [usize; 2]| -> Vec<f64> {
            let p = model.probabilities(&weights, source);
            let mean =
                |at: usize| p.iter().zip(&model.entities).map(|(p, u)| p * u[at]).sum::<f64>();
            (0..dim).map(|at| model.entities[target][at] - mean(at)).collect()
        };
        for other in [first, second, [first[1], first[0]], [first[0], second[1]]] {
            let sources = dot(&model.entities[first[0]], &model.entities[other[0]]);
            let formula = sources * dot(&rest(first), &rest(other));
            assert!((dot(&slope(first), &slope(other)) - formula).abs() < 1e-8, "{formula}");
        }

        let mut dense = Dense::new(6 + draws.below(5), 0.0);
        dense.y = draws.numbers(dense.vocab * dense.vocab);
        let slope = |sentence: Sentence| {
            gradient(&dense.y, |y| {
                Dense { y: y.to_vec(), ..dense.clone() }.probability(sentence).ln()
            })
        };
        let transfer = |of: Sentence, on: Sentence| dot(&slope(of), &slope(on));
        let [a, b, c] = [2, 3, 4];
        let p = dense.probabilities([a, 0, b]);
        let first_link = dot(&p, &p) - p[b] - p[c];
        assert!((transfer([a, 0, b], [a, 1, c]) - first_link).abs() < 1e-8, "A → B on A ⇝ C");
        for (of, on) in [([a, 0, b], [b, 1, a]), ([b, 0, c], [a, 1, c])] {
            assert_eq!(transfer(of, on), 0.0, "no row is shared");
        }
    }
}
