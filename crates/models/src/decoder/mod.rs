//! The GPT-2 decoder of the paper's section 5, as Hugging Face's `transformers` builds it, and
//! what becomes of it when a part is exchanged.

pub(crate) mod block;
mod design;
mod hook;
mod recurrence;
mod settings;

use std::ops::Deref;

use retrodict_engine::{Graph, Initial, Orientation, Parameter, ParameterId, Scalar, Value};
use thiserror::Error;

pub use design::{Design, Mixer, Nonlinearity, Norm, NormPlace, ValueOutput};
pub use hook::{Hook, Site};
pub(crate) use settings::DIM;
pub use settings::{DecoderSettings, PositionEncoding, Rotary};

use crate::network::Inputs;

/// The name of the token table, `[vocab, dim]`.
pub const TOKEN_EMBEDDINGS: &str = "transformer.wte.weight";
/// The name of the free output head, `[vocab, dim]`.
pub(crate) const HEAD: &str = "lm_head.weight";
/// The name of the norm before the head.
pub(crate) const LAST_NORM: &str = "transformer.ln_f";

/// A decoder of a certain vocabulary and length of input.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoder {
    /// Tokens in the vocabulary, reserved ones included.
    pub vocab: usize,
    /// Rows of the table of positions.
    pub positions: usize,
    /// Its shape.
    pub settings: DecoderSettings,
}

impl Deref for Decoder {
    type Target = DecoderSettings;

    fn deref(&self) -> &DecoderSettings {
        &self.settings
    }
}

/// A decoder that cannot be built.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ModelError {
    /// There is nothing to rotate in a mixer without queries and keys.
    #[error(
        "position is \"rotary\", which turns queries and keys, and the mixer has none; \"absolute\" or \"none\" would do"
    )]
    RotaryMixer,
    /// Not one pair of a head's features would be rotated.
    #[error(
        "rotary_fraction is {fraction}, but a pair of dimensions is the least that can be rotated, and \
         so much of a head's {width} (dim / heads) is less; {needed} would do"
    )]
    NothingToRotate {
        /// Features of a head.
        width: usize,
        /// The fraction that was asked for.
        fraction: f64,
        /// The fewest features of which this fraction has a pair.
        needed: usize,
    },
}

impl Decoder {
    /// The same decoder with some settings changed.
    pub fn adjusted(mut self, change: impl FnOnce(&mut DecoderSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Refuses positions that cannot be encoded so. The settings themselves refuse sizes, heads and
    /// fractions out of range when they are read.
    ///
    /// # Errors
    /// [`ModelError`] names the size and what would be right.
    pub fn validate(&self) -> Result<(), ModelError> {
        if let PositionEncoding::Rotary(Rotary { rotary_fraction: fraction }) = self.position {
            if self.rotated(fraction) == 0 {
                let (width, needed) = (self.dim / self.heads, (2.0 / fraction).ceil() as usize);
                return Err(ModelError::NothingToRotate { width, fraction, needed });
            }
            if !self.design.mixer.has_queries() {
                return Err(ModelError::RotaryMixer);
            }
        }
        Ok(())
    }

    /// How many features of a head are rotated: whole pairs only.
    fn rotated(&self, fraction: f64) -> usize {
        let width = self.dim / self.heads;
        (fraction * width as f64) as usize / 2 * 2
    }

    /// The input of the output head, `[dim, positions]`. Parameters have the names and shapes of
    /// `GPT2LMHeadModel`, as far as GPT-2 has them.
    pub fn hidden<T: Scalar>(&self, graph: &mut Graph<T>, inputs: Inputs) -> Value {
        self.hidden_with_hook(graph, inputs, &mut hook::no_hook)
    }

    /// The same, with every [`Site`] on the way shown to `hook`, which may replace its value.
    pub fn hidden_with_hook<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        inputs: Inputs,
        hook: &mut Hook<'_, T>,
    ) -> Value {
        let wte = self.token_table(graph);
        let wpe = (self.position == PositionEncoding::Absolute)
            .then(|| self.table(graph, "transformer.wpe.weight", self.positions));
        let x = match (wpe, inputs.places) {
            (Some(wpe), Some(places)) => {
                let x = graph.embedding(inputs.tokens, wte, None);
                let places = graph.embedding(places.of, wpe, None);
                graph.residual(x, places, 0.0)
            }
            _ => graph.embedding(inputs.tokens, wte, wpe),
        };
        let x = graph.dropout(x, self.dropout);
        let mut x = hook(graph, Site::Embeddings, x);
        for layer in 0..self.layers {
            x = self.block(graph, x, inputs, layer, hook);
            x = hook(graph, Site::Block(layer), x);
        }
        self.read(graph, x)
    }

    /// The input that the output head would get from a residual stream: the stream after the last
    /// norm, if the design has one there.
    pub fn read<T: Scalar>(&self, graph: &mut Graph<T>, stream: Value) -> Value {
        match self.design.norm_place {
            NormPlace::Pre => self.norm(graph, stream, LAST_NORM),
            NormPlace::Post => stream,
        }
    }

    /// The logits `[vocab, positions]`.
    pub fn head<T: Scalar>(&self, graph: &mut Graph<T>, hidden: Value) -> Value {
        let head = self.head_table(graph);
        graph.linear_whole(hidden, head, Orientation::OutputsFirst, None)
    }

    /// The weight of the head, `[vocab, dim]`.
    pub fn head_table<T: Scalar>(&self, graph: &mut Graph<T>) -> ParameterId {
        if self.tie_head {
            return self.token_table(graph);
        }
        let normal = Initial::Normal { std: self.init_std };
        graph.parameter(Parameter::matrix(HEAD, [self.vocab, self.dim], normal))
    }

    fn token_table<T: Scalar>(&self, graph: &mut Graph<T>) -> ParameterId {
        self.table(graph, TOKEN_EMBEDDINGS, self.vocab)
    }

    fn table<T: Scalar>(&self, graph: &mut Graph<T>, name: &str, rows: usize) -> ParameterId {
        let normal = Initial::Normal { std: self.init_std };
        let table = Parameter::matrix(name, [rows, self.dim], normal);
        graph.parameter(table.frozen(self.freeze_embeddings))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Network;
    use retrodict_engine::check::assert_gradients;
    use retrodict_engine::{Mode, Noise, Parameters, ProductPrecision, Program, Team};

    fn small(layers: usize, heads: usize, dim: usize) -> Decoder {
        Decoder {
            vocab: 7,
            positions: 5,
            settings: DecoderSettings {
                layers,
                heads,
                dim,
                dropout: 0.0,
                ..DecoderSettings::default()
            },
        }
    }

    fn rotary(fraction: f64) -> PositionEncoding {
        PositionEncoding::Rotary(Rotary { rotary_fraction: fraction })
    }

    /// The whole gradient of a network, as it is trained.
    fn check(decoder: &Decoder, positions: usize, first: usize) {
        let network = Network::from(decoder);
        let mut graph = Graph::<f64>::new();
        // The weight of the loss comes first: it is what the check reads.
        let weights = graph.weights(positions);
        let inputs = network.inputs(&mut graph, positions);
        let logits = network.logits(&mut graph, inputs);
        let targets = graph.indices(positions);
        let loss = graph.cross_entropy(logits, targets, weights, first..positions);
        graph.output(loss, 0..positions - first);
        assert_gradients(&graph, 18);
    }

    #[test]
    fn gradient_of_the_whole_decoder() {
        let free = small(2, 2, 6);
        let shapes = [
            (free.clone(), 2, 1),
            (small(1, 1, 5).adjusted(|d| d.tie_head = true), 3, 0),
            (small(2, 3, 9).adjusted(|d| d.dropout = 0.2), 2, 1),
            (small(1, 4, 20).adjusted(|d| d.position = PositionEncoding::None), 5, 3),
            (
                small(2, 2, 10).adjusted(|d| {
                    d.position = rotary(1.0);
                    d.tie_head = true;
                }),
                5,
                3,
            ),
            (small(1, 1, 9).adjusted(|d| d.position = rotary(0.5)), 4, 0),
            (
                free.adjusted(|d| {
                    d.freeze_embeddings = true;
                    d.tie_head = true;
                }),
                2,
                1,
            ),
        ];
        for (decoder, positions, first) in shapes {
            check(&decoder, positions, first);
        }
    }

    #[test]
    fn gradient_of_every_design() {
        let gpt2 = Design::default();
        let mixers = [
            Mixer::Linear,
            Mixer::None,
            Mixer::Lstm,
            Mixer::Gru,
            Mixer::Diagonal,
            Mixer::LinearRecurrent,
        ];
        let designs = mixers.map(|mixer| Design { mixer, ..gpt2 }).into_iter().chain([
            Design { residual: false, ..gpt2 },
            Design { norm: Norm::Rms, ..gpt2 },
            Design { norm: Norm::None, ..gpt2 },
            Design { norm_place: NormPlace::Post, ..gpt2 },
            Design { norm_place: NormPlace::Post, norm: Norm::Rms, residual: false, ..gpt2 },
            Design { nonlinearity: Nonlinearity::Silu, ..gpt2 },
            Design { nonlinearity: Nonlinearity::Gated, ..gpt2 },
            Design { value_output: ValueOutput::Merged, ..gpt2 },
        ]);
        for design in designs {
            check(&small(2, 2, 6).adjusted(|d| d.design = design), 3, 1);
        }
        // Nobody reads the last positions' recurrence but the last itself.
        let design = Design { mixer: Mixer::Gru, ..gpt2 };
        check(
            &small(1, 1, 5).adjusted(|d| {
                d.design = design;
                d.dropout = 0.2;
            }),
            4,
            3,
        );
    }

    /// A causal model must not look ahead; a bidirectional one must.
    #[test]
    fn what_a_position_sees() {
        let mixers = [
            (Mixer::Attention, true),
            (Mixer::Linear, true),
            (Mixer::Lstm, true),
            (Mixer::Gru, true),
            (Mixer::Diagonal, true),
            (Mixer::LinearRecurrent, true),
            (Mixer::Bidirectional, false),
        ];
        for (mixer, causal) in mixers {
            let design = Design { mixer, ..Design::default() };
            let network = Network::from(small(1, 2, 6).adjusted(|d| d.design = design));
            let mut graph = Graph::<f64>::new();
            let inputs = network.inputs(&mut graph, 3);
            let logits = network.logits(&mut graph, inputs);
            graph.output(logits, 0..3);
            let parameters = Parameters::initial(&graph, 3);
            let (mut team, full) = (Team::new(1), ProductPrecision::Full);
            let mut program = Program::compile(&graph, 2, Mode::Inference, full, 1);
            let lanes = program.lanes();
            // Two sentences that differ in the middle alone.
            for (lane, sentence) in [[1, 2, 3], [1, 4, 3]].iter().enumerate() {
                for (position, token) in sentence.iter().enumerate() {
                    program.indices_mut(inputs.tokens)[position * lanes + lane] = *token;
                }
            }
            if let Some(padding_mask) = inputs.padding_mask {
                program.weights_mut(padding_mask).fill(1.0);
            }
            program.forward(&parameters, Noise { seed: 0, step: 0 }, &mut team);
            let out = program.output(0);
            let differs = |p: usize| (0..7).any(|f| out.lanes(f, p)[0] != out.lanes(f, p)[1]);
            assert_eq!([0, 1, 2].map(differs), [!causal, true, true], "{mixer:?}");
        }
    }

    #[test]
    fn a_rotary_fraction_must_hold_a_pair() {
        let error = |fraction, heads, dim| {
            let decoder = small(1, heads, dim).adjusted(|d| d.position = rotary(fraction));
            decoder.validate().err().map(|error| error.to_string())
        };
        let expected = "rotary_fraction is 0.5, but a pair of dimensions is the least that can be \
                        rotated, and so much of a head's 3 (dim / heads) is less; 4 would do";
        assert_eq!(error(0.5, 2, 6).as_deref(), Some(expected));
        assert_eq!(error(0.5, 2, 8), None);
        assert_eq!(error(1.0, 2, 6), None);
    }

    #[test]
    fn whole_pairs_are_rotated() {
        let rotated = |fraction, heads, dim| small(1, heads, dim).rotated(fraction);
        assert_eq!(rotated(0.5, 12, 768), 32, "as in the authors' code");
        assert_eq!(rotated(0.5, 4, 20), 2);
        assert_eq!(rotated(1.0, 4, 20), 4);
        assert_eq!(rotated(0.5, 1, 9), 4);
    }
}
