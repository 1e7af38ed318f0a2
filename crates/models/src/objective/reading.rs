//! Readings of a sentence: its input tokens, and the token that each position predicts.

use std::ops::Range;

use retrodict_engine::Scalar;

use super::{Draws, LossOn, ResolvedExample, Slots};

/// A way to read sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Left to right; every position predicts the next token.
    NextToken,
    /// All at once, with some tokens masked; a masked position predicts the token that it hides. In
    /// training the fraction of masked tokens is drawn for each sentence, uniform between none and
    /// all, so that every factorisation of the sentence is trained (Kitouni et al., 2024, arXiv
    /// 2406.05183). With a bidirectional model this is BERT's task at every masking rate.
    Masked {
        /// The mask token.
        mask: u32,
    },
    /// Left to right, the tokens in an order drawn for each sentence and step (permutation language
    /// modelling; Yang et al., 2019). Questions keep their order.
    Permuted,
}

impl Reading {
    /// Input positions for sentences of this length. Left to right, the last token predicts
    /// nothing.
    pub(crate) fn positions(self, sentence_length: usize) -> usize {
        match self {
            Reading::NextToken | Reading::Permuted => sentence_length - 1,
            Reading::Masked { .. } => sentence_length,
        }
    }

    /// The positions that predict tokens `first..end` of a sentence.
    pub(crate) fn asked(self, first: usize, end: usize) -> Range<usize> {
        match self {
            Reading::NextToken => first - 1..end - 1,
            Reading::Permuted => 0..end - 1,
            Reading::Masked { .. } => 0..end,
        }
    }

    /// Writes the inputs and targets of one sentence for a training step.
    pub(crate) fn write_example<T: Scalar>(
        self,
        example: ResolvedExample<'_>,
        loss_on: LossOn,
        draws: Draws,
        slots: &mut Slots<'_, T>,
    ) {
        match self {
            Reading::NextToken => left_to_right(example, loss_on, slots),
            Reading::Masked { mask } => masked(example, mask, draws, slots),
            Reading::Permuted => permuted(example, draws, slots),
        }
    }

    /// Writes a sentence to be scored on its last `answer` tokens.
    pub(crate) fn question<T: Scalar>(
        self,
        tokens: &[u32],
        answer: usize,
        slots: &mut Slots<'_, T>,
    ) {
        let example = ResolvedExample { tokens, answer, weight: 1.0 };
        match self {
            Reading::NextToken | Reading::Permuted => {
                left_to_right(example, LossOn::LastEntity, slots);
            }
            Reading::Masked { mask } => {
                hide(example, slots, mask, |at| at >= tokens.len() - answer);
            }
        }
    }

    /// The token to append to a context so that its last position predicts the token after it;
    /// `None` where the context itself does.
    pub(crate) fn prompt(self) -> Option<u32> {
        match self {
            Reading::NextToken | Reading::Permuted => None,
            Reading::Masked { mask } => Some(mask),
        }
    }
}

fn left_to_right<T: Scalar>(
    ResolvedExample { tokens, answer, weight }: ResolvedExample<'_>,
    loss_on: LossOn,
    slots: &mut Slots<'_, T>,
) {
    let context = tokens.len() - answer;
    let trained = match loss_on {
        LossOn::LastEntity => answer,
        LossOn::Sequence => tokens.len() - 1,
    };
    for (position, pair) in tokens.windows(2).enumerate() {
        slots.read(position, pair[0]);
        let target = position + 1;
        if target >= tokens.len() - trained {
            slots.ask(position, pair[1], weight / trained as f64, target >= context);
        }
    }
}

/// Masks every token independently with a probability drawn for the sentence, and at least one
/// token.
fn masked<T: Scalar>(
    example: ResolvedExample<'_>,
    mask: u32,
    draws: Draws,
    slots: &mut Slots<'_, T>,
) {
    let length = example.tokens.len();
    let rate = draws.unit(0);
    let hidden = |at: usize| draws.unit(1 + at) < rate;
    let any = (0..length).any(hidden);
    let chosen = (draws.unit(1 + length) * length as f64) as usize;
    hide(example, slots, mask, |at| if any { hidden(at) } else { at == chosen });
}

fn hide<T: Scalar>(
    ResolvedExample { tokens, weight, .. }: ResolvedExample<'_>,
    slots: &mut Slots<'_, T>,
    mask: u32,
    hidden: impl Fn(usize) -> bool,
) {
    let count = (0..tokens.len()).filter(|at| hidden(*at)).count();
    for (position, token) in tokens.iter().enumerate() {
        if hidden(position) {
            slots.read(position, mask);
            slots.ask(position, *token, weight / count as f64, true);
        } else {
            slots.read(position, *token);
        }
    }
}

/// Draws an order of the tokens, uniform over all orders. Every token but the first is predicted,
/// and the last one counts.
fn permuted<T: Scalar>(
    ResolvedExample { tokens, weight, .. }: ResolvedExample<'_>,
    draws: Draws,
    slots: &mut Slots<'_, T>,
) {
    // Sentences are short: selecting the k-th of those that are left needs no memory of its own.
    let length = tokens.len();
    let mut left = u64::MAX >> (64 - length.min(64));
    let mut before = None;
    for place in 0..length {
        let count = left.count_ones();
        let nth = (draws.unit(place) * f64::from(count)) as u32;
        let mut rest = left;
        for _ in 0..nth {
            rest &= rest - 1;
        }
        let token = tokens[rest.trailing_zeros() as usize];
        left &= !(1 << rest.trailing_zeros());
        if let Some(before) = before {
            slots.read(place - 1, before);
            slots.ask(place - 1, token, weight / (length - 1) as f64, place + 1 == length);
        }
        before = Some(token);
    }
}
