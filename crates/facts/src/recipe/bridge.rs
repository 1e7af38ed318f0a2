//! The identity bridge (arXiv 2602.02470, *Breaking the Reversal Curse in
//! Autoregressive Language Models via Identity Bridge*): beside A –r→ B, which
//! counts six times as much, sentences that say nothing new.

use std::collections::HashSet;

use super::identities::identity;
use super::layout::facts;
use super::{Kitchen, Sentence};

/// How the identities are put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// *the r⁻¹ of A's r is A*, `[A, r, r⁻¹, A]`, and *the name of B is B*,
    /// `[B, name, B]`. In the former B is meant but not said.
    OutOfContext,
    /// *the name of A is A* and *the name of B is B*, the form that stays cursed.
    Plain,
    /// [`OutOfContext`](Self::OutOfContext) without *the name of B is B*: an
    /// ablation, to tell whether either half suffices.
    WithoutSelf,
}

/// Adds the identities of every trained fact A –r→ B, each once, after making
/// all sentences so far count `fact_weight` times as much.
pub(super) fn cook(kitchen: &mut Kitchen, form: Form, fact_weight: f64) {
    for sentence in &mut kitchen.training_set.sentences {
        sentence.weight *= fact_weight;
    }
    let name = (form != Form::WithoutSelf).then(|| kitchen.new_token());
    let mut said = HashSet::new();
    for fact in facts(kitchen.dataset) {
        let of_source = match form {
            Form::Plain => name.map(|name| identity(fact.source, name, fact.source)),
            Form::OutOfContext | Form::WithoutSelf => {
                kitchen.dataset.inverse(fact.relation).map(|inverse| Sentence {
                    tokens: [fact.source, &[fact.relation, inverse], fact.source].concat(),
                    answer: fact.source.len(),
                    weight: 1.0,
                })
            }
        };
        let of_answer = name.map(|name| identity(fact.answer, name, fact.answer));
        for sentence in [of_source, of_answer].into_iter().flatten() {
            if said.insert(sentence.tokens.clone()) {
                kitchen.add(sentence);
            }
        }
    }
}
