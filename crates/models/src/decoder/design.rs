//! What can be exchanged in a decoder: its default is GPT-2.

/// How the positions of a block learn from each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mixer {
    /// Causal softmax attention (Vaswani et al., 2017).
    #[default]
    Attention,
    /// Softmax attention in which every position sees every other, as in BERT.
    Bidirectional,
    /// Causal attention without a softmax: features elu(x) + 1 (Katharopoulos et al., 2020).
    Linear,
    /// Nothing: every position for itself.
    None,
    /// Long short-term memory (Hochreiter and Schmidhuber, 1997; forget gates, no peepholes).
    Lstm,
    /// Gated recurrent unit (Cho et al., 2014), the reset gate after the product.
    Gru,
    /// A diagonal state-space model: `s_t = a ⊙ s_{t−1} + W x_t`, a real and learned (Gupta et al.,
    /// 2022).
    Diagonal,
    /// A linear recurrence whose gates look at the input alone: `s_t = σ(A x_t) ⊙ s_{t−1} +
    /// σ(B x_t) ⊙ W x_t` (as in Qin et al., 2023, and De et al., 2024).
    LinearRecurrent,
}

impl Mixer {
    /// Whether a position sees those behind it.
    pub fn sees_all(self) -> bool {
        self == Mixer::Bidirectional
    }

    /// Whether there are queries and keys, which can be rotated.
    pub fn has_queries(self) -> bool {
        matches!(self, Mixer::Attention | Mixer::Bidirectional | Mixer::Linear)
    }
}

/// What keeps the scale of the residual stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Norm {
    /// LayerNorm (Ba et al., 2016).
    #[default]
    Layer,
    /// RMSNorm (Zhang and Sennrich, 2019).
    Rms,
    /// Nothing.
    None,
}

/// Where a block has its norms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NormPlace {
    /// Before each branch, and once before the head: `x + f(norm(x))`.
    #[default]
    Pre,
    /// Behind each sum: `norm(x + f(x))`.
    Post,
}

/// What stands between the two matrices of an MLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nonlinearity {
    /// GELU, its approximation with tanh.
    #[default]
    Gelu,
    /// max(0, x).
    Relu,
    /// x σ(x).
    Silu,
    /// `silu(W x) ⊙ V x` (SwiGLU; Shazeer, 2020).
    Gated,
}

/// How a head writes what it has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ValueOutput {
    /// A value matrix, and an output matrix behind all heads: `W_O W_V`.
    #[default]
    Factorised,
    /// One matrix: values go straight into the residual stream, each head's into its own part.
    Merged,
}

/// The choices of a decoder; the default is GPT-2's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Design {
    /// How positions learn from each other.
    pub mixer: Mixer,
    /// Whether branches are added to a residual stream; otherwise they replace it.
    pub residual: bool,
    /// What keeps the scale.
    pub norm: Norm,
    /// Where.
    pub norm_place: NormPlace,
    /// The nonlinearity of the MLP.
    pub nonlinearity: Nonlinearity,
    /// How attention writes.
    pub value_output: ValueOutput,
}

impl Default for Design {
    fn default() -> Design {
        Design {
            mixer: Mixer::default(),
            residual: true,
            norm: Norm::default(),
            norm_place: NormPlace::default(),
            nonlinearity: Nonlinearity::default(),
            value_output: ValueOutput::default(),
        }
    }
}

impl Design {
    /// Whether a matrix stands between what the mixer gathers and what the block adds.
    pub(crate) fn has_output_matrix(&self) -> bool {
        let merged = self.mixer.has_queries() && self.value_output == ValueOutput::Merged;
        self.mixer != Mixer::None && !merged
    }
}
