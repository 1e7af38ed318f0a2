//! The exchangeable parts of a decoder.

use retrodict_settings::{Condition, FINITE, keywords, settings};

keywords! {
    /// How the positions of a block learn from each other.
    pub enum Mixer {
        /// Causal softmax attention (Vaswani et al., 2017).
        Attention = "attention",
        /// Softmax attention in which every position sees every other, as in BERT.
        Bidirectional = "bidirectional",
        /// Causal attention without a softmax: features elu(x) + 1 (Katharopoulos et al., 2020).
        Linear = "linear-attention",
        /// Nothing: every position for itself.
        None = "none",
        /// Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gates, no peepholes), as
        /// `torch.nn.LSTM`.
        // Revision 1 left out the state's bias at the first position.
        Lstm = "lstm" (revision 2),
        /// Gated recurrent unit (Cho et al., 2014), the reset gate after the product, as
        /// `torch.nn.GRU`.
        Gru = "gru" (revision 2),
        /// A diagonal state-space model: `s_t = a ⊙ s_{t−1} + W x_t`, a real and learned (Gupta et al.,
        /// 2022).
        Diagonal = "diagonal",
        /// A linear recurrence whose gates look at the input alone: `s_t = σ(A x_t) ⊙ s_{t−1} +
        /// σ(B x_t) ⊙ W x_t` (as in Qin et al., 2023, and De et al., 2024).
        LinearRecurrent = "linear-recurrent",
    }
}

impl Mixer {
    /// Whether a position sees later positions.
    pub fn sees_all(self) -> bool {
        self == Mixer::Bidirectional
    }

    /// Whether the mixer has queries and keys, to which rotary encoding applies.
    pub fn has_queries(self) -> bool {
        matches!(self, Mixer::Attention | Mixer::Bidirectional | Mixer::Linear)
    }
}

keywords! {
    /// The normalisation of the residual stream.
    pub enum Norm {
        /// LayerNorm (Ba et al., 2016).
        Layer = "layer",
        /// RMSNorm (Zhang and Sennrich, 2019).
        Rms = "rms",
        /// Nothing.
        None = "none",
    }
}

keywords! {
    /// Where a block has its norms.
    pub enum NormPlace {
        /// Before each branch, and once before the head: `x + f(norm(x))`.
        Pre = "pre",
        /// After each sum: `norm(x + f(x))`.
        Post = "post",
    }
}

keywords! {
    /// The nonlinearity between the two matrices of an MLP.
    pub enum Nonlinearity {
        /// GELU, in its tanh approximation.
        Gelu = "gelu",
        /// max(0, x).
        Relu = "relu",
        /// x σ(x).
        Silu = "silu",
        /// `silu(W x) ⊙ V x` (SwiGLU; Shazeer, 2020).
        Gated = "gated",
    }
}

keywords! {
    /// The matrices that write a head's result into the residual stream.
    pub enum ValueOutput {
        /// A value matrix, and an output matrix behind all heads: `W_O W_V`.
        Factorised = "factorised",
        /// One matrix: values enter the residual stream directly, each head's in its own features.
        Merged = "merged",
    }
}

/// Mixers that have queries, keys and values, in heads.
const WITH_HEADS: &[&str] = &["attention", "bidirectional", "linear-attention"];
/// Only attention has heads.
pub(crate) const HAS_HEADS: Condition = Condition::is("model.mixer", WITH_HEADS);

settings! {
    /// The exchangeable parts of a decoder; the defaults are GPT-2's.
    #[derive(Copy)]
    pub struct Design in "model" {
        /// How information moves between the positions of a block.
        pub mixer: Mixer = Mixer::Attention, (), later;
        /// Initial bias of the LSTM's forget gates; 1 lets a state last from the start.
        pub forget_bias: f64 = 0.0, FINITE, later, when(Condition::is("model.mixer", &["lstm"]));
        /// A value matrix and an output matrix, or the two merged into one.
        pub value_output: ValueOutput = ValueOutput::Factorised, (), later, when(HAS_HEADS);
        /// Whether branches are added to a residual stream; otherwise they replace it.
        pub residual: bool = true, (), later;
        /// Normalisation of the residual stream.
        pub norm: Norm = Norm::Layer, (), later;
        /// Norms before each branch, or behind each sum.
        pub norm_place: NormPlace = NormPlace::Pre, (), later,
            when(Condition::is("model.norm", &["layer", "rms"]));
        /// Nonlinearity of the MLP.
        pub nonlinearity: Nonlinearity = Nonlinearity::Gelu, (), later;
    }
}

impl Design {
    /// Whether an output matrix follows the mixer.
    pub(crate) fn has_output_matrix(&self) -> bool {
        let merged = self.mixer.has_queries() && self.value_output == ValueOutput::Merged;
        self.mixer != Mixer::None && !merged
    }
}
