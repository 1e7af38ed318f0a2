//! Networks that can be trained on sentences, behind one interface.

mod bilinear;
mod one_layer;

use retrodict_engine::{Graph, Indices, Scalar, Value, Weights};

pub use bilinear::{BilinearNetwork, BilinearSettings};
pub use one_layer::{Attended, OneLayerNetwork, OneLayerSettings};

use retrodict_settings::choice;

use crate::decoder::{Decoder, DecoderSettings, ModelError};

/// The standard deviation of GPT-2's initial weights.
pub(crate) const INITIAL_STD: f64 = 0.02;

/// The inputs of a network.
#[derive(Clone, Copy, Debug)]
pub struct Inputs {
    /// The tokens, `[positions, batch]`.
    pub tokens: Indices,
    /// The padding mask `[positions, batch]`: 1 for a token, 0 after a sentence's end. Only
    /// attention reads it: that of networks whose positions [see all others](Network::sees_all)
    /// needs it.
    pub padding_mask: Option<Weights>,
    /// The positions of the tokens, where they are not 0, 1, 2, …
    pub places: Option<Places>,
}

/// Positions of tokens that continue texts of differing lengths.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// The position of each token, `[positions, batch]`.
    pub of: Indices,
    /// A number above all of them.
    pub below: usize,
}

impl Inputs {
    /// Queries or keys, turned by the positions of their tokens: [`Graph::rotary`].
    pub fn rotary<T: Scalar>(
        self,
        graph: &mut Graph<T>,
        x: Value,
        heads: usize,
        rotated: usize,
        base: f64,
    ) -> Value {
        match self.places {
            None => graph.rotary(x, heads, rotated, base),
            Some(Places { of, below }) => graph.rotary_at(x, heads, rotated, base, (of, below)),
        }
    }
}

impl From<Indices> for Inputs {
    /// Tokens from the first position on, without padding that could be seen.
    fn from(tokens: Indices) -> Inputs {
        Inputs { tokens, padding_mask: None, places: None }
    }
}

choice! {
    /// The architecture: a decoder, or one of the paper's theoretical models.
    pub enum ModelSettings: "model"."kind" = "decoder" {
        /// The GPT-2 decoder, or another that its design describes.
        Decoder(DecoderSettings) = "decoder",
        /// The paper's bilinear model: embeddings fixed, the first token read alone.
        Bilinear(BilinearSettings) = "bilinear",
        /// The paper's one-layer transformer with even attention.
        OneLayer(OneLayerSettings) = "one-layer",
    }
}

impl ModelSettings {
    /// The network of this architecture for these numbers of tokens and positions.
    pub fn network(&self, vocab: usize, positions: usize) -> Network {
        match self.clone() {
            Self::Decoder(settings) => Network::Decoder(Decoder { vocab, positions, settings }),
            Self::Bilinear(settings) => Network::Bilinear(BilinearNetwork { vocab, settings }),
            Self::OneLayer(settings) => Network::OneLayer(OneLayerNetwork { vocab, settings }),
        }
    }

    /// The decoder's settings; `None` for the other architectures.
    pub fn decoder(&self) -> Option<&DecoderSettings> {
        match self {
            Self::Decoder(settings) => Some(settings),
            _ => None,
        }
    }
}

/// A network of any architecture.
#[derive(Clone, Debug, PartialEq)]
pub enum Network {
    /// GPT-2 or a variant of it.
    Decoder(Decoder),
    /// The paper's bilinear model.
    Bilinear(BilinearNetwork),
    /// The paper's one-layer transformer with even attention.
    OneLayer(OneLayerNetwork),
}

impl From<Decoder> for Network {
    fn from(decoder: Decoder) -> Network {
        Network::Decoder(decoder)
    }
}

impl From<&Decoder> for Network {
    fn from(decoder: &Decoder) -> Network {
        decoder.clone().into()
    }
}

impl From<&Network> for Network {
    fn from(network: &Network) -> Network {
        network.clone()
    }
}

impl Network {
    /// Checks that the network can be built.
    ///
    /// # Errors
    /// [`ModelError`] names the setting and a value that would be right.
    pub fn validate(&self) -> Result<(), ModelError> {
        match self {
            Network::Decoder(decoder) => decoder.validate(),
            Network::Bilinear(_) | Network::OneLayer(_) => Ok(()),
        }
    }

    /// Tokens in the vocabulary, reserved ones included.
    pub fn vocab(&self) -> usize {
        match self {
            Network::Decoder(decoder) => decoder.vocab,
            Network::Bilinear(model) => model.vocab,
            Network::OneLayer(model) => model.vocab,
        }
    }

    /// The number of scalar parameters.
    pub fn parameter_count(&self) -> usize {
        // The settings fix the sizes of the tables, so one position has all parameters.
        let mut graph = Graph::<f32>::new();
        let inputs = self.inputs(&mut graph, 1);
        self.logits(&mut graph, inputs);
        graph.parameters().iter().map(|p| p.rows * p.columns).sum()
    }

    /// Whether a position sees later positions, so that the network needs a padding mask.
    pub fn sees_all(&self) -> bool {
        matches!(self, Network::Decoder(decoder) if decoder.design.mixer.sees_all())
    }

    /// The same network without dropout.
    pub(crate) fn without_dropout(&self) -> Network {
        match self {
            Network::Decoder(decoder) => decoder.clone().adjusted(|d| d.dropout = 0.0).into(),
            other => other.clone(),
        }
    }

    /// New inputs for a number of positions.
    pub(crate) fn inputs<T: Scalar>(&self, graph: &mut Graph<T>, positions: usize) -> Inputs {
        let tokens = graph.indices(positions);
        let padding_mask = self.sees_all().then(|| graph.weights(positions));
        Inputs { padding_mask, ..tokens.into() }
    }

    /// The input of the output head, `[features, positions]`. A network applied twice in one graph
    /// shares its parameters.
    pub fn hidden<T: Scalar>(&self, graph: &mut Graph<T>, inputs: Inputs) -> Value {
        match self {
            Network::Decoder(decoder) => decoder.hidden(graph, inputs),
            Network::Bilinear(model) => model.hidden(graph, inputs.tokens),
            Network::OneLayer(model) => model.hidden(graph, inputs.tokens),
        }
    }

    /// The output head: logits `[vocab, positions]`.
    pub fn head<T: Scalar>(&self, graph: &mut Graph<T>, hidden: Value) -> Value {
        match self {
            Network::Decoder(decoder) => decoder.head(graph, hidden),
            Network::Bilinear(model) => model.head(graph, hidden),
            Network::OneLayer(model) => model.head(graph, hidden),
        }
    }

    /// The logits of the next token after each position, `[vocab, positions]`.
    pub fn logits<T: Scalar>(&self, graph: &mut Graph<T>, inputs: Inputs) -> Value {
        let hidden = self.hidden(graph, inputs);
        self.head(graph, hidden)
    }
}
