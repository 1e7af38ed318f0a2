//! Looking into a trained decoder while it answers: the logits that its residual stream would give
//! layer by layer, and what becomes of an answer when a part of the stream is exchanged.
//!
//! All of it is composition: a network applied twice in one graph shares its parameters.

use retrodict_engine::{Graph, Mode, Noise, Program, Scalar, Value};
use thiserror::Error;

use super::{EVALUATION_BATCH, Trainer};
use crate::decoder::{Decoder, Site};
use crate::network::{Inputs, Network};

/// A network without a residual stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("only a decoder can be looked into: model.kind = \"decoder\"")]
pub struct NotADecoder;

/// A patch: activations of one run, such as the residual stream at some positions, put into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// Where; [`Site::Embeddings`] or [`Site::Block`] for the stream.
    pub site: Site,
    /// Which positions; the others stay as they are.
    pub positions: Vec<usize>,
}

impl Decoder {
    /// The places of the residual stream, in order: the embeddings, then behind each block.
    pub fn stream_sites(&self) -> Vec<Site> {
        let blocks = (0..self.layers).map(Site::Block);
        [Site::Embeddings].into_iter().chain(blocks).collect()
    }
}

impl<T: Scalar> Trainer<T> {
    /// The decoder that is trained.
    ///
    /// # Errors
    /// [`NotADecoder`] for the paper's two models of theory.
    pub fn decoder(&self) -> Result<&Decoder, NotADecoder> {
        match &self.network {
            Network::Decoder(decoder) => Ok(decoder),
            Network::Bilinear(_) | Network::OneLayer(_) => Err(NotADecoder),
        }
    }

    /// Positions that a context of so many tokens takes: one more where the answer is asked for
    /// behind a mask.
    pub fn positions_of(&self, context: usize) -> usize {
        context + usize::from(self.objective.reading.prompt().is_some())
    }

    /// The logit lens (nostalgebraist, 2020): the logits `[place][context][vocabulary]` at the last
    /// position if the last norm and the head read the residual stream there already, at each of
    /// [`Decoder::stream_sites`]. Those of the last place are the model's own. Dropout is off.
    ///
    /// # Errors
    /// [`NotADecoder`] for a network without a residual stream.
    ///
    /// # Panics
    /// If the contexts differ in length, or are longer than the table of positions.
    pub fn lens_logits(
        &mut self,
        contexts: &[Vec<u32>],
    ) -> Result<Vec<Vec<Vec<f64>>>, NotADecoder> {
        let decoder = self.decoder()?.clone();
        let sites = decoder.stream_sites();
        Ok(self.look([contexts], |graph, [inputs]| {
            let mut streams = Vec::new();
            decoder.hidden_with_hook(graph, inputs, &mut |_, site, value| {
                if sites.contains(&site) {
                    streams.push(value);
                }
                value
            });
            let read = streams.into_iter().map(|stream| {
                let hidden = decoder.read(graph, stream);
                decoder.head(graph, hidden)
            });
            read.collect()
        }))
    }

    /// Activation patching (Vig et al., 2020; Meng et al., 2022): the logits `[context][vocabulary]`
    /// at the last position of `corrupted`, run with what `clean` had at the place of the patch.
    /// The i-th contexts of the two go together.
    ///
    /// # Errors
    /// [`NotADecoder`] for a network without a residual stream.
    ///
    /// # Panics
    /// If the contexts differ in number or length, or have no such position.
    pub fn patched_logits(
        &mut self,
        clean: &[Vec<u32>],
        corrupted: &[Vec<u32>],
        patch: &Patch,
    ) -> Result<Vec<Vec<f64>>, NotADecoder> {
        let decoder = self.decoder()?.clone();
        let mut logits = self.look([clean, corrupted], |graph, [clean, corrupted]| {
            let mut taken = None;
            decoder.hidden_with_hook(graph, clean, &mut |_, site, value| {
                if site == patch.site {
                    taken = Some(value);
                }
                value
            });
            let hidden =
                decoder.hidden_with_hook(graph, corrupted, &mut |graph, site, own| match taken {
                    Some(taken) if site == patch.site => {
                        splice(graph, own, taken, &patch.positions)
                    }
                    _ => own,
                });
            vec![decoder.head(graph, hidden)]
        });
        Ok(logits.pop().unwrap_or_default())
    }

    /// Runs the caller's graph on sets of contexts of one length each, those of one number side
    /// by side, and reads the last position of its values: `[value][context][feature]`. `build` gets
    /// the model's own logits on the first set, which cost nothing unless it returns them.
    pub(super) fn look<const N: usize>(
        &mut self,
        contexts: [&[Vec<u32>]; N],
        build: impl Fn(&mut Graph<T>, [Inputs; N]) -> Vec<Value>,
    ) -> Vec<Vec<Vec<f64>>> {
        let count = contexts.first().map_or(0, |contexts| contexts.len());
        assert!(contexts.iter().all(|c| c.len() == count), "contexts go together one by one");
        let prompt = self.objective.reading.prompt();
        self.leave_device();
        let mut read: Vec<Vec<Vec<f64>>> = Vec::new();
        for first in (0..count).step_by(EVALUATION_BATCH) {
            let batch = contexts.map(|c| &c[first..count.min(first + EVALUATION_BATCH)]);
            let lengths = batch.map(|contexts| self.positions_of(contexts[0].len()));
            let mut graph = Graph::<T>::new();
            let inputs = lengths.map(|length| self.network.inputs(&mut graph, length));
            // All parameters in the order of the trainer.
            let hidden = self.network.hidden(&mut graph, inputs[0]);
            self.network.head(&mut graph, hidden);
            self.objective.parameters(&mut graph, &self.network, hidden);
            let values = build(&mut graph, inputs);
            for value in &values {
                let positions = graph.positions(*value);
                graph.output(*value, positions - 1..positions);
            }
            let (precision, workers) = (self.precision, self.team.workers());
            let lanes = batch[0].len();
            let mut program = Program::compile(&graph, lanes, Mode::Inference, precision, workers);
            let stride = program.lanes();
            for ((batch, inputs), length) in batch.iter().zip(inputs).zip(lengths) {
                for (lane, context) in batch.iter().enumerate() {
                    assert_eq!(
                        self.positions_of(context.len()),
                        length,
                        "contexts have one length"
                    );
                    for (p, token) in context.iter().chain(&prompt).enumerate() {
                        program.indices_mut(inputs.tokens)[p * stride + lane] = *token;
                    }
                }
                if let Some(padding_mask) = inputs.padding_mask {
                    program.weights_mut(padding_mask).fill(T::ONE);
                }
            }
            program.forward(&self.parameters, Noise { seed: 0, step: 0 }, &mut self.team);
            read.resize(values.len(), Vec::new());
            for (i, rows) in read.iter_mut().enumerate() {
                let out = program.output(i);
                rows.extend((0..lanes).map(|lane| {
                    (0..out.features()).map(|f| out.lanes(f, 0)[lane].to_f64()).collect()
                }));
            }
        }
        read
    }
}

/// `own` with some positions from `taken`.
fn splice<T: Scalar>(graph: &mut Graph<T>, own: Value, taken: Value, positions: &[usize]) -> Value {
    let count = graph.positions(own);
    let missing = positions.iter().find(|p| **p >= count);
    assert!(missing.is_none(), "no position {missing:?} among {count}");
    let parts: Vec<Value> = (0..count)
        .map(|p| graph.select(if positions.contains(&p) { taken } else { own }, &[p]))
        .collect();
    graph.join(&parts)
}
