//! Recipes on vocabularies small enough to read: exactly which sentences they add.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

use std::collections::HashMap;
use std::iter::successors;

use retrodict_facts::recipe::apply;
use retrodict_facts::{
    DataKind as _, Dataset, EntityType, Group, Query, Recipe, ReversalConfig, Role, Sentence, Step,
    Token, TrainingSet,
};

/// Entities drawn as they are: x is 2 (and 3), y is 4 (and 5).
fn query(source: &[Token], relation: Token, answer: &[Token], answer_type: EntityType) -> Query {
    Query { source: source.to_vec(), relation, answer: answer.to_vec(), answer_type }
}

fn chain(whole: bool, step: Step, queries: Vec<Query>) -> Group {
    Group::new(Role::Chain { whole, step }, queries)
}

/// 2 ⇄ 4 in both directions, 3 → 5 in one; 5 → 3 is held out.
fn pairs() -> Dataset {
    use EntityType::{X, Y};
    Dataset {
        weights: Vec::new(),
        train: vec![vec![2, 0, 4], vec![4, 1, 2], vec![3, 0, 5]],
        held_out: vec![vec![5, 1, 3]],
        vocab: 6,
        reserved: 2,
        entity_length: 1,
        groups: vec![
            Group::new(Role::Forward, vec![query(&[2], 0, &[4], Y)]),
            Group::new(Role::Backward, vec![query(&[4], 1, &[2], X)]),
            Group::new(Role::Seen, vec![query(&[3], 0, &[5], Y)]),
            Group::new(Role::Unseen, vec![query(&[5], 1, &[3], X)]),
        ],
        inverses: vec![[0, 1]],
    }
}

/// One pair of two-token entities, 2 3 → 4 5.
fn long_pair() -> Dataset {
    use EntityType::{X, Y};
    Dataset {
        weights: Vec::new(),
        train: vec![vec![2, 3, 0, 4, 5]],
        held_out: vec![vec![4, 5, 1, 2, 3]],
        entity_length: 2,
        groups: vec![
            Group::new(Role::Seen, vec![query(&[2, 3], 0, &[4, 5], Y)]),
            Group::new(Role::Unseen, vec![query(&[4, 5], 1, &[2, 3], X)]),
        ],
        ..pairs()
    }
}

/// 2 → 3 → 4 trained whole; of 5 → 6 → 7 the indirect implication is held out.
fn chains() -> Dataset {
    use EntityType::{Y, Z};
    Dataset {
        weights: Vec::new(),
        train: [[2, 0, 3], [3, 0, 4], [2, 1, 4], [5, 0, 6], [6, 0, 7]].map(Vec::from).to_vec(),
        held_out: vec![vec![5, 1, 7]],
        vocab: 8,
        reserved: 2,
        entity_length: 1,
        groups: vec![
            chain(true, Step::First, vec![query(&[2], 0, &[3], Y)]),
            chain(true, Step::Second, vec![query(&[3], 0, &[4], Z)]),
            chain(true, Step::Indirect, vec![query(&[2], 1, &[4], Z)]),
            chain(false, Step::First, vec![query(&[5], 0, &[6], Y)]),
            chain(false, Step::Second, vec![query(&[6], 0, &[7], Z)]),
            chain(false, Step::Indirect, vec![query(&[5], 1, &[7], Z)]),
        ],
        inverses: Vec::new(),
    }
}

/// The training set after recipes, and the sentences that they added.
fn applied(recipes: &str, dataset: &Dataset) -> (TrainingSet, Vec<Sentence>) {
    let recipes: Vec<Recipe> = recipes.split(' ').map(|name| name.parse().unwrap()).collect();
    let training_set = apply(&recipes, dataset, 7);
    let (own, added) = training_set.sentences.split_at(dataset.train.len());
    assert!(own.iter().map(|sentence| &sentence.tokens).eq(&dataset.train));
    let added = added.to_vec();
    (training_set, added)
}

/// The tokens that a recipe adds; each sentence has weight 1 and an answer of
/// the data set's length, and so many tokens are new.
fn added(recipes: &str, dataset: &Dataset, new_tokens: usize) -> Vec<Vec<Token>> {
    let (training_set, added) = applied(recipes, dataset);
    assert_eq!(training_set.vocab, dataset.vocab + new_tokens, "{recipes}");
    for sentence in &added {
        assert_eq!((sentence.weight, sentence.answer), (1.0, dataset.entity_length), "{recipes}");
    }
    added.into_iter().map(|sentence| sentence.tokens).collect()
}

#[test]
fn without_recipes_the_sentences_are_the_data_sets() {
    let dataset = long_pair();
    let plain = TrainingSet::plain(&dataset);
    assert_eq!(apply(&[], &dataset, 7), plain);
    let sentence = Sentence { tokens: vec![2, 3, 0, 4, 5], answer: 2, weight: 1.0 };
    assert_eq!(plain, TrainingSet { sentences: vec![sentence], vocab: 6 });
    assert_eq!((plain.tokens(), plain.longest(), plain.longest_answer()), (5, 5, 2));
}

#[test]
fn reversed_tokens() {
    assert_eq!(added("reverse-tokens", &pairs(), 0), [[4, 0, 2], [2, 1, 4], [5, 0, 3]]);
    assert_eq!(added("reverse-tokens", &long_pair(), 0), [[5, 4, 0, 3, 2]]);
    let marked = [[6, 4, 0, 2], [6, 2, 1, 4], [6, 5, 0, 3]];
    assert_eq!(added("reverse-tokens-marked", &pairs(), 1), marked);
    let (training_set, _) = applied("reverse-tokens-marked", &pairs());
    assert_eq!((training_set.tokens(), training_set.longest()), (9 + 12, 4));
}

#[test]
fn reversed_entities_are_kept_whole() {
    assert_eq!(added("reverse-entities", &long_pair(), 0), [[4, 5, 0, 2, 3]]);
    assert_eq!(
        added("reverse-entities", &chains(), 0),
        [[3, 0, 2], [4, 0, 3], [4, 1, 2], [6, 0, 5], [7, 0, 6]]
    );
}

#[test]
fn reversed_segments_are_cut_by_the_seed() {
    let train: Vec<Vec<Token>> = (0..200).map(|_| vec![2, 3, 0, 4, 5]).collect();
    let dataset = Dataset { train, ..long_pair() };
    let cut = |longest: usize, seed| {
        let recipe = format!("reverse-segments({longest})").parse().unwrap();
        apply(&[recipe], &dataset, seed).sentences.split_off(200)
    };
    // Segments of one token are the literal reversal.
    assert!(cut(1, 0).iter().all(|s| s.tokens == [5, 4, 0, 3, 2] && s.answer == 1));
    // All ways to cut five tokens into pieces of one and two, and no other.
    let mut seen: Vec<_> = cut(2, 0).into_iter().map(|s| (s.answer, s.tokens)).collect();
    seen.sort_unstable();
    seen.dedup();
    let expected = [
        (1, vec![4, 5, 0, 3, 2]),
        (1, vec![4, 5, 3, 0, 2]),
        (1, vec![5, 0, 4, 3, 2]),
        (1, vec![5, 4, 0, 3, 2]),
        (1, vec![5, 4, 3, 0, 2]),
        (2, vec![4, 5, 0, 2, 3]),
        (2, vec![5, 0, 4, 2, 3]),
        (2, vec![5, 4, 0, 2, 3]),
    ];
    assert_eq!(seen, expected);
    assert_ne!(cut(2, 0), cut(2, 1));
    // A segment may be the whole sentence, which is then not added again.
    assert!(cut(9, 0).len() < 200);
}

#[test]
fn permuted_chunks_are_a_reversal_and_a_random_order() {
    let train: Vec<Vec<Token>> = (0..200).map(|_| vec![2, 3, 0, 4, 5]).collect();
    let dataset = Dataset { train, ..long_pair() };
    let (_, added) = applied("permute-chunks", &dataset);
    let reversed = Sentence { tokens: vec![4, 5, 0, 2, 3], answer: 2, weight: 1.0 };
    assert_eq!(added.iter().filter(|sentence| **sentence == reversed).count(), 200);
    // Entities stay whole, and an order may end in the relation, which then is the answer.
    let mut others: Vec<_> = added.iter().filter(|sentence| **sentence != reversed).collect();
    others.sort_unstable_by(|a, b| a.tokens.cmp(&b.tokens));
    others.dedup();
    let others: Vec<_> = others.iter().map(|s| (s.answer, &s.tokens[..])).collect();
    let expected: [(usize, &[Token]); 4] = [
        (2, &[0, 2, 3, 4, 5]),
        (2, &[0, 4, 5, 2, 3]),
        (1, &[2, 3, 4, 5, 0]),
        (1, &[4, 5, 2, 3, 0]),
    ];
    assert_eq!(others, expected);
}

#[test]
fn draws_of_a_seed_stay_what_they_were() {
    let drawn = |recipe: &str| -> Vec<Vec<Token>> {
        applied(recipe, &chains()).1.into_iter().map(|sentence| sentence.tokens).collect()
    };
    assert_eq!(
        drawn("reverse-segments(2)"),
        [[3, 0, 2], [4, 0, 3], [4, 2, 1], [6, 5, 0], [7, 6, 0]]
    );
    assert_eq!(
        drawn("permute-chunks"),
        [[3, 0, 2], [0, 3, 2], [4, 0, 3], [0, 3, 4], [4, 1, 2], [1, 4, 2], [6, 0, 5], [7, 0, 6]]
    );
}

#[test]
fn all_orders_end_in_an_entity() {
    assert_eq!(
        added("all-orders", &long_pair(), 0),
        [[0, 2, 3, 4, 5], [4, 5, 0, 2, 3], [0, 4, 5, 2, 3]]
    );
}

#[test]
fn identities_with_a_new_relation() {
    let expected = [[2, 6, 2], [4, 6, 4], [3, 6, 3], [5, 6, 5]];
    assert_eq!(added("identities", &pairs(), 1), expected);
    let chain = [2, 3, 4, 5, 6, 7].map(|entity| [entity, 8, entity]);
    assert_eq!(added("third-relation", &chains(), 1), chain);
}

#[test]
fn typed_identities_contradict_no_fact() {
    let expected = [[2, 1, 2], [4, 0, 4], [3, 1, 3], [5, 0, 5]];
    assert_eq!(added("identities-typed", &pairs(), 0), expected);
    // B 0 has the answer C, so only C has identities.
    let expected = [[4, 0, 4], [4, 1, 4], [7, 0, 7], [7, 1, 7]];
    assert_eq!(added("identities-typed", &chains(), 0), expected);
}

#[test]
fn random_identities_stay_in_their_type() {
    // Of two entities the other one.
    let expected = [[2, 1, 3], [4, 0, 5], [3, 1, 2], [5, 0, 4]];
    assert_eq!(added("identities-random", &pairs(), 0), expected);
    let expected = [[4, 0, 7], [4, 1, 7], [7, 0, 4], [7, 1, 4]];
    assert_eq!(added("identities-random", &chains(), 0), expected);

    // Of many, one circle for each type.
    let dataset = ReversalConfig::default().generate(0).unwrap();
    let next: HashMap<Token, Token> = added("identities-random", &dataset, 0)
        .into_iter()
        .map(|sentence| (sentence[0], sentence[2]))
        .collect();
    assert_eq!(next.len(), 400);
    for group in ["train_forward", "train_backward"] {
        let query = &dataset.group(group).unwrap().queries[0];
        let steps = successors(Some(query.source[0]), |entity| Some(next[entity])).skip(1);
        let round = 1 + steps.take_while(|entity| *entity != query.source[0]).count();
        assert_eq!(round, 200);
    }
}

#[test]
fn conflicting_identities_take_every_relation() {
    let expected = [2, 4, 3, 5].map(|e| [[e, 0, e], [e, 1, e]]).concat();
    assert_eq!(added("identities-conflicting", &pairs(), 0), expected);
}

#[test]
fn bridges_weigh_facts_more() {
    let weighed = |recipes: &str| {
        let (training_set, added) = applied(recipes, &pairs());
        assert!(training_set.sentences[..3].iter().all(|sentence| sentence.weight == 6.0));
        assert!(added.iter().all(|sentence| (sentence.weight, sentence.answer) == (1.0, 1)));
        (training_set.vocab, added.into_iter().map(|s| s.tokens).collect::<Vec<_>>())
    };
    let out_of_context = [
        vec![2, 0, 1, 2],
        vec![4, 6, 4],
        vec![4, 1, 0, 4],
        vec![2, 6, 2],
        vec![3, 0, 1, 3],
        vec![5, 6, 5],
    ];
    assert_eq!(weighed("bridge-out-of-context"), (7, out_of_context.to_vec()));
    let without = [[2, 0, 1, 2], [4, 1, 0, 4], [3, 0, 1, 3]].map(Vec::from);
    assert_eq!(weighed("bridge-without-self"), (6, without.to_vec()));
    let plain = [[2, 6, 2], [4, 6, 4], [3, 6, 3], [5, 6, 5]].map(Vec::from);
    assert_eq!(weighed("bridge-plain"), (7, plain.to_vec()));

    let (training_set, _) = applied("bridge-plain(0.5)", &pairs());
    assert_eq!(training_set.sentences[0].weight, 0.5);
    // The bridge weighs the sentences before it, and none after it.
    let (training_set, _) = applied("reverse-tokens bridge-plain reverse-tokens", &pairs());
    let weights: Vec<_> = training_set.sentences.iter().map(|sentence| sentence.weight).collect();
    assert_eq!(weights[..10], [[6.0; 6].as_slice(), &[1.0; 4]].concat());
    assert_eq!(weights[10..], [6.0; 6], "identities read the same both ways");
}

#[test]
fn in_context_inferences_of_pairs_known_in_both_directions() {
    assert_eq!(
        added("in-context", &pairs(), 1),
        [[2, 0, 4, 6, 4, 1, 2], [4, 1, 2, 6, 2, 0, 4]],
        "3 and 5 are known in one direction only"
    );
}

#[test]
fn chains_trained_whole_are_added_step_by_step() {
    assert_eq!(added("chain-of-thought", &chains(), 0), [[2, 0, 3, 0, 4]]);
    // An indirect fact that the direct ones do not lead to, a circle of them,
    // and one that is direct too.
    let train = [[2, 0, 3], [3, 0, 2], [2, 1, 4], [2, 1, 3]].map(Vec::from).to_vec();
    assert!(added("chain-of-thought", &Dataset { train, ..chains() }, 0).is_empty());
}

#[test]
fn recipes_apply_in_order() {
    let ids = [[2, 6, 2], [4, 6, 4], [3, 6, 3], [5, 6, 5]].map(Vec::from);
    let marked = |e: Token, marker: Token, id: Token| vec![marker, e, id, e];
    let both = added("identities reverse-tokens-marked", &pairs(), 2);
    assert_eq!(both[..4], ids);
    assert_eq!(both[4 + 3], marked(2, 7, 6), "the marker comes second");
    let both = added("reverse-tokens-marked identities", &pairs(), 2);
    assert_eq!(both[0], [6, 4, 0, 2]);
    assert_eq!(both[3], [2, 7, 2]);
}

#[test]
fn held_out_sentences_are_never_added() {
    // A symmetric relation, of which literal reversal is the held-out sentence.
    let dataset = Dataset {
        train: vec![vec![2, 0, 4], vec![3, 0, 5], vec![5, 0, 3]],
        held_out: vec![vec![4, 0, 2]],
        groups: vec![Group::new(Role::Unseen, vec![query(&[4], 0, &[2], EntityType::X)])],
        inverses: vec![[0, 0]],
        ..pairs()
    };
    for recipe in ["reverse-tokens", "reverse-entities", "permute-chunks", "all-orders"] {
        let (_, added) = applied(recipe, &dataset);
        assert!(!added.is_empty());
        assert!(added.iter().all(|sentence| sentence.tokens != [4, 0, 2]), "{recipe}");
    }
    assert_eq!(added("reverse-tokens", &dataset, 0), [[5, 0, 3], [3, 0, 5]]);
}
