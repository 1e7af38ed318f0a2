//! Every order of a fact that ends in an entity. The position of the relation then does not say
//! which entity is the answer, so both directions are learned from one fact. This is the part of
//! masking at a uniform rate (Kitouni et al., arXiv 2406.05183) that remains when relations are
//! given.

use super::SetBuilder;
use super::method::{Method, Need};
use super::reverse::joined;
use super::size::SizeBefore;

/// Adds to every fact `x 0 y` the orders `0 x y`, `y 0 x` and `0 y x`.
pub(super) const ALL_ORDERS: Method = Method {
    needs: Need::Triples,
    longest: SizeBefore::reordered,
    ..Method::new("all-orders", apply)
};

fn apply(set: &mut SetBuilder) {
    set.rewrite(|set, sentence| {
        let Some(fact) = set.layout.fact(&sentence.tokens) else { return Vec::new() };
        let (source, relation, answer) = (fact.source, &[fact.relation][..], fact.answer);
        [[relation, source, answer], [answer, relation, source], [relation, answer, source]]
            .map(|order| joined(&order, sentence.weight))
            .to_vec()
    });
}
