//! Training with the model's tangents frozen: a linear model of the logits, which moves by the
//! logit-level tangent kernel alone (Lee et al., 2019, for gradient descent; with momentum, a
//! frozen preconditioner and weight decay here). Derivations are in `docs/theory/transfer.md`.

/// The state of full-batch training, as the linearised model needs it. Logits are ln p: that is
/// what they are up to a constant for each sentence, which no loss sees.
#[derive(Clone, Debug)]
pub(super) struct Linearised {
    /// The size of the vocabulary.
    pub vocab: usize,
    /// ln p of each token after each sentence's prefix, `[sentences, vocab]`; the sentences that
    /// are trained come first.
    pub logits: Vec<f64>,
    /// The answers of all sentences, trained ones first.
    pub answers: Vec<usize>,
    /// How many are trained.
    pub trained: usize,
    /// Θ = J P Jᵀ, `[sentences × vocab, trained × vocab]`.
    pub kernel: Vec<f64>,
    /// J P m, the optimiser's momentum m seen in the logits, `[sentences × vocab]`.
    pub momentum: Vec<f64>,
    /// J θ, which weight decay moves along, `[sentences × vocab]`.
    pub decayed: Vec<f64>,
    /// The optimiser.
    pub optimizer: FrozenOptimizer,
}

/// An optimiser whose preconditioner stands still.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrozenOptimizer {
    /// The learning rate.
    pub rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// β₁; 0 of an optimiser without momentum.
    pub momentum: f64,
    /// Steps made before.
    pub steps: u64,
}

impl Linearised {
    /// One full-batch step.
    pub(super) fn step(&mut self) {
        let residual = self.residual();
        let FrozenOptimizer { rate, weight_decay, momentum, steps } = self.optimizer;
        self.optimizer.steps += 1;
        let correction = 1.0 - libm::pow(momentum, (steps + 1) as f64);
        let columns = residual.len();
        for (at, row) in self.kernel.chunks_exact(columns).enumerate() {
            let pull: f64 = row.iter().zip(&residual).map(|(k, r)| k * r).sum();
            let speed = &mut self.momentum[at];
            *speed = momentum * *speed + (1.0 - momentum) * pull;
            let decay = rate * weight_decay * self.decayed[at];
            let change = rate / correction * *speed + decay;
            self.logits[at] -= change;
            // J θ moves as the logits do.
            self.decayed[at] -= change;
        }
    }

    /// The mean NLL of the sentences that are not trained.
    pub(super) fn held_out_nll(&self) -> f64 {
        self.nll(self.trained..self.answers.len())
    }

    /// The mean NLL of those that are.
    pub(super) fn train_nll(&self) -> f64 {
        self.nll(0..self.trained)
    }

    /// How far the next step would move the held-out NLL, to first order in the step.
    pub(super) fn held_out_slope(&self) -> f64 {
        let mut next = self.clone();
        next.step();
        let held_out = self.trained..self.answers.len();
        let count = held_out.len() as f64;
        let of = |sentence: usize| {
            let range = sentence * self.vocab..(sentence + 1) * self.vocab;
            let (now, then) = (&self.logits[range.clone()], &next.logits[range]);
            let error = self.error(sentence);
            now.iter().zip(then).zip(error).map(|((now, then), e)| e * (then - now)).sum::<f64>()
        };
        held_out.map(of).sum::<f64>() / count
    }

    fn nll(&self, sentences: std::ops::Range<usize>) -> f64 {
        let count = sentences.len() as f64;
        let nll = |sentence: usize| {
            let row = &self.logits[sentence * self.vocab..(sentence + 1) * self.vocab];
            ln_sum_exp(row) - row[self.answers[sentence]]
        };
        sentences.map(nll).sum::<f64>() / count
    }

    /// The gradient of the training loss with respect to the logits, `[trained × vocab]`.
    fn residual(&self) -> Vec<f64> {
        let share = 1.0 / self.trained as f64;
        (0..self.trained)
            .flat_map(|s| self.error(s).map(|e| share * e).collect::<Vec<_>>())
            .collect()
    }

    /// p − e_answer of a sentence.
    fn error(&self, sentence: usize) -> impl Iterator<Item = f64> {
        let row = &self.logits[sentence * self.vocab..(sentence + 1) * self.vocab];
        let (total, answer) = (ln_sum_exp(row), self.answers[sentence]);
        let error =
            move |(at, z): (usize, &f64)| (z - total).exp() - if at == answer { 1.0 } else { 0.0 };
        row.iter().enumerate().map(error)
    }
}

fn ln_sum_exp(row: &[f64]) -> f64 {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + row.iter().map(|z| (z - top).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A softmax regression z = W x is its own linearisation: the kernel has to retrace training in
    /// parameter space, momentum, preconditioner and decay included.
    #[test]
    fn a_linear_model_is_retraced_exactly() {
        let inputs = [[1.0, 0.5, -0.2], [0.3, -1.0, 0.4], [-0.6, 0.2, 0.9], [0.5, 0.5, 0.5]];
        let (vocab, width, trained) = (3, 3, 2);
        let answers = vec![0, 2, 1, 0];
        let preconditioner: Vec<f64> = (0..9).map(|i| 0.5 + 0.3 * f64::from(i)).collect();
        let mut weights: Vec<f64> = (0..9).map(|i| f64::from(i).sin()).collect();
        let mut moment: Vec<f64> = (0..9).map(|i| 0.1 * f64::from(i).cos()).collect();
        let optimizer = FrozenOptimizer { rate: 0.2, weight_decay: 0.1, momentum: 0.6, steps: 2 };

        let logits = |weights: &[f64]| -> Vec<f64> {
            let dot = |x: &[f64; 3], v: usize| -> f64 {
                x.iter().zip(&weights[v * width..]).map(|(x, w)| x * w).sum()
            };
            inputs.iter().flat_map(|x| (0..vocab).map(move |v| dot(x, v))).collect()
        };
        // J of (sentence, token) has the input in the token's row of W.
        let entry = |of: usize, at: usize| match of % vocab == at / width {
            true => inputs[of / vocab][at % width],
            false => 0.0,
        };
        let along = |vector: &[f64]| -> Vec<f64> {
            (0..12).map(|of| (0..9).map(|at| entry(of, at) * vector[at]).sum()).collect()
        };
        let scaled: Vec<f64> = moment.iter().zip(&preconditioner).map(|(m, p)| m * p).collect();
        let inner = |a: usize, b: usize| -> f64 {
            (0..9).map(|at| entry(a, at) * preconditioner[at] * entry(b, at)).sum()
        };
        let mut linearised = Linearised {
            vocab,
            logits: logits(&weights),
            answers: answers.clone(),
            trained,
            kernel: (0..12)
                .flat_map(|a| (0..6).map(move |b| (a, b)))
                .map(|(a, b)| inner(a, b))
                .collect(),
            momentum: along(&scaled),
            decayed: along(&weights),
            optimizer,
        };
        for step in 3..30 {
            let z = logits(&weights);
            let mut gradient = [0.0; 9];
            for s in 0..trained {
                let row = &z[s * vocab..(s + 1) * vocab];
                let total: f64 = row.iter().map(|z| z.exp()).sum();
                for v in 0..vocab {
                    let hit = if v == answers[s] { 1.0 } else { 0.0 };
                    for w in 0..width {
                        gradient[v * width + w] +=
                            (row[v].exp() / total - hit) * inputs[s][w] / trained as f64;
                    }
                }
            }
            let correction = 1.0 - 0.6f64.powi(step);
            for at in 0..9 {
                weights[at] *= 1.0 - 0.2 * 0.1;
                moment[at] = 0.6 * moment[at] + 0.4 * gradient[at];
                weights[at] -= 0.2 / correction * preconditioner[at] * moment[at];
            }
            linearised.step();
            for (ours, wanted) in linearised.logits.iter().zip(logits(&weights)) {
                assert!((ours - wanted).abs() < 1e-12, "step {step}: {ours} {wanted}");
            }
        }
    }

    #[test]
    fn the_slope_is_the_first_order_of_a_small_step() {
        let mut linearised = Linearised {
            vocab: 2,
            logits: vec![0.3, -0.4, 0.8, 0.1],
            answers: vec![0, 1],
            trained: 1,
            kernel: vec![1.0, 0.2, 0.3, 1.5, 0.4, -0.7, 0.1, 0.6],
            momentum: vec![0.0; 4],
            decayed: vec![0.5, -0.5, 1.0, 2.0],
            optimizer: FrozenOptimizer { rate: 1e-6, weight_decay: 0.3, momentum: 0.0, steps: 0 },
        };
        let (slope, before) = (linearised.held_out_slope(), linearised.held_out_nll());
        linearised.step();
        let change = linearised.held_out_nll() - before;
        assert!((change / slope - 1.0).abs() < 1e-5, "{change} {slope}");
    }
}
