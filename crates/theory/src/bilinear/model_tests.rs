//! Against a dense oracle that keeps Θ itself, on random small instances.

use super::super::*;
use super::*;
use retrodict_engine::{Purpose, Stream};

/// A small model with its embeddings and weights at hand.
struct Oracle {
    dim: usize,
    embeddings: Vec<f64>,
    weights: Vec<f64>,
    directions: Directions,
}

/// Uniform numbers in ±`scale`.
fn numbers(seed: u64, stream: u32, count: usize, scale: f64) -> Vec<f64> {
    let stream = Stream::new(seed, Purpose::Initialisation, stream);
    let draw = |at: usize| f64::from(stream.words(at as u64)[0]) / f64::from(u32::MAX);
    (0..count).map(|at| scale * (2.0 * draw(at) - 1.0)).collect()
}

impl Oracle {
    fn draw(seed: u64) -> Oracle {
        let words = Stream::new(seed, Purpose::Initialisation, 9).words(0);
        let (entities, dim) = (4 + 2 * (words[0] as usize % 4), 2 + words[1] as usize % 12);
        let mut directions = Directions::of_pairs(entities, 0.4, seed).unwrap();
        if seed % 2 == 1 {
            // A source with two targets, a direction that stands twice, and a row nobody trains.
            directions.trained.push(Direction { source: 0, target: 3 });
            directions.trained.push(directions.trained[0]);
            directions.held_out.push(Direction { source: 2, target: 0 });
        }
        let embeddings = numbers(seed, 1, entities * dim, (3.0 / dim as f64).sqrt());
        Oracle { dim, embeddings, weights: numbers(seed, 2, dim * dim, 0.7), directions }
    }

    fn model(&self) -> Bilinear {
        Bilinear::with_embeddings(&self.embeddings, &self.weights, &self.directions).unwrap()
    }

    fn row(&self, entity: usize) -> &[f64] {
        &self.embeddings[entity * self.dim..][..self.dim]
    }

    /// u_xᵀ Θ u_y over all y, as it is written.
    fn logits(&self, weights: &[f64], source: usize) -> Vec<f64> {
        let logit = |target: &[f64]| {
            let terms = (0..self.dim * self.dim)
                .map(|at| self.row(source)[at / self.dim] * weights[at] * target[at % self.dim]);
            terms.sum::<f64>()
        };
        self.embeddings.chunks_exact(self.dim).map(logit).collect()
    }

    fn loss(&self, weights: &[f64], of: &[Direction]) -> f64 {
        let one = |d: &Direction| {
            let logits = self.logits(weights, d.source);
            logits.iter().map(|l| l.exp()).sum::<f64>().ln() - logits[d.target]
        };
        of.iter().map(one).sum::<f64>() / of.len() as f64
    }

    /// −∇L over some directions: mean of u_x (u_y − Σ_v p(v|x) u_v)ᵀ.
    fn descent(&self, weights: &[f64], of: &[Direction]) -> Vec<f64> {
        let mut descent = vec![0.0; self.dim * self.dim];
        for d in of {
            let logits = self.logits(weights, d.source);
            let sum: f64 = logits.iter().map(|l| l.exp()).sum();
            let mut target = self.row(d.target).to_vec();
            for (entity, logit) in logits.iter().enumerate() {
                let p = logit.exp() / sum;
                target.iter_mut().zip(self.row(entity)).for_each(|(t, u)| *t -= p * u);
            }
            for (at, descent) in descent.iter_mut().enumerate() {
                *descent +=
                    self.row(d.source)[at / self.dim] * target[at % self.dim] / of.len() as f64;
            }
        }
        descent
    }

    fn ahead(&self, weights: &[f64], by: f64, slope: &[f64]) -> Vec<f64> {
        weights.iter().zip(slope).map(|(w, s)| w + by * s).collect()
    }

    /// Θ at `time`, by the classical Runge-Kutta method.
    fn flow(&self, time: f64, steps: u32) -> Vec<f64> {
        let h = time / f64::from(steps);
        let mut weights = self.weights.clone();
        let slope = |weights: &[f64]| self.descent(weights, &self.directions.trained);
        for _ in 0..steps {
            let k1 = slope(&weights);
            let k2 = slope(&self.ahead(&weights, h / 2.0, &k1));
            let k3 = slope(&self.ahead(&weights, h / 2.0, &k2));
            let k4 = slope(&self.ahead(&weights, h, &k3));
            for (k, share) in [(k1, 1.0), (k2, 2.0), (k3, 2.0), (k4, 1.0)] {
                weights = self.ahead(&weights, h * share / 6.0, &k);
            }
        }
        weights
    }

    fn losses(&self, weights: &[f64]) -> Losses {
        Losses {
            train: self.loss(weights, &self.directions.trained),
            reversal: Some(self.loss(weights, &self.directions.held_out)),
        }
    }
}

#[track_caller]
fn assert_close(ours: Losses, theirs: Losses, relative: f64) {
    for (ours, theirs) in [(Some(ours.train), Some(theirs.train)), (ours.reversal, theirs.reversal)]
    {
        let (ours, theirs) = (ours.unwrap(), theirs.unwrap());
        assert!((ours / theirs - 1.0).abs() < relative, "{ours} is not {theirs}");
    }
}

#[test]
fn the_velocity_is_minus_the_gradient_by_finite_differences() {
    for seed in 0..6 {
        let oracle = Oracle::draw(seed);
        let slope = oracle.descent(&oracle.weights, &oracle.directions.trained);
        for at in 0..slope.len() {
            let nudged = |by: f64| {
                let mut weights = oracle.weights.clone();
                weights[at] += by;
                oracle.loss(&weights, &oracle.directions.trained)
            };
            let difference = (nudged(-1e-5) - nudged(1e-5)) / 2e-5;
            assert!((difference - slope[at]).abs() < 1e-9, "{seed} {at}");
        }
        // What that does to the logits is the model's velocity.
        let model = oracle.model();
        let mut velocity = vec![0.0; model.initial.len()];
        let loss = model.velocity(&model.initial, Threads::One, &mut velocity);
        assert!((loss - oracle.loss(&oracle.weights, &oracle.directions.trained)).abs() < 1e-13);
        for (row, &source) in velocity.chunks(model.entities).zip(&model.sources) {
            for (ours, theirs) in row.iter().zip(oracle.logits(&slope, source)) {
                assert!((ours - theirs).abs() < 1e-13, "{seed}: {ours} {theirs}");
            }
        }
    }
}

#[test]
fn the_flow_is_that_of_the_weights() {
    for seed in 0..4 {
        let oracle = Oracle::draw(seed);
        let model = oracle.model();
        let mut seen = Vec::new();
        let request = Request { times: &[0.5, 4.0, 20.0], levels: &[] };
        gradient_flow(&model, 1e-11, Threads::One, request, &mut |t, logits| {
            seen.push((t, model.losses(logits)));
        })
        .unwrap();
        assert_eq!(seen.len(), 3);
        for (time, losses) in seen {
            assert_close(losses, oracle.losses(&oracle.flow(time, 4000)), 1e-8);
        }
    }
}

#[test]
fn descent_is_that_of_the_weights() {
    for seed in 0..4 {
        let oracle = Oracle::draw(seed);
        let model = oracle.model();
        let (rate, steps) = (0.3, 40);
        let request = Request { times: &[rate * f64::from(steps)], levels: &[] };
        let mut last = None;
        gradient_descent(&model, rate, Threads::One, request, &mut |_, logits| {
            last = Some(model.losses(logits));
        })
        .unwrap();
        let mut weights = oracle.weights.clone();
        for _ in 0..steps {
            weights =
                oracle.ahead(&weights, rate, &oracle.descent(&weights, &oracle.directions.trained));
        }
        assert_close(last.unwrap(), oracle.losses(&weights), 1e-11);
    }
}

#[test]
fn stochastic_descent_is_that_of_the_weights() {
    for seed in 0..4 {
        let oracle = Oracle::draw(seed);
        let model = oracle.model();
        let (rate, steps, order_seed) = (0.3, 60u32, 17);
        let mut last = None;
        let times = [rate * f64::from(steps)];
        stochastic_gradient_descent(&model, rate, order_seed, &times, &mut |_, logits| {
            last = Some(model.losses(logits));
        })
        .unwrap();
        let order = Stream::new(order_seed, Purpose::Order, 0);
        let mut weights = oracle.weights.clone();
        let trained = &oracle.directions.trained;
        for step in 0..steps {
            let [low, high, ..] = order.words(u64::from(step));
            let bits = u64::from(high) << 32 | u64::from(low);
            let drawn = ((u128::from(bits) * trained.len() as u128) >> 64) as usize;
            let slope = oracle.descent(&weights, &trained[drawn..=drawn]);
            weights = oracle.ahead(&weights, rate, &slope);
        }
        assert_close(last.unwrap(), oracle.losses(&weights), 1e-11);
    }
}

#[test]
fn drawn_models_are_the_stated_ones() {
    let directions = Directions::of_pairs(40, 0.3, 1).unwrap();
    for (embeddings, dim) in [(Embeddings::Gaussian, 4000), (Embeddings::Orthonormal, 60)] {
        let config = BilinearConfig {
            entities: 40,
            dim,
            embeddings,
            init: 0.5,
            seed: 2,
            ..Default::default()
        };
        let model = Bilinear::new(&config, &directions).unwrap();
        // u_xᵀ Θ u_y with |u| = 1 has the standard deviation of Θ's entries.
        let squares = model.initial.iter().map(|l| l * l).sum::<f64>();
        let deviation = (squares / model.initial.len() as f64).sqrt();
        assert!((deviation - 0.5).abs() < 0.03, "{embeddings:?}: {deviation}");
        assert_ne!(
            model.initial,
            Bilinear::new(&BilinearConfig { seed: 3, ..config }, &directions).unwrap().initial
        );
    }
    let config = BilinearConfig {
        entities: 40,
        dim: 4000,
        embeddings: Embeddings::Gaussian,
        init: 0.0,
        seed: 2,
        ..Default::default()
    };
    let Gram::Dense { all, .. } = Bilinear::new(&config, &directions).unwrap().gram else {
        panic!("gaussian embeddings have inner products")
    };
    for (at, product) in all.iter().enumerate() {
        let right = f64::from(u8::from(at / 40 == at % 40));
        assert!((product - right).abs() < 6.0 / 4000f64.sqrt(), "{at}: {product}");
    }
}

#[test]
fn a_level_is_met_where_the_loss_crosses_it() {
    let directions = Directions::of_pairs(30, 0.3, 5).unwrap();
    let config = BilinearConfig {
        entities: 30,
        dim: 60,
        embeddings: Embeddings::Gaussian,
        init: 0.0,
        seed: 4,
        ..Default::default()
    };
    let model = Bilinear::new(&config, &directions).unwrap();
    let levels = [0.5, 0.1, 0.001];
    let request = Request { times: &[1e6], levels: &levels };
    let crossings = gradient_flow(&model, 1e-11, Threads::One, request, &mut |_, _| {}).unwrap();
    assert_eq!(crossings.iter().map(|c| c.level).collect::<Vec<_>>(), levels);
    for crossing in crossings {
        assert!((crossing.losses.train / crossing.level - 1.0).abs() < 1e-8);
        // The same time asked for.
        let request = Request { times: &[crossing.time], levels: &[] };
        gradient_flow(&model, 1e-11, Threads::One, request, &mut |_, logits| {
            assert_close(model.losses(logits), crossing.losses, 1e-8);
        })
        .unwrap();
    }
}

#[test]
fn few_dimensions_are_followed_truly_or_refused() {
    let directions = Directions::of_pairs(20, 0.3, 5).unwrap();
    for dim in [1, 2, 5] {
        let config = BilinearConfig {
            entities: 20,
            dim,
            embeddings: Embeddings::Gaussian,
            init: 0.0,
            seed: 4,
            ..Default::default()
        };
        let model = Bilinear::new(&config, &directions).unwrap();
        let losses = |tolerance: f64| {
            let mut last = None;
            let request = Request { times: &[1e3], levels: &[] };
            gradient_flow(&model, tolerance, Threads::One, request, &mut |_, logits| {
                last = Some(model.losses(logits));
            })
            .map(|_| last.unwrap())
        };
        match (losses(1e-10), losses(1e-12)) {
            (Ok(one), Ok(other)) => assert_close(one, other, 1e-7),
            (Err(error), _) | (_, Err(error)) => {
                assert!(matches!(error, BilinearError::Stiff { .. }), "{error}");
            }
        }
    }
}
