//! Masking of training sentences: which tokens are hidden, and what the loss on them weighs.

use retrodict_engine::Scalar;
use retrodict_settings::keywords;

use super::{Draws, ResolvedExample, Slots};

/// The lowest rate of masked diffusion, which bounds its weight (LLaDA's ε).
const LOWEST_RATE: f64 = 1e-3;

keywords! {
    /// How a masked training sentence is drawn. The masking rate is uniform over 0 to 1, drawn for
    /// each sentence and step, so that every factorisation of the sentence is trained (Kitouni et
    /// al., 2024, arXiv 2406.05183).
    pub enum Masking {
        /// Every token by itself, at least one; the loss is the mean over masked tokens.
        Tokens = "tokens",
        /// The same, but all tokens of an entity together (arXiv 2601.07347).
        Entities = "entities",
        /// Every token by itself, perhaps none; the loss is the sum over masked tokens over the
        /// masking rate, a bound on the sentence's likelihood (LLaDA, arXiv 2502.09992).
        Diffusion = "diffusion",
    }
}

impl Masking {
    /// Writes a training sentence with some tokens masked. Returns the number of tokens that the
    /// sum of their NLLs stands for.
    pub(super) fn write_example<T: Scalar>(
        self,
        example: ResolvedExample<'_>,
        mask: u32,
        draws: Draws,
        slots: &mut Slots<'_, T>,
    ) -> f64 {
        let ResolvedExample { tokens, answer, .. } = example;
        let length = tokens.len();
        // The first token that is masked together with the one at `at`. A source before its
        // relation is as long as the answer.
        let unit = |at: usize| match self {
            Masking::Tokens | Masking::Diffusion => at,
            Masking::Entities if at < answer => 0,
            Masking::Entities => at.min(length - answer),
        };
        let drawn = draws.unit(0);
        let rate = match self {
            Masking::Tokens | Masking::Entities => drawn,
            Masking::Diffusion => LOWEST_RATE + (1.0 - LOWEST_RATE) * drawn,
        };
        let hidden = |at: usize| draws.unit(1 + unit(at)) < rate;
        if self == Masking::Diffusion {
            let expected = rate * length as f64;
            hide(example, slots, mask, expected, hidden);
            return expected;
        }
        let any = (0..length).any(hidden);
        let chosen = (draws.unit(1 + length) * length as f64) as usize;
        let hidden = |at: usize| if any { hidden(at) } else { unit(at) == unit(chosen) };
        let count = (0..length).filter(|at| hidden(*at)).count() as f64;
        hide(example, slots, mask, count, hidden);
        count
    }
}

/// Writes a sentence with some tokens masked; the loss on each weighs 1 / `predictions`.
pub(super) fn hide<T: Scalar>(
    ResolvedExample { tokens, weight, .. }: ResolvedExample<'_>,
    slots: &mut Slots<'_, T>,
    mask: u32,
    predictions: f64,
    hidden: impl Fn(usize) -> bool,
) {
    for (position, token) in tokens.iter().enumerate() {
        if hidden(position) {
            slots.read(position, mask);
            slots.ask(position, *token, weight / predictions, true);
        } else {
            slots.read(position, *token);
        }
    }
}

#[cfg(test)]
mod tests {
    use retrodict_engine::{
        Graph, Initial, LossFunction, Mode, Orientation, Parameter, ProductPrecision, Program,
        Purpose, Stream,
    };

    use super::*;
    use crate::objective::TargetSet;

    const MASK: u32 = 9;
    /// A source of two tokens, a relation, and an answer of two.
    const SENTENCE: [u32; 5] = [2, 3, 0, 4, 5];

    /// The weights of the five targets and the number of predictions, in many draws.
    fn drawn(masking: Masking) -> Vec<(Vec<f64>, f64)> {
        let mut graph = Graph::<f64>::new();
        let tokens = graph.indices(5);
        let normal = Initial::Normal { std: 1.0 };
        let table = graph.parameter(Parameter::matrix("table", [10, 2], normal));
        let seen = graph.embedding(tokens, table, None);
        let logits = graph.linear_whole(seen, table, Orientation::OutputsFirst, None);
        let targets = TargetSet::add(&mut graph, 5);
        let (to, weights) = (targets.tokens, targets.weights);
        let loss = graph.loss(LossFunction::CrossEntropy, logits, to, weights, 0..5);
        graph.output(loss, 0..5);
        let mut program = Program::compile(&graph, 1, Mode::Training, ProductPrecision::Full, 1);
        let lanes = program.lanes();
        let one = |step| {
            let mut counted = vec![false; 5 * lanes];
            targets.clear(&mut program);
            let (program, counted) = (&mut program, counted.as_mut_slice());
            let mut slots =
                Slots { program, tokens, padding_mask: None, targets, counted, lane: 0, first: 0 };
            let draws = Draws { stream: Stream::new(1, Purpose::Reading, step), sentence: 0 };
            let example = ResolvedExample { tokens: &SENTENCE, answer: 2, weight: 1.0 };
            let count = masking.write_example(example, MASK, draws, &mut slots);
            let weights: Vec<f64> =
                slots.program.weights_mut(weights).iter().step_by(lanes).copied().collect();
            for (at, weight) in weights.iter().enumerate() {
                let (read, asked) = (
                    slots.program.indices_mut(tokens)[at * lanes],
                    slots.program.indices_mut(to)[at * lanes],
                );
                let hidden = *weight > 0.0;
                assert_eq!(read, if hidden { MASK } else { SENTENCE[at] });
                assert!(!hidden || asked == SENTENCE[at]);
            }
            (weights, count)
        };
        (0..4000).map(one).collect()
    }

    #[test]
    fn the_loss_is_the_mean_over_masked_tokens_and_entities_are_masked_whole() {
        for masking in [Masking::Tokens, Masking::Entities] {
            let mut split = 0;
            for (weights, count) in drawn(masking) {
                let hidden = weights.iter().filter(|weight| **weight > 0.0).count();
                assert_eq!(hidden as f64, count);
                assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
                let halves = |a: usize, b: usize| (weights[a] > 0.0) != (weights[b] > 0.0);
                split += usize::from(halves(0, 1) || halves(3, 4));
            }
            assert_eq!(split == 0, masking == Masking::Entities, "{split} entities were split");
        }
    }

    /// Every token weighs as much as the others on average, though some sentences have no mask.
    #[test]
    fn diffusion_weighs_a_sentence_by_one_over_its_rate() {
        let drawn = drawn(Masking::Diffusion);
        let without = drawn.iter().filter(|(weights, _)| weights.iter().all(|w| *w == 0.0));
        let share = without.count() as f64 / drawn.len() as f64;
        assert!((share - 1.0 / 6.0).abs() < 0.02, "∫ (1 − t)⁵ dt = 1/6, not {share}");
        for at in 0..5 {
            let mean = drawn.iter().map(|(w, _)| w[at]).sum::<f64>() / drawn.len() as f64;
            assert!((mean - 0.2).abs() < 0.04, "{mean}");
        }
        for (weights, expected) in &drawn {
            assert!(weights.iter().all(|w| *w == 0.0 || *w == 1.0 / expected), "{weights:?}");
        }
    }
}
