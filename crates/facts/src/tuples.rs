//! Entities of several types, drawn and aligned, as the reversal and the chain data sets need them.

use std::array;

use crate::limits::{self, MAX_CANDIDATES, at_least, at_most};
use crate::numpy::RandomState;
use crate::{Entity, FactsError, Token};

/// The relation tokens 0 and 1.
pub(crate) const RESERVED: usize = 2;
/// Each type of entity is made of its own quarter of the vocabulary.
const SHARE: usize = 4;
/// With entities of this many tokens the authors trained on fewer tuples.
const CAPPED_LENGTH: usize = 3;
/// The most tuples trained whole, with entities of that length.
const MAX_WHOLE: usize = 100;
/// The most tuples trained in part, with entities of that length.
const MAX_PARTIAL: usize = 50;

/// Tuples of one entity of each type, in the order of the data set.
pub(crate) struct Tuples<const TYPES: usize> {
    /// Tuples of which every sentence is trained.
    pub(crate) whole: Vec<[Entity; TYPES]>,
    /// Tuples of which one sentence is held out.
    pub(crate) partial: Vec<[Entity; TYPES]>,
}

/// Refuses settings that give no tuples.
pub(crate) fn validate(
    vocab_size: usize,
    entity_length: usize,
    train_fraction: f64,
) -> Result<(), FactsError> {
    at_least("vocab_size", vocab_size, SHARE, "each type of entity takes a quarter of it")?;
    limits::vocab_at_most(vocab_size)?;
    at_least("entity_length", entity_length, 1, "an entity has a token")?;
    let per_type = vocab_size / SHARE;
    at_most(
        "entity_length",
        entity_length,
        longest_entity(per_type),
        format!(
            "with the {per_type} tokens that each type has in a vocabulary of {vocab_size}, \
             longer entities are too many to shuffle"
        ),
    )?;
    limits::fraction(train_fraction)
}

/// The most tokens of an entity with at most [`MAX_CANDIDATES`] candidates. A single token gives one
/// entity of any length; it has the bound of two tokens.
fn longest_entity(per_type: usize) -> usize {
    MAX_CANDIDATES.ilog(per_type.max(2)) as usize
}

/// Draws and aligns the entities of validated settings, then shuffles the tuples. The first
/// `train_fraction` of them are trained whole.
pub(crate) fn draw<const TYPES: usize>(
    random: &mut RandomState,
    vocab_size: usize,
    entity_length: usize,
    train_fraction: f64,
) -> Tuples<TYPES> {
    let per_type = vocab_size / SHARE;
    let tokens = draw_tokens(random, vocab_size, TYPES * per_type, RESERVED);

    let candidates = per_type.pow(entity_length as u32) as u32;
    let size = candidates.min(2 * per_type as u32);
    // As in the authors' program, all types are shuffled before the first choice. There may be
    // millions of entities, so their indexes are shuffled instead.
    let shuffled: [Vec<u32>; TYPES] = array::from_fn(|_| random.permutation(candidates));
    let entities: [Vec<Entity>; TYPES] = array::from_fn(|kind| {
        let tokens = &tokens[kind * per_type..][..per_type];
        let chosen = random.choice(candidates, size);
        let indexes = chosen.iter().map(|&place| shuffled[kind][place as usize]);
        indexes.map(|index| entity(tokens, entity_length, index as usize)).collect()
    });

    let order = random.permutation(size);
    let tuple = |&at: &u32| array::from_fn(|kind| entities[kind][at as usize].clone());
    let mut whole: Vec<[Entity; TYPES]> = order.iter().map(tuple).collect();
    let mut partial = whole.split_off(trained_of(train_fraction, size as usize));
    if entity_length == CAPPED_LENGTH {
        whole.truncate(MAX_WHOLE);
        partial.truncate(MAX_PARTIAL);
    }
    Tuples { whole, partial }
}

/// `count` different tokens in random order, none of them reserved for relations.
pub(crate) fn draw_tokens(
    random: &mut RandomState,
    vocab_size: usize,
    count: usize,
    reserved: usize,
) -> Vec<Token> {
    let mut tokens = random.choice(vocab_size as u32, count as u32);
    tokens.iter_mut().for_each(|token| *token += reserved as Token);
    tokens
}

/// The number trained of `n`, rounded half to even.
pub(crate) fn trained_of(train_fraction: f64, n: usize) -> usize {
    (train_fraction * n as f64).round_ties_even() as usize
}

/// The entity at `index` of the Cartesian product of `tokens` with itself, the last position
/// changing fastest: `index` in base `tokens.len()`.
fn entity(tokens: &[Token], length: usize, mut index: usize) -> Entity {
    let mut entity = vec![0; length];
    for token in entity.iter_mut().rev() {
        *token = tokens[index % tokens.len()];
        index /= tokens.len();
    }
    entity
}

/// The sentence `source relation target`.
pub(crate) fn sentence(source: &[Token], relation: Token, target: &[Token]) -> Vec<Token> {
    [source, &[relation], target].concat()
}

#[cfg(test)]
mod tests {
    use super::{entity, longest_entity};

    #[test]
    fn entities_run_through_the_last_position_fastest() {
        let all: Vec<_> = (0..4).map(|index| entity(&[7, 9], 2, index)).collect();
        assert_eq!(all, [[7, 7], [7, 9], [9, 7], [9, 9]]);
    }

    #[test]
    fn the_longest_entity_is_the_last_whose_candidates_fit() {
        assert_eq!(longest_entity(200), 3); // 200^3 = 8 million, 200^4 = 1.6 billion
        assert_eq!(longest_entity(256), 3); // 256^3 is the bound itself
        assert_eq!(longest_entity(257), 2);
        assert_eq!(longest_entity(1), 24);
    }
}
