//! Steps of training.

use retrodict_engine::{AdamW, Gradients, Mode, Optimizer, Parameters, Rule, Scalar, Team};

use super::losses::{Losses, groups};
use super::{Sequence, TuneOptions};
use crate::Architecture;
use crate::runner::team;

/// `torch.optim.AdamW`'s.
const ADAMW: AdamW = AdamW { betas: [0.9, 0.999], epsilon: 1e-8 };

/// The gradients and the optimiser of a training.
pub struct Tuner<T> {
    losses: Losses<T>,
    gradients: Gradients<T>,
    optimizer: Optimizer<T>,
    team: Team,
}

impl<T: Scalar> Tuner<T> {
    /// A training of the parameters of an architecture, or of its adapters.
    pub fn new(
        architecture: Architecture,
        options: &TuneOptions,
        parameters: &Parameters<T>,
        threads: usize,
    ) -> Self {
        let rule = Rule::AdamW(ADAMW);
        let optimizer = Optimizer::new(rule, options.lr, options.weight_decay, parameters)
            .decaying_vectors(false)
            .clipped(options.clip);
        Self {
            losses: Losses::new(architecture, options.lora, Mode::Training),
            gradients: Gradients::zeros(parameters),
            optimizer,
            team: team(threads),
        }
    }

    /// One update at this learning rate, by the mean over the trained tokens of the sequences.
    /// Returns the mean negative log probability of a token before it. Changes nothing if that is not
    /// finite.
    pub fn step(&mut self, parameters: &mut Parameters<T>, batch: &[&Sequence], rate: f64) -> f64 {
        let tokens = |sequence: &&Sequence| sequence.weight * sequence.trained() as f64;
        let scale = 1.0 / batch.iter().map(tokens).sum::<f64>();
        let mut loss = 0.0;
        for (at, group) in groups(batch).iter().enumerate() {
            let gradients = Some((&mut self.gradients, at > 0));
            let sum = self.losses.run(group, scale, parameters, gradients, &mut self.team);
            loss += scale * sum;
        }
        if loss.is_finite() {
            self.optimizer.rate = rate;
            self.optimizer.apply(parameters, &mut self.gradients, &mut self.team);
        }
        loss
    }
}
