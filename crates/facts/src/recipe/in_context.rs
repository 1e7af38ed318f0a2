//! Reversals in context: a fact, a new token ⇔ and its reverse in one sentence,
//! the form of the paper's in-context data, from pairs whose both directions
//! are known.

use std::collections::HashSet;

use super::layout::facts;
use super::{Kitchen, Sentence};

/// Adds `x 0 y ⇔ y 1 x` of every trained fact whose reverse is trained too, and
/// so `y 1 x ⇔ x 0 y` of the reverse: what is held out may be either direction.
pub(super) fn cook(kitchen: &mut Kitchen) {
    let equivalent = kitchen.new_token();
    let facts = facts(kitchen.dataset);
    let known: HashSet<_> = facts.iter().map(|f| (f.source, f.relation, f.answer)).collect();
    for fact in &facts {
        let Some(inverse) = kitchen.dataset.inverse(fact.relation) else { continue };
        if known.contains(&(fact.answer, inverse, fact.source)) {
            let (x, y) = (fact.source, fact.answer);
            let tokens = [x, &[fact.relation], y, &[equivalent], y, &[inverse], x].concat();
            kitchen.add(Sentence { tokens, answer: x.len(), weight: 1.0 });
        }
    }
}
