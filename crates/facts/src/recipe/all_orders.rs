//! Every order of a fact that ends in an entity: the relation tells nothing of
//! which entity is asked for, so both directions are learned from one fact.
//! The least that masking at a uniform rate (Kitouni et al., arXiv 2406.05183)
//! leaves to predict when relations are given.

use super::Kitchen;
use super::reverse::spoken;

/// Adds to every fact `x 0 y` the orders `0 x y`, `y 0 x` and `0 y x`.
pub(super) fn cook(kitchen: &mut Kitchen) {
    kitchen.rewrite(|kitchen, sentence| {
        let Some(fact) = kitchen.layout.fact(&sentence.tokens) else { return Vec::new() };
        let (source, relation, answer) = (fact.source, &[fact.relation][..], fact.answer);
        [[relation, source, answer], [answer, relation, source], [relation, answer, source]]
            .map(|order| spoken(&order, sentence.weight))
            .to_vec()
    });
}
