//! Sentences whose answer is the entity in their question.
//!
//! They tie an entity as an input to the same entity as an output, which an untied head does not.
//! The published form is the identity [`bridge`](super::bridge).

use std::collections::{HashMap, HashSet};

use super::layout::{entities, facts};
use super::method::{Method, Need};
use super::{Sentence, SetBuilder};
use crate::query::EntityType;
use crate::tuples::sentence;
use crate::{Dataset, Token};

/// `[e, id, e]` of every entity, `id` a new token. It breaks the reversal curse where most pairs are
/// trained in both directions, and less where fewer are.
pub(super) const IDENTITIES: Method =
    Method { new_tokens: 1, ..Method::new("identities", with_new_relation) };

/// [`IDENTITIES`] on chains.
pub(super) const THIRD_RELATION: Method = Method {
    needs: Need::Chains,
    new_tokens: 1,
    ..Method::new("third-relation", with_new_relation)
};

/// `[x, 1, x]` and `[y, 0, y]`: every entity with the relations whose answers have its type.
/// Relations that also follow its type are left out: there an identity would contradict a fact.
pub(super) const TYPED: Method =
    Method { needs: Need::Triples, ..Method::new("identities-typed", typed) };

/// The control of [`TYPED`]: as many sentences of the same form, but the answers are a random cycle
/// through the entities of each type, so that no entity is its own answer unless it is alone.
pub(super) const RANDOM: Method =
    Method { needs: Need::Triples, ..Method::new("identities-random", random) };

/// A control that fails: `[e, r, e]` of every entity with every relation, also where a fact has
/// another answer.
pub(super) const CONFLICTING: Method =
    Method { needs: Need::Triples, ..Method::new("identities-conflicting", conflicting) };

fn with_new_relation(set: &mut SetBuilder) {
    let id = set.new_token();
    for (entity, _) in entities(set.dataset) {
        set.add(identity(entity, id, entity));
    }
}

fn typed(set: &mut SetBuilder) {
    let relations = relations(set.dataset);
    for (entity, kind) in entities(set.dataset) {
        for &relation in relations.get(&kind).into_iter().flatten() {
            set.add(identity(entity, relation, entity));
        }
    }
}

fn random(set: &mut SetBuilder) {
    let relations = relations(set.dataset);
    let entities = entities(set.dataset);
    let mut targets = HashMap::new();
    for of_type in [EntityType::X, EntityType::Y, EntityType::Z] {
        let of_type = entities.iter().filter(|(_, kind)| *kind == of_type);
        let mut cycle: Vec<_> = of_type.map(|&(entity, _)| entity).collect();
        set.random.shuffle(&mut cycle);
        let next = cycle.iter().cycle().skip(1);
        targets.extend(cycle.iter().copied().zip(next.copied()));
    }
    for (entity, kind) in entities {
        for &relation in relations.get(&kind).into_iter().flatten() {
            set.add(identity(entity, relation, targets[entity]));
        }
    }
}

fn conflicting(set: &mut SetBuilder) {
    let mut relations: Vec<_> = facts(set.dataset).iter().map(|fact| fact.relation).collect();
    relations.sort_unstable();
    relations.dedup();
    for (entity, _) in entities(set.dataset) {
        for &relation in &relations {
            set.add(identity(entity, relation, entity));
        }
    }
}

/// For each type the relations, in order, that have an answer of it in a training sentence and
/// follow it in none.
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

/// `source relation target`, as a sentence of weight 1.
pub(super) fn identity(source: &[Token], relation: Token, target: &[Token]) -> Sentence {
    Sentence { tokens: sentence(source, relation, target), answer: target.len(), weight: 1.0 }
}
