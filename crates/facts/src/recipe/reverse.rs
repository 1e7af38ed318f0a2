//! Every sentence also in reverse: token by token, entity by entity, or by random segments
//! (Golovneva et al., *Reverse Training to Nurse the Reversal Curse*, arXiv 2403.13799). No
//! delimiter stands between the parts that are kept whole.

use super::method::Method;
use super::size::SizeBefore;
use super::{Recipe, Sentence, SetBuilder};
use crate::Token;

/// The longest segment where none is given: a sentence of one-token entities is then cut anywhere.
const LONGEST_SEGMENT: usize = 2;

/// `reverse-tokens`: `a b 0 c d` also as `d c 0 b a`. The answer of the reversed sentence is the
/// entity that the sentence began with.
pub(super) struct Tokens;

impl Method for Tokens {
    fn name(&self) -> &'static str {
        "reverse-tokens"
    }

    fn longest(&self, before: &SizeBefore) -> (usize, usize) {
        (before.longest, before.entity)
    }

    fn apply(&self, set: &mut SetBuilder) {
        set.rewrite(|set, sentence| vec![reversed(set, &[], sentence)]);
    }
}

/// `reverse-tokens-marked`: the same behind a new token, so that no context of a reversed sentence
/// is one of a forward sentence.
pub(super) struct TokensMarked;

impl Method for TokensMarked {
    fn name(&self) -> &'static str {
        "reverse-tokens-marked"
    }

    fn new_tokens(&self) -> usize {
        1
    }

    fn longest(&self, before: &SizeBefore) -> (usize, usize) {
        (before.longest.saturating_add(1), before.entity)
    }

    fn apply(&self, set: &mut SetBuilder) {
        let marker = set.new_token();
        set.rewrite(|set, sentence| vec![reversed(set, &[marker], sentence)]);
    }
}

/// `reverse-entities`: `a b 0 c d` also as `c d 0 a b`.
pub(super) struct Entities;

impl Method for Entities {
    fn name(&self) -> &'static str {
        "reverse-entities"
    }

    fn longest(&self, before: &SizeBefore) -> (usize, usize) {
        (before.longest, before.entity)
    }

    fn apply(&self, set: &mut SetBuilder) {
        set.rewrite(|set, sentence| {
            let mut chunks = set.layout.chunks(&sentence.tokens);
            chunks.reverse();
            vec![joined(&chunks, sentence.weight)]
        });
    }
}

/// `reverse-segments(N)`: `a b 0 c d`, cut into `a b 0 | c d`, also as `c d a b 0`. A segment has
/// from one to N tokens, each length with the same probability; the last one takes the rest. The
/// answer is the segment that the sentence began with.
pub(super) struct Segments {
    /// N, at least 1.
    longest: usize,
}

impl Default for Segments {
    fn default() -> Self {
        Self { longest: LONGEST_SEGMENT }
    }
}

impl Method for Segments {
    fn name(&self) -> &'static str {
        "reverse-segments"
    }

    fn argument(&self) -> Option<String> {
        Some(self.longest.to_string())
    }

    fn with_argument(&self, text: &str) -> Result<Recipe, &'static str> {
        match text.parse() {
            Ok(longest) if longest > 0 => Ok(Recipe::new(Self { longest })),
            _ => Err("it is the most tokens of a segment, a whole number from 1"),
        }
    }

    fn longest(&self, before: &SizeBefore) -> (usize, usize) {
        // A sentence that is one segment is not added again.
        (before.longest, self.longest.min(before.longest.saturating_sub(1)))
    }

    fn apply(&self, set: &mut SetBuilder) {
        let longest = u32::try_from(self.longest).unwrap_or(u32::MAX);
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
