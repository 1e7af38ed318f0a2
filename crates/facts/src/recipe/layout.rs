//! The positions of entities and relations in a sentence.

use std::collections::{HashMap, HashSet};

use crate::query::EntityType;
use crate::{Dataset, Token};

/// The token ranges of entities and relations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    reserved: usize,
    vocab: usize,
    entity_length: usize,
}

/// A sentence `source relation answer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fact<'a> {
    pub(super) source: &'a [Token],
    pub(super) relation: Token,
    pub(super) answer: &'a [Token],
}

impl Layout {
    pub(super) fn of(dataset: &Dataset) -> Self {
        let Dataset { reserved, vocab, entity_length, .. } = *dataset;
        Self { reserved, vocab, entity_length }
    }

    /// Entities lie between the relations of the data set and the tokens that recipes added.
    pub(super) fn in_entity(self, token: Token) -> bool {
        (self.reserved..self.vocab).contains(&(token as usize))
    }

    /// The entities and relations of a sentence, in order.
    pub(super) fn chunks(self, sentence: &[Token]) -> Vec<&[Token]> {
        let mut chunks = Vec::new();
        for run in sentence.chunk_by(|&a, &b| self.in_entity(a) == self.in_entity(b)) {
            let length = if self.in_entity(run[0]) { self.entity_length } else { 1 };
            chunks.extend(run.chunks(length));
        }
        chunks
    }

    /// The fact that a sentence states, if it is one.
    pub(super) fn fact(self, sentence: &[Token]) -> Option<Fact<'_>> {
        let &[source, &[relation], answer] = &self.chunks(sentence)[..] else { return None };
        let entity = |chunk: &[Token]| self.in_entity(chunk[0]);
        (entity(source) && !self.in_entity(relation) && entity(answer)).then_some(Fact {
            source,
            relation,
            answer,
        })
    }
}

/// The facts among the training sentences, in order.
pub(super) fn facts(dataset: &Dataset) -> Vec<Fact<'_>> {
    let layout = Layout::of(dataset);
    dataset.train.iter().filter_map(|sentence| layout.fact(sentence)).collect()
}

/// The entities of the training sentences with their types, in the order of their first occurrence.
/// Those that are no answer in any group have type X.
pub(super) fn entities(dataset: &Dataset) -> Vec<(&[Token], EntityType)> {
    let layout = Layout::of(dataset);
    let queries = dataset.groups.iter().flat_map(|group| &group.queries);
    let types: HashMap<&[Token], EntityType> =
        queries.map(|query| (query.answer.as_slice(), query.answer_type)).collect();
    let chunks = dataset.train.iter().flat_map(|sentence| layout.chunks(sentence));
    let mut known = HashSet::new();
    let new = chunks.filter(|chunk| layout.in_entity(chunk[0]) && known.insert(*chunk));
    new.map(|entity| (entity, types.get(entity).copied().unwrap_or(EntityType::X))).collect()
}
