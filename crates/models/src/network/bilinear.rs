//! The bilinear model of the paper's section 3, trained on sentences: the logit of y after x is
//! `u_xᵀ Θ u_y`, with fixed embeddings u. It reads only the first token of a sentence: as in the
//! paper, the model has no relation.

use retrodict_engine::{
    Graph, Indices, Initial, Orientation, Parameter, ParameterId, Scalar, Value,
};

use retrodict_settings::settings;

use crate::decoder::{DIM, TOKEN_EMBEDDINGS};

settings! {
    /// The shape of a bilinear model.
    // Early versions hashed the keys of a decoder, at their defaults.
    pub struct BilinearSettings in "model", hash_only [
        ("layers", "2"), ("heads", "4"), ("position", "\"absolute\""), ("dropout", "0.1"),
        ("tie_head", "false"), ("freeze_embeddings", "false"),
    ] {
        /// Numbers of an embedding, drawn from N(0, I/dim).
        pub dim: usize = 64, DIM;
    }
}

/// A bilinear model for one vocabulary size.
#[derive(Clone, Debug, PartialEq)]
pub struct BilinearNetwork {
    /// Tokens in the vocabulary.
    pub vocab: usize,
    /// Its shape.
    pub settings: BilinearSettings,
}

impl BilinearNetwork {
    fn table<T: Scalar>(&self, graph: &mut Graph<T>) -> ParameterId {
        let normal = Initial::Normal { std: 1.0 / (self.settings.dim as f64).sqrt() };
        let table = Parameter::matrix(TOKEN_EMBEDDINGS, [self.vocab, self.settings.dim], normal);
        graph.parameter(table.frozen(true))
    }

    /// `Θᵀ u` of the first token, at every position.
    pub(super) fn hidden<T: Scalar>(&self, graph: &mut Graph<T>, tokens: Indices) -> Value {
        let table = self.table(graph);
        let x = graph.embedding(tokens, table, None);
        let first = vec![0; graph.positions(x)];
        let x = graph.select(x, &first);
        let zero = Initial::Constant(0.0);
        let theta =
            graph.parameter(Parameter::matrix("theta.weight", [self.settings.dim; 2], zero));
        graph.linear_whole(x, theta, Orientation::InputsFirst, None)
    }

    pub(super) fn head<T: Scalar>(&self, graph: &mut Graph<T>, hidden: Value) -> Value {
        let table = self.table(graph);
        graph.linear_whole(hidden, table, Orientation::OutputsFirst, None)
    }
}
