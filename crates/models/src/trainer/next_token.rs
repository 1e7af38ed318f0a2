//! The logits of the next token, by programs that are compiled once.

use std::sync::Arc;

use retrodict_engine::lower::Lowered;
use retrodict_engine::{Graph, Mode, Program, Scalar, Value};

use super::device::{compile, forward};
use super::{EVALUATION_BATCH, Trainer};
use crate::decoder::{HEAD, TOKEN_EMBEDDINGS};
use crate::network::{Inputs, Network};
use crate::objective::Objective;

/// Programs kept at once; contexts of a run have few lengths and batch sizes.
pub(super) const KEPT: usize = 16;

/// A program for a batch of contexts of one length.
pub(super) struct NextToken<T> {
    program: Program<T>,
    lowered: Option<Arc<Lowered>>,
    inputs: Inputs,
    positions: usize,
}

/// Copies the first position of an output, `[vocabulary][lane]`, into the columns of `logits`,
/// `[vocabulary][count]`, from `first` on.
pub(super) fn copy_logits<T: Scalar>(
    logits: &mut [f32],
    count: usize,
    first: usize,
    program: &Program<T>,
    output: usize,
) {
    let out = program.output(output);
    let columns = first..first + program.batch();
    for (token, row) in logits.chunks_exact_mut(count).enumerate() {
        for (slot, logit) in row[columns.clone()].iter_mut().zip(out.lanes(token, 0)) {
            *slot = logit.to_f64() as f32;
        }
    }
}

impl<T: Scalar> Trainer<T> {
    /// The logits of the token after each context, `[vocabulary][context]`, without dropout.
    ///
    /// # Panics
    /// If the contexts differ in length, or are longer than the position table.
    pub fn logits_after(&mut self, contexts: &[Vec<u32>]) -> Vec<f32> {
        self.refresh_head();
        let (count, vocab) = (contexts.len(), self.network.vocab());
        let mut logits = vec![0.0; vocab * count];
        let prompt = self.objective.reading.prompt();
        for (nth, batch) in contexts.chunks(EVALUATION_BATCH).enumerate() {
            let positions = self.positions_of(batch[0].len());
            let at = self.next_token_program(positions, batch.len());
            let NextToken { program, lowered, inputs, .. } = &mut self.next_token[at];
            let lanes = program.lanes();
            for (lane, context) in batch.iter().enumerate() {
                let tokens = context.iter().chain(&prompt);
                assert_eq!(tokens.clone().count(), positions, "contexts have one length");
                for (position, token) in tokens.enumerate() {
                    program.indices_mut(inputs.tokens)[position * lanes + lane] = *token;
                }
            }
            let state = (&self.parameters, &self.optimizer, &mut self.team);
            forward(program, lowered.as_ref(), state, &mut self.remote);
            copy_logits(&mut logits, count, nth * EVALUATION_BATCH, program, 0);
        }
        logits
    }

    /// The logits of the token after each context, `[context][vocabulary]`, without dropout.
    ///
    /// # Panics
    /// As [`logits_after`](Trainer::logits_after).
    pub fn next_token_logits(&mut self, contexts: &[Vec<u32>]) -> Vec<Vec<f32>> {
        let logits = self.logits_after(contexts);
        let of = |context| logits.iter().skip(context).step_by(contexts.len()).copied().collect();
        (0..contexts.len()).map(of).collect()
    }

    /// The norms of the rows of the output head, by token; `None` for a model without one matrix of
    /// them.
    pub fn head_norms(&self) -> Option<Vec<f64>> {
        let named = |name| self.parameters.iter().find(|(p, _)| p.name == name);
        let tied = matches!(&self.network, Network::Decoder(decoder) if decoder.tie_head);
        let head = if tied { named(TOKEN_EMBEDDINGS) } else { named(HEAD) };
        let norm = |row: &[T]| row.iter().map(|x| x.to_f64() * x.to_f64()).sum::<f64>().sqrt();
        head.map(|(p, values)| values.chunks_exact(p.columns).map(norm).collect())
    }

    /// The index of the program for contexts of that many positions, compiled on first use.
    fn next_token_program(&mut self, positions: usize, batch: usize) -> usize {
        let fits =
            |kept: &NextToken<T>| kept.positions == positions && kept.program.batch() == batch;
        if let Some(at) = self.next_token.iter().position(fits) {
            return at;
        }
        let (graph, inputs) = describe(&self.network, &self.objective, positions);
        let (precision, machine) = (self.precision, self.machine());
        let (mut program, lowered) = compile(&graph, batch, Mode::Inference, precision, machine);
        if let Some(padding_mask) = inputs.padding_mask {
            program.weights_mut(padding_mask).fill(T::ONE);
        }
        if self.next_token.len() == KEPT {
            self.next_token.remove(0);
        }
        self.next_token.push(NextToken { program, lowered, inputs, positions });
        self.next_token.len() - 1
    }
}

/// The graph of the logits after contexts of so many positions, with its inputs.
pub(super) fn describe<T: Scalar>(
    network: &Network,
    objective: &Objective,
    positions: usize,
) -> (Graph<T>, Inputs) {
    let (mut graph, inputs, logits) = logits_graph(network, objective, positions);
    graph.output(logits, 0..1);
    (graph, inputs)
}

/// The same without an output, and the logits.
pub(super) fn logits_graph<T: Scalar>(
    network: &Network,
    objective: &Objective,
    positions: usize,
) -> (Graph<T>, Inputs, Value) {
    let mut graph = Graph::new();
    let inputs = network.inputs(&mut graph, positions);
    let hidden = network.hidden(&mut graph, inputs);
    let last = graph.positions(hidden) - 1;
    let last = graph.select(hidden, &[last]);
    let logits = network.head(&mut graph, last);
    // All parameters in the order of the trainer.
    objective.parameters(&mut graph, network, hidden);
    (graph, inputs, logits)
}
