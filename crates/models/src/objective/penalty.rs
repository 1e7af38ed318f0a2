//! Penalties on parameters, each an entry of the list below.

use retrodict_engine::{Graph, Parameter, ParameterId, Penalty, Scalar};
use retrodict_settings::{Condition, NOT_NEGATIVE, settings};

use super::Term;
use crate::decoder::{HEAD, TOKEN_EMBEDDINGS};

/// Writes the key of each penalty's strength, and the function that gives its parts: a penalty of
/// the engine for each parameter that it is on.
macro_rules! penalties {
    ($(
        $(#[doc = $doc:literal])+
        $key:ident $(when($condition:expr))?: $name:ident =
        |$parameters:ident: $type:ty| $parts:expr;
    )+) => {
        settings! {
            /// The strengths of all penalties; 0 is none.
            pub struct Penalties in "objective" {
                $(
                    $(#[doc = $doc])+
                    pub $key: f64 = 0.0, NOT_NEGATIVE, later $(, when($condition))?;
                )+
            }
        }

        /// A penalty on parameters.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum PenaltyOn {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Penalties {
            /// The penalties with a strength above 0, as terms of the loss.
            pub(crate) fn terms(&self) -> impl Iterator<Item = Term> {
                let all = [$((self.$key, PenaltyOn::$name)),+];
                let chosen = all.into_iter().filter(|(strength, _)| *strength > 0.0);
                chosen.map(|(strength, on)| Term::Penalty { strength, on })
            }
        }

        impl PenaltyOn {
            /// One penalty of the engine for each parameter that it is on.
            pub(crate) fn penalties<T: Scalar>(self, graph: &Graph<T>) -> Vec<Penalty> {
                let all: Vec<(ParameterId, &Parameter)> = graph.trainable().collect();
                match self {
                    $(PenaltyOn::$name => {
                        let $parameters: $type = &all;
                        $parts
                    })+
                }
            }
        }
    };
}

type Trainable<'a> = &'a [(ParameterId, &'a Parameter)];

penalties! {
    /// Strength of the squares of all parameters.
    squares: Squares = |all: Trainable<'_>| all.iter().map(|(id, _)| Penalty::Square(*id)).collect();

    /// Strength of the squared difference of output head and token table: a softly tied head.
    soft_tie when(Condition::is_not("model.tie_head", "true")): HeadFromEmbeddings =
    |all: Trainable<'_>| {
        let named = |name: &str| all.iter().find(|(_, p)| p.name == name).map(|(id, _)| *id);
        match (named(HEAD), named(TOKEN_EMBEDDINGS)) {
            (Some(head), Some(table)) => vec![Penalty::Difference(head, table)],
            _ => Vec::new(),
        }
    };

    /// Strength of the antisymmetric part of square hidden matrices.
    antisymmetry: Asymmetry = |all: Trainable<'_>| {
        let square = hidden(all).filter(|(_, p)| p.rows == p.columns);
        square.map(|(id, _)| Penalty::Antisymmetric(*id)).collect()
    };

    /// Strength of the nuclear norms (sums of singular values) of hidden matrices.
    nuclear_norm: NuclearNorm =
    |all: Trainable<'_>| hidden(all).map(|(id, _)| Penalty::Nuclear(*id)).collect();

    /// Strength of the spectral norms (largest singular values) of hidden matrices.
    spectral_norm: SpectralNorm =
    |all: Trainable<'_>| hidden(all).map(|(id, _)| Penalty::Spectral(*id)).collect();
}

fn hidden<'a>(all: Trainable<'a>) -> impl Iterator<Item = &'a (ParameterId, &'a Parameter)> {
    all.iter().filter(|(_, parameter)| parameter.hidden_maps > 0)
}
