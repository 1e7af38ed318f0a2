//! Chains step by step: the intermediate entities before the last one.

use std::collections::{HashMap, HashSet};

use super::layout::facts;
use super::method::{Method, Need};
use super::{Sentence, SetBuilder};
use crate::Token;

/// The relation token of a direct implication.
const DIRECT: Token = 0;

/// Adds `x 0 y 0 z` of every trained indirect fact, one with another relation than the direct one,
/// whose answer the direct facts reach in two steps or more.
pub(super) const CHAIN_OF_THOUGHT: Method = Method {
    needs: Need::Chains,
    longest: |before| before.entities(before.steps.saturating_add(1), before.steps),
    ..Method::new("chain-of-thought", apply)
};

fn apply(set: &mut SetBuilder) {
    let facts = facts(set.dataset);
    let direct = facts.iter().filter(|fact| fact.relation == DIRECT);
    let next: HashMap<_, _> = direct.map(|fact| (fact.source, fact.answer)).collect();
    for fact in facts.iter().filter(|fact| fact.relation != DIRECT) {
        let mut tokens = fact.source.to_vec();
        let mut at = fact.source;
        let mut passed = HashSet::new();
        // Stops in a circle.
        while at != fact.answer && passed.insert(at) {
            let Some(&step) = next.get(at) else { break };
            at = step;
            tokens.push(DIRECT);
            tokens.extend(at);
        }
        if at == fact.answer && passed.len() > 1 {
            set.add(Sentence { tokens, answer: at.len(), weight: 1.0 });
        }
    }
}
