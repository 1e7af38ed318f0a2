//! The GPT-2 decoder of the paper's section 5, as Hugging Face's `transformers` builds it.

use retrodict_engine::{
    Graph, Indices, Initial, Orientation, Parameter, ParameterId, Scalar, Value,
};
use thiserror::Error;

/// The standard deviation of GPT-2's initial weights.
const INITIAL_STD: f64 = 0.02;
/// LayerNorm's ε.
pub(crate) const EPSILON: f64 = 1e-5;
/// Features of the hidden layer of an MLP, for each feature of the residual stream.
const EXPANSION: usize = 4;
/// The name of the token table, `[vocab, dim]`.
pub const TOKEN_EMBEDDINGS: &str = "transformer.wte.weight";
/// The base of rotary angles, as in the library that the authors used.
const ROTARY_BASE: f64 = 10_000.0;

/// How the model knows where a token stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PositionEncoding {
    /// It does not, but for the causal mask.
    None,
    /// A learned vector for each position is added to the token's.
    Absolute,
    /// Queries and keys are rotated by angles that grow with the position (paper, section 5, where
    /// it is called relative).
    Rotary {
        /// The part of each head's features that is rotated, above 0 and up to 1; their number is
        /// rounded down to an even one. The authors' code has 0.5: 32 of 64.
        fraction: f64,
    },
}

/// The shape of a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoder {
    /// Blocks of attention and MLP.
    pub layers: usize,
    /// Attention heads; they divide `dim`.
    pub heads: usize,
    /// Features of the residual stream.
    pub dim: usize,
    /// Tokens in the vocabulary, reserved ones included.
    pub vocab: usize,
    /// Rows of the table of positions.
    pub positions: usize,
    /// How positions are encoded.
    pub position: PositionEncoding,
    /// The chance to be dropped of embeddings, attention probabilities and branches, in training.
    pub dropout: f64,
    /// Whether the output head is the token table itself, or a matrix of its own (paper, section 5;
    /// the authors' code ran with a free head).
    pub tie_head: bool,
    /// Whether token and position embeddings stay as they were drawn.
    pub freeze_embeddings: bool,
}

/// A decoder that cannot be built.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ModelError {
    /// A size is zero.
    #[error("{key} is 0, but must be at least 1")]
    Zero {
        /// The name of the size.
        key: &'static str,
    },
    /// The heads do not divide the features.
    #[error("heads is {heads}, which does not divide dim = {dim}; {nearest} would")]
    Heads {
        /// What was asked for.
        heads: usize,
        /// The features.
        dim: usize,
        /// The nearest number of heads that does.
        nearest: usize,
    },
    /// Dropout is not a chance below 1.
    #[error("dropout is {0}, but must be at least 0 and below 1")]
    Dropout(f64),
    /// The rotated part is not a part.
    #[error("rotary_fraction is {0}, but must be above 0 and at most 1")]
    RotaryFraction(f64),
    /// Not one pair of a head's features would be rotated.
    #[error(
        "rotary_fraction is {fraction}, but a pair of dimensions is the least that can be rotated, and \
         so much of a head's {width} (dim / heads) is less; {needed} would do"
    )]
    NothingToRotate {
        /// Features of a head.
        width: usize,
        /// What was asked for.
        fraction: f64,
        /// The fewest features of which this fraction has a pair.
        needed: usize,
    },
}

impl Decoder {
    /// Refuses what cannot be built.
    ///
    /// # Errors
    /// [`ModelError`] names the size and what would be right.
    pub fn validate(&self) -> Result<(), ModelError> {
        let sizes = [
            ("layers", self.layers),
            ("heads", self.heads),
            ("dim", self.dim),
            ("vocab", self.vocab),
            ("positions", self.positions),
        ];
        if let Some((key, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(ModelError::Zero { key });
        }
        if !self.dim.is_multiple_of(self.heads) {
            let divisors = (1..=self.dim).filter(|h| self.dim.is_multiple_of(*h));
            let nearest = divisors.min_by_key(|h| h.abs_diff(self.heads)).unwrap_or(1);
            return Err(ModelError::Heads { heads: self.heads, dim: self.dim, nearest });
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ModelError::Dropout(self.dropout));
        }
        if let PositionEncoding::Rotary { fraction } = self.position {
            // Written so that NaN is refused.
            if !(fraction > 0.0 && fraction <= 1.0) {
                return Err(ModelError::RotaryFraction(fraction));
            }
            if self.rotated(fraction) == 0 {
                let (width, needed) = (self.dim / self.heads, (2.0 / fraction).ceil() as usize);
                return Err(ModelError::NothingToRotate { width, fraction, needed });
            }
        }
        Ok(())
    }

    /// How many features of a head are rotated: whole pairs only.
    fn rotated(&self, fraction: f64) -> usize {
        let width = self.dim / self.heads;
        (fraction * width as f64) as usize / 2 * 2
    }

    /// How many numbers the model has.
    pub fn parameter_count(&self) -> usize {
        let d = self.dim;
        let block = 12 * d * d + 13 * d;
        let tables = match self.position {
            PositionEncoding::Absolute => self.vocab + self.positions,
            PositionEncoding::None | PositionEncoding::Rotary { .. } => self.vocab,
        };
        let head = if self.tie_head { 0 } else { self.vocab * d };
        tables * d + self.layers * block + 2 * d + head
    }

    /// Adds the model to a graph: the logits `[vocab, positions]` of the token that follows each
    /// of `tokens`. Parameters have the names and shapes of `GPT2LMHeadModel`.
    pub fn logits<T: Scalar>(&self, graph: &mut Graph<T>, tokens: Indices) -> Value {
        let d = self.dim;
        let normal = Initial::Normal { std: INITIAL_STD };
        let table = |name: &str, rows: usize| {
            Parameter::matrix(name, [rows, d], normal).frozen(self.freeze_embeddings)
        };
        let wte = graph.parameter(table(TOKEN_EMBEDDINGS, self.vocab));
        let wpe = (self.position == PositionEncoding::Absolute)
            .then(|| graph.parameter(table("transformer.wpe.weight", self.positions)));
        let x = graph.embedding(tokens, wte, wpe);
        let mut x = graph.dropout(x, self.dropout);
        for layer in 0..self.layers {
            x = self.block(graph, x, &format!("transformer.h.{layer}"));
        }
        let x = self.layer_norm(graph, x, "transformer.ln_f");
        let head = if self.tie_head {
            wte
        } else {
            graph.parameter(Parameter::matrix("lm_head.weight", [self.vocab, d], normal))
        };
        graph.linear_whole(x, head, Orientation::OutputsFirst, None)
    }

    /// `x + attention(norm(x))`, then `x + mlp(norm(x))`.
    fn block<T: Scalar>(&self, graph: &mut Graph<T>, x: Value, name: &str) -> Value {
        let (d, hidden) = (self.dim, EXPANSION * self.dim);
        let h = self.layer_norm(graph, x, &format!("{name}.ln_1"));
        let (w, b) = self.weight(graph, &format!("{name}.attn.c_attn"), [d, 3 * d], INITIAL_STD);
        let [q, k, v] = [0, 1, 2].map(|i| {
            let part = i * d..(i + 1) * d;
            let (w, b) = (graph.columns(w, part.clone()), graph.columns(b, part));
            graph.linear(h, w, Orientation::InputsFirst, Some(b))
        });
        let [q, k] = match self.position {
            PositionEncoding::None | PositionEncoding::Absolute => [q, k],
            PositionEncoding::Rotary { fraction } => {
                [q, k].map(|x| graph.rotary(x, self.heads, self.rotated(fraction), ROTARY_BASE))
            }
        };
        let h = graph.attention([q, k, v], self.heads, self.dropout);
        let h = self.dense(graph, h, &format!("{name}.attn.c_proj"), [d, d], self.projection_std());
        let x = graph.residual(x, h, self.dropout);

        let h = self.layer_norm(graph, x, &format!("{name}.ln_2"));
        let h = self.dense(graph, h, &format!("{name}.mlp.c_fc"), [d, hidden], INITIAL_STD);
        let h = graph.gelu(h);
        let h =
            self.dense(graph, h, &format!("{name}.mlp.c_proj"), [hidden, d], self.projection_std());
        graph.residual(x, h, self.dropout)
    }

    /// Weights that write into the residual stream begin smaller, by the root of their number.
    fn projection_std(&self) -> f64 {
        INITIAL_STD / ((2 * self.layers) as f64).sqrt()
    }

    fn layer_norm<T: Scalar>(&self, graph: &mut Graph<T>, x: Value, name: &str) -> Value {
        let vector = |what: &str, c| {
            Parameter::vector(format!("{name}.{what}"), self.dim, Initial::Constant(c))
        };
        let gain = graph.parameter(vector("weight", 1.0));
        let bias = graph.parameter(vector("bias", 0.0));
        graph.layer_norm(x, gain, bias, EPSILON)
    }

    fn weight<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        name: &str,
        shape: [usize; 2],
        std: f64,
    ) -> (ParameterId, ParameterId) {
        let weight = Parameter::matrix(format!("{name}.weight"), shape, Initial::Normal { std });
        let bias = Parameter::vector(format!("{name}.bias"), shape[1], Initial::Constant(0.0));
        (graph.parameter(weight), graph.parameter(bias))
    }

    fn dense<T: Scalar>(
        &self,
        graph: &mut Graph<T>,
        x: Value,
        name: &str,
        shape: [usize; 2],
        std: f64,
    ) -> Value {
        let (w, b) = self.weight(graph, name, shape, std);
        graph.linear_whole(x, w, Orientation::InputsFirst, Some(b))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use retrodict_engine::check::assert_gradients;

    fn small(layers: usize, heads: usize, dim: usize) -> Decoder {
        Decoder {
            layers,
            heads,
            dim,
            vocab: 7,
            positions: 5,
            position: PositionEncoding::Absolute,
            dropout: 0.0,
            tie_head: false,
            freeze_embeddings: false,
        }
    }

    fn rotary(fraction: f64) -> PositionEncoding {
        PositionEncoding::Rotary { fraction }
    }

    #[test]
    fn gradient_of_the_whole_decoder() {
        let free = small(2, 2, 6);
        let shapes = [
            (free.clone(), 2, 1),
            (Decoder { tie_head: true, ..small(1, 1, 5) }, 3, 0),
            (Decoder { dropout: 0.2, ..small(2, 3, 9) }, 2, 1),
            (Decoder { position: PositionEncoding::None, ..small(1, 4, 20) }, 5, 3),
            (Decoder { position: rotary(1.0), tie_head: true, ..small(2, 2, 10) }, 5, 3),
            (Decoder { position: rotary(0.5), ..small(1, 1, 9) }, 4, 0),
            (Decoder { freeze_embeddings: true, tie_head: true, ..free }, 2, 1),
        ];
        for (decoder, positions, first) in shapes {
            let mut graph = Graph::<f64>::new();
            let tokens = graph.indices(positions);
            let logits = decoder.logits(&mut graph, tokens);
            let targets = graph.indices(positions);
            let weights = graph.weights(positions);
            let loss = graph.cross_entropy(logits, targets, weights, first..positions);
            graph.output(loss, 0..positions - first);
            assert_gradients(&graph, 18);
        }
    }

    #[test]
    fn counts_its_parameters() {
        let decoders = [
            small(2, 2, 6),
            Decoder { tie_head: true, ..small(3, 1, 4) },
            Decoder { position: PositionEncoding::None, ..small(1, 1, 4) },
            Decoder { position: rotary(0.5), ..small(2, 1, 4) },
        ];
        for decoder in decoders {
            let mut graph = Graph::<f32>::new();
            let tokens = graph.indices(2);
            decoder.logits(&mut graph, tokens);
            let sum: usize = graph.parameters().iter().map(|p| p.rows * p.columns).sum();
            assert_eq!(decoder.parameter_count(), sum);
        }
    }

    #[test]
    fn heads_must_divide_the_dimension() {
        let error = small(1, 5, 64).validate().unwrap_err();
        assert_eq!(error.to_string(), "heads is 5, which does not divide dim = 64; 4 would");
    }

    #[test]
    fn a_rotary_fraction_must_be_a_part_with_a_pair() {
        let error = |fraction, heads, dim| {
            let decoder = Decoder { position: rotary(fraction), ..small(1, heads, dim) };
            decoder.validate().err().map(|error| error.to_string())
        };
        for fraction in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
            let expected =
                format!("rotary_fraction is {fraction}, but must be above 0 and at most 1");
            assert_eq!(error(fraction, 4, 64), Some(expected));
        }
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
