//! Steps of the caller's own: gradients of a loss on logits that the caller defines, and updates
//! with gradients that the caller combines.

use retrodict_engine::{Gradients, Mode, Noise, Program, Scalar, Weights};

use super::Trainer;
use super::compiled::pad;
use super::next_token::{KEPT, logits_graph};
use crate::network::Inputs;

/// A program for the gradient of a loss on the logits after a batch of contexts of one length.
pub(super) struct LogitLoss<T> {
    program: Program<T>,
    inputs: Inputs,
    weights: Weights,
    positions: usize,
}

impl<T: Scalar> Trainer<T> {
    /// The gradient of a loss of the caller's own with respect to the parameters, without dropout.
    /// `d_logits`, `[context][vocabulary]`, is its gradient with respect to
    /// [`next_token_logits`](Trainer::next_token_logits) of the same contexts.
    ///
    /// # Panics
    /// If there is no context, the contexts differ in length or are longer than the position table,
    /// or `d_logits` has another size.
    pub fn backward(&mut self, contexts: &[Vec<u32>], d_logits: &[f64]) -> &Gradients<T> {
        self.leave_device();
        self.refresh_head();
        let (count, vocab) = (contexts.len(), self.network.vocab());
        assert_eq!(d_logits.len(), count * vocab, "one number for each logit");
        let positions = self.positions_of(contexts[0].len());
        let at = self.logit_loss_program(positions, count);
        let prompt = self.objective.reading.prompt();
        let LogitLoss { program, inputs, weights, .. } = &mut self.logit_loss[at];
        let lanes = program.lanes();
        for (lane, context) in contexts.iter().enumerate() {
            let tokens = context.iter().chain(&prompt);
            assert_eq!(tokens.clone().count(), positions, "contexts have one length");
            for (position, token) in tokens.enumerate() {
                program.indices_mut(inputs.tokens)[position * lanes + lane] = *token;
            }
            let slopes = &d_logits[lane * vocab..][..vocab];
            let rows = program.weights_mut(*weights).chunks_exact_mut(lanes);
            rows.zip(slopes).for_each(|(row, slope)| row[lane] = T::from_f64(*slope));
        }
        pad(program.indices_mut(inputs.tokens), count, lanes);
        let noise = Noise { seed: 0, step: 0 };
        program.gradients(&self.parameters, &mut self.gradients, noise, &mut self.team);
        &self.gradients
    }

    /// Updates the parameters with the gradients that `fill` writes; they are zero before it. Counts
    /// as a step of the optimiser and of the learning-rate schedule.
    pub fn update(&mut self, fill: impl FnOnce(&mut Gradients<T>)) {
        self.leave_device();
        self.gradients = Gradients::zeros(&self.parameters);
        fill(&mut self.gradients);
        self.head_is_fresh = false;
        let highest = self.optimizer.rate;
        self.optimizer.rate *= self.schedule.factor(self.optimizer.steps());
        self.optimizer.apply(&mut self.parameters, &mut self.gradients, &mut self.team);
        self.optimizer.rate = highest;
    }

    /// The index of the program for contexts of that many positions, compiled on first use.
    fn logit_loss_program(&mut self, positions: usize, batch: usize) -> usize {
        let fits =
            |kept: &LogitLoss<T>| kept.positions == positions && kept.program.batch() == batch;
        if let Some(at) = self.logit_loss.iter().position(fits) {
            return at;
        }
        let network = self.network.without_dropout();
        let (mut graph, inputs, logits) = logits_graph(&network, &self.objective, positions);
        let weights = graph.weights(network.vocab());
        let loss = graph.linear_loss(logits, weights);
        graph.output(loss, 0..1);
        let workers = self.team.workers();
        let mut program = Program::compile(&graph, batch, Mode::Training, self.precision, workers);
        if let Some(padding_mask) = inputs.padding_mask {
            program.weights_mut(padding_mask).fill(T::ONE);
        }
        if self.logit_loss.len() == KEPT {
            self.logit_loss.remove(0);
        }
        self.logit_loss.push(LogitLoss { program, inputs, weights, positions });
        self.logit_loss.len() - 1
    }
}
