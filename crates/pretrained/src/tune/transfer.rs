//! The effect of a step of training on one text on the log probabilities of others.

use std::collections::BTreeMap;

use retrodict_engine::{Gradients, Mode, Parameters, Program};

use super::losses::{LANES, Losses, PRECISION, describe};
use super::{Sequence, refuse_memory};
use crate::runner::team;
use crate::{Model, PretrainedError};

/// The log probability that a step adds to the text itself, to first order, in nats. Steps forward and
/// backward are compared, so that what is of second order cancels; a smaller step would be lost in
/// the rounding of single precision.
const STEP: f64 = 0.1;

/// A part of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModelPart {
    /// The tables of tokens and positions; also the head, where it is the token table.
    Embeddings,
    /// All blocks, and the last norm.
    Blocks,
    /// A head of its own.
    Head,
}

impl ModelPart {
    /// The part that a parameter belongs to, by its name in a checkpoint.
    fn of(parameter: &str) -> Self {
        let has = |words: &[&str]| words.iter().any(|word| parameter.contains(word));
        match () {
            () if has(&["embed_tokens", "wte", "wpe"]) => Self::Embeddings,
            () if has(&["lm_head"]) => Self::Head,
            () => Self::Blocks,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embeddings => "embeddings",
            Self::Blocks => "blocks",
            Self::Head => "head",
        }
    }
}

/// The first-order effect of a step of gradient descent on a text, for each nat that the step adds to
/// the text's own log probability: T(s, s′)/T(s, s) with T(s, s′) = ⟨∇ ln p(s), ∇ ln p(s′)⟩, split by
/// the part of the model that moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Transfer {
    /// The log probability of the text's answer before the step, in nats.
    pub log_probability: f64,
    /// The parts of the model, from input to output.
    pub parts: Vec<PartTransfer>,
}

/// The share of one part in a [`Transfer`].
#[derive(Clone, Debug, PartialEq)]
pub struct PartTransfer {
    /// The part.
    pub part: ModelPart,
    /// Its share in what the text itself gains; 1 over all parts.
    pub own: f64,
    /// The gain of each answer.
    pub gains: Vec<f64>,
}

impl Model {
    /// The effect of a step on the answer of `text`, a prompt with its answer, on `answers` after
    /// their prompts: the central difference of two steps that change the text's log probability by
    /// a tenth of a nat. Each part of the model moves alone, then the weights are put back. `go` is
    /// called after every batch, until it returns false. `memory` is the most bytes that it may take
    /// besides the weights.
    ///
    /// # Errors
    /// [`PretrainedError::Text`] for a text without tokens or longer than the model's context,
    /// [`PretrainedError::Training`] without memory or a finite gradient,
    /// [`PretrainedError::Stopped`].
    pub fn transfer(
        &mut self,
        (prompt, answer): (&str, &str),
        answers: &[(&str, &str)],
        memory: Option<u64>,
        mut go: impl FnMut() -> bool,
    ) -> Result<Transfer, PretrainedError> {
        let (tokens, first) = self.tokens.of_both(prompt, answer)?;
        self.check_length(prompt, tokens.len() - 1)?;
        let sequence = Sequence { tokens, first, weight: 1.0 };
        refuse_memory(
            "a step",
            self.transfer_bytes(&sequence),
            memory,
            "a smaller model needs less",
        )?;
        let mut team = team(self.runner.release());
        let (architecture, parameters) = self.runner.model();
        let mut losses = Losses::new(architecture.clone(), None, Mode::Training);
        let mut gradients = Gradients::zeros(parameters);
        let into = Some((&mut gradients, false));
        let loss = losses.run(&[&sequence], 1.0, parameters, into, &mut team);
        drop((losses, team));
        let squares = squares(&gradients);
        let whole: f64 = squares.values().sum();
        if !(whole > 0.0 && whole.is_finite() && loss.is_finite()) {
            return Err(PretrainedError::Training(format!(
                "the gradient of “{prompt}{answer}” has the squared norm {whole}: no step can be made"
            )));
        }
        let mut parts = Vec::with_capacity(squares.len());
        for (part, square) in squares {
            // The gradient is that of −ln p.
            let mut moved = |by: f64| {
                let saved = shift(self.runner.model().1, &gradients, part, -by / whole);
                let scores = self.log_probabilities(answers, |_, _| go());
                put_back(self.runner.model().1, saved);
                scores
            };
            let (up, down) = (moved(STEP)?, moved(-STEP)?);
            let gain = up.iter().zip(&down).map(|(up, down)| (up.sum - down.sum) / (2.0 * STEP));
            parts.push(PartTransfer { part, own: square / whole, gains: gain.collect() });
        }
        Ok(Transfer { log_probability: -loss, parts })
    }

    /// A gradient, the weights of the largest part, and the memory of the program.
    fn transfer_bytes(&self, of: &Sequence) -> u64 {
        let shape = [of.tokens.len() - 1, of.trained()];
        let (graph, _) = describe::<f32>(self.architecture(), None, shape);
        let threads = self.runner.threads();
        let run = Program::planned_bytes(&graph, LANES, Mode::Training, PRECISION, threads);
        8 * self.weights() as u64 + run as u64
    }
}

/// The squared norm of a gradient, by part.
fn squares(gradients: &Gradients<f32>) -> BTreeMap<ModelPart, f64> {
    let mut squares = BTreeMap::new();
    for (parameter, values) in gradients.iter() {
        let square: f64 = values.iter().map(|x| f64::from(*x).powi(2)).sum();
        *squares.entry(ModelPart::of(&parameter.name)).or_insert(0.0) += square;
    }
    squares
}

/// Moves a part along a gradient. Returns the numbers before, by the parameter's place.
fn shift(
    parameters: &mut Parameters<f32>,
    gradients: &Gradients<f32>,
    part: ModelPart,
    by: f64,
) -> Vec<(usize, Vec<f32>)> {
    let mut saved = Vec::new();
    // All are trained, so that places agree.
    for (at, (parameter, gradient)) in gradients.iter().enumerate() {
        if ModelPart::of(&parameter.name) != part {
            continue;
        }
        let values = parameters.values_mut(at);
        saved.push((at, values.to_vec()));
        for (value, gradient) in values.iter_mut().zip(gradient) {
            *value += by as f32 * gradient;
        }
    }
    saved
}

fn put_back(parameters: &mut Parameters<f32>, saved: Vec<(usize, Vec<f32>)>) {
    for (at, values) in saved {
        parameters.values_mut(at).copy_from_slice(&values);
    }
}
