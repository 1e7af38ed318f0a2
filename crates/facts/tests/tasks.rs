//! Properties of the data sets that are not the paper's, over many seeds and sizes.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in test functions, not in their helpers

mod common;

use std::collections::{HashMap, HashSet};

use retrodict_facts::{
    BiographiesConfig, DataConfig, DataKind as _, Dataset, EntityType, FamilyConfig, HopsConfig,
    OneToManyConfig, Query, RelationsConfig, Token,
};

const SEEDS: [u32; 4] = [0, 1, 2, u32::MAX];

fn sentences(dataset: &Dataset, group: &str) -> Vec<Vec<Token>> {
    dataset.group(group).unwrap().queries.iter().map(Query::sentence).collect()
}

/// The answers of all trained facts, by source and relation; each has one answer.
fn functions(dataset: &Dataset) -> HashMap<(Token, Token), Token> {
    let mut facts = HashMap::new();
    for sentence in dataset.train.iter().filter(|sentence| sentence.len() == 3) {
        let earlier = facts.insert((sentence[0], sentence[1]), sentence[2]);
        assert!(earlier.is_none(), "{sentence:?} has two answers");
    }
    facts
}

#[test]
fn nothing_that_is_held_out_is_trained() {
    for (config, seed) in common::tasks().into_iter().flat_map(|c| SEEDS.map(|s| (c.clone(), s))) {
        let dataset = config.generate(seed).unwrap();
        let trained: HashSet<_> = dataset.train.iter().cloned().collect();
        assert_eq!(trained.len(), dataset.train.len(), "{config:?}: a sentence is there twice");
        for group in &dataset.groups {
            let held_out =
                ["held_out_composed", "held_out_questions", "control_unseen", "control_swapped"];
            let last = group.id() == dataset.groups.last().unwrap().id();
            let expected = !(last || held_out.contains(&group.id()));
            for query in &group.queries {
                let sentence = query.sentence();
                assert_eq!(trained.contains(&sentence), expected, "{config:?} {}", group.id());
            }
        }
        // The last group asks for the held-out sentences; the others for all that are trained.
        let last = &dataset.groups.last().unwrap().queries;
        let asked: HashSet<_> = last.iter().map(Query::sentence).collect();
        assert_eq!((asked.len(), last.len()), (dataset.held_out.len(), dataset.held_out.len()));
        assert_eq!(asked, dataset.held_out.iter().cloned().collect());
        let queries = dataset.groups.iter().flat_map(|group| &group.queries);
        let asked: HashSet<_> = queries.map(Query::sentence).collect();
        let questions = trained.iter().filter(|sentence| sentence.len() == 3);
        assert_eq!(
            questions.filter(|sentence| !asked.contains(*sentence)).count(),
            0,
            "{config:?}"
        );
    }
}

#[test]
fn no_token_has_two_types_or_two_uses() {
    for (config, seed) in common::tasks().into_iter().flat_map(|c| SEEDS.map(|s| (c.clone(), s))) {
        let dataset = config.generate(seed).unwrap();
        let mut types: HashMap<Token, EntityType> = HashMap::new();
        for query in dataset.groups.iter().flat_map(|group| &group.queries) {
            let known = types.entry(query.answer[0]).or_insert(query.answer_type);
            assert_eq!(*known, query.answer_type, "{config:?}");
            assert!((query.relation as usize) < dataset.reserved);
            assert!(query.answer[0] as usize >= dataset.reserved);
        }
        for (_, sentence) in dataset.sentences() {
            for (place, &token) in sentence.iter().enumerate() {
                assert_eq!((token as usize) < dataset.reserved, place % 2 == 1, "{sentence:?}");
                assert!((token as usize) < dataset.vocab);
            }
        }
    }
}

#[test]
fn unseen_directions_are_the_seen_ones_in_reverse() {
    for (config, seed) in common::tasks().into_iter().flat_map(|c| SEEDS.map(|s| (c.clone(), s))) {
        let dataset = config.generate(seed).unwrap();
        let Some(seen) = dataset.group("held_out_seen") else { continue };
        let unseen = &dataset.group("held_out_unseen").unwrap().queries;
        assert_eq!(seen.queries.len(), unseen.len());
        for (query, reverse) in seen.queries.iter().zip(unseen) {
            assert_eq!((&query.source, &query.answer), (&reverse.answer, &reverse.source));
            assert_eq!(dataset.inverse(query.relation), Some(reverse.relation));
            assert_eq!(dataset.inverse(reverse.relation), Some(query.relation));
        }
    }
}

#[test]
fn the_defaults_are_of_the_papers_size() {
    let sizes = [
        (DataConfig::Relations(RelationsConfig::default()), 340, 45),
        (DataConfig::Family(FamilyConfig::default()), 324, 18),
        (DataConfig::Hops(HopsConfig::default()), 342, 18),
        (DataConfig::Biographies(BiographiesConfig::default()), 360, 45),
        (DataConfig::OneToMany(OneToManyConfig::default()), 340, 60),
    ];
    for (config, train, held_out) in sizes {
        let dataset = config.generate(1234).unwrap();
        assert_eq!((dataset.train.len(), dataset.held_out.len()), (train, held_out), "{config:?}");
        assert_eq!(dataset.vocab, 800 + dataset.reserved);
        assert_eq!(dataset.sentence_length(), config.sentence_length());
    }
}

#[test]
fn every_relation_pairs_the_same_entities_in_its_own_way() {
    let config = RelationsConfig { train_fraction: 1.0, ..RelationsConfig::default() };
    let dataset = config.generate(5).unwrap();
    let facts = functions(&dataset);
    let of = |relation: Token| -> HashSet<(Token, Token)> {
        let of = facts.iter().filter(|((_, r), _)| *r == relation);
        of.map(|((source, _), answer)| (*source, *answer)).collect()
    };
    let swapped = |pairs: &HashSet<(Token, Token)>| -> HashSet<(Token, Token)> {
        pairs.iter().map(|&(source, answer)| (answer, source)).collect()
    };
    for relation in [0, 2, 4] {
        assert_eq!(of(relation).len(), 50);
        assert_eq!(of(relation), swapped(&of(relation + 1)));
        assert_eq!(dataset.inverse(relation), Some(relation + 1));
    }
    assert!(of(0).intersection(&of(2)).count() < 10 && of(0).intersection(&of(4)).count() < 10);
    // Of the control no pair is the other's reverse.
    assert_eq!((of(6).len(), of(7).len()), (50, 50));
    assert!(of(6).is_disjoint(&swapped(&of(7))));
    assert_eq!((dataset.inverse(6), dataset.inverse(7)), (None, None));
}

#[test]
fn a_blind_swap_answers_with_the_trained_pair() {
    for seed in SEEDS {
        let dataset = RelationsConfig::default().generate(seed).unwrap();
        let trained = sentences(&dataset, "control_trained");
        assert_eq!(trained.len(), 50 + 35);
        let group = |id| &dataset.group(id).unwrap().queries;
        let (unseen, swapped) = (group("control_unseen"), group("control_swapped"));
        assert_eq!((unseen.len(), swapped.len()), (15, 15));
        for (query, swap) in unseen.iter().zip(swapped) {
            assert_eq!((&query.source, query.relation), (&swap.source, 7));
            assert_ne!(query.answer, swap.answer);
            assert!(trained.contains(&vec![swap.answer[0], 6, swap.source[0]]));
            // No trained question has the same source or the same answer.
            assert!(
                !trained
                    .iter()
                    .any(|s| s[1] == 7 && (s[0] == query.source[0] || s[2] == query.answer[0]))
            );
        }
    }
}

#[test]
fn families_hang_together() {
    for seed in SEEDS {
        let config = FamilyConfig { families: 9, train_fraction: 0.5, ..FamilyConfig::default() };
        let dataset = config.generate(seed).unwrap();
        let all: Vec<_> = [dataset.train.clone(), dataset.held_out.clone()].concat();
        let composed = sentences(&dataset, "held_out_composed");
        let parent: HashMap<_, _> =
            all.iter().filter(|s| s[1] == 0).map(|s| (s[0], s[2])).collect();
        assert_eq!(parent.len(), 9 * 4, "each but the eldest has a parent");
        let count = |relation: Token| all.iter().filter(|s| s[1] == relation).count();
        assert_eq!((count(1), count(2), count(3) + composed.len()), (36, 18, 18));
        for sentence in all.iter().chain(&composed) {
            let (source, answer) = (sentence[0], sentence[2]);
            match sentence[1] {
                0 => {}
                1 => assert_eq!(parent[&answer], source),
                2 => assert!(parent[&answer] == parent[&source] && answer != source),
                _ => assert_eq!(parent[&parent[&source]], answer),
            }
        }
        // Which children and which grandchildren are held out is drawn apart.
        let children: HashSet<_> = dataset.held_out.iter().map(|s| s[2]).collect();
        let grandchildren: HashSet<_> = composed.iter().map(|s| s[0]).collect();
        assert_eq!((children.len(), grandchildren.len()), (9, 9));
        assert_ne!(children, grandchildren);
        // A grandparent has two children, either of whom is right.
        for query in &dataset.group("train_children").unwrap().queries {
            assert_eq!(dataset.right_answers(query).len(), 2);
        }
        for query in &dataset.group("held_out_unseen").unwrap().queries {
            assert_eq!(dataset.right_answers(query), std::slice::from_ref(&query.answer));
        }
    }
}

#[test]
fn hops_are_so_many_steps() {
    for (seed, hops) in SEEDS.into_iter().zip([2, 3, 4, 7]) {
        let config = HopsConfig { chains: 10, hops, ..HopsConfig::default() };
        let dataset = config.generate(seed).unwrap();
        let facts = functions(&dataset);
        assert_eq!(dataset.train.len(), 10 * hops * (hops + 1) / 2 - 3);
        for (_, sentence) in dataset.sentences() {
            let mut at = sentence[0];
            for _ in 0..=sentence[1] {
                at = facts[&(at, 0)];
            }
            assert_eq!(at, sentence[2]);
        }
        for sentence in &dataset.held_out {
            assert_eq!(sentence[1] as usize, hops - 1);
            assert!(!facts.contains_key(&(sentence[2], 0)), "the last of the chain");
        }
    }
}

#[test]
fn biographies_hold_the_answers() {
    for seed in SEEDS {
        let config =
            BiographiesConfig { persons: 10, attributes: 4, ..BiographiesConfig::default() };
        let dataset = config.generate(seed).unwrap();
        let biographies: Vec<_> =
            dataset.train.iter().filter(|sentence| sentence.len() == 9).collect();
        assert_eq!(biographies.len(), 10 * 4);
        let mut last = HashSet::new();
        for sentence in &biographies {
            let named: HashSet<_> = sentence.iter().skip(1).step_by(2).collect();
            assert_eq!(named, HashSet::from([&0, &1, &2, &3]));
            last.insert((sentence[0], sentence[7], sentence[8]));
        }
        assert_eq!(last.len(), 10 * 4, "every attribute of every person comes last once");
        for query in dataset.groups.iter().flat_map(|group| &group.queries) {
            let (source, answer, relation) = (query.source[0], query.answer[0], query.relation);
            let fact = match relation {
                4..8 => (source, relation - 4, answer),
                8..12 => (answer, relation - 8, source),
                _ => panic!("{relation} asks for nothing"),
            };
            assert!(last.contains(&fact));
        }
        let asked: HashSet<_> =
            sentences(&dataset, "train_questions").iter().map(|s| s[0]).collect();
        let rest: HashSet<_> =
            sentences(&dataset, "held_out_questions").iter().map(|s| s[0]).collect();
        assert_eq!((asked.len(), rest.len()), (7, 3));
        assert!(asked.is_disjoint(&rest));
    }
}

#[test]
fn any_partner_of_many_is_right() {
    for seed in SEEDS {
        let config = OneToManyConfig { entities: 11, partners: 3, ..OneToManyConfig::default() };
        let dataset = config.generate(seed).unwrap();
        let any = &dataset.group("forward_any").unwrap().queries;
        let sources: HashSet<_> = any.iter().map(|query| &query.source).collect();
        assert_eq!((any.len(), sources.len()), (11, 11));
        for query in any {
            let answers = dataset.right_answers(query);
            assert_eq!(answers.len(), 3);
            assert!(answers.contains(&query.answer));
            for answer in answers {
                let back = Query { source: answer, relation: 1, ..query.clone() };
                assert_eq!(dataset.right_answers(&back), std::slice::from_ref(&query.source));
            }
        }
        assert!(dataset.held_out.iter().all(|sentence| sentence[1] == 1));
    }
}
