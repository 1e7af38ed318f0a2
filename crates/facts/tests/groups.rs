//! The groups that effective weights are measured over.

use std::collections::HashSet;

use retrodict_facts::{
    ChainConfig, DataKind as _, EntityType, Group, Query, RelatedConfig, ReversalConfig, Token,
};

fn ids(groups: &[Group]) -> Vec<&str> {
    groups.iter().map(|group| group.id).collect()
}

fn sentences(group: &Group) -> impl Iterator<Item = Vec<Token>> {
    group.queries.iter().map(|query| [&query.source[..], &[query.relation], &query.answer].concat())
}

#[test]
fn reversal_groups_say_what_was_seen() {
    for entity_length in [1, 2, 3] {
        let config = ReversalConfig { vocab_size: 200, entity_length, train_fraction: 0.7 };
        let dataset = config.generate(3).unwrap();
        assert_eq!(
            ids(&dataset.groups),
            ["train_forward", "train_backward", "held_out_seen", "held_out_unseen"]
        );
        let [forward, backward, seen, unseen] = &dataset.groups[..] else { panic!() };

        // Every sentence is asked for by one group, on its own side of the split.
        let trained: HashSet<_> = dataset.train.iter().cloned().collect();
        let asked: Vec<_> = [forward, backward, seen].into_iter().flat_map(sentences).collect();
        assert_eq!(asked.len(), trained.len());
        assert_eq!(asked.into_iter().collect::<HashSet<_>>(), trained);
        let held_out: HashSet<_> = dataset.held_out.iter().cloned().collect();
        assert_eq!(unseen.queries.len(), held_out.len());
        assert_eq!(sentences(unseen).collect::<HashSet<_>>(), held_out);

        for (of, to) in [(forward, backward), (seen, unseen)] {
            for (query, reverse) in of.queries.iter().zip(&to.queries) {
                assert_eq!((&query.source, &query.answer), (&reverse.answer, &reverse.source));
                assert_ne!(query.relation, reverse.relation);
            }
        }
        for query in dataset.groups.iter().flat_map(|group| &group.queries) {
            let expected = if query.relation == 0 { EntityType::Y } else { EntityType::X };
            assert_eq!(query.answer_type, expected);
        }
        for group in [seen, unseen] {
            let types: Vec<_> = group.queries.iter().map(|query| query.answer_type).collect();
            let changes = types.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert_eq!(changes, 1, "both types, each in one run");
        }
    }
}

#[test]
fn chain_groups_join_into_chains() {
    let chain = ChainConfig { vocab_size: 50, ..ChainConfig::default() }.generate(8).unwrap();
    let related = RelatedConfig { tokens: 60, train: 20, held_out: 9, ..RelatedConfig::default() };
    for dataset in [chain, related.generate(8).unwrap()] {
        assert_eq!(
            ids(&dataset.groups),
            [
                "train_a_to_b",
                "train_b_to_c",
                "train_a_to_c",
                "held_out_a_to_b",
                "held_out_b_to_c",
                "held_out_a_to_c"
            ]
        );
        let trained: HashSet<_> = dataset.train.iter().cloned().collect();
        let asked: HashSet<_> = dataset.groups[..5].iter().flat_map(sentences).collect();
        assert_eq!(asked, trained);
        assert_eq!(sentences(&dataset.groups[5]).collect::<Vec<_>>(), dataset.held_out);

        for three in dataset.groups.chunks(3) {
            let queries = |group: usize| &three[group].queries;
            assert!(!queries(0).is_empty());
            let joined: Vec<Query> = queries(0)
                .iter()
                .zip(queries(1))
                .map(|(a_to_b, b_to_c)| {
                    assert_eq!(a_to_b.answer, b_to_c.source);
                    assert_eq!((a_to_b.relation, b_to_c.relation), (0, 0));
                    assert_eq!(a_to_b.answer_type, EntityType::Y);
                    Query { source: a_to_b.source.clone(), relation: 1, ..b_to_c.clone() }
                })
                .collect();
            assert_eq!(&joined, queries(2));
            assert!(joined.iter().all(|query| query.answer_type == EntityType::Z));
        }
    }
}

#[test]
fn without_held_out_pairs_their_groups_are_empty() {
    let config = ReversalConfig { train_fraction: 1.0, ..ReversalConfig::default() };
    let dataset = config.generate(0).unwrap();
    assert!(dataset.held_out.is_empty());
    assert!(dataset.group("held_out_unseen").unwrap().queries.is_empty());
    assert_eq!(dataset.group("train_backward").unwrap().queries.len(), 200);
    assert!(dataset.group("held_out").is_none());
}
