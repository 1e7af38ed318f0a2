//! The words for what the models name themselves.

use retrodict_facts::HoldOut;
use retrodict_models::{Attended, LrDecay, Mixer, Nonlinearity, Norm, NormPlace, ValueOutput};

use super::Keyword;

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal,)+ }) => {
        impl Keyword for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];
        }
    };
}

words! {
    Mixer {
        Attention = "attention",
        Bidirectional = "bidirectional",
        Linear = "linear-attention",
        None = "none",
        Lstm = "lstm",
        Gru = "gru",
        Diagonal = "diagonal",
        LinearRecurrent = "linear-recurrent",
    }
}

words! { HoldOut { Sentences = "sentences", Entities = "entities", } }

words! { Norm { Layer = "layer", Rms = "rms", None = "none", } }

words! { NormPlace { Pre = "pre", Post = "post", } }

words! { Nonlinearity { Gelu = "gelu", Relu = "relu", Silu = "silu", Gated = "gated", } }

words! { ValueOutput { Factorised = "factorised", Merged = "merged", } }

words! { Attended { Contextual = "contextual", All = "all", } }

words! { LrDecay { Constant = "constant", Linear = "linear", Cosine = "cosine", } }
