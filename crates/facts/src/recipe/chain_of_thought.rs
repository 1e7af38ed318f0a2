//! Chains said step by step: the intermediate entities before the last.

use std::collections::{HashMap, HashSet};

use super::layout::facts;
use super::{Kitchen, Sentence};
use crate::Token;

/// The relation token of a direct implication.
const DIRECT: Token = 0;

/// Adds `x 0 y 0 z` of every trained fact that skips over y: one with another
/// relation than the direct one, whose answer the direct facts lead to in two
/// steps or more.
pub(super) fn cook(kitchen: &mut Kitchen) {
    let facts = facts(kitchen.dataset);
    let direct = facts.iter().filter(|fact| fact.relation == DIRECT);
    let next: HashMap<_, _> = direct.map(|fact| (fact.source, fact.answer)).collect();
    for fact in facts.iter().filter(|fact| fact.relation != DIRECT) {
        let mut tokens = fact.source.to_vec();
        let mut at = fact.source;
        let mut passed = HashSet::new();
        // A circle leads nowhere.
        while at != fact.answer && passed.insert(at) {
            let Some(&step) = next.get(at) else { break };
            at = step;
            tokens.push(DIRECT);
            tokens.extend(at);
        }
        if at == fact.answer && passed.len() > 1 {
            kitchen.add(Sentence { tokens, answer: at.len(), weight: 1.0 });
        }
    }
}
