//! The identity bridge (arXiv 2602.02470, *Breaking the Reversal Curse in Autoregressive Language
//! Models via Identity Bridge*): beside A –r→ B, which counts six times as much, sentences that
//! hold no new fact.

use std::collections::HashSet;

use super::identities::identity;
use super::layout::facts;
use super::method::{Argument, Method, Need};
use super::{Sentence, SetBuilder};
use crate::Token;

/// *the r⁻¹ of A's r is A*, `[A, r, r⁻¹, A]`, and *the name of B is B*, `[B, name, B]`. The former
/// implies B without naming it.
pub(super) const OUT_OF_CONTEXT: Method = Method {
    new_tokens: 1,
    ..bridge("bridge-out-of-context", |set| {
        let name = set.new_token();
        apply(set, Some(name), false);
    })
};

/// *the name of A is A* and *the name of B is B*; the curse stays.
pub(super) const PLAIN: Method = Method {
    needs: Need::Triples,
    new_tokens: 1,
    longest: |before| before.entities(2, 1),
    ..bridge("bridge-plain", |set| {
        let name = set.new_token();
        apply(set, Some(name), true);
    })
};

/// [`OUT_OF_CONTEXT`] without *the name of B is B*: an ablation, which shows whether the first half
/// is enough.
pub(super) const WITHOUT_SELF: Method =
    bridge("bridge-without-self", |set| apply(set, None, false));

const fn bridge(name: &'static str, apply: fn(&mut SetBuilder)) -> Method {
    Method {
        argument: Argument::Real(6.0),
        right: "it is the weight of a fact beside an identity, a number above 0",
        needs: Need::Inverses,
        longest: |before| before.entities(2, 2),
        ..Method::new(name, apply)
    }
}

/// Multiplies the weights of all sentences so far, then adds the identities of every trained fact
/// A –r→ B, each once: of A, named if `plain` and otherwise out of context, and of B if there is a
/// `name` token.
fn apply(set: &mut SetBuilder, name: Option<Token>, plain: bool) {
    let fact_weight = set.argument.real();
    for sentence in &mut set.training_set.sentences {
        sentence.weight *= fact_weight;
    }
    let mut added = HashSet::new();
    for fact in facts(set.dataset) {
        let named = |entity| name.map(|name| identity(entity, name, entity));
        let out_of_context = |inverse| Sentence {
            tokens: [fact.source, &[fact.relation, inverse], fact.source].concat(),
            answer: fact.source.len(),
            weight: 1.0,
        };
        let of_source = match plain {
            true => named(fact.source),
            false => set.dataset.inverse(fact.relation).map(out_of_context),
        };
        for sentence in [of_source, named(fact.answer)].into_iter().flatten() {
            if added.insert(sentence.tokens.clone()) {
                set.add(sentence);
            }
        }
    }
}
