//! Every sentence also in reverse: token by token, entity by entity, or by
//! random segments (Golovneva et al., *Reverse Training to Nurse the Reversal
//! Curse*, arXiv 2403.13799). No delimiter stands between what is kept whole.

use super::{Kitchen, Sentence};
use crate::Token;

/// `a b 0 c d` also as `d c 0 b a`. The answer of the reversed sentence is the
/// entity that the sentence began with.
pub(super) fn tokens(kitchen: &mut Kitchen) {
    kitchen.rewrite(|kitchen, sentence| {
        let tokens = sentence.tokens.iter().rev().copied().collect();
        vec![Sentence { tokens, answer: first_chunk(kitchen, sentence), ..*sentence }]
    });
}

/// The same behind a new token, so that no context of a reversed sentence is
/// one of a forward sentence.
pub(super) fn tokens_marked(kitchen: &mut Kitchen) {
    let marker = kitchen.new_token();
    kitchen.rewrite(|kitchen, sentence| {
        let reversed = sentence.tokens.iter().rev().copied();
        let tokens = [marker].into_iter().chain(reversed).collect();
        vec![Sentence { tokens, answer: first_chunk(kitchen, sentence), ..*sentence }]
    });
}

/// `a b 0 c d` also as `c d 0 a b`.
pub(super) fn entities(kitchen: &mut Kitchen) {
    kitchen.rewrite(|kitchen, sentence| {
        let mut chunks = kitchen.layout.chunks(&sentence.tokens);
        chunks.reverse();
        vec![spoken(&chunks, sentence.weight)]
    });
}

/// `a b 0 c d`, cut into `a b 0 | c d`, also as `c d a b 0`. A segment has from
/// one to `longest` tokens, each length as likely as any other (the last takes
/// what is left). Its answer is the segment that the sentence began with.
pub(super) fn segments(kitchen: &mut Kitchen, longest: usize) {
    let longest = u32::try_from(longest).unwrap_or(u32::MAX);
    kitchen.rewrite(|kitchen, sentence| {
        let mut segments = Vec::new();
        let mut rest = &sentence.tokens[..];
        while !rest.is_empty() {
            let length = 1 + kitchen.random.randint(longest) as usize;
            let segment;
            (segment, rest) = rest.split_at(length.min(rest.len()));
            segments.push(segment);
        }
        segments.reverse();
        vec![spoken(&segments, sentence.weight)]
    });
}

/// The sentence that chunks make, the last of them its answer.
pub(super) fn spoken(chunks: &[&[Token]], weight: f64) -> Sentence {
    let answer = chunks.last().map_or(0, |chunk| chunk.len());
    Sentence { tokens: chunks.concat(), answer, weight }
}

/// How many tokens the entity or relation has that a sentence begins with.
fn first_chunk(kitchen: &Kitchen, sentence: &Sentence) -> usize {
    kitchen.layout.chunks(&sentence.tokens).first().map_or(1, |chunk| chunk.len())
}
