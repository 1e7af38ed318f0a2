//! Every sentence also in reverse: token by token, entity by entity, or by random segments
//! (Golovneva et al., *Reverse Training to Nurse the Reversal Curse*, arXiv 2403.13799). No
//! delimiter stands between the parts that are kept whole.

use super::method::{Argument, Method};
use super::size::SizeBefore;
use super::{Sentence, SetBuilder};
use crate::Token;

/// `a b 0 c d` also as `d c 0 b a`. The answer of the reversed sentence is the entity that the
/// sentence began with.
pub(super) const TOKENS: Method = Method {
    longest: SizeBefore::reordered,
    ..Method::new("reverse-tokens", |set| {
        set.rewrite(|set, sentence| vec![reversed(set, &[], sentence)]);
    })
};

/// [`TOKENS`] behind a new token, so that no context of a reversed sentence is one of a forward
/// sentence.
pub(super) const TOKENS_MARKED: Method = Method {
    new_tokens: 1,
    longest: |before| (before.longest.saturating_add(1), before.entity),
    ..Method::new("reverse-tokens-marked", |set| {
        let marker = set.new_token();
        set.rewrite(|set, sentence| vec![reversed(set, &[marker], sentence)]);
    })
};

/// `a b 0 c d` also as `c d 0 a b`.
pub(super) const ENTITIES: Method = Method {
    longest: SizeBefore::reordered,
    ..Method::new("reverse-entities", |set| {
        set.rewrite(|set, sentence| {
            let mut chunks = set.layout.chunks(&sentence.tokens);
            chunks.reverse();
            vec![joined(&chunks, sentence.weight)]
        });
    })
};

/// `a b 0 c d`, cut into `a b 0 | c d`, also as `c d a b 0`. A segment has from one token to the
/// argument's number, each length with the same probability; the last one takes the rest. The answer
/// is the segment that the sentence began with.
///
/// With the default, a sentence of one-token entities is cut anywhere.
pub(super) const SEGMENTS: Method = Method {
    argument: Argument::Whole(2),
    right: "it is the most tokens of a segment, a whole number from 1",
    // A sentence that is one segment is not added again.
    longest: |before| {
        (before.longest, before.argument.whole().min(before.longest.saturating_sub(1)))
    },
    ..Method::new("reverse-segments", segments)
};

fn segments(set: &mut SetBuilder) {
    let longest = u32::try_from(set.argument.whole()).unwrap_or(u32::MAX);
    set.rewrite(|set, sentence| {
        let mut segments = Vec::new();
        let mut rest = &sentence.tokens[..];
        while !rest.is_empty() {
            let length = 1 + set.random.randint(longest) as usize;
            let segment;
            (segment, rest) = rest.split_at(length.min(rest.len()));
            segments.push(segment);
        }
        segments.reverse();
        vec![joined(&segments, sentence.weight)]
    });
}

/// The sentence of these chunks, the last of which is its answer.
pub(super) fn joined(chunks: &[&[Token]], weight: f64) -> Sentence {
    let answer = chunks.last().map_or(0, |chunk| chunk.len());
    Sentence { tokens: chunks.concat(), answer, weight }
}

/// `start`, then the tokens of a sentence in reverse. The answer has as many tokens as the entity
/// or relation that the sentence began with.
fn reversed(set: &SetBuilder, start: &[Token], sentence: &Sentence) -> Sentence {
    let answer = set.layout.chunks(&sentence.tokens).first().map_or(1, |chunk| chunk.len());
    let tokens = start.iter().chain(sentence.tokens.iter().rev()).copied().collect();
    Sentence { tokens, answer, ..*sentence }
}
