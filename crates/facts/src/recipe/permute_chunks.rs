//! Permuted semantic chunks (Guo et al., *Mitigating Reversal Curse in Large Language Models via
//! Semantic-aware Permutation Training*, arXiv 2403.00758): every sentence is read in its own
//! order, in reverse and in a random order. A chunk is an entity or a relation; the last one is the
//! answer, also where it is the relation.

use super::SetBuilder;
use super::method::Method;
use super::reverse::joined;
use super::size::SizeBefore;

/// Adds to every sentence its chunks in reverse and, where that is a third order, in a random one.
pub(super) const PERMUTE_CHUNKS: Method =
    Method { longest: SizeBefore::reordered, ..Method::new("permute-chunks", apply) };

fn apply(set: &mut SetBuilder) {
    set.rewrite(|set, sentence| {
        let mut chunks = set.layout.chunks(&sentence.tokens);
        chunks.reverse();
        let reversed = joined(&chunks, sentence.weight);
        chunks.reverse();
        set.random.shuffle(&mut chunks);
        let permuted = joined(&chunks, sentence.weight);
        if permuted.tokens == reversed.tokens { vec![reversed] } else { vec![reversed, permuted] }
    });
}
