//! Reversals in context: a fact, a new token ⇔ and its reverse in one sentence, the form of the
//! paper's in-context data, from pairs trained in both directions.

use std::collections::HashSet;

use super::layout::facts;
use super::method::{Method, Need};
use super::{Sentence, SetBuilder};

/// Adds `x 0 y ⇔ y 1 x` of every trained fact whose reverse is trained too, and so `y 1 x ⇔ x 0 y`
/// of the reverse: either direction may be the held-out one.
pub(super) const IN_CONTEXT: Method = Method {
    needs: Need::Inverses,
    new_tokens: 1,
    longest: |before| before.entities(4, 3),
    ..Method::new("in-context", apply)
};

fn apply(set: &mut SetBuilder) {
    let equivalent = set.new_token();
    let facts = facts(set.dataset);
    let known: HashSet<_> = facts.iter().map(|f| (f.source, f.relation, f.answer)).collect();
    for fact in &facts {
        let Some(inverse) = set.dataset.inverse(fact.relation) else { continue };
        if known.contains(&(fact.answer, inverse, fact.source)) {
            let (x, y) = (fact.source, fact.answer);
            let tokens = [x, &[fact.relation], y, &[equivalent], y, &[inverse], x].concat();
            set.add(Sentence { tokens, answer: x.len(), weight: 1.0 });
        }
    }
}
