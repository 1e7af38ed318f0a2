//! The one-layer transformer of the paper's section 4 with even attention (Z = 0), trained on
//! sentences: the model of `retrodict theory one-layer` at an attention rate of 0. The logits are
//! `W f`, `f = Xᵀb / ‖Xᵀb‖` with b even over the tokens attended to: of n different tokens
//! `Σ W e_t / √n`. W is one matrix or a product of two. This decides which of the equal solutions
//! gradient descent finds (arXiv 2506.10887): the product is biased towards a small nuclear norm.

use retrodict_engine::{Decay, Graph, Indices, Initial, Orientation, Parameter, Scalar, Value};

use retrodict_settings::{Condition, POSITIVE, keywords, settings};

use super::INITIAL_STD;
use crate::decoder::{DIM, TOKEN_EMBEDDINGS, ValueOutput};

keywords! {
    /// The tokens that the model attends to.
    pub enum Attended {
        /// The first alone: of a fact that is the source, the relation being the query.
        Contextual = "contextual",
        /// All up to and with the last.
        // Revision 1 summed the rows without the norm.
        All = "all" (revision 2),
    }
}

settings! {
    /// The shape of a one-layer model.
    // Early versions hashed the keys of a decoder, at their defaults.
    pub struct OneLayerSettings in "model", hash_only [
        ("layers", "2"), ("heads", "4"), ("position", "\"absolute\""), ("dropout", "0.1"),
        ("tie_head", "false"), ("freeze_embeddings", "false"),
    ] {
        /// A value matrix and an output matrix, or the two merged into one.
        pub value_output: ValueOutput = ValueOutput::Factorised, (), later;
        /// The inner dimension of the value and output matrices.
        pub dim: usize = 64, DIM,
            when(Condition::is("model.value_output", &["factorised"])), hashed;
        /// Standard deviation of the initial factors; a merged matrix begins at 0, as in the paper.
        pub init_std: f64 = INITIAL_STD, POSITIVE, later,
            when(Condition::is("model.value_output", &["factorised"]));
        /// The tokens attended to: the first alone, or all evenly.
        pub context: Attended = Attended::Contextual, ();
    }
}

/// A one-layer model for one vocabulary size.
#[derive(Clone, Debug, PartialEq)]
pub struct OneLayerNetwork {
    /// Tokens in the vocabulary.
    pub vocab: usize,
    /// Its shape.
    pub settings: OneLayerSettings,
}

impl OneLayerNetwork {
    /// The inner dimension of `W = W_O W_V`; `None` where value and output are one matrix.
    pub fn factors(&self) -> Option<usize> {
        let factorised = self.settings.value_output == ValueOutput::Factorised;
        factorised.then_some(self.settings.dim)
    }

    /// The normalised sum over the tokens attended to: of rows of W, or of columns of W_V.
    pub(super) fn hidden<T: Scalar>(&self, graph: &mut Graph<T>, tokens: Indices) -> Value {
        let (columns, initial) = match self.factors() {
            Some(dim) => (dim, Initial::Normal { std: self.settings.init_std }),
            None => (self.vocab, Initial::Constant(0.0)),
        };
        let table = Parameter::matrix(TOKEN_EMBEDDINGS, [self.vocab, columns], initial);
        let table = graph.parameter(table);
        let rows = graph.embedding(tokens, table, None);
        match self.settings.context {
            Attended::All => {
                let sums = graph.scan(rows, Decay::One);
                graph.even_attention(sums, tokens)
            }
            Attended::Contextual => {
                let first = vec![0; graph.positions(rows)];
                graph.select(rows, &first)
            }
        }
    }

    pub(super) fn head<T: Scalar>(&self, graph: &mut Graph<T>, hidden: Value) -> Value {
        let Some(dim) = self.factors() else { return hidden };
        let normal = Initial::Normal { std: self.settings.init_std };
        let output = Parameter::matrix("lm_head.weight", [self.vocab, dim], normal);
        let output = graph.parameter(output);
        graph.linear_whole(hidden, output, Orientation::OutputsFirst, None)
    }
}
