//! Sentences that answer with what they ask about.
//!
//! They teach that an entity as an input and the same entity as an output are
//! one thing, which a free head does not know. The forms below were compared
//! on the reversal data set before they were written here; the identity bridge
//! ([`bridge`](super::bridge)) is the published one.

use std::collections::{HashMap, HashSet};

use super::layout::{entities, facts};
use super::{Kitchen, Sentence};
use crate::dataset::EntityType;
use crate::tuples::sentence;
use crate::{Dataset, Token};

/// `[e, id, e]` of every entity, `id` a new token. Mends the reversal curse
/// where most pairs are trained in both directions, and less and less where
/// fewer are.
pub(super) fn untyped(kitchen: &mut Kitchen) {
    let id = kitchen.new_token();
    for (entity, _) in entities(kitchen.dataset) {
        kitchen.add(identity(entity, id, entity));
    }
}

/// `[x, 1, x]` and `[y, 0, y]`: every entity with the relations that answer
/// with its type. Not with those that are also asked of its type, where an
/// identity would contradict a fact.
pub(super) fn typed(kitchen: &mut Kitchen) {
    let relations = relations(kitchen.dataset);
    for (entity, kind) in entities(kitchen.dataset) {
        for &relation in relations.get(&kind).into_iter().flatten() {
            kitchen.add(identity(entity, relation, entity));
        }
    }
}

/// The control of [`typed`]: as many sentences of the same look, but each type's
/// entities answer in a random cycle, so none with itself (unless it is alone).
pub(super) fn random(kitchen: &mut Kitchen) {
    let relations = relations(kitchen.dataset);
    let entities = entities(kitchen.dataset);
    let mut targets = HashMap::new();
    for of_type in [EntityType::X, EntityType::Y, EntityType::Z] {
        let of_type = entities.iter().filter(|(_, kind)| *kind == of_type);
        let mut cycle: Vec<_> = of_type.map(|&(entity, _)| entity).collect();
        kitchen.random.shuffle(&mut cycle);
        let next = cycle.iter().cycle().skip(1);
        targets.extend(cycle.iter().copied().zip(next.copied()));
    }
    for (entity, kind) in entities {
        for &relation in relations.get(&kind).into_iter().flatten() {
            kitchen.add(identity(entity, relation, targets[entity]));
        }
    }
}

/// A control that fails: `[e, r, e]` of every entity with every relation, also
/// where a fact gives another answer.
pub(super) fn conflicting(kitchen: &mut Kitchen) {
    let mut relations: Vec<_> = facts(kitchen.dataset).iter().map(|fact| fact.relation).collect();
    relations.sort_unstable();
    relations.dedup();
    for (entity, _) in entities(kitchen.dataset) {
        for &relation in &relations {
            kitchen.add(identity(entity, relation, entity));
        }
    }
}

/// For each type the relations, in order, that answer with it in a training
/// sentence and are asked of it in none.
fn relations(dataset: &Dataset) -> HashMap<EntityType, Vec<Token>> {
    let types: HashMap<_, _> = entities(dataset).into_iter().collect();
    let (mut asked, mut answered) = (HashSet::new(), HashSet::new());
    for fact in facts(dataset) {
        asked.insert((types[fact.source], fact.relation));
        answered.insert((types[fact.answer], fact.relation));
    }
    let mut relations: HashMap<_, Vec<Token>> = HashMap::new();
    for &(kind, relation) in answered.difference(&asked) {
        relations.entry(kind).or_default().push(relation);
    }
    relations.values_mut().for_each(|of_type| of_type.sort_unstable());
    relations
}

/// `source relation target`, as a sentence of its own.
pub(super) fn identity(source: &[Token], relation: Token, target: &[Token]) -> Sentence {
    Sentence { tokens: sentence(source, relation, target), answer: target.len(), weight: 1.0 }
}
