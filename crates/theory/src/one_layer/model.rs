//! The one-layer transformer (paper, section 4) in the frame of Tian et al. (2023): decoder weights
//! Y and attention weights Z, both `[vocabulary, vocabulary]`, on sentences of three tokens
//! x₁ r → target.
//!
//! The query is the last token, r. Attention b over the tokens that may be seen, f = Xᵀb / ‖Xᵀb‖,
//! logits Yᵀf, cross-entropy. Derivations are in `docs/theory/one-layer.md`.
//!
//! Only what a sentence reads is kept, and columns of Y that can never be told apart are one
//! number: with zero initial weights a row whose source is followed by n targets has n + 1 of them,
//! so that a step of SGD takes a time that does not depend on the vocabulary.

use retrodict_engine::{Isa, Purpose, Stream};

use super::layout::{DecoderRow, Layout};
use super::{Dynamics, OneLayerConfig, OneLayerError, error, gradient};

/// A sentence x₁ r → target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sentence {
    /// x₁.
    pub source: u32,
    /// r, the last token of the prefix.
    pub relation: u32,
    /// The token that is predicted.
    pub target: u32,
}

/// How well a sentence is predicted, exact in the last digits at both ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Score {
    /// ln p.
    pub ln_probability: f64,
    /// ln (1 − p). What lies below e^−700 is not told apart.
    pub ln_complement: f64,
}

/// A one-layer transformer in training.
#[derive(Clone, Debug)]
pub(super) struct OneLayer {
    pub(super) config: OneLayerConfig,
    pub(super) layout: Layout,
    /// Rows of Y, then entries of Z, where `layout` says.
    pub(super) weights: Vec<f64>,
    pub(super) step: u64,
    /// How often SGD has drawn each training sentence.
    pub(super) draws: Vec<u64>,
    pub(super) isa: Isa,
}

impl OneLayer {
    /// An untrained model with `vocab` tokens in all, that will be trained on `train` and can score
    /// these and `held_out`.
    ///
    /// # Errors
    /// [`OneLayerError`] for sentences that make no sense, and weights that would take too much
    /// memory.
    pub(super) fn new(
        config: OneLayerConfig,
        vocab: usize,
        train: &[Sentence],
        held_out: &[Sentence],
    ) -> Result<OneLayer, OneLayerError> {
        error::check_sentences(vocab, train, held_out)?;
        let layout = Layout::new(&config, vocab, train, held_out)?;
        let mut weights = vec![0.0; layout.len()];
        if config.init > 0.0 {
            draw_weights(&config, vocab, &layout, &mut weights);
        }
        let draws = vec![0; train.len()];
        Ok(OneLayer { config, layout, weights, step: 0, draws, isa: Isa::detect() })
    }

    /// Trains until `step` steps have been made in all; nothing if they have been already. Where a
    /// simulation was interrupted leaves no trace in SGD and GD; the flow is as accurate as ever.
    ///
    /// # Errors
    /// [`OneLayerError::Stiff`] where the flow cannot be followed.
    pub(super) fn train_to(&mut self, step: u64) -> Result<(), OneLayerError> {
        match self.config.dynamics {
            Dynamics::Sgd => self.sgd_to(step),
            Dynamics::Gd => self.gd_to(step),
            Dynamics::Flow => self.flow_to(step)?,
        }
        Ok(())
    }

    /// Steps made so far.
    pub(super) fn step(&self) -> u64 {
        self.step
    }

    /// How long each training sentence has been trained on: η_Y times the number of its own
    /// updates, for GD and flow η_Y · step / N.
    pub(super) fn own_times(&self) -> Vec<f64> {
        let rate = self.config.lr_decoder;
        let all = rate * self.step as f64 / self.draws.len() as f64;
        let own = |&draws: &u64| match self.config.dynamics {
            Dynamics::Sgd => rate * draws as f64,
            Dynamics::Gd | Dynamics::Flow => all,
        };
        self.draws.iter().map(own).collect()
    }

    /// How well sentences are predicted.
    ///
    /// # Panics
    /// If the source of one is that of no sentence given to [`new`](Self::new).
    pub(super) fn scores(&self, sentences: &[Sentence]) -> Vec<Score> {
        let mut scratch = vec![0.0; self.layout.widest()];
        let score = |sentence| {
            let place = self.layout.place(sentence);
            gradient::score(self.isa, &self.weights, &place, &mut scratch)
        };
        sentences.iter().map(score).collect()
    }

    /// The attention b on the source; the rest is on the relation token.
    ///
    /// # Panics
    /// As [`scores`](Self::scores).
    pub(super) fn attention_on_source(&self, sentence: &Sentence) -> f64 {
        self.layout.place(sentence).attention.map_or(1.0, |[source, relation]| {
            1.0 / (1.0 + libm::exp(self.weights[relation] - self.weights[source]))
        })
    }

    /// The row of Y that belongs to a source: its effective weights.
    ///
    /// # Panics
    /// As [`scores`](Self::scores).
    pub(super) fn decoder_row(&self, source: u32) -> DecoderRow<'_> {
        self.layout.row(source, &self.weights)
    }
}

/// N(0, `init`²) for every entry of Y and Z that is kept; each is a function of its own place.
fn draw_weights(config: &OneLayerConfig, vocab: usize, layout: &Layout, weights: &mut [f64]) {
    let streams =
        [0, 1].map(|stream| Stream::new(config.seed.into(), Purpose::Initialisation, stream));
    let normal = |stream: &Stream, row: u32, column: u32| {
        let index = u64::from(row) * vocab as u64 + u64::from(column);
        config.init * stream.normals(index / 2)[(index % 2) as usize]
    };
    for (token, start) in layout.row_starts() {
        for column in 0..vocab {
            weights[start + column] = normal(&streams[0], token, column as u32);
        }
    }
    for (&(query, key), &at) in layout.attention_entries() {
        weights[at] = normal(&streams[1], query, key);
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
