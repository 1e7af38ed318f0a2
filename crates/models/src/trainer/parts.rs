//! The contribution of each part of a decoder to the residual stream at the last position, and the
//! final norm and head that read it: the terms of direct logit attribution (Elhage et al., 2021).

use retrodict_engine::Scalar;
use thiserror::Error;

use super::Trainer;
use super::inside::NotADecoder;
use crate::decoder::block::{EPSILON, MIXER_OUTPUT};
use crate::decoder::{Decoder, HEAD, LAST_NORM, Mixer, Norm, NormPlace, Site, TOKEN_EMBEDDINGS};

/// Why a network's logits are not a sum over parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NoParts {
    /// The network is not a decoder.
    #[error(transparent)]
    NotADecoder(#[from] NotADecoder),
    /// The stream is not the sum of its contributions, or is normalised on the way.
    #[error(
        "parts can be told apart only in a residual stream that is normed once, before the head: \
         model.residual = true and model.norm_place = \"pre\""
    )]
    NoSum,
}

/// A part that writes into the residual stream. Blocks and heads count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// The embeddings of the last token and of its position.
    Embeddings,
    /// A head of a block; a mixer without heads counts as one.
    Head {
        /// The block.
        block: usize,
        /// The head.
        head: usize,
    },
    /// The bias of a block's output matrix, which belongs to no head.
    MixerBias(usize),
    /// The MLP of a block.
    Mlp(usize),
}

/// A part with what it adds to the residual stream, `[feature]`.
pub type Written = (Part, Vec<f64>);

/// The contributions of the parts, and the norm and head that read them.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The parts, in the order of the stream.
    pub parts: Vec<Part>,
    /// The contribution of each at the last position: `[context][part][dim]`. Their sum is the
    /// stream.
    pub written: Vec<Vec<Vec<f64>>>,
    /// The rows of the head, `[vocab][dim]`.
    pub head: Vec<Vec<f64>>,
    /// The final norm.
    pub norm: LastNorm,
}

/// The norm before the head.
#[derive(Clone, Debug, PartialEq)]
pub struct LastNorm {
    /// The factor of each feature; ones where there is no norm.
    pub gain: Vec<f64>,
    /// The bias of each feature; zeros where there is none.
    pub bias: Vec<f64>,
    /// The ε; `None` where there is no norm.
    pub epsilon: Option<f64>,
    /// Whether the mean is subtracted: LayerNorm, not RMSNorm.
    pub centred: bool,
}

impl<T: Scalar> Trainer<T> {
    /// The contribution of each part at the last position of the contexts, without dropout.
    ///
    /// # Errors
    /// [`NoParts`] for a network whose logits are not a sum over parts.
    ///
    /// # Panics
    /// As [`Trainer::lens_logits`].
    pub fn parts(&mut self, contexts: &[Vec<u32>]) -> Result<Parts, NoParts> {
        let decoder = self.decoder()?.clone();
        if !decoder.design.residual || decoder.design.norm_place != NormPlace::Pre {
            return Err(NoParts::NoSum);
        }
        let mut sites = Vec::new();
        for block in 0..decoder.layers {
            let mixed = (decoder.design.mixer != Mixer::None).then_some(Site::Mixed(block));
            sites.extend(mixed.into_iter().chain([Site::Mlp(block)]));
        }
        sites.insert(0, Site::Embeddings);
        let seen = self.look([contexts], |graph, [inputs]| {
            let mut seen = Vec::new();
            decoder.hidden_with_hook(graph, inputs, &mut |_, site, value| {
                if sites.contains(&site) {
                    seen.push(value);
                }
                value
            });
            seen
        });
        let mut parts = Vec::new();
        let mut written = vec![Vec::new(); contexts.len()];
        for (site, rows) in sites.into_iter().zip(seen) {
            match site {
                Site::Mixed(block) => self.split(&decoder, block, rows, &mut parts, &mut written),
                site => {
                    parts.push(if let Site::Mlp(block) = site {
                        Part::Mlp(block)
                    } else {
                        Part::Embeddings
                    });
                    written.iter_mut().zip(rows).for_each(|(written, row)| written.push(row));
                }
            }
        }
        let head = if decoder.tie_head { TOKEN_EMBEDDINGS } else { HEAD };
        let head = self.numbers(head).chunks(decoder.dim).map(<[f64]>::to_vec).collect();
        Ok(Parts { parts, written, head, norm: self.last_norm(&decoder) })
    }

    /// The contribution of each head: its features times its rows of the output matrix, or the
    /// features themselves where there is no matrix.
    fn split(
        &self,
        decoder: &Decoder,
        block: usize,
        mixed: Vec<Vec<f64>>,
        parts: &mut Vec<Part>,
        written: &mut [Vec<Vec<f64>>],
    ) {
        let dim = decoder.dim;
        let heads = if decoder.design.mixer.has_queries() { decoder.heads } else { 1 };
        let width = dim / heads;
        let output = decoder.design.has_output_matrix().then(|| {
            let name = format!("transformer.h.{block}.{MIXER_OUTPUT}");
            ["weight", "bias"].map(|what| self.numbers(&format!("{name}.{what}")))
        });
        parts.extend((0..heads).map(|head| Part::Head { block, head }));
        for (written, mixed) in written.iter_mut().zip(mixed) {
            for head in 0..heads {
                let own = head * width..(head + 1) * width;
                let mut sum = vec![0.0; dim];
                match &output {
                    None => sum[own.clone()].copy_from_slice(&mixed[own]),
                    Some([weight, _]) => {
                        for feature in own {
                            let row = &weight[feature * dim..(feature + 1) * dim];
                            let x = mixed[feature];
                            sum.iter_mut().zip(row).for_each(|(sum, w)| *sum += x * w);
                        }
                    }
                }
                written.push(sum);
            }
        }
        if let Some([_, bias]) = output {
            parts.push(Part::MixerBias(block));
            written.iter_mut().for_each(|written| written.push(bias.clone()));
        }
    }

    fn last_norm(&self, decoder: &Decoder) -> LastNorm {
        let of = |what: &str| self.numbers(&format!("{LAST_NORM}.{what}"));
        let zeros = vec![0.0; decoder.dim];
        match decoder.design.norm {
            Norm::None => LastNorm {
                gain: vec![1.0; decoder.dim],
                bias: zeros,
                epsilon: None,
                centred: false,
            },
            Norm::Rms => {
                LastNorm { gain: of("weight"), bias: zeros, epsilon: Some(EPSILON), centred: false }
            }
            Norm::Layer => LastNorm {
                gain: of("weight"),
                bias: of("bias"),
                epsilon: Some(EPSILON),
                centred: true,
            },
        }
    }

    /// The numbers of a parameter; empty if no parameter has that name.
    fn numbers(&self, name: &str) -> Vec<f64> {
        let found = self.parameters.iter().find(|(p, _)| p.name == name);
        found.map_or_else(Vec::new, |(_, values)| values.iter().map(|x| x.to_f64()).collect())
    }
}
