//! Semantic chunks permuted (Guo et al., *Mitigating Reversal Curse in Large
//! Language Models via Semantic-aware Permutation Training*, arXiv 2403.00758):
//! every sentence is read in its own order, in reverse and in a random order.
//! A chunk is an entity or a relation; the last one is the answer, be it the
//! relation.

use super::reverse::spoken;
use super::{Kitchen, Sentence};

/// Adds to every sentence its chunks in reverse and, where that is yet another
/// order, in a random one.
pub(super) fn cook(kitchen: &mut Kitchen) {
    kitchen.rewrite(|kitchen, sentence| {
        let mut chunks = kitchen.layout.chunks(&sentence.tokens);
        chunks.reverse();
        let reversed = spoken(&chunks, sentence.weight);
        chunks.reverse();
        kitchen.random.shuffle(&mut chunks);
        let permuted: Sentence = spoken(&chunks, sentence.weight);
        if permuted.tokens == reversed.tokens { vec![reversed] } else { vec![reversed, permuted] }
    });
}
