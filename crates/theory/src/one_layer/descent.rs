//! Gradient descent, on one sentence at a time or on all.

use retrodict_engine::{Isa, Purpose, Stream, below, rows};

use super::gradient::{Push, push};
use super::layout::{Layout, Place};
use super::model::OneLayer;

impl OneLayer {
    /// SGD with batches of one. Step k trains the sentence that the order's stream draws for it, so
    /// that steps are the same however they are grouped.
    pub(super) fn sgd_to(&mut self, step: u64) {
        let mut scratch = vec![0.0; self.layout.widest()];
        let rates = [self.config.lr_decoder, self.config.lr_attention];
        let mut order = Order::new(self.config.seed.into(), self.layout.places.len());
        while self.step < step {
            let at = order.draw(self.step);
            let place = &self.layout.places[at];
            let scratch = &mut scratch[..place.width];
            let push = push(self.isa, &self.weights, place, rates[1] > 0.0, scratch);
            apply(self.isa, &push, place, rates, scratch, &mut self.weights);
            self.draws[at] += 1;
            self.step += 1;
        }
    }

    /// Gradient descent on the mean loss over all training sentences.
    pub(super) fn gd_to(&mut self, step: u64) {
        let mut velocity = vec![0.0; self.weights.len()];
        while self.step < step {
            self.layout.velocity(self.isa, &self.weights, self.attention_rate(), &mut velocity);
            rows::add_scaled(self.isa, self.config.lr_decoder, &velocity, &mut self.weights);
            self.step += 1;
        }
    }

    /// How much faster the attention weights learn than the decoder's.
    pub(super) fn attention_rate(&self) -> f64 {
        self.config.lr_attention / self.config.lr_decoder
    }
}

impl Layout {
    /// −∇ of the mean loss, that of Z times `attention_rate`, as a row for every row that is kept.
    pub(super) fn velocity(
        &self,
        isa: Isa,
        weights: &[f64],
        attention_rate: f64,
        velocity: &mut [f64],
    ) {
        velocity.fill(0.0);
        let mut scratch = vec![0.0; self.widest()];
        let share = 1.0 / self.places.len() as f64;
        for &at in &self.moving {
            let place = &self.places[at];
            let scratch = &mut scratch[..place.width];
            let push = push(isa, weights, place, attention_rate > 0.0, scratch);
            apply(isa, &push, place, [share, share * attention_rate], scratch, velocity);
        }
    }
}

/// Adds a push, times the rates of Y and of Z.
fn apply(
    isa: Isa,
    push: &Push,
    place: &Place,
    rates: [f64; 2],
    scratch: &[f64],
    weights: &mut [f64],
) {
    let source = &mut weights[place.source..][..place.width];
    rows::add_scaled(isa, rates[0] * push.rows[0], scratch, source);
    if let Some([source_score, relation_score]) = place.attention {
        let relation = &mut weights[place.relation..][..place.width];
        rows::add_scaled(isa, rates[0] * push.rows[1], scratch, relation);
        weights[source_score] += rates[1] * push.attention;
        weights[relation_score] -= rates[1] * push.attention;
    }
}

/// Which sentence each step of SGD trains: uniform, independent draws.
pub(super) struct Order {
    stream: Stream,
    sentences: usize,
    /// The last block of draws: two steps share one.
    block: (u64, [u32; 4]),
}

impl Order {
    pub(super) fn new(seed: u64, sentences: usize) -> Order {
        let stream = Stream::new(seed, Purpose::Order, 0);
        Order { stream, sentences, block: (0, stream.words(0)) }
    }

    pub(super) fn draw(&mut self, step: u64) -> usize {
        let index = step / 2;
        if self.block.0 != index {
            self.block = (index, self.stream.words(index));
        }
        let [a, b, c, d] = self.block.1;
        below(self.sentences, if step.is_multiple_of(2) { [a, b] } else { [c, d] })
    }
}
