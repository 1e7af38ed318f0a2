//! Readings of a sentence: its input tokens, and the token that each position predicts.

use std::ops::Range;

use retrodict_engine::Scalar;

use super::masking::{Masking, hide};
use super::{Draws, LossOn, ResolvedExample, Slots};

/// A way to read sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Left to right; every position predicts the next token.
    NextToken,
    /// All at once, with some tokens masked; a masked position predicts the token that it hides.
    Masked {
        /// The mask token.
        mask: u32,
        /// Which tokens are masked in training, and how their losses are weighted.
        masking: Masking,
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

    /// Writes the inputs and targets of one sentence for a training step. Returns the number of
    /// tokens that the sum of their NLLs stands for; `None` for those of the answer.
    pub(crate) fn write_example<T: Scalar>(
        self,
        example: ResolvedExample<'_>,
        loss_on: LossOn,
        draws: Draws,
        slots: &mut Slots<'_, T>,
    ) -> Option<f64> {
        match self {
            Reading::NextToken => {
                left_to_right(example, loss_on, slots);
                None
            }
            Reading::Masked { mask, masking } => {
                Some(masking.write_example(example, mask, draws, slots))
            }
            Reading::Permuted => {
                permuted(example, draws, slots);
                Some(1.0)
            }
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
            Reading::Masked { mask, .. } => {
                hide(example, slots, mask, answer as f64, |at| at >= tokens.len() - answer);
            }
        }
    }

    /// The token to append to a context so that its last position predicts the token after it;
    /// `None` where the context itself does.
    pub(crate) fn prompt(self) -> Option<u32> {
        match self {
            Reading::NextToken | Reading::Permuted => None,
            Reading::Masked { mask, .. } => Some(mask),
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
